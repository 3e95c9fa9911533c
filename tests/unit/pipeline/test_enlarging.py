"""Was the larger one enlarged? On a page, only its patches and its rhythm tell."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pipeline.enlarging import find_repeated, is_enlarged_on_page
from store.records import Traces
from tests.unit.pipeline.test_descent import NOTHING
from tests.unit.pipeline.test_originals import saved, seen


def scene(width: int, height: int) -> Image.Image:
    """Texture that falls off with frequency as natural pictures do."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    phases = np.random.default_rng(7).normal(size=(height, width, 2)) @ (1, 1j)
    grey = np.fft.ifft2(phases / np.maximum(frequency, 1 / width)).real
    levels = (128 + 45 * grey / grey.std()).clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def on_page(picture: Image.Image, folder: Path, form: str, **options: object) -> Traces:
    width, height = picture.size
    page = Image.new("RGB", (width, height * 2), "#f4f4f6")
    page.paste(picture, (0, height // 2))
    pen = ImageDraw.Draw(page)
    for line in range(5):
        pen.text((20, 2 * height - 90 + 16 * line), "words below the picture " * 4, "black")
    traces = seen(saved(page, form, **options), folder)[0].traces
    assert traces is not None
    return traces


@pytest.mark.parametrize("ratio", [1.7, 2.2, 2.6])
@pytest.mark.parametrize("way", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
@pytest.mark.parametrize(("form", "quality"), [("PNG", 100), ("JPEG", 85), ("WEBP", 85)])
def test_an_enlarged_picture_on_a_page_is_told(
    ratio: float, way: Image.Resampling, form: str, quality: int, tmp_path: Path
) -> None:
    large = scene(400, 300).resize((round(400 * ratio), round(300 * ratio)), way)
    options: dict[str, object] = {} if form == "PNG" else {"quality": quality}
    assert is_enlarged_on_page(on_page(large, tmp_path, form, **options), ratio)


@pytest.mark.parametrize("ratio", [1.7, 2.0, 2.6])
def test_a_large_picture_on_a_page_is_not_taken_for_an_enlarged_one(ratio: float, tmp_path: Path) -> None:
    assert not is_enlarged_on_page(on_page(scene(1280, 960), tmp_path, "JPEG", quality=90), ratio)


def test_without_a_rhythm_or_patches_nothing_is_told(tmp_path: Path) -> None:
    assert not is_enlarged_on_page(NOTHING, 2.0)
    flat = on_page(Image.new("RGB", (800, 600), "#808080"), tmp_path, "PNG")
    assert not is_enlarged_on_page(flat, 2.0)


def traced(picture: Image.Image, folder: Path, quality: int = 88) -> Traces:
    traces = seen(saved(picture, "JPEG", quality=quality), folder)[0].traces
    assert traces is not None
    return traces


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6])
@pytest.mark.parametrize("way", [Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
def test_lines_that_enlarging_repeated_are_told(share: float, way: Image.Resampling, tmp_path: Path) -> None:
    original = scene(640, 480).filter(ImageFilter.GaussianBlur(0.8))  # lenses leave no steps as rough as noise
    small = original.resize((round(640 * share), round(480 * share)), way)
    ours, theirs = traced(original, tmp_path), traced(small.resize((640, 480), Image.Resampling.NEAREST), tmp_path)
    assert find_repeated(ours, theirs) == 2
    assert find_repeated(theirs, ours) == 1


@pytest.mark.parametrize("way", [ImageFilter.SHARPEN, ImageFilter.BoxBlur(1), ImageFilter.UnsharpMask(2, 300, 0)])
def test_filters_repeat_no_lines(way: ImageFilter.Filter, tmp_path: Path) -> None:
    original = scene(640, 480)
    assert find_repeated(traced(original, tmp_path), traced(original.filter(way), tmp_path)) == 0
    assert find_repeated(traced(original, tmp_path), NOTHING) == 0


def on_plain_ground() -> Image.Image:
    """A thing of few tones before a white ground, as in a catalogue."""
    ground = Image.new("RGB", (640, 480), "white")
    thing = scene(640, 480).point([level // 2 + 20 for level in range(256)] * 3)
    shape = Image.new("L", (640, 480))
    ImageDraw.Draw(shape).ellipse((175, 35, 290, 120), 255)
    return Image.composite(thing, ground, shape)


@pytest.mark.parametrize("drawn", [False, True])
def test_lines_repeated_in_a_thing_before_a_plain_ground_are_told(drawn: bool, tmp_path: Path) -> None:
    original = on_plain_ground().filter(ImageFilter.GaussianBlur(0.5))
    doubled = original.resize((320, 240), Image.Resampling.BOX).resize((640, 480), Image.Resampling.NEAREST)
    ours, theirs = traced(original, tmp_path), traced(doubled, tmp_path)
    assert find_repeated(ours, theirs, drawn=drawn) == 2
    assert find_repeated(theirs, ours, drawn=drawn) == 1


@pytest.mark.parametrize("quality", [30, 60, 88])
def test_lines_that_a_drawing_repeats_by_itself_are_no_loss(quality: int, tmp_path: Path) -> None:
    drawing = Image.new("RGB", (640, 480), "white")
    pen = ImageDraw.Draw(drawing)
    for number in range(400):
        corner = 37 * number % 630, 59 * number % 470
        pen.rectangle((*corner, corner[0] + 5, corner[1] + 3), ("navy", "#c04020", "#f0d060")[number % 3])
    exact = seen(saved(drawing, "PNG"), tmp_path)[0].traces
    assert exact is not None
    assert find_repeated(exact, traced(drawing, tmp_path, quality), drawn=True) != 1
