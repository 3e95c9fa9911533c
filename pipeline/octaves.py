"""How much structure a picture has at each scale, where, and along which directions.

Structure of natural pictures fades slowly from octave to octave, by a power of frequency, whether they show a street,
fog or clouds. A blurred picture follows it down to the width of the blur and then falls off a cliff (Field 1987 for the
power law). Where a lens was out of focus the cliff stands in every direction, where the camera moved in one. The energy
of an octave is that of the second derivatives, as a tensor per tile, from which every direction can be read (after
Bigün & Granlund 1987): for a power law steeper than usual it is still the finest structure that counts.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink

Floats = NDArray[np.float32]

FEATURES = 91
_LONG_SIDE = 256  # pixels: a blur that a person sees is wider than a pixel here, and noise has been averaged out
_OCTAVES = 5
_TILE = 16  # pixels of the finest octave
_SMOOTH_SIGMA = 0.8  # pixels
_PAIRS = ((0, 1), (1, 2), (2, 3), (0, 2))  # octaves compared, finer and coarser
_CARRIED_PAIRS = ((0, 1), (1, 2), (0, 2))
_OWN_FLOOR = np.float32(1e-3)
_TOP_TILES = 3  # that many tiles must be sharp: one alone may be a speck
_CALM_SHARE = 0.05  # of the tiles: what even these have is noise
_FAINT_SHARE = 0.03  # of the strongest tiles' energy: fainter ones are background
_FAINT_ALONG = 0.1  # the same among tiles along one direction
_FOCUSED_SHARE = 0.3  # of the best tiles' ratio: a soft background is no smear
_FLOOR = np.float32(0.03)  # (grey per pixel²)²: what 8 bits make by themselves
_DOUBT = (np.float32(0.05), np.float32(0.5))  # (grey per pixel²)², finer and coarser: without structure a tile is sharp
_LEAST_VARIANCE = (np.float32(0.3), np.float32(0.02))  # of the energies and of their roots over the tiles
_RANKS = (0, 2, 4, 6, 7)  # of the directions, the worst first: a curved shake leaves some of them sharper than others
_ANGLES = np.arange(8) * (np.pi / 8)
_ALONG = np.stack([np.cos(_ANGLES) ** 2, np.sin(_ANGLES) ** 2, np.sin(2 * _ANGLES)], 1).astype(np.float32)


def octave_energies(grey: Pixels) -> Floats:
    """Return the curvature tensors (xx, yy, xy) of each octave and tile, finest octave first, float32 [5, 3, tiles].

    `grey` is uint8 [h, w]. It is reduced to 256 pixels; a smaller one stays as it is.
    """
    grey = shrink(grey, _LONG_SIDE)
    height, width = grey.shape
    rows, columns = max(1, height // _TILE), max(1, width // _TILE)
    high, wide = rows * min(height, _TILE), columns * min(width, _TILE)
    top, left = (height - high) // 2, (width - wide) // 2
    picture = grey[top : top + high, left : left + wide].astype(np.float32)
    energies = np.zeros((_OCTAVES, 3, rows, columns), np.float32)
    for octave in range(_OCTAVES):
        smooth = cast(Floats, cv2.GaussianBlur(picture, (5, 5), _SMOOTH_SIGMA))
        for part, plane in enumerate(_curvature(smooth)):
            energies[octave, part] = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
        if min(picture.shape) < 4:
            break
        half = picture.shape[1] // 2, picture.shape[0] // 2
        picture = cast(Floats, cv2.resize(picture, half, interpolation=cv2.INTER_AREA))
    return energies.reshape(_OCTAVES, 3, -1)


def _curvature(smooth: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the products (xx, yy, xy) of the gradient's derivatives, each [h, w]."""
    xx, yy = (cast(Floats, cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=1)) for order in ((2, 0), (0, 2)))
    xy = cast(Floats, cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=1, scale=0.25))
    cross = cv2.multiply(cv2.add(xx, yy), xy)
    mixed = cv2.multiply(xy, xy)
    return (
        cast(Floats, cv2.add(cv2.multiply(xx, xx), mixed)),
        cast(Floats, cv2.add(cv2.multiply(yy, yy), mixed)),
        cast(Floats, cross),
    )


