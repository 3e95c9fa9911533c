"""A colour that changed in one place is no copy, whatever its grey; one that changed all over is."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipeline.decode import DecodeSettings, Pixels
from pipeline.previewing import decode_preview, preview
from pipeline.settings import VerifySettings
from pipeline.verify import Prepared, prepare, verify
from store.records import MatchKind
from tests.gallery import draw

Edit = Callable[[Pixels], Pixels]


def prepared(pixels: Pixels) -> Prepared:
    return prepare(decode_preview(preview(pixels, DecodeSettings())))


def kind(ours: Pixels, theirs: Pixels) -> MatchKind | None:
    there, back = (verify(*pair, VerifySettings()).kind for pair in _both_ways(prepared(ours), prepared(theirs)))
    assert there is back
    return there


def _both_ways(a: Prepared, b: Prepared) -> tuple[tuple[Prepared, Prepared], tuple[Prepared, Prepared]]:
    return (a, b), (b, a)


def scene(seed: int) -> Pixels:
    return np.asarray(draw(seed, (640, 480)), np.uint8)


def coloured(pixels: Pixels, red: int, blue: int, share: float) -> Pixels:
    """Give a disc of a share of the picture other colours of the same grey."""
    parts = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    height, width = pixels.shape[:2]
    disc = np.zeros((height, width), np.float32)
    cv2.circle(disc, (width // 2, height // 2), round((share * height * width / np.pi) ** 0.5), 1.0, -1, cv2.LINE_AA)
    for channel, level in ((1, red), (2, blue)):
        parts[..., channel] += disc * (level - parts[..., channel])
    return np.asarray(cv2.cvtColor(np.clip(parts, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB), np.uint8)


@pytest.mark.parametrize("share", [0.003, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 6, 8, 16])
def test_another_colour_in_one_place_is_an_edit(seed: int, share: float) -> None:
    red, green = (coloured(scene(seed), *colour, share) for colour in ((185, 100), (75, 110)))
    assert kind(red, green) is not MatchKind.COPY


@pytest.mark.parametrize("seed", [0, 6, 8, 16])
def test_a_faint_other_colour_in_one_place_is_an_edit(seed: int) -> None:
    warm, cold = (coloured(scene(seed), *colour, 0.01) for colour in ((138, 128), (119, 128)))
    assert kind(warm, cold) is not MatchKind.COPY


def _saturated(pixels: Pixels) -> Pixels:
    grey = pixels.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(grey + 1.5 * (pixels - grey), 0, 255), np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _warm(pixels: Pixels) -> Pixels:
    return np.asarray(np.clip(pixels * np.array((1.12, 1.0, 0.82)), 0, 255), np.uint8)


def _blurred(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.2), np.uint8)


@pytest.mark.parametrize("edit", [_saturated, _grey, _warm, _blurred])
@pytest.mark.parametrize("seed", [0, 6, 8, 16])
def test_a_change_of_all_colours_is_a_copy(seed: int, edit: Edit) -> None:
    assert kind(scene(seed), edit(scene(seed))) is MatchKind.COPY


def form(paper: int, digit: str) -> Pixels:
    """Print a page of words and numbers, one of which has a certain digit."""
    random = np.random.default_rng(5)
    sheet = np.full((1400, 1080, 3), paper, np.uint8)
    for row in range(20):
        words = "".join(random.permutation(list("abcdefghijklmnop"))[:14])
        number = f"13{digit}5" if row == 9 else f"{1000 + 37 * row}"
        for text, left in ((words, 60), (number, 850)):
            place = left, 90 + row * 62
            cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, (0, 0, 0), 2, cv2.LINE_AA)
    return sheet


@pytest.mark.parametrize("paper", [244, 225])
def test_another_digit_on_tinted_paper_is_an_edit(paper: int) -> None:
    assert kind(form(255, "4"), form(paper, "9")) is not MatchKind.COPY


def test_that_the_way_to_sepia_takes_all_colours_and_a_stain_on_grey_is_one() -> None:
    mix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    sepia: Pixels = np.clip(scene(6) @ mix.T, 0, 255).astype(np.uint8)
    assert kind(scene(6), sepia) is MatchKind.COPY
    for plain in (sepia, _grey(scene(6))):
        stained = plain.copy()
        cv2.circle(stained, (60, 200), 20, (40, 60, 220), -1, cv2.LINE_AA)
        assert kind(plain, stained) is not MatchKind.COPY


@pytest.mark.parametrize("seed", [0, 6, 8])
def test_thin_strokes_are_seen(seed: int) -> None:
    written = scene(seed).copy()
    cv2.putText(written, "12:45 3.8.", (400, 460), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 150, 40), 2, cv2.LINE_AA)
    assert kind(scene(seed), written) is not MatchKind.COPY
