"""The spectrum of a whole picture: a double edge shows as a peak of its cepstrum, whichever way the picture lies."""

import cv2
import numpy as np
import pytest

from pipeline.decode import Pixels
from pipeline.spectrum import ANGLES, POLAR, RINGS, spectrum_features, turned


def scene(shape: tuple[int, int] = (192, 256)) -> Pixels:
    generator = np.random.default_rng(4)
    grey = np.full(shape, 120, np.uint8)
    for _ in range(80):
        x, y = int(generator.integers(shape[1])), int(generator.integers(shape[0]))
        size = int(generator.integers(4, 30))
        cv2.rectangle(grey, (x, y), (x + size, y + size // 2), int(generator.integers(256)), -1)
    return grey


def doubled(grey: Pixels, across: int) -> Pixels:
    return np.asarray((grey.astype(np.uint16) + np.roll(grey, across, 1)) // 2, np.uint8)


def rings(grey: Pixels) -> np.ndarray:
    return spectrum_features(grey)[:RINGS].reshape(3, 7, 3)  # scale, ring, (highest, lowest, typical)


def polar(grey: Pixels) -> np.ndarray:
    return spectrum_features(grey)[RINGS:].reshape(ANGLES, -1)


def test_features_are_finite_whatever_the_shape() -> None:
    for shape in ((192, 256), (256, 97), (48, 48), (33, 250), (700, 900)):
        features = spectrum_features(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        assert features.shape == (RINGS + POLAR,) and features.dtype == np.float32
        assert np.isfinite(features).all()
    assert np.isfinite(spectrum_features(np.zeros((64, 64), np.uint8))).all()


@pytest.mark.parametrize("across, ring", [(3, 1), (6, 3), (11, 5)])
def test_two_copies_at_a_distance_show_in_its_ring(across: int, ring: int) -> None:
    once, twice = rings(scene())[0], rings(doubled(scene(), across))[0]
    assert twice[ring, 0] > once[ring, 0] + 0.05
    assert np.argmax(twice[:, 0] - once[:, 0]) == ring


def test_two_copies_make_dips_across_and_none_along() -> None:
    change = polar(doubled(scene(), 5))[:, :12] - polar(scene())[:, :12]
    assert change[0].min() < -1.5
    assert change[ANGLES // 2].min() > -0.7


def test_a_mirrored_or_turned_picture_is_another_view_of_the_same() -> None:
    grey = cv2.GaussianBlur(scene((256, 256)), (0, 0), 1.5, sigmaY=0.8)
    seen = spectrum_features(np.asarray(grey, np.uint8))[RINGS:]
    views = seen[turned(8)]
    for other in (cv2.flip(grey, 1), cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE), cv2.transpose(grey)):
        apart = np.abs(views - spectrum_features(np.asarray(other, np.uint8))[RINGS:]).mean(1)
        assert apart.min() < 0.05 < 3 * np.median(apart)


def test_views_are_the_same_figures_in_another_order() -> None:
    views = turned(4)
    assert views.shape == (8, POLAR)
    assert all(np.array_equal(np.sort(view), np.arange(POLAR)) for view in views)
    assert len({view.tobytes() for view in views}) == 8