def focus_features(energies: Floats) -> Floats:
    """Describe the fall of energy from octave to octave, float32 [91], in doublings.

    Ten levels (mean, calm tiles, strongest tiles), eight ratios of an octave to a coarser one over the sharpest and the
    typical tile, thirty along directions from the worst to the best, the share of the picture in focus, and how far
    the finer octave goes with the coarser one from tile to tile.
    """
    tiles = energies[:, 0] + energies[:, 1]  # [octaves, tiles]
    top = min(_TOP_TILES, tiles.shape[1])
    strongest = np.partition(tiles, -top, axis=1)[:, -top]
    calm = int(_CALM_SHARE * tiles.shape[1])
    levels = [tiles.mean(1), np.partition(tiles[:2], calm, axis=1)[:, calm], strongest[:3]]
    ratios, focused = _tile_ratios(tiles, strongest, top)
    along = np.maximum(_ALONG @ energies[:4], 0)  # [octaves, directions, tiles]
    mean_along = along[:, :, focused].mean(2) + _DOUBT[0]
    fine, coarse = np.array(_PAIRS).T
    sharpest = [_sharpest_along(along[octave], along[octave + 1], top) + 0.01 for octave in (0, 1)]
    directions = np.concatenate([mean_along[fine] / mean_along[coarse], sharpest])  # [pairs, directions]
    directions.sort(axis=1)
    return np.concatenate([
        np.log2(np.concatenate(levels) + _FLOOR),
        np.log2(ratios),
        np.log2(directions[:, _RANKS]).ravel(),
        [np.log2(focused.mean() + 0.01)],
        _carried(along, _LEAST_VARIANCE[0]),
        _carried(np.sqrt(along), _LEAST_VARIANCE[1]),
    ]).astype(np.float32)  # fmt: skip


def _carried(along: Floats, least: np.float32) -> Floats:
    """Return how much of a finer octave goes with the coarser one over the tiles, and how much goes its own way.

    The slope of a regression tells what a lens or a hand has left of an octave, whatever noise was added: noise lies
    over all tiles alike and goes with nothing. `along` is [octaves, directions, tiles]; the result is float32 [21].
    """
    parts: list[Floats] = []
    centred = along - along.mean(2, keepdims=True)
    power = np.einsum("odt,odt->od", centred, centred) / along.shape[2]
    for fine, coarse in _CARRIED_PAIRS:
        shared = np.einsum("dt,dt->d", centred[fine], centred[coarse]) / along.shape[2]
        slope = (np.maximum(shared, 0) + np.float32(0.1) * least) / (power[coarse] + least)
        own = (power[fine] * power[coarse] + _OWN_FLOOR) / (shared * shared + _OWN_FLOOR)
        parts += [np.sort(slope)[list(_RANKS)], np.sort(own)[[0, -1]]]
    return cast(Floats, np.log2(np.concatenate(parts)))


def _tile_ratios(tiles: Floats, strongest: Floats, top: int) -> tuple[list[float], NDArray[np.bool_]]:
    """Return the ratios of the sharpest and of the median tile for each pair, and which tiles are in focus."""
    ratios: list[float] = []
    focused = np.ones(tiles.shape[1], np.bool_)
    for fine, coarse in _PAIRS:
        seen = tiles[coarse] >= _FAINT_SHARE * strongest[coarse]
        ratio = np.where(seen, (tiles[fine] + _DOUBT[0]) / (tiles[coarse] + _DOUBT[1]), 0)
        ordered, count = np.sort(ratio), int(seen.sum())
        ratios += [float(ordered[-min(top, count)]), float(ordered[-1 - count // 2])]
        if (fine, coarse) == (0, 1):
            focused = ratio >= _FOCUSED_SHARE * ordered[-min(top, count)]
    return ratios, focused


def _sharpest_along(fine: Floats, coarse: Floats, top: int) -> Floats:
    """Return, for each direction, the ratio of the octaves in the sharpest tile: blinds are sharp somewhere else."""
    strongest = np.partition(coarse, -top, axis=1)[:, -top]
    seen = coarse >= np.maximum(_FAINT_SHARE * strongest.max(), _FAINT_ALONG * strongest)[:, None]
    ratio = np.where(seen, (fine + _DOUBT[0]) / (coarse + _DOUBT[1]), 0)
    return cast(Floats, np.partition(ratio, -top, axis=1)[:, -top])
