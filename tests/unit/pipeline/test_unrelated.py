"""Noise knows nothing of the scene; what blur and enlarging took from a picture does."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from pipeline.filters import sample_patches
from pipeline.unrelated import compare_sharpness, is_unrelated
from store.records import Traces
from tests.unit.pipeline.test_descent import NOTHING
from tests.unit.pipeline.test_originals import drawn, marked, speckled


def sampled(image: Image.Image) -> Traces:
    return replace(NOTHING, patches=sample_patches(np.asarray(image), ()))


def lit(image: Image.Image) -> Image.Image:
    """Add noise that grows with light, as photons make it."""
    grey = np.asarray(image).astype(np.float64)
    noise = np.random.default_rng(4).normal(0, 1, grey.shape) * np.sqrt(0.6 * grey)
    return Image.fromarray((grey + noise).clip(0, 255).astype(np.uint8))


def back(image: Image.Image) -> Image.Image:
    return image.resize((320, 240), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)


def test_noise_is_unrelated() -> None:
    for noisy in (speckled(drawn()), lit(drawn())):
        assert is_unrelated(sampled(noisy), sampled(drawn()))


def test_what_blur_took_is_related() -> None:
    assert not is_unrelated(sampled(drawn()), sampled(drawn().filter(ImageFilter.GaussianBlur(1.2))))


def test_what_enlarging_again_did_not_bring_back_is_related() -> None:
    assert not is_unrelated(sampled(drawn()), sampled(back(drawn())))


def test_nothing_is_told_without_patches() -> None:
    assert is_unrelated(NOTHING, sampled(drawn()))
    assert compare_sharpness(NOTHING, sampled(drawn())) == 0


def test_blur_is_all_over_and_a_box_is_not() -> None:
    original, soft = sampled(drawn()), sampled(drawn().filter(ImageFilter.GaussianBlur(1.2)))
    assert compare_sharpness(original, soft) > 1
    assert compare_sharpness(soft, original) == -compare_sharpness(original, soft)
    assert compare_sharpness(original, sampled(marked(drawn()))) == 0
