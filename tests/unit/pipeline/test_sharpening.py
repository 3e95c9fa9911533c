"""Sharpening is told from blur."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pipeline.detail import WHITENING, Floats
from pipeline.filters import Cause, Fits, find_cause
from pipeline.sharpening import is_contrary, is_sharpened
from pipeline.traces import octaves
from store.records import Traces
from tests.unit.pipeline.test_descent import NOTHING
from tests.unit.pipeline.test_originals import drawn, saved, seen


def measured(original: bytes, copy: bytes, folder: Path) -> tuple[Floats, Traces, Traces, Fits]:
    ours, theirs = (seen(data, folder)[0].traces for data in (original, copy))
    assert ours is not None
    assert theirs is not None
    energies = [np.exp2(octaves(each.spectrum)) + WHITENING for each in (ours, theirs)]
    fits = find_cause(ours, theirs).fits
    assert fits is not None
    return np.asarray(np.log2(energies[0] / energies[1])), ours, theirs, fits


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("radius", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("share", [180, 350])
def test_a_sharpened_copy_is_no_original_that_the_other_was_blurred_from(
    radius: float, share: int, tmp_path: Path
) -> None:
    original = saved(drawn(), quality=85)
    sharp = saved(opened(original).filter(ImageFilter.UnsharpMask(radius, share, 0)), quality=88)
    gain, ours, theirs, fits = measured(original, sharp, tmp_path)
    assert is_sharpened(-gain, theirs, ours, fits.turned())


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_original_is_not_a_sharpened_copy_of_a_blurred_one(radius: float, form: str, tmp_path: Path) -> None:
    original = saved(drawn().filter(ImageFilter.UnsharpMask(1, 60, 0)), quality=90)  # as cameras sharpen
    soft = saved(opened(original).filter(ImageFilter.GaussianBlur(radius)), form)
    gain, ours, theirs, fits = measured(original, soft, tmp_path)
    assert not is_sharpened(gain, ours, theirs, fits)


def test_a_description_that_is_hardly_shorter_gives_way_to_what_is_plain_otherwise(tmp_path: Path) -> None:
    original = saved(drawn(), quality=85)
    sharp = saved(opened(original).filter(ImageFilter.UnsharpMask(2, 300, 0)), "PNG")
    gain, ours, theirs, fits = measured(original, sharp, tmp_path)
    for shorter, contrary in ((-30.0, True), (-900.0, False)):
        wrong = Cause(2, -0.7, replace(fits, shorter=shorter))
        assert is_contrary(wrong, gain, ours, theirs) is contrary
        assert is_contrary(wrong.turned(), -gain, theirs, ours) is contrary
    assert not is_contrary(Cause(1, 0.7, replace(fits, shorter=30.0)), gain, ours, theirs)
    assert not is_contrary(Cause(2, -0.7), gain, ours, theirs), "nothing was compared"


shares = st.floats(0.01, 1)


@given(
    st.lists(st.floats(-9, 9), min_size=20, max_size=20), st.tuples(shares, shares), st.tuples(shares, shares),
    st.floats(-400, 400), st.sampled_from((1, 2)), st.floats(-1, 1), st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60)
def test_turning_the_pair_turns_nothing(
    gain: list[float], left: tuple[float, float], beyond: tuple[float, float], shorter: float, original: int,
    finer: float, clipped: float,
) -> None:  # fmt: skip
    cause = Cause(original, finer, Fits(left, beyond, shorter))
    bands, other = np.array(gain), replace(NOTHING, clipped=clipped)
    assert is_contrary(cause, bands, NOTHING, other) == is_contrary(cause.turned(), -bands, other, NOTHING)
