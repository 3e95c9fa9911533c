"""Previews: whole, small, and every part of the picture where it belongs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.decode import Pixels, halve_above
from pipeline.previewing import decode_preview, extent_of, halve_whole, model_input, preview
from pipeline.settings import DecodeSettings
from store.errors import DecodeError

SETTINGS = DecodeSettings()


WAVES = 16  # over the whole frame


def waves(width: int, height: int) -> Pixels:
    """Grey that goes up and down so many times between the left edge and the right."""
    across = np.rint(127 + 100 * np.cos(2 * np.pi * WAVES * (np.arange(width) + 0.5) / width)).astype(np.uint8)
    return np.broadcast_to(across[None, :, None], (height, width, 3)).copy()


def off_at_the_far_edge(seen: NDArray[np.float64]) -> float:
    """Tell by how many pixels of [n] the last four waves lie off their place."""
    places = np.arange(len(seen)) + 0.5
    turn = np.exp(-2j * np.pi * WAVES * places / len(seen))
    last = seen[3 * len(seen) // 4 :] - 127
    return float(np.angle((last * turn[-len(last) :]).sum()) * len(seen) / (2 * np.pi * WAVES))


def test_preview_and_model_input() -> None:
    rgb = np.full((500, 1000, 3), (200, 30, 30), np.uint8)
    small = decode_preview(preview(rgb, SETTINGS))
    assert small.shape == (192, 384, 3)
    assert decode_preview(preview(rgb[:20, :30], SETTINGS)).shape == (20, 30, 3)
    assert np.abs(small[10, 10].astype(int) - (200, 30, 30)).max() < 12
    for shape in (small, small[:10], small[:, :10], small[:5, :5]):
        squashed = model_input(np.ascontiguousarray(shape), 128)
        assert squashed.shape == (128, 128, 3) and squashed.dtype == np.uint8
    with pytest.raises(DecodeError, match="preview"):
        decode_preview(b"")


@pytest.mark.parametrize("size", [(4131, 2583), (3645, 2430), (1535, 1023), (769, 769), (768, 511), (2047, 9)])
def test_a_preview_shows_the_whole_frame_whatever_the_size_of_the_file(size: tuple[int, int]) -> None:
    wide, high = size
    for turned in (False, True):
        rgb = np.ascontiguousarray(waves(high, wide).swapaxes(0, 1)) if turned else waves(wide, high)
        halved, extent = halve_whole(rgb, extent_of(rgb), 2048)  # as a measurement does first
        small = decode_preview(preview(halved, SETTINGS, extent)).astype(float)
        assert small.shape[:2] == (round(high * 384 / wide), 384)
        if not turned or high >= 500:
            assert abs(off_at_the_far_edge(small.mean(axis=(1, 2) if turned else (0, 2)))) < 0.05


@given(st.integers(2, 600), st.integers(2, 600), st.integers(16, 300))
@settings(max_examples=40, deadline=None)
def test_halving_keeps_what_halving_keeps_and_half_a_pixel_more(width: int, height: int, long_side: int) -> None:
    rgb = np.random.default_rng(width * 601 + height).integers(0, 256, (height, width, 3), np.uint8)
    dropped = halve_above(rgb, long_side)
    whole, (wide, high) = halve_whole(rgb, extent_of(rgb), long_side)
    times = width / wide
    assert times == height / high and times in {2.0**n for n in range(12)}
    assert np.ceil(wide) == whole.shape[1] and np.ceil(high) == whole.shape[0]
    if dropped.shape[:2] == (int(high), int(wide)):
        assert (whole[: int(high), : int(wide)] == dropped).all()


@given(st.integers(400, 3000), st.floats(0.1, 0.9))
@settings(max_examples=40, deadline=None)
def test_a_thin_line_stays_where_it_is(width: int, share: float) -> None:
    at = round(share * width)
    rgb = np.full((64, width, 3), 40, np.uint8)
    rgb[:, at : at + max(2, width // 400)] = 250
    middle = (at + max(2, width // 400) / 2) * 384 / width
    seen = decode_preview(preview(rgb, SETTINGS)).astype(float).mean(axis=(0, 2)) - 40
    near = np.arange(max(0, int(middle) - 4), int(middle) + 5)
    light = np.maximum(seen[near], 0)
    assert abs(float((light * (near + 0.5)).sum() / light.sum()) - middle) < 0.15
