"""The table of an earlier JPEG shows in the coefficients of a later file."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.descent import _PLACES, _earlier_steps, _sample, sample_blocks, shown_table
from pipeline.detail import Floats
from pipeline.earlier import explain_alike, find_steps, find_table, lie_on
from pipeline.measuring import MeasureTask, measure
from pipeline.settings import DecodeSettings, QualitySettings
from store.records import Measurement, Traces
from tests.unit.pipeline.test_descent import opened
from tests.unit.pipeline.test_originals import drawn, saved


def traced(data: bytes, folder: object) -> Traces:
    path = f"{folder}/picture"
    with open(path, "wb") as file:
        file.write(data)
    found = measure(MeasureTask(path, 96), DecodeSettings(), QualitySettings())
    assert isinstance(found, Measurement) and found.traces is not None
    return found.traces


def table(data: bytes) -> Floats:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.quantization[0], np.float64)  # type: ignore[attr-defined]


def chosen(steps: Floats) -> Floats:
    return np.array([steps[8 * row + column] for row, column in _PLACES], np.float64)


@pytest.mark.parametrize("quality", [20, 45, 70])
def test_a_picture_without_a_table_shows_the_one_it_had(quality: int, tmp_path: object) -> None:
    first = saved(drawn(), quality=quality)
    plain = traced(saved(opened(first), "PNG"), tmp_path)
    found, wanted = shown_table(plain), table(first)
    assert np.abs(found - wanted).max() <= 0.05 * wanted.max()  # a neighbouring quality, where little is told


def test_a_picture_that_was_no_jpeg_shows_no_table(tmp_path: object) -> None:
    assert not shown_table(traced(saved(drawn(), "PNG"), tmp_path)).any()


@pytest.mark.parametrize("quality", [80, 92])
def test_a_finer_file_shows_the_coarser_steps_before(quality: int, tmp_path: object) -> None:
    first = saved(drawn(), quality=30)
    later = traced(saved(opened(first), quality=quality, subsampling=0), tmp_path)
    found = _earlier_steps(_sample(later.blocks), later)
    wanted = chosen(table(first))
    assert (found > 0).sum() >= 8
    assert (np.abs(found - wanted) <= 1)[found > 0].mean() > 0.8


def test_the_multiples_of_a_files_own_steps_are_no_earlier_table() -> None:
    data = saved(drawn(), quality=75)
    sample = _sample(sample_blocks(np.asarray(opened(data)), [int(step) for step in table(data)]))
    assert not find_steps(sample.stored, sample.steps, 2 * float(sample.steps.mean())).any()


def test_only_a_table_that_is_scaled_as_libjpeg_does_is_completed() -> None:
    steps = chosen(table(saved(drawn(), quality=40)))
    assert (find_table(steps, _PLACES) == table(saved(drawn(), quality=40))).all()
    assert not find_table(np.arange(15.0) + 20, _PLACES).any()
    assert not find_table(np.where(np.arange(15) < 3, steps, 0), _PLACES).any()


def test_the_steps_of_the_file_it_came_from_explain_a_copy_as_well() -> None:
    values = np.array(12.0 * np.random.default_rng(1).integers(-4, 5, (60, 15)), np.float64)
    none, steps = np.zeros(15, np.float64), np.full(15, 12.0, np.float64)
    found = find_steps(values, none, 12.0)
    assert (found == steps).all()
    assert explain_alike(values, none, found, steps)
    assert not explain_alike(values, none, found, steps + 1)
    assert not explain_alike(values, none, found, none)


def test_a_file_that_went_through_steps_lies_on_them(tmp_path: object) -> None:
    first = saved(drawn(), quality=40)
    steps = chosen(table(first))
    later, plain = (
        _sample(traced(data, tmp_path).blocks)
        for data in (saved(opened(first), quality=90), saved(drawn(), quality=90))
    )
    assert lie_on(later.stored[later.sound], later.steps, steps)
    assert not lie_on(plain.stored[plain.sound], plain.steps, steps)
    assert not lie_on(later.stored[:0], later.steps, steps)
