"""Of two, one skips levels that the other has: it lost them, or the other's gaps were filled."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from pipeline.filters import Cause, Fits
from pipeline.gaps import FILLED, LACKS_TONES, by_tones
from pipeline.recompressed import Preference
from tests.unit.pipeline.test_interpolating import opened
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen


def few(image: Image.Image, colours: int = 128) -> bytes:
    return saved(image.quantize(colours, dither=Image.Dither.NONE), "PNG")


FILLS: dict[str, Callable[[Image.Image], bytes]] = {
    "blurred": lambda image: saved(image.filter(ImageFilter.GaussianBlur(1.2)), quality=92),
    "blurred, kept exactly": lambda image: saved(image.filter(ImageFilter.GaussianBlur(1.5)), "PNG"),
}


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("colours", [64, 256])
def test_an_original_in_few_colours_stays_beside_a_copy_that_filled_its_gaps(
    kind: str, colours: int, tmp_path: Path
) -> None:
    original = few(drawn(), colours)
    assert judged(original, FILLS[kind](opened(original)), tmp_path).original == 1


BEFORE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "sharpened": lambda image: image.filter(ImageFilter.UnsharpMask(2, 200, 1)),
    "reduced and enlarged": lambda image: image.resize((320, 240), Image.Resampling.LANCZOS).resize(image.size),
    "of the middle of nine": lambda image: image.filter(ImageFilter.MedianFilter(3)),
    "saved as JPEG": lambda image: opened(saved(image, quality=60)),
    "saved as WebP": lambda image: opened(saved(image, "WEBP", quality=70)),
}


@pytest.mark.parametrize("kind", BEFORE)
@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_copy_that_was_changed_before_it_lost_its_tones_loses(kind: str, form: str, tmp_path: Path) -> None:
    original = saved(drawn(), quality=88)
    changed = BEFORE[kind](opened(original))
    for colours in (64, 256):
        assert judged(original, saved(changed.quantize(colours), form), tmp_path).original == 1


@pytest.mark.parametrize("colours", [16, 64, 256])
@pytest.mark.parametrize("seed", [3, 11])
def test_a_copy_in_few_colours_loses(colours: int, seed: int, tmp_path: Path) -> None:
    original = saved(drawn(seed), quality=88)
    image = opened(original)
    assert judged(original, few(image, colours), tmp_path).original == 1
    scattered = image.quantize(palette=image.quantize(colours), dither=Image.Dither.FLOYDSTEINBERG)
    assert judged(original, saved(scattered, "GIF"), tmp_path).original == 1


def test_who_is_asked_first_makes_no_difference(tmp_path: Path) -> None:
    original = few(drawn(), 200)
    copy = saved(opened(original).filter(ImageFilter.GaussianBlur(1.2)), quality=92)
    lacking, filled = (seen(data, tmp_path)[0] for data in (original, copy))
    for shorter, found in ((200.0, Preference(1, FILLED)), (20.0, Preference(2, LACKS_TONES))):
        cause = Cause(fits=Fits((0.1, 0.9), (0.0, 0.0), shorter))
        assert by_tones(lacking, filled, cause) == found
        assert by_tones(filled, lacking, cause.turned()) == found.turned()


def test_where_neither_lacks_tones_nothing_is_told(tmp_path: Path) -> None:
    ours, theirs = (seen(saved(drawn(), quality=quality), tmp_path)[0] for quality in (90, 60))
    assert by_tones(ours, theirs, Cause()) == Preference()
