"""Enlarging leaves a rhythm, and nothing else does."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.rhythm import (
    LENGTH,
    UNTOLD,
    compare_rhythms,
    find_old_blocks,
    find_rhythm,
    measure_fours,
    measure_rhythm,
)
from tests.unit.pipeline.test_originals import drawn, saved


def rhythm_of(image: Image.Image) -> bytes:
    return measure_rhythm(np.asarray(image.convert("RGB")))


def scaled(image: Image.Image, scale: float, way: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), way)


def through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, quality=quality))).convert("RGB")


@pytest.mark.parametrize("ratio", [1.3, 1.55, 1.9])
@pytest.mark.parametrize("way", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_an_enlarged_picture_has_the_rhythm_of_its_ratio(ratio: float, way: Image.Resampling) -> None:
    enlarged = through_jpeg(scaled(drawn(), ratio, way), 88)
    assert find_rhythm(rhythm_of(enlarged), ratio)[0] > UNTOLD + 1
    assert find_rhythm(rhythm_of(through_jpeg(drawn(), 88)), ratio)[0] < UNTOLD + 1


def test_the_blocks_of_a_jpeg_that_was_enlarged_show() -> None:
    small = through_jpeg(drawn(), 40)
    assert find_rhythm(rhythm_of(scaled(small, 1.45)), 1.45)[1] > 3
    assert find_rhythm(rhythm_of(small), 1.45)[1] < 2


def test_a_reduced_jpeg_shows_the_blocks_of_the_larger_one() -> None:
    large = through_jpeg(scaled(drawn(), 1.7), 25)
    reduced = rhythm_of(scaled(large, 1 / 1.45, Image.Resampling.BILINEAR))
    assert find_old_blocks(reduced, 1.45) > 2
    assert find_old_blocks(rhythm_of(drawn()), 1.45) < 1


def test_a_ratio_that_falls_on_the_files_own_blocks_speaks_neither_way() -> None:
    blocky = through_jpeg(drawn(), 30)
    assert find_rhythm(rhythm_of(blocky), 1.6)[0] < UNTOLD + 1


def test_of_two_of_one_size_the_one_enlarged_again_has_a_rhythm() -> None:
    image = drawn()
    again = through_jpeg(scaled(image, 0.6).resize(image.size, Image.Resampling.BICUBIC), 90)
    ours, theirs = rhythm_of(through_jpeg(image, 85)), rhythm_of(again)
    assert compare_rhythms(theirs, ours) > 1.7
    assert compare_rhythms(ours, theirs) == -compare_rhythms(theirs, ours)
    assert compare_rhythms(ours, rhythm_of(through_jpeg(image, 60))) == 0


@pytest.mark.parametrize("shape", [(64, 64), (70, 1500), (2100, 80)])
def test_every_shape_has_one(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = measure_rhythm(noise)
    assert len(found) == LENGTH
    assert all(np.isfinite(find_rhythm(found, ratio)).all() for ratio in (1.16, 1.6, 2.0, 4.0, 9.0))


@pytest.mark.parametrize("quality", [30, 60])
def test_webp_leaves_blocks_of_four_that_jpeg_has_not(quality: int) -> None:
    image = drawn()
    webp = Image.open(io.BytesIO(saved(image, "WEBP", quality=quality, method=2))).convert("RGB")
    ours, theirs = rhythm_of(through_jpeg(image, 88)), rhythm_of(through_jpeg(webp, 93))
    assert measure_fours(theirs) > measure_fours(ours) + 1.2
