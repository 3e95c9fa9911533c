"""Corners of a preview and their descriptions.

Corners come from ORB's multi-scale FAST detector (Rublee 2011); each is described by the gradients around it, pooled
as in SIFT (Lowe 2004) but on 12 x 12 samples of the turned patch, which numpy does for all corners at once. A mirrored
patch is a permutation of its description, so mirrored pictures cost one more product of matrices and no more corners.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]

MAX_POINTS = 400
MIN_SIDE = 32  # pixels: a corner needs its surroundings
LEVELS = 7
LEVEL_RATIO = 1.26
PATCH_PIXELS = 25
FAST_LEVELS = (20, 7)  # grey levels by which a corner stands out
CHUNK = 128  # patches described at once: what they take fits into a cache
BLUR_SAMPLES = 7
SAMPLES = 12
SAMPLE_STEP = 2.6  # pixels of a level between two samples: the patch spans 31 pixels
BINS = 4
DIRECTIONS = 8


@dataclass(frozen=True, eq=False)
class Points:
    """Corners of one preview: places [n, 2], scales [n], angles [n] in radians, descriptions [n, 128]."""

    places: Float
    scales: Float
    angles: Float
    descriptions: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def parts(self) -> tuple[Float, Float]:
        """Split descriptions, brought to length 1, into what a mirror keeps and what it negates: [n, 64] each."""
        described = self.descriptions.astype(np.float32)
        described *= (1 / (np.sqrt(np.einsum("ij,ij->i", described, described)) + 1e-6))[:, None]
        first, second = described[:, _PAIRS[0]], described[:, _PAIRS[1]]
        return (first + second) * _ROOT_HALF, (first - second) * _ROOT_HALF


def _pooling() -> Float:
    """Weights [16, 144] that pool samples into 4 x 4 soft cells, under a Gaussian over the patch."""
    line = (np.arange(SAMPLES) + 0.5) / SAMPLES * BINS - 0.5
    soft = np.maximum(1 - np.abs(line[:, None] - np.arange(BINS)[None]), 0)
    radius = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1
    soft *= np.exp(-(radius**2))[:, None]
    cells = soft[:, None, :, None] * soft[None, :, None, :]
    return np.ascontiguousarray(cells.reshape(SAMPLES * SAMPLES, BINS * BINS).T, np.float32)


def _mirroring() -> NDArray[np.intp]:
    """The order in which a description reads when its patch is mirrored across the patch's own direction."""
    order = np.arange(BINS * BINS * DIRECTIONS).reshape(DIRECTIONS, BINS, BINS)
    return order[(-np.arange(DIRECTIONS)) % DIRECTIONS][:, ::-1, :].reshape(-1)


_POOLING = _pooling()
_MIRRORING = _mirroring()
_PAIRS = np.stack([np.arange(_MIRRORING.size), _MIRRORING])[:, np.arange(_MIRRORING.size) < _MIRRORING]
_ROOT_HALF = np.float32(np.sqrt(0.5))
_OFFSETS = ((np.arange(SAMPLES) - (SAMPLES - 1) / 2) * SAMPLE_STEP).astype(np.float32)
_ACROSS, _DOWN = np.tile(_OFFSETS, SAMPLES), np.repeat(_OFFSETS, SAMPLES)
_ONES = np.ones_like(_ACROSS)
_TO_X, _TO_Y = np.stack([_ACROSS, -_DOWN, _ONES], axis=1), np.stack([_DOWN, _ACROSS, _ONES], axis=1)


def find_points(grey: Grey) -> Points:
    """Find and describe at most 400 corners of a grey preview [h, w] uint8."""
    found = _detect(grey) if min(grey.shape) >= MIN_SIDE else ()
    if not found:
        none = np.zeros(0, np.float32)
        return Points(np.zeros((0, 2), np.float32), none, none, np.zeros((0, _MIRRORING.size), np.uint8))
    raw = np.empty((len(found), 4), np.float32)
    raw[:, :2] = cv2.KeyPoint.convert(found)
    raw[:, 2] = [each.angle for each in found]
    raw[:, 3] = [each.octave for each in found]
    raw = raw[np.lexsort((raw[:, 1], raw[:, 0], raw[:, 3]))]
    angles = np.asarray(np.deg2rad(raw[:, 2]), np.float32)
    scales = np.asarray(LEVEL_RATIO ** raw[:, 3], np.float32)
    # ORB scales the corners of pixels, not their centres.
    places = np.asarray(raw[:, :2] + (scales[:, None] - 1) / 2, np.float32)
    patches = _patches(grey, places, angles, raw[:, 3].astype(np.intp))
    parts = range(0, len(places), CHUNK)
    described = np.concatenate([_describe(patches[:, start : start + CHUNK]) for start in parts])
    return Points(places, scales, angles, described)


