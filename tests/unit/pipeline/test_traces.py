"""What was done to a picture shows in its pixels."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from pipeline.detail import band_energy, textured_tiles
from pipeline.traces import measure_traces, octaves, own_colour
from store.records import Traces
from tests.unit.pipeline.test_originals import drawn, saved


def traces_of(image: Image.Image, steps: tuple[int, ...] = ()) -> Traces:
    rgb = np.array(image.convert("RGB"))
    tiles = textured_tiles(rgb)
    return measure_traces(rgb, tiles, band_energy(tiles), steps)


def through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, quality=quality)))


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_a_compression_shows_its_step_in_the_pixels_alone(quality: int) -> None:
    once = through_jpeg(drawn(), quality)
    known = traces_of(once, tuple(once.quantization[0]))  # type: ignore[attr-defined]
    assert known.seen_step == pytest.approx(known.stored_step, rel=0.12)
    bare = traces_of(Image.fromarray(np.array(once.convert("RGB"))))
    assert bare.stored_step == 0
    assert bare.seen_step == pytest.approx(known.stored_step, rel=0.12)


def test_a_finer_compression_keeps_the_coarser_step() -> None:
    again = through_jpeg(through_jpeg(drawn(), 60).convert("RGB"), 97)
    found = traces_of(again, tuple(again.quantization[0]))  # type: ignore[attr-defined]
    assert found.seen_step > 3 * found.stored_step


def test_a_picture_that_was_never_compressed_shows_no_step() -> None:
    assert traces_of(drawn()).seen_step == 0
    assert traces_of(through_jpeg(drawn(), 60).convert("RGB").resize((500, 375))).seen_step == 0


def test_sharpening_raises_rims_and_blur_lowers_them() -> None:
    image = drawn()
    soft, sharp = (
        traces_of(image.filter(each)) for each in (ImageFilter.GaussianBlur(1.5), ImageFilter.UnsharpMask(2, 250))
    )
    plain = traces_of(image)
    assert soft.overshoot < plain.overshoot < sharp.overshoot
    assert soft.noise < plain.noise < sharp.noise
    assert octaves(soft.spectrum)[:4].max() < octaves(plain.spectrum)[:4].min() - 2
    assert (octaves(sharp.spectrum)[:8] > octaves(plain.spectrum)[:8]).all()


def test_few_colours_and_steep_tone_curves_skip_levels() -> None:
    image = through_jpeg(drawn(), 80).convert("RGB")
    plain, few, bands, steep = (
        traces_of(each.convert("RGB")).levels[0] / 255
        for each in (image, image.quantize(64), ImageOps.posterize(image, 4), image.point(lambda v: min(255, 2 * v)))
    )
    assert plain < 0.04
    assert min(few, bands, steep) > 0.25


def test_noise_is_measured_in_grey_levels() -> None:
    flat = np.full((400, 400, 3), 120.0) + np.random.default_rng(1).normal(0, 6, (400, 400, 1))
    assert traces_of(Image.fromarray(flat.clip(0, 255).astype(np.uint8))).noise == pytest.approx(6, rel=0.2)


def test_grey_has_no_colour_and_noise_lends_it_none() -> None:
    grey = np.asarray(ImageOps.grayscale(drawn()).convert("RGB"))
    noisy = (grey + np.random.default_rng(0).normal(0, 12, grey.shape)).clip(0, 255).astype(np.uint8)
    assert traces_of(Image.fromarray(grey)).colour == 0
    assert traces_of(Image.fromarray(noisy)).colour < 6 < traces_of(drawn()).colour


def test_a_tint_is_no_colour_of_its_own() -> None:
    tinted = ImageOps.colorize(ImageOps.grayscale(drawn()), "#100800", "#ffe8c0")
    plain, toned, grey = (
        own_colour(traces_of(each)) for each in (drawn(), tinted, ImageOps.grayscale(drawn()).convert("RGB"))
    )
    assert plain is not None and toned is not None
    assert grey == 0 < toned < 2 < 6 < plain
    assert traces_of(tinted).colour > 6
    assert own_colour(replace(traces_of(drawn()), levels=b"\x01")) is None, "measured before anybody looked"


def test_a_margin_is_measured_as_a_share() -> None:
    assert traces_of(drawn()).margin == 0
    framed = ImageOps.expand(drawn(), 10, "white")
    assert traces_of(framed).margin == pytest.approx(1 - 640 * 480 / (660 * 500), abs=0.002)
    assert traces_of(ImageOps.expand(drawn(), (0, 20, 0, 0), "black")).margin == 0, "one side is no frame"


@pytest.mark.parametrize("size", [(64, 64), (64, 900), (97, 131), (1300, 70)])
def test_every_size_is_measured(size: tuple[int, int]) -> None:
    found = traces_of(drawn().resize(size))
    assert len(found.spectrum) == 20
    assert all(np.isfinite(value) for value in octaves(found.spectrum))
