"""A thing in another colour is another thing; a picture that was recoloured as a whole is a copy."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.compression import FileFacts
from pipeline.decode import Pixels
from pipeline.dyeing import is_dyed
from pipeline.framing import Placement
from pipeline.prepared import Prepared, prepare
from pipeline.settings import VerifySettings
from pipeline.verify import verify
from store.records import MatchKind
from tests.scenes import draw

SIZE = (384, 288)
TEAL, PINK, SALMON, OCHRE = (75, 196, 200), (196, 160, 186), (239, 80, 97), (150, 118, 98)
Colour = tuple[int, int, int]
Gains = tuple[float, float, float]


def product(colour: Colour, wall: Colour = (250, 250, 250)) -> Pixels:
    """Draw a dress with folds before a wall."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, SIZE[::-1]).astype(np.float32), (0, 0), 4)
    folds = 1 + 0.12 * noise / noise.std()
    dress = np.zeros(SIZE[::-1], np.float32)
    outline = np.array([(150, 20), (230, 20), (245, 120), (320, 270), (60, 270), (135, 120)])
    cv2.fillPoly(dress, [outline], 1.0, cv2.LINE_AA)
    cloth = np.array(colour) * folds[..., None]
    behind = np.array(wall) * (1 + 0.01 * noise)[..., None]
    return np.asarray(np.clip(behind + (cloth - behind) * dress[..., None], 0, 255), np.uint8)


def repainted(pixels: Pixels, saturation: float) -> Pixels:
    """Change the saturation of a third of a picture."""
    part = pixels[:, 130:260].astype(np.float32)
    grey = part.mean(axis=2, keepdims=True)
    changed = pixels.copy()
    changed[:, 130:260] = np.clip(grey + saturation * (part - grey), 0, 255)
    return changed


def laid(first: Pixels, second: Pixels, *, few_colours: bool = False) -> bool:
    a, b = prepare(first), prepare(second)
    place, back = (Placement(one.grey, other.grey, np.eye(3), False, False, 0) for one, other in ((a, b), (b, a)))
    found = is_dyed(a.tones, b.tones, place, few_colours=few_colours)
    assert is_dyed(b.tones, a.tones, back, few_colours=few_colours) is found
    return found


def kind(a: Prepared, b: Prepared) -> MatchKind | None:
    return verify(a, b, VerifySettings()).kind


@pytest.mark.parametrize("wall", [(250, 250, 250), (168, 160, 148)])
@pytest.mark.parametrize(("one", "other"), [(TEAL, PINK), (TEAL, SALMON), (OCHRE, TEAL)])
def test_a_dress_in_another_colour_is_no_copy(one: Colour, other: Colour, wall: Colour) -> None:
    assert laid(product(one, wall), product(other, wall))
    a, b = prepare(product(one, wall)), prepare(product(other, wall))
    assert kind(a, b) is MatchKind.EDITED
    assert kind(b, a) is MatchKind.EDITED


def test_a_thing_that_is_lighter_and_paler_alone_is_another() -> None:
    assert laid(product((72, 3, 100)), product((170, 150, 190)))
    assert laid(product((157, 129, 9)), product((75, 89, 26)))


def test_where_one_lies_in_the_other_it_is_asked_there() -> None:
    a, b = prepare(product(TEAL)), prepare(product(PINK)[20:, 30:])
    onto = np.array([[1, 0, -30], [0, 1, -20], [0, 0, 1]], float)
    assert is_dyed(a.tones, b.tones, Placement(a.grey, b.grey, onto, False, False, 0), few_colours=False)
    same = prepare(product(TEAL)[20:, 30:])
    assert not is_dyed(a.tones, same.tones, Placement(a.grey, same.grey, onto, False, False, 0), few_colours=False)


def test_what_is_coloured_and_stays_contradicts_another_saturation() -> None:
    grey = 110 + 0.5 * np.asarray(draw(4, SIZE)).mean(axis=2, keepdims=True)
    scene = np.asarray(grey * np.array([1.0, 0.85, 0.6]), np.uint8)  # warm all over
    assert laid(scene, repainted(scene, 0.1))
    whole = scene.astype(np.float32)
    middle = whole.mean(axis=2, keepdims=True)
    assert not laid(scene, np.asarray(middle + 0.1 * (whole - middle), np.uint8))


