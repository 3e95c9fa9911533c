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

SHARES, RIMS = 40, 89
FEATURES = SHARES + RIMS
MIN_WHITE = 0.3  # share of the picture: with less white than that, exposure has not destroyed it
MIN_CLIPPED = 0.5  # share where one channel at least has run over: as much, in colour
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
_SEEN = 256  # pixels: the long side at which rims are looked at, as blur is
_LOWEST_BINS = (0, 16, 64, 128, 192, 224, 240, 248, 252, 254, 255)  # of the lowest channel
_KEPT_BINS = (0, 8, 32, 64, 96, 128, 160, 192, 224, 240)  # of grey
_CHROMA_BINS = (0, 64, 128, 176, 216, 240)  # of grey
_RING_ENDS = (1, 2, 3, 5, 8, 13)  # pixels from white
_RING_OF = (np.searchsorted(_RING_ENDS, np.arange(256)) + (np.arange(256) > 0)).astype(np.uint8)  # 0: white, 7: farther
_NEAR = 2  # rings
_CALM = 4  # grey levels within three pixels: less is a flat tone
_QUANTILES = (0.2, 0.5, 0.8)
_PLATEAUS = 8  # grey levels
_STEPS = (30, 120, 200)  # grey levels within three pixels
_WIDE_STEPS = (15, 40, 80, 140)  # grey levels within five pixels of a picture smoothed as much
_WIDE = np.ones((5, 5), np.uint8)
_BLACK = 3
_RARE, _FEW = 1e-3, 1e-2  # shares added before logarithms, of the picture and of a part of it
_ENOUGH = 8  # pixels


def exposure_features(rgb: Pixels) -> Floats | None:
    """Describe the bright end of an oriented picture, uint8 [h, w, 3]; None where too little of it has run over.

    float32 [129]: 40 figures of shares, grey levels of the whole and of what is not white, how sharply white ends, how
    torn it is, and which channels have run over; then 89 of the tones near white, and of how they change away from it.
    """
    size = min(rgb.shape[1], _SAMPLE), min(rgb.shape[0], _SAMPLE)
    sample = cast(Pixels, cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST))
    lowest, highest = _extremes(sample)
    white = lowest >= _WHITE
    run_over = float((highest >= _CLIPPED).mean())
    if white.mean() < MIN_WHITE and run_over < MIN_CLIPPED:
        return None
    return np.concatenate([_shares(sample, lowest, highest, white), _rims(_at_size(rgb)), [run_over]], dtype=np.float32)


def _extremes(rgb: Pixels) -> tuple[Pixels, Pixels]:
    red, green, blue = cv2.split(rgb)
    lowest, highest = (extreme(extreme(red, green), blue) for extreme in (cv2.min, cv2.max))
    return cast(Pixels, lowest), cast(Pixels, highest)


def _at_size(rgb: Pixels) -> Pixels:
    """Return the picture with its long side reduced to 256 pixels, of a large one without the pixels in between."""
    for side, method in ((2 * _SEEN, cv2.INTER_NEAREST), (_SEEN, cv2.INTER_AREA)):
        scale = side / max(rgb.shape[:2])
        if scale < 1:
            size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
            rgb = cast(Pixels, cv2.resize(rgb, size, interpolation=method))
    return rgb


def _shares(sample: Pixels, lowest: Pixels, highest: Pixels, white: Marks) -> Floats:
    """Return what can be counted: float32 [40]."""
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


