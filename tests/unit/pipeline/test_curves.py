"""A tone curve that made one picture from the other: which was there first?"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from pipeline.curves import find_retoned, without_curve
from pipeline.filters import find_cause
from pipeline.tints import is_tint
from tests.unit.pipeline.test_enlarging import scene
from tests.unit.pipeline.test_interpolating import opened
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen

EVEN = np.zeros(20)
RETONED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "clipped": lambda image: ImageOps.autocontrast(image, cutoff=8),
    "darker": lambda image: image.point([max(level - 50, 0) for level in range(256)] * 3),
}


@pytest.mark.parametrize("kind", RETONED)
@pytest.mark.parametrize("quality", [80, 92])
def test_the_original_stays_beside_a_copy_in_other_tones(kind: str, quality: int, tmp_path: Path) -> None:
    original = saved(scene(640, 480), quality=88)
    copy = saved(RETONED[kind](opened(original)), quality=quality)
    assert judged(original, copy, tmp_path).original == 1


def test_what_a_curve_joined_does_not_follow_back() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (16, 12, 12)).astype(np.float64)
    clipped = np.maximum(grey, 90.0)
    assert (without_curve(clipped, grey) == 0).all()
    assert np.abs(without_curve(grey, clipped)).max() > 40


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
        lambda image: image.filter(ImageFilter.UnsharpMask(2, 150, 0)),
        lambda image: image,
    ],
)
def test_what_is_no_curve_is_left_to_others(change: Callable[[Image.Image], Image.Image], tmp_path: Path) -> None:
    ours, theirs = (seen(saved(each, quality=85), tmp_path)[0] for each in (drawn(), change(drawn())))
    assert ours.traces is not None
    assert theirs.traces is not None
    assert find_retoned(ours, theirs, EVEN, find_cause(ours.traces, theirs.traces)) == 0


def test_a_curve_with_a_filter_on_top_is_left_to_others(tmp_path: Path) -> None:
    original = saved(scene(640, 480), quality=90)
    ours, theirs = (seen(each, tmp_path)[0] for each in (original, saved(RETONED["clipped"](opened(original)))))
    assert ours.traces is not None
    assert theirs.traces is not None
    cause = find_cause(ours.traces, theirs.traces)
    assert find_retoned(ours, theirs, EVEN, cause) == 1
    assert find_retoned(theirs, ours, EVEN, cause.turned()) == 2
    blurred = np.r_[np.full(12, 1.0), np.zeros(8)]
    assert find_retoned(ours, theirs, blurred, cause) == 0


def test_without_patches_or_a_fit_nothing_is_told(tmp_path: Path) -> None:
    ours, theirs = (seen(saved(each), tmp_path)[0] for each in (drawn(), RETONED["brighter"](drawn())))
    assert ours.traces is not None
    assert theirs.traces is not None
    cause = find_cause(ours.traces, theirs.traces)
    assert find_retoned(replace(ours, traces=None), theirs, EVEN, cause) == 0
    assert find_retoned(ours, replace(theirs, traces=replace(theirs.traces, patches=b"")), EVEN, cause) == 0
    assert find_retoned(ours, theirs, EVEN, replace(cause, fits=None)) == 0


def test_a_tint_is_no_tone_curve(tmp_path: Path) -> None:
    grey = ImageOps.grayscale(scene(640, 480))
    tinted = ImageOps.colorize(grey, "#201000", "#ffe0b0")
    coloured = seen(saved(drawn(), quality=85), tmp_path)[0]
    ours, theirs = (seen(saved(each.convert("RGB"), quality=85), tmp_path)[0] for each in (grey, tinted))
    assert ours.traces is not None
    assert theirs.traces is not None
    assert coloured.traces is not None
    assert is_tint(ours.traces, theirs.traces)
    assert is_tint(theirs.traces, ours.traces)
    assert not is_tint(ours.traces, ours.traces)
    assert not is_tint(ours.traces, coloured.traces), "colours of its own"
    assert find_retoned(ours, theirs, EVEN, find_cause(ours.traces, theirs.traces)) == 0
