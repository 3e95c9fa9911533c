"""A rare colour that is lost where there are few is lost again on trial; one that was painted over is not."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.compression import FileFacts
from pipeline.decode import Pixels
from pipeline.palettes import brought_to_few, colours_of, in_colours_of, lost_a_colour
from pipeline.prepared import prepare
from pipeline.settings import VerifySettings
from pipeline.verify import verify
from store.records import MatchKind
from tests.scenes import draw

SIZE = (384, 288)


def scene(colour: tuple[int, int, int] = (205, 40, 60)) -> Pixels:
    """Draw a scene in which one small thing has a colour that nothing else has."""
    picture = cv2.cvtColor(cv2.cvtColor(draw(5, SIZE), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    picture = picture * np.array([1.0, 0.96, 0.86])
    disc = cv2.circle(np.zeros(picture.shape[:2], np.float32), (200, 140), 13, 1.0, -1, cv2.LINE_AA)[..., None]
    return np.asarray(picture * (1 - disc) + np.array(colour) * disc, np.uint8)


def few(pixels: Pixels, count: int) -> Image.Image:
    return Image.fromarray(pixels).quantize(count, Image.Quantize.MEDIANCUT)


@pytest.mark.parametrize("count", [64, 128])
def test_the_trial_loses_what_the_copy_lost(count: int) -> None:
    original, copy = prepare(scene()).tones, prepare(np.asarray(few(scene(), count).convert("RGB"))).tones
    tried = brought_to_few(original, copy)
    assert tried is not None
    assert np.abs(tried.astype(float) - colours_of(copy)).mean() < 0.5


def test_other_pictures_and_other_ways_are_not_told() -> None:
    original = prepare(scene()).tones
    other = prepare(np.asarray(few(np.ascontiguousarray(scene()[::-1]), 64).convert("RGB"))).tones
    assert brought_to_few(original, other) is None
    octree = Image.fromarray(np.asarray(draw(5, SIZE), np.uint8)).quantize(8, Image.Quantize.FASTOCTREE)
    assert brought_to_few(original, prepare(np.asarray(octree.convert("RGB"))).tones) is None


def test_what_lost_a_rare_colour_is_a_copy_and_what_was_painted_over_is_not() -> None:
    a, ours = prepare(scene()), FileFacts(*SIZE)
    copy, painted = (prepare(np.asarray(few(each, 64).convert("RGB"))) for each in (scene(), scene((40, 90, 205))))
    assert lost_a_colour(a.tones, in_colours_of(a.tones, copy.tones)), "or there is nothing to be told by a trial"
    theirs = FileFacts(*SIZE, few_colours=True)
    for b, kind in ((copy, MatchKind.COPY), (painted, MatchKind.EDITED)):
        assert verify(a, b, VerifySettings(), (ours, theirs)).kind is kind
        assert verify(b, a, VerifySettings(), (theirs, ours)).kind is kind