def _rims(rgb: Pixels) -> Floats:
    """Return the tones near white and what they do away from it, in doublings and grey levels, float32 [88]."""
    lowest, highest = _extremes(rgb)
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    white = lowest >= _WHITE
    rest, count = ~white, max(1, int(white.size - white.sum()))
    away = cv2.distanceTransform(rest.view(np.uint8), cv2.DIST_C, 3)
    ring = cast(Pixels, cv2.LUT(away.clip(0, 255).astype(np.uint8), _RING_OF))
    steps = cast(Pixels, cv2.subtract(cv2.dilate(grey, _AROUND), cv2.erode(grey, _AROUND)))
    kept = _histogram(grey, rest) / count
    by_ring = cast(Floats, cv2.calcHist([ring, grey], [0, 1], None, [8, 256], [0, 8, 0, 256]))[1:7]
    rim, flat, calm = ring == 1, _histogram(steps, white)[0], _histogram(steps, rest)[:_CALM].sum()
    return np.concatenate([
        np.log2(np.add.reduceat(_histogram(lowest) / lowest.size, _LOWEST_BINS) + _RARE),
        np.log2(np.add.reduceat(kept, _KEPT_BINS) + _FEW),
        [np.partition(kept, -_PLATEAUS)[-_PLATEAUS:].sum()],
        np.log2(by_ring.sum(1) / count + _FEW), _quantiles(by_ring, 255).ravel(),
        _quantiles(_histogram(steps, rim)[None], 0)[0],
        np.log2([calm / count + _FEW, flat / max(1, white.size - count) + _FEW]),
        *_edges(grey, steps), _chroma(grey[rest], (highest - lowest)[rest]),
        _channels(rgb, rest, count), _texture(grey, ring > _NEAR),
        [np.log2(rim.mean() + _RARE), np.log2(rim.sum() / count + _FEW), white.mean(), grey.mean(), grey.std(),
         max(rgb.shape[:2])],
    ], dtype=np.float32)  # fmt: skip


def _histogram(plane: Pixels, where: Marks | None = None) -> Floats:
    """Count the levels of a plane, uint8 [h, w], inside a mask, [256]."""
    mask = None if where is None else where.view(np.uint8)
    return cast(Floats, cv2.calcHist([plane], [0], mask, [256], [0, 256]).ravel())


def _quantiles(counts: Floats, nothing: float) -> Reals:
    """Return the values below which shares of each row, [n, 256], lie, [n, 3]; `nothing` where a row is empty."""
    below = np.cumsum(counts, axis=1, dtype=np.float64)
    found = [(below < share * below[:, -1:]).sum(1) for share in _QUANTILES]
    return np.where(below[:, -1:] > 0, np.stack(found, 1), nothing).astype(np.float64)


def _edges(grey: Pixels, steps: Pixels) -> tuple[Reals, list[float], Reals]:
    """Return how many steps are how steep, at a fine scale and at a coarse one: an edge cut off at white is neither."""
    soft = cv2.blur(grey, (5, 5))
    wide = cast(Pixels, cv2.subtract(cv2.dilate(soft, _WIDE), cv2.erode(soft, _WIDE)))
    fine, coarse = _steeper(steps, _STEPS), _steeper(wide, _WIDE_STEPS)
    return np.log2(fine + _RARE), [float(fine[1] / (fine[0] + _RARE))], np.log2(coarse + _RARE)


def _steeper(steps: Pixels, limits: tuple[int, ...]) -> Reals:
    below = np.cumsum(_histogram(steps), dtype=np.float64)
    return np.asarray((below[-1] - below[list(limits)]) / below[-1], np.float64)


def _chroma(kept: Pixels, chroma: Pixels) -> Reals:
    """Return mean and deviation of the chroma in ranges of grey: what runs over bleaches; -1 where there is none."""
    counts = np.bincount(kept, minlength=256)
    first, second = (np.bincount(kept, np.power(chroma, power, dtype=np.float64), 256) for power in (1, 2))
    number, total, squares = (np.add.reduceat(part, _CHROMA_BINS) for part in (counts, first, second))
    mean = total / np.maximum(number, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean * mean, 0))
    return np.where(number > _ENOUGH, np.stack([mean, deviation]), -1.0).ravel()


def _channels(rgb: Pixels, rest: Marks, count: int) -> Reals:
    """Return the shares of the rest with one and two channels run over, with each of these, and with black ones."""
    planes = cv2.split(rgb)
    over, under = ([plane >= _CLIPPED for plane in planes], [plane <= _BLACK for plane in planes])
    number, drowned = (sum((mark.view(np.uint8) for mark in marks), np.uint8(0)) for marks in (over, under))
    each = np.sort([np.count_nonzero(mark & rest) for mark in over])
    sums = [*(np.count_nonzero((number == most) & rest) for most in (1, 2)), *each]
    sums += [np.count_nonzero((drowned >= least) & rest) for least in (1, 3)]
    return np.asarray(np.log2(np.array(sums) / count + _FEW), np.float64)


def _texture(grey: Pixels, inside: Marks) -> Reals:
    """Return the share of the picture away from white, and how rough it is there."""
    rough = cast(Pixels, cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S)))
    levels = _quantiles(_histogram(rough, inside)[None], 0)[0]
    return np.asarray(np.log2(np.concatenate([[inside.mean() + _RARE], levels + 1])), np.float64)


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