CHANGES: list[Callable[[Pixels], Pixels]] = [
    lambda rgb: np.asarray(np.clip(rgb * np.array([1.12, 1.0, 0.86]), 0, 255), np.uint8),  # warmer
    lambda rgb: np.asarray(255 * (rgb / 255.0) ** 1.6, np.uint8),
    lambda rgb: np.asarray(255 * (rgb / 255.0) ** 0.5, np.uint8),
    lambda rgb: np.asarray(np.clip(rgb * 1.3, 0, 255), np.uint8),
    lambda rgb: np.asarray(np.clip(rgb * 1.6 - 60.0, 0, 255), np.uint8),
    lambda rgb: np.repeat(np.asarray(rgb.mean(axis=2, keepdims=True), np.uint8), 3, axis=2),
    lambda rgb: np.asarray(np.clip(1.4 * rgb - 0.4 * rgb.mean(axis=2, keepdims=True), 0, 255), np.uint8),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("picture", [product(TEAL), product(OCHRE, (168, 160, 148)), np.asarray(draw(5, SIZE))])
def test_what_is_done_to_all_colours_dyes_nothing(picture: Pixels, change: Callable[[Pixels], Pixels]) -> None:
    assert not laid(picture, change(picture))


@given(seed=st.integers(0, 500), quality=st.integers(20, 95))
def test_compression_dyes_nothing(seed: int, quality: int) -> None:
    picture = np.asarray(draw(seed, (192, 144)), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    assert not laid(picture, np.asarray(Image.open(file)))


def test_the_nearest_of_few_colours_is_no_dye_and_another_colour_is() -> None:
    scene = np.asarray(draw(5, SIZE), np.uint8)
    few = np.asarray(Image.fromarray(scene).quantize(64).convert("RGB"))
    assert not laid(scene, few, few_colours=True)
    dyed = prepare(np.asarray(Image.fromarray(product(PINK)).quantize(64).convert("RGB")))
    facts = FileFacts(*SIZE), FileFacts(*SIZE, few_colours=True)
    assert verify(prepare(product(TEAL)), dyed, VerifySettings(), facts).kind is MatchKind.EDITED


def chroma(levels: float, degrees: float, grey: float = 130.0) -> Colour:
    """Give a colour so many levels of chroma away from a grey, in a direction."""
    red, blue = levels * np.cos(np.radians(degrees)), levels * np.sin(np.radians(degrees))
    return round(grey + 1.403 * red), round(grey - 0.714 * red - 0.344 * blue), round(grey + 1.773 * blue)


WALL = (168, 168, 168)


@pytest.mark.parametrize(("degrees", "dyed"), [(25, False), (50, True), (170, True)])
def test_only_a_long_turn_is_one(degrees: float, dyed: bool) -> None:
    assert laid(product(chroma(30, 20), WALL), product(chroma(30, 20 + degrees), WALL)) is dyed


def test_pale_colours_tell_less_where_they_are_few() -> None:
    pair = product(chroma(9, 20), WALL), product(chroma(9, 200), WALL)
    assert laid(*pair)
    assert not laid(*pair, few_colours=True)
    assert laid(product(chroma(16, 20), WALL), product(chroma(16, 200), WALL), few_colours=True)


def banded(share: float, coloured: float, colour: Colour, second: float = 15.0) -> Pixels:
    """Draw a picture of which a share is of one colour, another of a second with so much chroma, and the rest grey."""
    rows = np.linspace(0, 1, SIZE[1])[:, None, None]
    noise = np.random.default_rng(1).normal(0, 1, (SIZE[1], SIZE[0], 1))
    picture = np.where(rows < share, colour, np.where(rows < share + coloured, chroma(second, 100), WALL))
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


@pytest.mark.parametrize(("coloured", "dyed"), [(0.15, False), (0.45, True)])
def test_much_that_is_coloured_must_stay(coloured: float, dyed: bool) -> None:
    pale, vivid = (banded(0.2, coloured, chroma(levels, 20)) for levels in (8, 32))
    assert laid(pale, vivid) is dyed


def test_what_hardly_has_a_colour_contradicts_no_saturation() -> None:
    pale, vivid = (banded(0.2, 0.6, chroma(levels, 20), second=5) for levels in (8, 32))
    assert not laid(pale, vivid)


def test_what_is_coloured_and_became_lighter_and_darker_did_not_stay() -> None:
    pale, vivid = (banded(0.2, 0.45, chroma(levels, 20)) for levels in (8, 32))
    uneven = np.where(np.arange(SIZE[0])[:, None] < SIZE[0] // 2, 15, -15)
    changed = vivid.copy()
    band = np.s_[round(0.2 * SIZE[1]) :]
    changed[band] = np.clip(vivid[band] + uneven, 0, 255)
    assert laid(pale, vivid)
    assert not laid(pale, changed)


def test_what_a_little_of_a_picture_does_is_not_asked() -> None:
    assert not laid(banded(0.03, 0.5, chroma(8, 20)), banded(0.03, 0.5, chroma(32, 20)))


@pytest.mark.parametrize("light", [0.75, 1.3])
def test_another_light_on_top_hides_no_dye(light: float) -> None:
    dyed = np.asarray(np.clip(light * product((170, 150, 190), WALL).astype(float), 0, 255), np.uint8)
    assert laid(product((72, 3, 100), WALL), dyed)


def with_black(share: float) -> Pixels:
    picture = np.asarray(draw(5, SIZE), np.uint8).copy()
    picture[: round(share * SIZE[1])] = 0
    return picture


@pytest.mark.parametrize("gains", [(1.3, 1.0, 0.6), (0.6, 1.0, 1.3)])
def test_black_stays_whatever_is_done_and_tells_nothing(gains: Gains) -> None:
    picture = with_black(0.5)
    assert not laid(picture, np.asarray(np.clip(picture * np.array(gains), 0, 255), np.uint8))
    grey = picture.mean(axis=2, keepdims=True)
    assert not laid(picture, np.asarray(np.clip(grey * np.array([1.07, 0.92, 0.72]), 0, 255), np.uint8))


@pytest.mark.parametrize("degrees", [-20, 12, 20])
@pytest.mark.parametrize("colour", [(225, 120, 40), (60, 90, 200)])
def test_a_mild_turn_of_hue_before_a_grey_wall_is_one_of_the_whole(colour: Colour, degrees: float) -> None:
    picture = product(colour, WALL)
    hsv = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    assert not laid(picture, np.asarray(np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)), np.uint8))


def test_too_little_tells_nothing() -> None:
    one, other = (np.full((32, 32, 3), colour, np.uint8) for colour in (TEAL, PINK))
    one[:20] = other[:20] = 250
    assert not laid(one, other)
    assert laid(one.repeat(5, 0).repeat(5, 1), other.repeat(5, 0).repeat(5, 1))


def stall(seed: int, colour: Colour, light: float = 1.0) -> Pixels:
    """Draw a block of veined stone between a coloured sky and a lawn."""
    noise = [np.random.default_rng(one).normal(0, 1, SIZE[::-1]).astype(np.float32) for one in (seed, 99)]
    veins, blades = (
        cv2.GaussianBlur(part, (0, 0), sigma) * sigma * 3 for part, sigma in zip(noise, (5, 2), strict=True)
    )
    high = SIZE[1] // 2
    behind = np.empty((*SIZE[::-1], 3), np.float32)
    down = np.linspace(0, 1, high, dtype=np.float32)[:, None, None]
    behind[:high] = np.array((70, 95, 205)) + down * np.array((110, 95, 40))
    behind[high:] = np.array((110, 155, 60)) + 25 * blades[high:, :, None] + down * np.array((60, 50, -20))
    stone = np.array(colour) + 12 * veins[..., None]
    behind[70:250, 60:260] = stone[70:250, 60:260]
    return np.asarray(np.clip(behind * light, 0, 255), np.uint8)


@pytest.mark.parametrize(("first", "second"), [((150, 100, 80), (110, 85, 75)), ((205, 200, 190), (205, 180, 175))])
def test_another_stone_before_the_same_sky_is_another_thing(first: Colour, second: Colour) -> None:
    ours, theirs = stall(1, first), stall(2, second)
    assert laid(ours, theirs)
    assert not laid(ours, stall(1, first, light=0.8)), "other light on all of it"


def test_less_saturation_leaves_what_hardly_has_any_and_is_one_of_the_whole() -> None:
    grey = stall(1, (150, 100, 80)).astype(np.float32)
    pale = grey.mean(axis=2, keepdims=True) + 0.6 * (grey - grey.mean(axis=2, keepdims=True))
    assert not laid(grey.astype(np.uint8), np.clip(pale, 0, 255).astype(np.uint8))


def test_what_is_dark_stays_under_other_light_and_tells_nothing() -> None:
    lamp = stall(3, (170, 120, 90)).astype(np.float32)
    lamp[:, :40] = lamp[:, 280:] = (12, 14, 52)
    lamp[:60] = (40, 26, 2)
    warmer = np.clip(lamp * (1.18, 1.18, 1.05), 0, 255).astype(np.uint8)
    assert not laid(lamp.astype(np.uint8), warmer)
