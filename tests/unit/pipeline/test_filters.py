"""A filter or a tone curve shows which of two was there first, whichever way it works."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pipeline.filters import Cause, find_cause, sample_patches
from store.records import Traces
from tests.unit.pipeline.test_descent import NOTHING, opened
from tests.unit.pipeline.test_originals import SMEAR, drawn, saved

KERNELS: dict[str, ImageFilter.Filter | type[ImageFilter.Filter]] = {
    "sharpen": ImageFilter.SHARPEN,
    "detail": ImageFilter.DETAIL,
    "mask": ImageFilter.UnsharpMask(0.7, 90, 0),
    "smooth": ImageFilter.SMOOTH,
    "box": ImageFilter.BoxBlur(1),
    "soft": ImageFilter.GaussianBlur(0.6),
    "smear": SMEAR,
    "median": ImageFilter.MedianFilter(3),
}


def sampled(data: bytes) -> Traces:
    with Image.open(io.BytesIO(data)) as image:
        steps = tuple(getattr(image, "quantization", {}).get(0, ()))
        return replace(NOTHING, patches=sample_patches(np.asarray(image.convert("RGB")), steps))


def told(original: bytes, copy: bytes) -> Cause:
    """Compare both ways round."""
    found, turned = find_cause(sampled(original), sampled(copy)), find_cause(sampled(copy), sampled(original))
    assert turned == found.turned()
    return found


RAISES = ("sharpen", "detail", "mask")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_small_filter_tells_the_original_sharpened_or_blurred(kernel: str) -> None:
    original = saved(drawn(), quality=85)
    changed = opened(original).filter(KERNELS[kernel])
    for copy in (saved(changed, quality=90), saved(changed, "PNG")):
        found = told(original, copy)
        assert found.original == 1
        assert (found.finer > 0) == (kernel in RAISES)


@pytest.mark.parametrize("kernel", KERNELS)
def test_from_originals_without_compression_it_tells_the_original_or_nothing(kernel: str) -> None:
    original = saved(drawn(), "PNG")
    assert told(original, saved(opened(original).filter(KERNELS[kernel]), quality=90)).original != 2


def test_where_nothing_was_compressed_a_tone_curve_says_nothing() -> None:
    dark = drawn().point([round(255 * (level / 255) ** 1.5) for level in range(256)] * 3)
    assert told(saved(drawn(), "PNG"), saved(dark, "PNG")).original == 0


@pytest.mark.parametrize("power", [0.6, 1.5])
def test_a_tone_curve_tells_the_original(power: float) -> None:
    original = saved(drawn(), quality=85)
    curve = [round(255 * (level / 255) ** power) for level in range(256)] * 3
    assert told(original, saved(opened(original).point(curve), quality=93)).original == 1


def test_blur_cannot_be_undone_and_sharpening_can() -> None:
    original = saved(drawn(), quality=85)
    blurred, sharp = (opened(original).filter(each) for each in (ImageFilter.GaussianBlur(1.4), ImageFilter.SHARPEN))
    for copy in (blurred, sharp):
        fits = told(original, saved(copy, quality=92)).fits
        assert fits is not None
        there, back = fits.left
        assert there < 0.25
        assert (back < 0.25) == (copy is sharp)


def test_noise_says_nothing() -> None:
    noise = np.random.default_rng(1).normal(0, 9, (480, 640, 1))
    noisy = Image.fromarray((np.asarray(drawn()) + noise).clip(0, 255).astype(np.uint8))
    found = told(saved(drawn(), quality=85), saved(noisy, quality=92))
    assert found.original == 0
    assert found.fits is not None
    assert found.fits.left[0] > 0.8


def test_nothing_is_told_without_patches_or_by_flat_ones() -> None:
    original = sampled(saved(drawn(), quality=85))
    assert find_cause(NOTHING, original) == find_cause(original, NOTHING) == Cause()
    flat = sampled(saved(Image.new("RGB", (640, 480), "#808080"), "PNG"))
    assert find_cause(flat, original) == Cause()


@pytest.mark.parametrize("shape", [(64, 64), (64, 900), (97, 131), (3000, 2000)])
def test_a_sample_has_one_size_whatever_the_picture(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert len(sample_patches(rgb, range(64))) == 64 + 16 * 144
    assert sample_patches(rgb, range(64))[:64] == bytes(range(64))
    assert sample_patches(rgb, ())[:64] == bytes(64)


samples = st.builds(
    lambda seed, table, spread: table
    + np.random.default_rng(seed).normal(128, spread, 16 * 144).clip(0, 255).astype(np.uint8).tobytes(),
    st.integers(0, 50), st.sampled_from((bytes(64), bytes([1] * 64), bytes([20] * 64))),
    st.sampled_from((0.4, 6.0, 60.0)),
)  # fmt: skip


@given(samples, samples)
@settings(max_examples=25, deadline=None)
def test_turning_the_pair_turns_what_is_told(ours: bytes, theirs: bytes) -> None:
    first, second = (replace(NOTHING, patches=each) for each in (ours, theirs))
    found, turned = find_cause(first, second), find_cause(second, first)
    assert turned == found.turned()


def test_where_clipping_hides_the_grid_the_fit_is_told_and_no_original() -> None:
    sharp = opened(saved(drawn(), quality=85)).filter(ImageFilter.UnsharpMask(2, 300, 0))
    moved = Image.fromarray(np.roll(np.asarray(sharp), 3, axis=1))  # as if clipping had moved all off its grid
    still = Image.fromarray(np.roll(np.asarray(drawn()), 3, axis=1))
    table = list(range(40, 104))
    first, second = (replace(NOTHING, patches=sample_patches(np.asarray(each), table)) for each in (still, moved))
    found = find_cause(first, second)
    assert find_cause(second, first) == found.turned()
    assert found.original == 0
    assert found.fits is not None
    assert found.fits.shorter == 0
    assert found.fits.left[0] < 0.5
