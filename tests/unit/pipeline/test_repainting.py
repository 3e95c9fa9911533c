"""Flags and charts in other colours are other pictures; what people do to whole pictures leaves copies."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from pipeline.decode import Pixels
from pipeline.framing import Placement
from pipeline.prepared import prepare
from pipeline.repainting import is_repainted
from pipeline.settings import VerifySettings
from pipeline.verify import verify
from store.records import MatchKind
from tests.scenes import draw

BLACK, WHITE, RED, YELLOW, BLUE, GREEN = (
    (0, 0, 0), (255, 255, 255), (206, 17, 38), (252, 209, 22), (0, 43, 127), (0, 146, 70),
)  # fmt: skip
Colour = tuple[int, int, int]
Change = Callable[[Image.Image], Image.Image]


def flag(*colours: Colour, size: tuple[int, int] = (300, 200)) -> Image.Image:
    picture = Image.new("RGB", size)
    pen, step = ImageDraw.Draw(picture), size[0] / len(colours)
    for number, colour in enumerate(colours):
        pen.rectangle((round(number * step), 0, round((number + 1) * step), size[1]), colour)
    return picture


def chart(fill: Colour, labels: str = "1234", width: int = 384) -> Image.Image:
    """Draw boxes with whiskers in a frame."""
    picture = Image.new("RGB", (width, width * 3 // 4), WHITE)
    pen, scale = ImageDraw.Draw(picture), width / 256
    pen.rectangle([scale * side for side in (32, 23, 230, 170)], outline=BLACK)
    for number, label in enumerate(labels):
        x, high = 46 + 50 * number, 80 - 3 * number
        pen.line([scale * at for at in (x + 11, 60, x + 11, 160)], BLACK)
        pen.rectangle([scale * side for side in (x, high, x + 22, 114)], fill, BLACK)
        pen.text((scale * (x + 9), scale * 174), label, BLACK)
    return picture


def saved(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def painted(first: Image.Image | Pixels, second: Image.Image | Pixels) -> bool:
    a, b = prepare(np.asarray(first)), prepare(np.asarray(second))
    place, back = (Placement(one.grey, other.grey, np.eye(3), False, False, 0) for one, other in ((a, b), (b, a)))
    found = is_repainted(a.tones, b.tones, place)
    assert is_repainted(b.tones, a.tones, back) is found
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((BLACK, YELLOW, RED), (BLUE, YELLOW, RED)),  # Belgium and Chad
        ((GREEN, WHITE, RED), (BLUE, WHITE, RED)),  # Italy and France
        ((RED, WHITE, RED), (RED, WHITE, GREEN)),  # Austria and Hungary, turned
        ((BLUE, BLACK, WHITE), (RED, BLUE, RED)),
        ((RED, WHITE), (RED, GREEN)),
    ],
)
@pytest.mark.parametrize("quality", [60, 95])
def test_flags_in_other_colours_are_other_flags(
    one: tuple[Colour, ...], other: tuple[Colour, ...], quality: int
) -> None:
    first, second = saved(flag(*one), quality), saved(flag(*other), 90)
    assert painted(first, second)
    look = verify(prepare(np.asarray(first)), prepare(np.asarray(second)), VerifySettings())
    assert look.kind is not MatchKind.COPY


@pytest.mark.parametrize("width", [256, 384])
def test_boxes_of_a_chart_that_were_filled_are_no_change_of_tone(width: int) -> None:
    plain, filled = chart(WHITE, width=width), chart((31, 119, 180), "    ", width)
    assert painted(plain, filled)
    look = verify(prepare(np.asarray(plain)), prepare(np.asarray(filled)), VerifySettings())
    assert look.kind is not MatchKind.COPY


def hue_turned(picture: Image.Image) -> Image.Image:
    hue, *rest = picture.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda level: (level + 12) % 256), *rest)).convert("RGB")


CHANGES: list[Change] = [
    lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
    lambda picture: ImageEnhance.Color(picture).enhance(0.5),
    lambda picture: picture.point([round(255 * (level / 255) ** 1.6) for level in range(256)] * 3),
    lambda picture: ImageOps.grayscale(picture).convert("RGB"),
    lambda picture: ImageOps.colorize(ImageOps.grayscale(picture), "black", "white", (150, 125, 95)),
    hue_turned,
    lambda picture: saved(picture, 30),
    lambda picture: picture.resize((150, 100), Image.Resampling.LANCZOS).resize((300, 200)),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("colours", [(BLACK, YELLOW, RED), (GREEN, WHITE, RED), (RED, YELLOW), (BLUE, WHITE, RED)])
def test_what_is_done_to_a_whole_flag_leaves_that_flag(change: Change, colours: tuple[Colour, ...]) -> None:
    assert not painted(saved(flag(*colours), 92), saved(change(flag(*colours)), 88))


@pytest.mark.parametrize("change", CHANGES[:-1])
def test_what_is_done_to_a_whole_chart_leaves_that_chart(change: Change) -> None:
    assert not painted(chart((31, 119, 180)), change(chart((31, 119, 180))))


def test_pictures_of_many_colours_are_not_asked() -> None:
    scene = draw(5)
    for turn in ((2, 0, 1), (1, 2, 0)):
        assert not painted(scene, np.ascontiguousarray(scene[..., turn]))


@settings(max_examples=25, deadline=None)
@given(
    colours=st.permutations([BLACK, WHITE, RED, YELLOW, BLUE, GREEN]),
    gain=st.floats(0.75, 1.3), gamma=st.floats(0.7, 1.4), saturation=st.floats(0.3, 1.3),
)  # fmt: skip
def test_light_contrast_and_saturation_paint_no_flag(
    colours: list[Colour], gain: float, gamma: float, saturation: float
) -> None:
    before = flag(*colours[:3])
    lit = np.clip(np.asarray(before, np.float64) / 255 * gain, 0, 1) ** gamma
    grey = lit @ (0.299, 0.587, 0.114)
    after = np.clip(grey[..., None] + saturation * (lit - grey[..., None]), 0, 1) * 255
    assert not painted(before, after.astype(np.uint8))


def test_too_little_tells_nothing() -> None:
    tiny = Image.new("RGB", (6, 6), RED)
    assert not painted(tiny, Image.new("RGB", (6, 6), BLUE))
