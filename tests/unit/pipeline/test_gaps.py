"""Of two, one skips levels that the other has: it lost them, or the other's gaps were filled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipeline.filters import Cause
from pipeline.gaps import FILLED, LACKS_TONES, by_tones
from pipeline.recompressed import Preference
from tests.unit.pipeline.test_enlarging import scene
from tests.unit.pipeline.test_interpolating import opened
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen

EVEN = np.zeros(20)


def few(image: Image.Image, colours: int = 128) -> bytes:
    return saved(image.quantize(colours, dither=Image.Dither.NONE), "PNG")


FILLS: dict[str, Callable[[Image.Image], bytes]] = {
    "blurred": lambda image: saved(image.filter(ImageFilter.GaussianBlur(1.8)), quality=84),
    "boxed": lambda image: saved(image.filter(ImageFilter.BoxBlur(2)), quality=90),
    "sharpened": lambda image: saved(image.filter(ImageFilter.UnsharpMask(2, 250, 1)), quality=82),
    "reduced and enlarged": lambda image: saved(
        image.resize((320, 240), Image.Resampling.LANCZOS).resize((640, 480), Image.Resampling.BICUBIC), "PNG"
    ),
}


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("colours", [200, 256])
def test_an_original_in_few_colours_stays_beside_a_copy_that_filled_its_gaps(
    kind: str, colours: int, tmp_path: Path
) -> None:
    original = few(drawn(), colours)
    assert judged(original, FILLS[kind](opened(original)), tmp_path).original == 1


@pytest.mark.parametrize("colours", [32, 64, 256])
@pytest.mark.parametrize("seed", [3, 11])
def test_a_copy_in_few_colours_loses(colours: int, seed: int, tmp_path: Path) -> None:
    original = saved(drawn(seed), quality=88)
    image = opened(original)
    assert judged(original, few(image, colours), tmp_path).original == 1
    scattered = image.quantize(palette=image.quantize(colours), dither=Image.Dither.FLOYDSTEINBERG)
    assert judged(original, saved(scattered, "GIF"), tmp_path).original == 1


def test_who_is_asked_first_makes_no_difference(tmp_path: Path) -> None:
    original = saved(scene(640, 480), quality=90)
    copy = few(opened(original), 48)
    whole, lacking = (seen(data, tmp_path)[0] for data in (original, copy))
    gain = np.linspace(-0.1, 0.1, 20)
    assert by_tones(whole, lacking, gain, Cause()) == Preference(1, LACKS_TONES)
    assert by_tones(lacking, whole, -gain, Cause()) == Preference(2, LACKS_TONES)
    blurred = seen(saved(opened(copy).filter(ImageFilter.GaussianBlur(2)), quality=90), tmp_path)[0]
    assert by_tones(lacking, blurred, gain + 3, Cause()) == Preference(1, FILLED)


def test_where_neither_lacks_tones_nothing_is_told(tmp_path: Path) -> None:
    ours, theirs = (seen(saved(drawn(), quality=quality), tmp_path)[0] for quality in (90, 60))
    assert by_tones(ours, theirs, EVEN, Cause()) == Preference()
