"""What over-exposure does to a picture, and white paper does not.

Where light has run over, colours bleach: one channel after the other stops at its highest value, and the way from white
to what is left of a thing is gradual. A page, a product on white or snow keeps its colours up to a sharp edge.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Marks = NDArray[np.bool_]
Counts = NDArray[np.int64]

FEATURES = 40
MIN_WHITE = 0.3  # share of the picture: with less white than that, exposure has not destroyed it
_SAMPLE = 128  # pixels a side are enough to count shares
_WHITE = 250  # a pixel with all channels from here on is paper, or lost
_CLIPPED = 252  # a channel
_PASTEL = 140  # lowest channel of a bleached pixel: below, a colour is merely pure
_PALE = 225  # lowest channel
_BORDER = 0.04  # of the short side
_LEAST = 0.01  # share of the picture
_SPECK = 4  # pixels of the sample
_EDGE, _PRINTED_EDGE = 8, 60  # grey levels from pixel to pixel
_PURE = 0.9  # saturation
_AROUND = np.ones((3, 3), np.uint8)
_NOTHING = np.full(1, 255, np.uint8)
_ONES = np.ones(3, np.uint8)


def exposure_features(rgb: Pixels) -> Floats | None:
    """Describe the bright end of an oriented picture, uint8 [h, w, 3]; None where less than 30 % of it is white.

    float32 [40]: shares, grey levels of the whole and of what is not white, how sharply white ends, how torn it is, and
    which channels have run over.
    """
    size = min(rgb.shape[1], _SAMPLE), min(rgb.shape[0], _SAMPLE)
    sample = cast(Pixels, cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST))
    red, green, blue = cv2.split(sample)
    lowest = cast(Pixels, cv2.min(cv2.min(red, green), blue))
    white = lowest >= _WHITE
    if white.mean() < MIN_WHITE:
        return None
    highest = cast(Pixels, cv2.max(cv2.max(red, green), blue))
    rest = ~white
    left = max(float(rest.mean()), _LEAST)
    grey = np.asarray(cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY), np.uint8)
    kept = grey[rest] if rest.any() else _NOTHING
    clipped = (highest >= _CLIPPED) & rest
    pale = float(((lowest >= _PALE) & rest).mean())
    near = cv2.dilate(white.astype(np.uint8), _AROUND).astype(np.bool_) & rest
    spread = (highest - lowest)[rest]
    full = (sample >= _CLIPPED).view(np.uint8) @ _ONES
    return np.array([
        grey.mean(), white.mean(), _at_border(white),
        clipped.mean() / left, (clipped & (lowest >= _PASTEL)).mean() / left, pale / left,
        min(pale / (float(white.mean()) + 0.01), 3.0),
        *_levels(kept, (0.05, 0.5)), kept.std(),
        *_levels(grey, (0.002, 0.01, 0.05, 0.25)),
        lowest[near].mean() if near.any() else 255.0, near.mean(),
        spread.mean() if spread.size else 0.0, grey.std(),
        *_pieces(white), *_inside(grey, rest, kept),
        *(((full == count) & rest).mean() / left for count in (2, 1)),
        *_tones(kept), _steepness(grey), *_colours(highest[rest], lowest[rest]),
    ], np.float32)  # fmt: skip


def _levels(grey: Pixels, shares: tuple[float, ...]) -> Counts:
    """Return the grey levels below which these shares of the pixels lie."""
    below = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    return np.asarray(np.searchsorted(below, np.array(shares) * below[-1]), np.int64)


def _pieces(white: Marks) -> tuple[float, ...]:
    """Return how torn the picture is: over-exposure leaves shreds of things, and holes in them."""
    count, _, things, _ = cv2.connectedComponentsWithStats((~white).astype(np.uint8), connectivity=8)
    holes, _, whites, _ = cv2.connectedComponentsWithStats(white.astype(np.uint8), connectivity=4)
    areas, all_areas = things[1:, cv2.CC_STAT_AREA], whites[1:, cv2.CC_STAT_AREA]
    largest = areas.max(initial=0) / max(1, areas.sum())
    largest_white = all_areas.max(initial=0) / max(1, all_areas.sum())
    return np.log2(count), largest, (areas <= _SPECK).sum() / count, np.log2(holes), largest_white


def _inside(grey: Pixels, rest: Marks, kept: Pixels) -> tuple[float, ...]:
    """Return which share of what is not white lies away from white, and the grey levels there."""
    inner = cv2.erode(rest.astype(np.uint8), _AROUND).astype(np.bool_)
    deep = grey[inner] if inner.any() else kept
    return inner.sum() / max(1, int(rest.sum())), float(_levels(deep, (0.5,))[0]), float(deep.std())


def _tones(kept: Pixels) -> Reals:
    return np.bincount(kept >> 5, minlength=8) / len(kept)


def _steepness(grey: Pixels) -> float:
    """Return which share of the edges is as steep as a printed one."""
    if grey.shape[1] < 2:
        return 0.0
    steps = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    edges = steps[steps > _EDGE]
    return float((edges > _PRINTED_EDGE).mean()) if edges.size else 0.0


def _colours(highest: NDArray[np.uint8], lowest: NDArray[np.uint8]) -> tuple[float, ...]:
    """Return the median saturation, the share of pure colours and the mean lowest channel of what is not white."""
    if not highest.size:
        return 0.0, 0.0, 255.0
    saturation = (highest - lowest) / np.maximum(highest, 1)
    middle = len(saturation) // 2
    return float(np.partition(saturation, middle)[middle]), float((saturation > _PURE).mean()), float(lowest.mean())


def _at_border(white: Marks) -> float:
    band = max(1, round(_BORDER * min(white.shape)))
    sides = white[:band], white[-band:], white[:, :band], white[:, -band:]
    return float(np.concatenate([side.ravel() for side in sides]).mean())
