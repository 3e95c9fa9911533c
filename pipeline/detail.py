"""Effective resolution: what enlarging cannot add to a picture.

A camera's spectrum falls with frequency by a steady power; an enlarged or blurred picture follows it up to the
resolution it really has and then drops off a cliff. The cliff is looked for on the most textured tiles at native
size, in bands of a quarter octave, from coarse to fine: noise and JPEG blocks behind the cliff do not count.
Most pictures have none, and then the figure is the number of pixels.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels

Floats = NDArray[np.float64]

MIN_SIDE = 64  # pixels: pictures with a shorter side are taken at their word
_TILE = 128  # pixels
_TILES = 9
_GRID = 6  # tiles are chosen from at most 6 by 6 places
_BLOCK = 8  # pixels: tiles begin where JPEG blocks do, for those who look at blocks
_BANDS = 12
_EDGES = 2.0 ** (-np.arange(_BANDS + 9) / 4)  # upper edges of the bands, shares of the Nyquist frequency
CENTRES = np.sqrt(_EDGES[:-1] * _EDGES[1:])  # of the bands of a spectrum, finest first
WHITENING = _EDGES[:-1] ** 2.5  # power law of natural pictures
_CLIFF = 0.05  # whitened energy below this share of the coarser bands: 2 % of camera originals, 90 % of enlarged
_PENALTY = 4.0  # interpolation leaks past the cliff: a picture enlarged twice measures 0.55 instead of 0.5
_STEP = 0.05  # of the logarithm: smaller differences are noise


def measure_detail(rgb: Pixels) -> float:
    """Return the effective resolution of an oriented picture, uint8 [h, w, 3], in megapixels.

    Costs the same for any size. Pictures with a side below 64 pixels are taken at their word.
    """
    large = min(rgb.shape[:2]) >= MIN_SIDE
    return detail_of(band_energy(textured_tiles(rgb)) if large else None, rgb.shape)


def detail_of(energy: Floats | None, shape: tuple[int, ...]) -> float:
    """Return the effective resolution in megapixels by spectrum, None for a picture too small to have one."""
    scale = 1.0 if energy is None else _resolved_scale(energy)
    logarithm = np.log(shape[0] * shape[1] / 1e6 * scale**_PENALTY)
    return float(np.exp(np.round(logarithm / _STEP) * _STEP))


def _resolved_scale(energy: Floats) -> float:
    """Return the share of the Nyquist frequency up to which the picture follows the power law."""
    coarser = np.array([energy[band + 2 : band + 9].max() for band in range(_BANDS)])
    ratio = np.maximum(energy[:_BANDS], 1e-9) / np.maximum(coarser, 1e-6)
    band = _BANDS - 1
    while band > 0 and ratio[band] >= _CLIFF and ratio[band - 1] >= _CLIFF:
        band -= 1
    if band == 0 or ratio[band] < _CLIFF:
        return 1.0 if band == 0 else float(CENTRES[band])
    part = np.log(ratio[band] / _CLIFF) / np.log(ratio[band] / ratio[band - 1])
    return float(CENTRES[band] * (CENTRES[band - 1] / CENTRES[band]) ** part)


def textured_tiles(rgb: Pixels) -> Pixels:
    """Return the most textured tiles at native size, grey uint8 [n, side, side]; the shorter side is at least 8."""
    height, width = rgb.shape[:2]
    side = min(_TILE, height // _BLOCK * _BLOCK, width // _BLOCK * _BLOCK)
    rows, columns = (_starts(length, side) for length in (height, width))
    tiles = [
        np.asarray(cv2.cvtColor(rgb[y : y + side, x : x + side], cv2.COLOR_RGB2GRAY), np.uint8)
        for y in rows
        for x in columns
    ]
    tiles.sort(key=lambda tile: -float(cv2.meanStdDev(tile)[1][0, 0]))
    return np.stack(tiles[:_TILES])


def _starts(length: int, side: int) -> list[int]:
    count = min(_GRID, length // side)
    spread = (length - side) // max(count - 1, 1)
    return [place * spread // _BLOCK * _BLOCK for place in range(count)]


def band_energy(tiles: Pixels) -> Floats:
    """Return the whitened mean energy of each band, finest first, over all tiles: float64 [20]."""
    window, masks, counts = _bands(tiles.shape[1])
    energy = np.zeros(window.shape, np.float32)
    for tile in tiles:
        coefficients = cv2.dct(np.multiply(tile, window) - window * np.float32(cv2.mean(tile)[0]))
        cv2.accumulateSquare(coefficients, energy)
    sums = np.bincount(masks, energy.ravel(), len(CENTRES) + 1)[:-1]
    return np.asarray(sums / counts * WHITENING / (len(tiles) / _TILES), np.float64)


@cache
def _bands(side: int) -> tuple[NDArray[np.float32], NDArray[np.intp], Floats]:
    """Return the window of a tile, the number of each DCT coefficient's band, and how many each band has."""
    places = (np.arange(side) + 0.5) / side
    window = np.outer(np.sin(np.pi * places), np.sin(np.pi * places)).astype(np.float32)
    frequency = np.maximum(places[:, None], places[None, :])
    masks = np.clip((-4 * np.log2(frequency)).astype(np.intp), 0, len(CENTRES)).ravel()
    counts = np.bincount(masks, minlength=len(CENTRES) + 1)[:-1]
    return window, masks, np.maximum(counts, 1).astype(np.float64)
