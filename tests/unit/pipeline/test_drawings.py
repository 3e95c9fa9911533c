"""What a program drew is told from what was made of it, and a photograph from neither."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from pipeline.drawings import find_drawn, measure_flatness
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen

Edit = Callable[[Image.Image], Image.Image]


def screen() -> Image.Image:
    """A window with a bar, boxes and lines of text, as a program saves it."""
    page = np.full((480, 640, 3), (250, 250, 248), np.uint8)
    page[:36], page[60:440, :120] = (60, 90, 140), (228, 232, 238)
    for line in range(80, 460, 22):
        text = f"{line} entries of {line**2 % 977}, kept"
        cv2.putText(page, text, (140, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 30), 1, cv2.LINE_AA)
        cv2.rectangle(page, (14, line - 10), (14 + line % 90, line - 4), (200, 80 + line % 120, 40), -1)
    return Image.fromarray(page)


def again(image: Image.Image, scale: float, form: str = "PNG", **options: object) -> bytes:
    size = round(image.width * scale), round(image.height * scale)
    return saved(image.resize(size, Image.Resampling.BICUBIC), form, **options)


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG": lambda image: saved(image, quality=85),
    "JPEG, stored without a loss": lambda image: saved(Image.open(io.BytesIO(saved(image, quality=70))), "PNG"),
    "WebP": lambda image: saved(image, "WEBP", quality=60),
    "blurred": lambda image: saved(image.filter(ImageFilter.GaussianBlur(0.8)), "PNG"),
    "sharpened": lambda image: saved(image.filter(ImageFilter.UnsharpMask(2, 150, 0)), "JPEG", quality=95),
    "enlarged": lambda image: again(image, 1.5),
    "enlarged twice, sharpened": lambda image: saved(
        image.resize((1280, 960), Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(2, 150, 2)), quality=90
    ),
    "reduced and enlarged": lambda image: again(Image.open(io.BytesIO(again(image, 0.6))), 1 / 0.6),
    "reduced": lambda image: again(image, 0.7, "JPEG", quality=90),
}


@pytest.mark.parametrize("kind", COPIES)
def test_what_was_drawn_stays_beside_what_was_made_of_it(kind: str, tmp_path: Path) -> None:
    found = judged(saved(screen(), "PNG"), COPIES[kind](screen()), tmp_path)
    assert found.original == 1, found


@pytest.mark.parametrize("colours", [16, 64, 256])
def test_few_colours_make_no_drawing_of_a_photograph(colours: int, tmp_path: Path) -> None:
    scene = drawn()
    few = scene.quantize(colours, dither=Image.Dither.NONE).convert("RGB")
    pair = [seen(data, tmp_path)[0] for data in (saved(scene, quality=90), saved(few, "PNG"))]
    assert find_drawn(pair[0], pair[1], 1.0) == find_drawn(pair[1], pair[0], 1.0) == 0


def test_a_thumbnail_of_a_drawing_lacks_too_much(tmp_path: Path) -> None:
    small, large = (seen(saved(screen(), "PNG"), tmp_path)[0], seen(again(screen(), 1.5), tmp_path)[0])
    assert find_drawn(small, large, 1.5) == 1
    assert find_drawn(large, small, 1 / 1.5) == 2
    assert find_drawn(small, large, 3.0) == find_drawn(large, small, 1 / 3) == 0


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_flatness_is_two_shares_of_any_picture(height: int, width: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert len(measure_flatness(noise)) == 2
    assert measure_flatness(np.full_like(noise, 77)) == bytes([255, 0])


@pytest.mark.parametrize("bits", [4, 5])
def test_fewer_tones_of_a_drawing_with_slopes_are_no_drawing_of_their_own(bits: int, tmp_path: Path) -> None:
    """A screen with soft shades, and what a program that saves few tones makes of it."""
    shaded = np.asarray(screen(), np.float32)
    shaded[36:] -= np.linspace(0, 90, 640)[None, :, None] * (shaded[36:] > 200)
    whole = Image.fromarray(shaded.clip(0, 255).astype(np.uint8))
    pair = [seen(saved(each, "PNG"), tmp_path)[0] for each in (whole, ImageOps.posterize(whole, bits))]
    assert find_drawn(pair[0], pair[1], 1.0) == find_drawn(pair[1], pair[0], 1.0) == 0
