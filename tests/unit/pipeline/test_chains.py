"""Compressions before a file's own, and codecs in between."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ImageFilter

from pipeline.chains import (
    find_direct,
    find_smoothed,
    has_inherited,
    is_compression_noise,
    is_finest_alone,
    mean_step,
)
from store.records import Observation, Traces
from tests.unit.pipeline.test_descent import NOTHING, opened
from tests.unit.pipeline.test_originals import drawn, saved
from tests.unit.pipeline.test_originals import seen as observed

SOFT = ImageFilter.GaussianBlur(0.6)


def coarse(stored: float, shown: float) -> Traces:
    return replace(NOTHING, stored_step=stored, seen_step=shown)


def test_a_step_that_only_the_pixels_show_is_inherited() -> None:
    assert has_inherited(coarse(3.0, 12.0))
    assert has_inherited(coarse(0.0, 5.0))
    assert not has_inherited(coarse(6.0, 6.2))
    assert mean_step(coarse(3.0, 12.0)) == 12.0
    assert mean_step(coarse(3.0, 0.0)) == 3.0


def test_blocks_of_a_coarse_compression_are_no_detail() -> None:
    again, plain = coarse(3.0, 14.0), coarse(5.0, 0.0)
    for first, second, sign in ((again, plain, 1), (plain, again, -1)):
        assert is_compression_noise(2.5 * sign, first, second)
        assert not is_compression_noise(4.0 * sign, first, second), "coarse compression adds less"
        assert not is_compression_noise(-1.0 * sign, first, second), "the other one is the louder"
    fine = coarse(1.0, 6.5)
    assert is_compression_noise(1.0, fine, plain)
    assert not is_compression_noise(2.5, fine, plain), "fine compression adds less"
    assert not is_compression_noise(1.0, plain, plain), "its steps are its own"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Observation, Observation]:
    folder = tmp_path_factory.mktemp("pair")
    image = drawn().filter(SOFT)
    through = opened(saved(image, "WEBP", quality=40, method=2))
    return observed(saved(image, quality=88), folder)[0], observed(saved(through, quality=93), folder)[0]


def test_who_went_through_a_codec_of_smaller_blocks_is_the_copy(pair: tuple[Observation, Observation]) -> None:
    ours, theirs = pair
    assert find_direct(ours, theirs) == 1
    assert find_direct(theirs, ours) == 2


def test_of_a_coarser_table_nothing_is_said(pair: tuple[Observation, Observation]) -> None:
    ours, theirs = pair
    assert theirs.traces is not None
    coarser = replace(theirs, traces=replace(theirs.traces, stored_step=30.0))
    assert find_direct(ours, coarser) == find_direct(coarser, ours) == 0


def test_a_png_of_what_went_through_such_a_codec_is_the_copy(tmp_path: Path) -> None:
    image = drawn().filter(SOFT)
    ours = observed(saved(image, quality=88), tmp_path)[0]
    theirs = observed(saved(opened(saved(image, "WEBP", quality=40, method=2)), "PNG"), tmp_path)[0]
    assert find_direct(ours, theirs) == 1
    assert find_direct(theirs, ours) == 2
    assert find_direct(ours, theirs, 20.0) == 0


def test_it_is_not_told_of_files_whose_own_codec_leaves_such_blocks(pair: tuple[Observation, Observation]) -> None:
    ours, theirs = pair
    assert theirs.traces is not None
    assert find_direct(ours, ours) == 0
    assert find_direct(replace(ours, traces=None), theirs) == 0
    assert find_direct(ours, replace(theirs, picture=replace(theirs.picture, format="WEBP"))) == 0
    assert find_direct(ours, replace(theirs, traces=replace(theirs.traces, rhythm=b""))) == 0


def test_a_coarse_compression_before_hides_blocks_of_eight(pair: tuple[Observation, Observation]) -> None:
    ours, theirs = pair
    assert ours.traces is not None
    chained = replace(ours, traces=replace(ours.traces, seen_step=20.0))
    plain = replace(chained, traces=replace(ours.traces, stored_step=0.0, seen_step=20.0))
    for each in (chained, plain):
        assert find_direct(each, theirs) == find_direct(theirs, each) == 0


def test_who_lost_of_all_fine_detail_was_smoothed() -> None:
    original, copy = coarse(6.0, 6.0), coarse(2.0, 0.0)
    assert find_smoothed((0.25, 0.2, 0.1), original, copy) == 2
    assert find_smoothed((-0.25, -0.2, -0.1), copy, original) == 1
    assert find_smoothed((0.25, 0.2, 0.0), original, copy) == 0, "coarse steps add to the finest octave alone"
    assert find_smoothed((0.4, 0.2, 0.1), original, copy) == 0, "blocks add most at the top"
    assert find_smoothed((0.25, 0.2, 0.1), coarse(3.0, 12.0), copy) == 0, "it was compressed coarsely before"
    assert find_smoothed((-0.25, -0.2, -0.1), original, copy) == 0, "the finer table may have lost nothing"


def test_the_noise_of_coarse_steps_lies_in_the_finest_octave_alone() -> None:
    rough, fine = coarse(9.0, 9.0), coarse(2.0, 2.0)
    assert is_finest_alone(0.8, 0.05, rough, fine)
    assert is_finest_alone(-0.8, -0.05, fine, rough)
    assert is_finest_alone(0.8, 0.05, coarse(1.0, 5.0), coarse(6.0, 6.0)), "it was compressed coarsely before"
    assert not is_finest_alone(0.8, 0.3, rough, fine), "a blur takes from the octave below as well"
    assert not is_finest_alone(0.8, 0.05, fine, rough)
    assert not is_finest_alone(2.0, 0.1, rough, fine), "no compression adds so much"