def _detect(grey: Grey) -> Sequence[cv2.KeyPoint]:
    """Find corners: the plain ones first, which are enough in most pictures, and faint ones where they are not."""
    found: Sequence[cv2.KeyPoint] = ()
    for contrast in FAST_LEVELS:
        orb = cv2.ORB.create(
            MAX_POINTS, LEVEL_RATIO, LEVELS, edgeThreshold=14, patchSize=PATCH_PIXELS, fastThreshold=contrast
        )
        found = orb.detect(grey, None)
        if len(found) >= MAX_POINTS:
            break
    return found


def _patches(grey: Grey, places: Float, angles: Float, octaves: NDArray[np.intp]) -> Grey:
    """Sample the turned patches [144, n] around corners, each on the level of its scale."""
    sheet, tops, shapes = _levels(grey, int(octaves.max()) + 1)
    high, wide = shapes[octaves].T.astype(np.float32)
    whole = np.float32(grey.shape[1]), np.float32(grey.shape[0])
    turns = np.stack([np.cos(angles), np.sin(angles), np.empty_like(angles)])
    turns[2] = (places[:, 0] + np.float32(0.5)) * (wide / whole[0]) - np.float32(0.5)
    x = _TO_X @ turns
    turns[2] = (places[:, 1] + np.float32(0.5)) * (high / whole[1]) - np.float32(0.5)
    y = _TO_Y @ turns
    np.clip(x, 0, wide - 1, out=x)
    np.clip(y, 0, high - 1, out=y)
    y += tops[octaves].astype(np.float32)
    return np.asarray(cv2.remap(sheet, x, y, cv2.INTER_LINEAR), np.uint8)


def _levels(grey: Grey, count: int) -> tuple[Grey, NDArray[np.intp], NDArray[np.intp]]:
    """Draw a picture at so many scales below each other, blurred: the sheet, where each begins, and shapes [n, 2]."""
    shapes = np.array(
        [[max(round(side / LEVEL_RATIO**level), 8) for side in grey.shape] for level in range(count)], np.intp
    )
    tops = np.concatenate([[0], np.cumsum(shapes[:, 0])])
    sheet = np.empty((int(tops[-1]), grey.shape[1]), np.uint8)
    level = grey
    for top, (high, wide) in zip(tops.tolist(), shapes.tolist(), strict=False):
        level = np.asarray(cv2.resize(level, (wide, high), interpolation=cv2.INTER_LINEAR), np.uint8) if top else grey
        sheet[top : top + high, :wide] = cv2.GaussianBlur(level, (BLUR_SAMPLES, BLUR_SAMPLES), 1.2)
    return sheet, tops[:-1], shapes


def _describe(patches: Grey) -> NDArray[np.uint8]:
    """Pool gradients of patches [144, n] into square-rooted descriptions [n, 128] (Arandjelovic 2012).

    A gradient counts with its strength times the squared cosine of its angle to each of eight directions, where that
    cosine is positive. Opposite directions add up to the square in full, and neighbouring axes follow from the double
    angle: seven pooled maps tell all eight. Samples come first and patches last, so that numpy runs along patches.
    """
    count = patches.shape[1]
    levels = patches.reshape(SAMPLES, SAMPLES, count).astype(np.float32)
    across, down = np.empty_like(levels), np.empty_like(levels)
    np.subtract(levels[:, 2:], levels[:, :-2], out=across[:, 1:-1])
    np.subtract(levels[:, 1::10], levels[:, :-1:10], out=across[:, ::11])  # the first and the last column
    np.subtract(levels[2:], levels[:-2], out=down[1:-1])
    np.subtract(levels[1::10], levels[:-1:10], out=down[::11])
    maps = np.empty((7, SAMPLES, SAMPLES, count), np.float32)
    xx, yy, xy = maps[4:]
    np.multiply(across, across, out=xx)
    np.multiply(down, down, out=yy)
    weakened = np.reciprocal(np.sqrt(xx + yy + np.float32(1e-6)))
    xx *= weakened
    yy *= weakened
    np.multiply(across * down, weakened, out=xy)
    mean = (xx + yy) * np.float32(0.5)
    np.multiply(xx, across > 0, out=maps[0])
    np.multiply(mean + xy, across + down > 0, out=maps[1])
    np.multiply(yy, down > 0, out=maps[2])
    np.multiply(mean - xy, down > across, out=maps[3])
    pooled = np.matmul(_POOLING, maps.reshape(7, SAMPLES * SAMPLES, count))
    mean = (pooled[4] + pooled[5]) * np.float32(0.5)
    whole = np.stack([pooled[4], mean + pooled[6], pooled[5], mean - pooled[6]])
    described = np.maximum(np.concatenate([pooled[:4], whole - pooled[:4]]), 0).reshape(-1, count)
    described /= np.sqrt((described * described).sum(axis=0)) + np.float32(1e-6)
    described = np.minimum(described, np.float32(0.25))
    described = np.sqrt(described / (described.sum(axis=0) + np.float32(1e-6)))
    return np.asarray(np.minimum(np.rint(described * 512), 255).T, np.uint8)
