"""A place is followed until the windows fit, on half-sized pictures and few windows."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.alignment import Alignment, outline, project
from pipeline.framing import frame_corners
from pipeline.settling import lay, settle
from pipeline.windows import fit_drift, measure_shifts, measure_windows, some, whole_windows

Grey = NDArray[np.uint8]
HEIGHT, WIDTH = 288, 384


def scene(seed: int) -> Grey:
    """Draw soft ground, shapes and grain."""
    rng = np.random.default_rng(seed)
    canvas = cv2.resize(
        rng.integers(60, 195, (6, 8)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(60):
        x, y, size = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)), int(rng.integers(4, 30))
        cv2.circle(canvas, (x, y), size, float(rng.integers(20, 235)), -1, cv2.LINE_AA)
    grain = np.asarray(rng.normal(0, 12, (HEIGHT, WIDTH)), np.float32)
    return np.asarray(np.clip(canvas + cv2.GaussianBlur(grain, (0, 0), 1.0), 0, 255), np.uint8)


def moved(grey: Grey, matrix: NDArray[np.float64]) -> Grey:
    drawn = cv2.warpPerspective(grey, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(drawn, np.uint8)


PLACES = {
    "shifted": np.array([[1.0, 0, 3.4], [0, 1.0, -2.3], [0, 0, 1]]),
    "turned": np.array([[0.998, -0.06, 6.0], [0.06, 0.998, -8.0], [0, 0, 1]]),
    "bent": np.array([[0.97, 0.02, 2.0], [-0.01, 0.98, 3.0], [4e-5, -3e-5, 1]]),
}


@pytest.mark.parametrize("name", PLACES)
def test_that_a_rough_place_settles(name: str) -> None:
    true = PLACES[name]
    rough = np.array([[1.002, 0.001, 0.9], [-0.002, 0.999, -1.1], [0, 0, 1]]) @ true
    rough[2] = [0, 0, 1]  # corners tell an affine place
    first, second = scene(1), moved(scene(1), true)
    found = settle(first, second, Alignment(rough, 40, False), 3.0, 0.6)
    assert found is not None
    corners = frame_corners(first.shape)
    off = np.linalg.norm(project(found.matrix, corners) - project(true, corners), axis=1)
    before = np.linalg.norm(project(rough, corners) - project(true, corners), axis=1)
    assert off.max() < 0.6
    assert off.max() < before.max() / 2
    assert found.inliers == 40


def test_that_strangers_settle_nowhere() -> None:
    assert settle(scene(1), scene(2), Alignment(np.eye(3), 20, False), 3.0, 0.6) is None


def test_that_a_place_with_hardly_any_overlap_stays_as_it_is() -> None:
    far = Alignment(np.array([[1.0, 0, WIDTH - 10], [0, 1, 0], [0, 0, 1]]), 20, False)
    assert settle(scene(1), scene(1), far, 3.0, 0.6) is far


def test_that_the_finer_picture_is_laid_over_the_coarser() -> None:
    small = np.asarray(cv2.resize(scene(1), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA), np.uint8)
    onto = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    place, scale = lay(scene(1), small, Alignment(onto, 0, False))
    assert not place.swapped
    assert scale == pytest.approx(0.5)
    place, scale = lay(small, scene(1), Alignment(np.linalg.inv(onto), 0, False))
    assert place.swapped
    assert scale == pytest.approx(0.5)
    assert np.allclose(place.onto, onto)


@pytest.mark.parametrize(("cell", "side"), [(2, 4), (4, 2)])
def test_that_windows_of_either_grid_tell_the_same_drift(cell: int, side: int) -> None:
    smooth = np.asarray(cv2.GaussianBlur(scene(3), (0, 0), 1.5), np.float32)
    shift = np.array([[1.0, 0, 0.5], [0, 1.0, -0.3], [0, 0, 1]])
    other = np.asarray(cv2.warpPerspective(smooth, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC), np.float32)
    cells = WIDTH // cell, HEIGHT // cell
    _, valid = whole_windows(np.ones((HEIGHT, WIDTH), np.uint8), cells, side)
    chosen = some(valid)
    for bends in (False, True):
        drift = fit_drift(
            measure_shifts(measure_windows(other, smooth, cells), cells), chosen, *cells[::-1], bends=bends
        )
        # One half-pixel is two pixels of a preview.
        assert np.allclose(drift.matrix((HEIGHT * 2, WIDTH * 2), WIDTH)[:2, 2], [-1.0, 0.6], atol=0.12)
        assert drift.furthest == pytest.approx(2 * np.hypot(0.5, 0.3), abs=0.1)


@pytest.mark.parametrize("name", PLACES)
def test_that_an_outline_is_where_the_picture_lies(name: str) -> None:
    drawn = outline((200, 300), (HEIGHT, WIDTH), PLACES[name])
    warped = cv2.warpPerspective(np.ones((200, 300), np.uint8), PLACES[name], (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST)
    differs = cv2.erode((drawn != warped).astype(np.uint8), np.ones((3, 3), np.uint8))
    assert not differs.any(), "but for the line along the edge"
