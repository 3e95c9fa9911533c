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


def test_too_little_tells_nothing() -> None:
    tiny = np.full((12, 12, 3), (75, 196, 200), np.uint8)
    assert not laid(tiny, np.full((12, 12, 3), (196, 172, 186), np.uint8))
