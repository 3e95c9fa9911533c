"""Hashes: the library's bits, hardly moved by reducing first, and silent on pictures that say nothing."""

import hashlib

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.hashing import content_sha256, distance_bits, is_hashable, perceptual_hashes

BITS = st.integers(0, 2**64 - 1)


def scene(seed: int, width: int = 512, height: int = 384) -> np.ndarray:
    """A random picture with a natural spectrum, RGB uint8: noise of every scale, the coarser the stronger."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 8):
        size = max(2, width >> (8 - octave)), max(2, height >> (8 - octave))
        grid = generator.normal(size=(size[1], size[0], 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return np.asarray((128 + 50 * (total - total.mean()) / total.std()).clip(0, 255), np.uint8)


def library_hashes(rgb: np.ndarray) -> tuple[int, int]:
    image = Image.fromarray(rgb)
    return int(str(imagehash.phash(image)), 16), int(str(imagehash.dhash(image)), 16)


@pytest.mark.parametrize("seed", range(5))
def test_small_pictures_get_exactly_the_bits_of_the_library(seed: int) -> None:
    rgb = scene(seed, 256, 200)
    assert perceptual_hashes(rgb) == library_hashes(rgb)


@pytest.mark.parametrize("seed", range(5))
def test_reducing_first_moves_few_bits(seed: int) -> None:
    rgb = scene(seed, 1600, 1200)
    ours, theirs = perceptual_hashes(rgb), library_hashes(rgb)
    assert distance_bits(ours[0], theirs[0]) <= 4
    assert distance_bits(ours[1], theirs[1]) <= 4


def test_copies_are_near_and_other_pictures_far() -> None:
    rgb = scene(1)
    small = np.asarray(cv2.resize(rgb, (200, 150), interpolation=cv2.INTER_AREA), np.uint8)
    assert distance_bits(perceptual_hashes(rgb)[0], perceptual_hashes(small)[0]) <= 6
    assert distance_bits(perceptual_hashes(rgb)[0], perceptual_hashes(scene(2))[0]) > 12


@given(BITS, BITS, BITS)
def test_distance_is_a_metric(a: int, b: int, c: int) -> None:
    assert distance_bits(a, a) == 0
    assert distance_bits(a, b) == distance_bits(b, a) <= 64
    assert distance_bits(a, c) <= distance_bits(a, b) + distance_bits(b, c)


@given(st.binary())
def test_content_hash_is_sha256(data: bytes) -> None:
    assert content_sha256(data) == hashlib.sha256(data).digest()


def degenerate() -> dict[str, np.ndarray]:
    y, x = np.mgrid[0:384, 0:512]
    noise = np.random.default_rng(0).normal(0, 3, x.shape)
    page = np.full((384, 512), 255, np.uint8)
    page[180:190, 200:300] = 0
    frames = {
        "flat": np.full(x.shape, 120.0),
        "noise": 120 + noise,
        "gradient": x / 2 + noise,
        "radial": 200 - np.hypot(x - 256, y - 192) / 3 + noise,
        "halves": np.where(x < 256, 30, 220) + noise,
        "line on a page": page,
        "window bar": np.where(y < 20, 80, 255) + 0.0,
    }
    return {name: frame.clip(0, 255).astype(np.uint8) for name, frame in frames.items()}


@pytest.mark.parametrize(("name", "grey"), degenerate().items())
def test_pictures_that_say_nothing_are_not_hashable(name: str, grey: np.ndarray) -> None:
    assert not is_hashable(grey), name


@pytest.mark.parametrize("seed", range(5))
def test_scenes_are_hashable(seed: int) -> None:
    assert is_hashable(np.asarray(cv2.cvtColor(scene(seed), cv2.COLOR_RGB2GRAY), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_degenerate_shapes_are_taken(shape: tuple[int, int]) -> None:
    assert not is_hashable(np.zeros(shape, np.uint8))
    assert len(perceptual_hashes(np.zeros((*shape, 3), np.uint8))) == 2
