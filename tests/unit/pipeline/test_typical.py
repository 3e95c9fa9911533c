"""Medians, quantiles and variances are those of numpy, whatever the order and the size."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.typical import median, quantile, variance

values = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60).map(lambda x: np.array(x, np.float32))


@given(values, st.floats(0, 1))
def test_that_a_quantile_is_numpys(given_values: np.ndarray, share: float) -> None:
    expected = float(np.quantile(given_values.astype(np.float64), share))
    assert quantile(given_values, share) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(values)
def test_that_the_median_is_a_value_with_half_of_the_others_on_either_side(given_values: np.ndarray) -> None:
    middle, count = median(given_values), len(given_values)
    assert middle in given_values
    assert (given_values <= middle).sum() * 2 > count
    assert (given_values >= middle).sum() * 2 >= count


@given(st.integers(1, 4), st.integers(1, 50), st.randoms(use_true_random=False))
def test_that_the_variance_is_that_of_all_columns(columns: int, rows: int, random: Random) -> None:
    colours = np.array([[random.uniform(0, 255) for _ in range(columns)] for _ in range(rows)], np.float32)
    expected = float(np.var(colours.astype(np.float64), axis=0).sum())
    assert variance(colours) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert variance(np.asfortranarray(colours)) == variance(colours)


def test_that_a_grid_is_taken_as_a_list() -> None:
    grid = np.arange(12.0).reshape(3, 4)
    assert median(grid) == 6.0
    assert quantile(grid, 0.5) == 5.5
