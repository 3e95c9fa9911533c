"""Steps from pixel to pixel: print has them at any size, and nothing that was blurred does, noise or not."""

import cv2
import numpy as np
import pytest

from pipeline import quality
from pipeline.decode import Pixels
from pipeline.gate import Gate
from pipeline.quality import measure_quality
from pipeline.steps import steep_share
from pipeline.training.optics import BLURS, blurred, clear_spread

LIMIT = quality._STEEP


def words(height: int = 1600, ground: int = 250, ink: int = 40) -> Pixels:
    """Print a large page of small words: reduced to 256 pixels, they run together."""
    page = np.full((height, height * 3 // 4, 3), ground, np.uint8)
    for line in range(height // 16, height // 2, 24):
        cv2.putText(page, "the quick brown fox jumps over " * 2, (40, line), 0, 0.5, (ink, ink, ink), 1, cv2.LINE_AA)
    return page


def bytes_of(levels: object) -> Pixels:
    return np.asarray(np.clip(np.asarray(levels), 0, 255), np.uint8)


@pytest.mark.parametrize("ground, ink", [(250, 40), (255, 140), (24, 220)])
@pytest.mark.parametrize("height", [300, 1600])
def test_print_has_steep_steps_at_any_size(height: int, ground: int, ink: int) -> None:
    assert steep_share(words(height, ground, ink)) >= LIMIT


@pytest.mark.parametrize("kind", BLURS)
@pytest.mark.parametrize("seed", range(3))
def test_no_blur_leaves_them(kind: str, seed: int) -> None:
    page = words(480)
    assert steep_share(page) >= LIMIT
    levels = blurred(page, kind, 1.2 * clear_spread(page), np.random.default_rng(seed))
    assert steep_share(bytes_of(levels)) < LIMIT


@pytest.mark.parametrize("sigma", [5, 10, 25])
def test_noise_over_a_blur_is_no_print(sigma: float) -> None:
    page = cv2.GaussianBlur(words(480), (0, 0), 3)
    assert steep_share(bytes_of(page + np.random.default_rng(1).normal(0, sigma, page.shape))) < LIMIT


def test_specks_are_no_print() -> None:
    page = bytes_of(cv2.GaussianBlur(words(480), (0, 0), 3))
    page[np.random.default_rng(1).random(page.shape[:2]) < 0.005] = 0
    assert steep_share(page) < LIMIT


def test_edges_that_all_run_one_way_are_no_print() -> None:
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[::7] = 255
    assert steep_share(stripes) == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (1, 5000), (5000, 2), (3, 4000)])
def test_any_shape_is_measured(shape: tuple[int, int]) -> None:
    assert 0 <= steep_share(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)) <= 1


def test_print_excuses_what_looks_blurred_when_small(monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubtful(Gate):
        def score(self, features: object) -> float:
            return 1.5

    nothing = np.zeros((1, 1), np.float32)
    monkeypatch.setattr(quality, "load_gate", lambda _: Doubtful(nothing, nothing, nothing, nothing, nothing, nothing))
    page = words()
    assert measure_quality(page).sharpest > 50
    assert measure_quality(bytes_of(cv2.GaussianBlur(page, (0, 0), 8))).sharpest < 50
