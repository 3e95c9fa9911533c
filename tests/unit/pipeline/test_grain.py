"""Grain: a copy has the original's, two exposures of a scene that stands still each have their own."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.framing import Placement, is_rounded
from pipeline.grain import own_grain, shared_detail
from pipeline.settings import VerifySettings
from pipeline.verify import SecondLook, prepare, verify
from store.records import MatchKind

Pixels = NDArray[np.uint8]
LIMIT = VerifySettings().max_grain


def scene(seed: int, width: int = 384, height: int = 288) -> NDArray[np.float32]:
    """Draw soft ground and shapes without any grain: levels [h, w]."""
    rng = np.random.default_rng(seed)
    canvas = cv2.resize(
        rng.integers(70, 180, (6, 8)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(40):
        x, y, size = (int(rng.integers(0, most)) for most in (width, height, 40))
        cv2.circle(canvas, (x, y), size + 4, float(rng.integers(40, 215)), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.float32)


def exposed(seed: int, levels: float) -> Pixels:
    """Take the picture: grain as a sensor and its lens leave it."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (288, 384)).astype(np.float32), (0, 0), 0.6)
    return rgb(scene(1) + grain * (levels / grain.std()))


def rgb(levels: NDArray[np.float32]) -> Pixels:
    grey = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def stored(pixels: Pixels, quality: int = 85) -> Pixels:
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def halved(pixels: Pixels) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(pixels[..., 0].astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def look(a: Pixels, b: Pixels) -> SecondLook:
    return verify(prepare(a), prepare(b), VerifySettings())


def grain(a: Pixels, b: Pixels) -> float:
    first, second = halved(a), halved(b)
    return own_grain(first, second, np.ones(first.shape, np.uint8))


@pytest.mark.parametrize("levels", [5.0, 8.0])
def test_that_two_exposures_of_a_standing_camera_are_no_copies(levels: float) -> None:
    first, second = stored(exposed(1, levels), 92), stored(exposed(2, levels), 92)
    assert grain(first, second) > LIMIT
    assert look(stored(first), stored(second)).kind is MatchKind.EDITED


@pytest.mark.parametrize("quality", [20, 40, 60, 85])
@pytest.mark.parametrize("levels", [0.0, 2.0, 4.0])
def test_that_a_compressed_copy_keeps_the_grain_of_its_original(levels: float, quality: int) -> None:
    original = stored(exposed(1, levels), 92)
    copy = stored(original, quality)
    assert grain(original, copy) < LIMIT
    assert look(stored(original), stored(copy)).kind is MatchKind.COPY


def test_that_a_copy_with_added_noise_or_less_detail_has_no_grain_of_its_own() -> None:
    original = exposed(1, 3)
    noise = np.random.default_rng(5).normal(0, 10, original.shape)
    noisy = np.clip(original + noise, 0, 255).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(original, (0, 0), 1.5), np.uint8)
    assert grain(original, noisy) == grain(noisy, original) == 0
    assert grain(original, blurred) == 0
    assert grain(original, original) == 0


def test_that_too_little_to_see_tells_nothing() -> None:
    small = np.full((6, 6), 100, np.float32)
    assert own_grain(small, small + 1, np.ones((6, 6), np.uint8)) == 0
    burnt = np.full((100, 100), 255, np.float32)
    assert own_grain(burnt, burnt, np.ones((100, 100), np.uint8)) == 0


def test_that_detail_is_shared_by_copies_and_not_by_strangers() -> None:
    rng = np.random.default_rng(3)
    one, other = (rng.normal(100, 20, (72, 96)).astype(np.float32) for _ in range(2))
    everywhere = np.ones((36, 48), np.bool_)
    assert shared_detail(one, one, everywhere) == pytest.approx((1, 1, 1), abs=1e-3)
    assert abs(shared_detail(one, other, everywhere)[0]) < 0.1


