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

_TILE = 128  # pixels
_TILES = 9
_GRID = 6  # tiles are chosen from at most 6 by 6 places
_BANDS = 12
_EDGES = 2.0 ** (-np.arange(_BANDS + 9) / 4)  # upper edges of the bands, shares of the Nyquist frequency
_CENTRES = np.sqrt(_EDGES[:-1] * _EDGES[1:])
_WHITENING = 2.5  # power law of natural pictures
_CLIFF = 0.05  # whitened energy below this share of the coarser bands: 2 % of camera originals, 90 % of enlarged
_PENALTY = 4.0  # interpolation leaks past the cliff: a picture enlarged twice measures 0.55 instead of 0.5
_STEP = 0.05  # of the logarithm: smaller differences are noise


def measure_detail(rgb: Pixels) -> float:
    """Return the effective resolution of an oriented picture, uint8 [h, w, 3], in megapixels.

    Costs the same for any size. Pictures with a side below 64 pixels are taken at their word.
    """
    height, width = rgb.shape[:2]
    scale = _resolved_scale(rgb) if min(height, width) >= _TILE // 2 else 1.0
    logarithm = np.log(height * width / 1e6 * scale**_PENALTY)
    return float(np.exp(np.round(logarithm / _STEP) * _STEP))


def _resolved_scale(rgb: Pixels) -> float:
    """Return the share of the Nyquist frequency up to which the picture follows the power law."""
    energy = _band_energy(_textured_tiles(rgb))
    coarser = np.array([energy[band + 2 : band + 9].max() for band in range(_BANDS)])
    ratio = np.maximum(energy[:_BANDS], 1e-9) / np.maximum(coarser, 1e-6)
    band = _BANDS - 1
    while band > 0 and ratio[band] >= _CLIFF and ratio[band - 1] >= _CLIFF:
        band -= 1
    if band == 0 or ratio[band] < _CLIFF:
        return 1.0 if band == 0 else float(_CENTRES[band])
    part = np.log(ratio[band] / _CLIFF) / np.log(ratio[band] / ratio[band - 1])
    return float(_CENTRES[band] * (_CENTRES[band - 1] / _CENTRES[band]) ** part)


def _textured_tiles(rgb: Pixels) -> list[Pixels]:
    height, width = rgb.shape[:2]
    side = min(_TILE, height // 8 * 8, width // 8 * 8)
    rows = np.unique(np.linspace(0, height - side, min(_GRID, height // side)).astype(int))
    columns = np.unique(np.linspace(0, width - side, min(_GRID, width // side)).astype(int))
    tiles = [
        np.asarray(cv2.cvtColor(rgb[y : y + side, x : x + side], cv2.COLOR_RGB2GRAY), np.uint8)
        for y in rows
        for x in columns
    ]
    return sorted(tiles, key=lambda tile: -float(tile[::2, ::2].var()))[:_TILES]


def _band_energy(tiles: list[Pixels]) -> Floats:
    """Return the whitened mean energy of each band, finest first, over all tiles."""
    window, masks = _bands(tiles[0].shape[0])
    energy = np.zeros(window.shape, np.float32)
    for tile in tiles:
        values = tile.astype(np.float32)
        energy += np.square(cv2.dct((values - values.mean()) * window))
    sums = np.bincount(masks.ravel(), energy.ravel(), len(_CENTRES) + 1)[:-1]
    counts = np.bincount(masks.ravel(), minlength=len(_CENTRES) + 1)[:-1]
    return np.asarray(sums / np.maximum(counts, 1) * _EDGES[:-1] ** _WHITENING, np.float64)


@cache
def _bands(side: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the window of a tile and, for each DCT coefficient, the number of its band."""
    places = (np.arange(side) + 0.5) / side
    window = np.outer(np.sin(np.pi * places), np.sin(np.pi * places)).astype(np.float32)
    frequency = np.maximum(places[:, None], places[None, :])
    return window, np.clip((-4 * np.log2(frequency)).astype(np.intp), 0, len(_CENTRES))
