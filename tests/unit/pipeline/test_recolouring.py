"""One change of all colours, learnt elsewhere, explains what changed in a place, or does not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.alignment import Float, Grey
from pipeline.decode import Pixels
from pipeline.recolouring import recolour
from store.records import MatchKind
from tests.unit.pipeline.test_stains import kind

Change = Callable[[Image.Image], Image.Image]


def clouds(seed: int) -> Pixels:
    """Draw blots of all colours and sizes."""
    random = np.random.default_rng(seed)
    canvas = np.full((300, 400, 3), 120, np.float32)
    for spread, strength in ((40, 60), (12, 45), (4, 30), (1.5, 14)):
        noise = cv2.GaussianBlur(random.normal(0, 1, canvas.shape).astype(np.float32), (0, 0), spread)
        canvas += strength * noise / noise.std()
    return np.asarray(np.clip(canvas, 0, 255), np.uint8)


def brighter(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1.4)


def turned(picture: Image.Image) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    hue = hue.point([(level + 14) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def tinted(pixels: Pixels) -> Pixels:
    changed = pixels.copy()
    place = np.s_[120:160, 150:190]
    changed[place] = (0.55 * changed[place] + 0.45 * np.array((255, 0, 0))).astype(np.uint8)
    return changed


@pytest.mark.parametrize(("seed", "change"), [(4, brighter), (5, brighter), (6, brighter), (1, turned)])
def test_light_and_hue_take_each_colour_to_another_and_a_tint_does_not(seed: int, change: Change) -> None:
    original = clouds(seed)
    assert kind(original, done(change, original)) is MatchKind.COPY
    assert kind(original, done(change, tinted(original))) is not MatchKind.COPY


def test_what_is_doubted_teaches_nothing() -> None:
    ours, theirs, lies, doubted = a_place_written_over()
    given = recolour(ours, theirs, lies, doubted)
    assert given is not None
    expected, seen = given
    off = np.abs(expected - seen).max(axis=2)
    assert np.quantile(off[doubted == 0], 0.95) < 2
    assert np.median(off[doubted > 0]) > 20


def test_nothing_is_said_where_too_little_is_known() -> None:
    ours, theirs, lies, doubted = a_place_written_over()
    assert recolour(ours, theirs, lies, lies) is None, "all is doubted"
    assert recolour(ours, theirs, np.zeros_like(lies), doubted) is None, "nothing lies in both"
    wide = doubted.copy()
    wide[100:140, 100:150] = 1
    assert recolour(ours, theirs, lies, wide) is None, "as large as a thing"
    theirs[doubted > 0] = (30, 250, 250)
    assert recolour(ours, theirs, lies, doubted) is None, "a colour that is nowhere else"


def test_the_one_that_kept_its_colours_is_given_the_others() -> None:
    ours, _, lies, doubted = a_place_written_over()
    burnt = np.clip(2.0 * ours, 0, 255).astype(np.float32)
    burnt[..., 1:] = ours[..., 1:]
    for first, second in ((ours, burnt), (burnt, ours)):
        given = recolour(first, second, lies, doubted)
        assert given is not None
        assert given[1] is burnt


def a_place_written_over() -> tuple[Float, Float, Grey, Grey]:
    ours = parts(clouds(5))
    theirs = np.clip(0.8 * ours + 20, 0, 255).astype(np.float32)
    place = np.s_[40:60, 40:60]
    theirs[place] = theirs[place][::-1, ::-1]
    lies = np.ones(ours.shape[:2], np.uint8)
    doubted = np.zeros_like(lies)
    doubted[place] = 1
    return ours, theirs, lies, doubted


def done(change: Change, pixels: Pixels) -> Pixels:
    return np.asarray(change(Image.fromarray(pixels)), np.uint8)


def parts(pixels: Pixels) -> Float:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.float32)