def test_that_known_noise_is_taken_off_but_for_half_of_the_detail() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(100, 20, (288, 384)).astype(np.float32)
    everywhere = np.ones((72, 96), np.bool_)
    noisy = one + rng.normal(0, 8, one.shape).astype(np.float32)
    seen, known, _ = shared_detail(one, noisy, everywhere, 8.0)
    assert seen < known < 2 * seen
    assert shared_detail(one, noisy, everywhere)[1] == pytest.approx(seen)
    assert shared_detail(one, noisy, everywhere, 1e3)[1] == pytest.approx(2 * seen)


def moved(
    left: float, right: float, upper: float, lower: float, size: float = 1.0
) -> tuple[Placement, NDArray[np.float64]]:
    """Move the edges of a frame of 300 x 200 pixels; the source is `size` times as large."""
    source = np.zeros((round(200 * size), round(300 * size)), np.uint8)
    flat = np.array([[0, 0], [300, 0], [300, 200], [0, 200]], np.float32)
    off = np.array([[left, upper], [right, upper], [right, lower], [left, lower]], np.float32)
    onto = np.diag([1 / size, 1 / size, 1])
    onto[:2, 2] = 0.5 / size - 0.5
    drift = cv2.getPerspectiveTransform(flat - 0.5, flat - 0.5 + off)
    return Placement(source, np.zeros((200, 300), np.uint8), onto, False, False, 0), np.asarray(drift, np.float64)


def test_that_one_edge_that_moved_is_a_rounded_size_and_two_are_a_camera() -> None:
    assert is_rounded(*moved(0, 0, 0, 0))
    assert is_rounded(*moved(0, 0.6, 0, -0.5))
    assert is_rounded(*moved(-0.4, 0, 0, 0.7))
    assert not is_rounded(*moved(0.3, 0.3, 0, 0))
    assert not is_rounded(*moved(0, 0, -0.4, 0.4))
    assert not is_rounded(*moved(0, 1.6, 0, 0))
    place, drift = moved(0, 0, 0, 0)
    turn = np.array([[1, -0.004, 0.4], [0.004, 1, -0.6], [0, 0, 1]])
    assert not is_rounded(place, turn @ drift)


def test_that_half_a_pixel_both_ways_is_another_grid_only_where_the_size_changed() -> None:
    assert is_rounded(*moved(-0.3, -0.3, -0.3, -0.3, size=1.25))
    assert not is_rounded(*moved(-0.3, -0.3, -0.3, -0.3))
    assert is_rounded(*moved(-0.3, -0.3, -0.3, -0.3), two_sizes=True), "previews of one size hide that"
    assert not is_rounded(*moved(0.6, 0.2, 0.6, 0.2), two_sizes=True)
    assert not is_rounded(*moved(-0.8, -0.8, -0.8, -0.8), two_sizes=True)
    assert not is_rounded(*moved(-0.5, -0.5, 0, 0, size=1.25))
    assert not is_rounded(*moved(-0.9, -0.9, -0.9, -0.9, size=1.25))


def test_that_a_lost_row_leaves_a_resized_picture_a_copy() -> None:
    large = cv2.resize(exposed(1, 3), (900, 675), interpolation=cv2.INTER_CUBIC)
    shrunk = [
        stored(np.asarray(cv2.resize(picture, (384, 288), interpolation=cv2.INTER_AREA), np.uint8))
        for picture in (large, large[:-1, :-1])
    ]
    assert look(shrunk[0], shrunk[1]).kind is MatchKind.COPY


def test_what_storing_adds_to_a_preview_is_no_detail_that_the_other_lacks() -> None:
    rng = np.random.default_rng(5)
    everywhere = np.ones((72, 96), np.bool_)
    faint, strong = (
        [ground + rng.normal(0, 0.35, ground.shape).astype(np.float32) for _ in range(2)]
        for ground in (rng.normal(100, level, (288, 384)).astype(np.float32) for level in (0.5, 20))
    )
    assert shared_detail(faint[0], faint[1], everywhere)[0] < 0.82 < shared_detail(faint[0], faint[1], everywhere)[2]
    assert shared_detail(strong[0], strong[1], everywhere)[2] == shared_detail(strong[0], strong[1], everywhere)[0]
    apart = [rng.normal(100, 0.8, (288, 384)).astype(np.float32) for _ in range(2)]
    assert shared_detail(apart[0], apart[1], everywhere)[2] < 0.05, "each has its own"
