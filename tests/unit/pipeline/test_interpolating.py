"""Of two sizes of one picture, patches tell which was enlarged or reduced from the other."""

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from pipeline.interpolating import Interpolated, compare_sizes
from tests.unit.pipeline.test_enlarging import scene
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen

WAYS = [
    Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
]  # fmt: skip


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def scaled(image: Image.Image, ratio: float, way: Image.Resampling) -> Image.Image:
    return image.resize((round(image.width * ratio), round(image.height * ratio)), way)


def compared(large: Image.Image, small: Image.Image, folder: Path) -> Interpolated | None:
    ours, theirs = (seen(saved(each, quality=92), folder)[0] for each in (large, small))
    return compare_sizes(ours, theirs)


@pytest.mark.parametrize(("ratio", "way"), list(itertools.product((1.3, 1.77), WAYS)))
def test_the_original_stays_beside_an_enlarged_copy(ratio: float, way: Image.Resampling, tmp_path: Path) -> None:
    original = saved(drawn(), quality=90)
    copy = saved(scaled(opened(original), ratio, way), quality=88)
    assert judged(original, copy, tmp_path).original == 1


@pytest.mark.parametrize(("radius", "percent"), [(2, 150), (2.5, 200)])
@pytest.mark.parametrize("ratio", [1.4, 1.8])
def test_sharpening_after_enlarging_adds_no_detail(ratio: float, radius: float, percent: int, tmp_path: Path) -> None:
    original = saved(drawn(5), quality=90)
    large = scaled(opened(original), ratio, Image.Resampling.LANCZOS)
    copy = saved(large.filter(ImageFilter.UnsharpMask(radius, percent, 2)), quality=88)
    assert judged(original, copy, tmp_path).original == 1


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("ratio", [0.94, 0.77, 0.56])
def test_the_original_stays_beside_a_reduced_copy(way: Image.Resampling, ratio: float, tmp_path: Path) -> None:
    original = saved(drawn(), quality=85)
    assert judged(original, saved(scaled(opened(original), ratio, way), quality=92), tmp_path).original == 1


def test_each_way_explains_what_it_made(tmp_path: Path) -> None:
    whole = scene(800, 600)
    reduced = compared(whole, scaled(whole, 0.7, Image.Resampling.LANCZOS), tmp_path)
    enlarged = compared(scaled(whole, 1.4, Image.Resampling.BICUBIC), whole, tmp_path)
    assert reduced is not None
    assert enlarged is not None
    assert reduced.reducing < reduced.enlarging - 1
    assert enlarged.enlarging < enlarged.reducing - 1


def test_repeated_lines_are_found_where_the_sizes_say(tmp_path: Path) -> None:
    whole = drawn()
    for ratio in (1.15, 1.6):
        doubled = compared(scaled(whole, ratio, Image.Resampling.NEAREST), whole, tmp_path)
        smooth = compared(scaled(whole, ratio, Image.Resampling.BICUBIC), whole, tmp_path)
        assert doubled is not None
        assert smooth is not None
        assert doubled.repeats < -1 < smooth.repeats <= 0


def test_brightness_and_contrast_change_nothing(tmp_path: Path) -> None:
    whole = drawn()
    large = scaled(whole, 1.5, Image.Resampling.BICUBIC)
    plain, faded = (compared(each, whole, tmp_path) for each in (large, ImageEnhance.Contrast(large).enhance(0.7)))
    assert plain is not None
    assert faded is not None
    assert abs(plain.reducing - faded.reducing) < 0.5


def test_nothing_is_told_where_patches_do_not_lie_on_each_other(tmp_path: Path) -> None:
    whole = drawn()
    small = scaled(whole, 0.7, Image.Resampling.LANCZOS)
    assert compared(ImageOps.mirror(whole), small, tmp_path) is None
    assert compared(whole, small.crop((0, 0, 448, 300)), tmp_path) is None, "of another shape"
    flat = Image.new("RGB", (640, 480), "#808080")
    assert compared(flat, flat.resize((320, 240)), tmp_path) is None
    ours, theirs = (seen(saved(each), tmp_path)[0] for each in (whole, small))
    assert ours.traces is not None
    assert compare_sizes(replace(ours, traces=replace(ours.traces, patches=b"")), theirs) is None
    assert compare_sizes(replace(ours, traces=None), theirs) is None


@pytest.mark.parametrize("size", [(3001, 70), (6000, 140), (1500, 64), (9000, 210)])
def test_strips_of_noise_are_no_error(size: tuple[int, int], tmp_path: Path) -> None:
    strip = Image.fromarray(np.random.default_rng(1).integers(0, 256, (70, 3000, 3), np.uint8))
    found = compared(strip.resize(size), strip, tmp_path)
    assert found is None or np.isfinite([found.enlarging, found.reducing, found.repeats]).all()


@pytest.mark.parametrize("blur", [0.0, 1.2])
@pytest.mark.parametrize("ratio", [0.95, 0.8, 0.5])
def test_a_drawing_or_a_soft_original_stays_beside_a_reduced_and_sharpened_copy(
    blur: float, ratio: float, tmp_path: Path
) -> None:
    picture = Image.new("RGB", (640, 480), "white")
    pen = ImageDraw.Draw(picture)
    for number in range(40):
        x, y = 37 * number % 560, 53 * number % 420
        pen.rectangle((x, y, x + 70, y + 40), ("navy", "#c04020", "#f0d060")[number % 3], "black", 2)
    original = saved((picture if blur == 0 else drawn()).filter(ImageFilter.GaussianBlur(blur)), quality=90)
    reduced = scaled(opened(original), ratio, Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(1, 80, 2))
    assert judged(original, saved(reduced, quality=85), tmp_path).original != 2
