"""Corners lead from a picture to its turned, scaled and mirrored copy, and from a stranger nowhere."""

import cv2
import numpy as np
import pytest

from pipeline.alignment import Alignment, Grey, Matrix, align, project, refine
from pipeline.corners import find_points


def drawing(seed: int) -> Grey:
    rng = np.random.default_rng(seed)
    canvas = np.full((240, 320), 128, np.uint8)
    for _ in range(90):
        x, y, size = (int(rng.integers(0, most)) for most in (320, 240, 30))
        cv2.rectangle(canvas, (x, y), (x + size + 4, y + int(rng.integers(4, 30))), int(rng.integers(0, 256)), -1)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.uint8)


def moved(grey: Grey, matrix: Matrix) -> Grey:
    return np.asarray(cv2.warpPerspective(grey, matrix, (320, 240), borderValue=128), np.uint8)


def found(a: Grey, b: Grey) -> Alignment | None:
    return align(find_points(a), find_points(b), 0.85, 3.0, 12)


def similarity(degrees: float, scale: float, mirrored: bool) -> Matrix:
    turn = np.vstack([cv2.getRotationMatrix2D((160, 120), degrees, scale), [0, 0, 1]])
    mirror = np.array([[-1.0, 0, 319], [0, 1, 0], [0, 0, 1]])
    return np.asarray(turn @ mirror if mirrored else turn)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (30, 1.0), (90, 0.8), (200, 1.2)])
def test_that_a_moved_picture_is_found_again(degrees: float, scale: float, mirrored: bool) -> None:
    picture, matrix = drawing(1), similarity(degrees, scale, mirrored)
    alignment = found(picture, moved(picture, matrix))
    assert alignment is not None
    assert alignment.mirrored is mirrored
    inner = np.array([[100.0, 80], [220, 80], [220, 160], [100, 160]])
    assert np.abs(project(alignment.matrix, inner) - project(matrix, inner)).max() < 1.5


def test_that_strangers_do_not_align() -> None:
    assert found(drawing(1), drawing(2)) is None


def test_that_too_few_corners_do_not_align() -> None:
    flat = np.full((240, 320), 90, np.uint8)
    assert len(find_points(flat)) == 0
    assert found(flat, drawing(1)) is None


def test_that_refining_finds_a_small_shift() -> None:
    picture = drawing(3)
    there = np.array([[1.0, 0, 2.4], [0, 1, -1.7], [0, 0, 1]])
    onto = refine(picture, moved(picture, there), np.eye(3))
    inner = np.array([[60.0, 60], [260, 60], [260, 180], [60, 180]])
    assert np.abs(project(onto, inner) - project(there, inner)).max() < 0.3
