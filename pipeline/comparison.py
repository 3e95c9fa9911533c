"""What differs between two pictures that lie over each other, window by window.

A copy loses detail, gains noise and changes tone as a whole; where both pictures still show structure, it is the same
structure. So three things are forgiven because they are measured on the whole picture first: the tone curve, the loss of
sharpness, and the residual that noise and misplacement by a fraction of a pixel leave. Two things are not: windows
in *conflict* (both textured, and the textures do not go together: something moved or was replaced) and windows that *stand
out* (a residual far beyond what the rest of the picture explains: something was added or taken away).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix

CELL_PIXELS = 4  # of a preview; windows are counted at every cell
WINDOW_CELLS = 4  # a window is 16 pixels wide
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two aligned pictures, measured. Windows overlap: one odd spot of a cell shows in 16 of them."""

    windows: int  # that lie wholly in the overlap
    textured: float  # share of the windows
    agreement: float  # share of the textured windows that correlate
    conflict: float  # share of the windows
    odd_windows: int  # the largest group of touching windows that conflict or stand out
    odd_box: Box | None  # x0, y0, x1, y1 of that group, in pixels of the target
    detail: float  # correlation of fine detail over the whole overlap
    residual: float  # typical share of a window's variance that stays unexplained


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Second moments of all windows of a pair: [rows, columns] each, grey levels squared."""

    source: Float
    target: Float
    common: Float
    slope: Float  # mean squared gradient

    @property
    def residual(self) -> Float:
        return np.asarray(self.source + self.target - 2 * self.common)


def warp(source: Grey, shape: tuple[int, ...], onto: Matrix, shrink: float) -> tuple[Grey, Grey]:
    """Draw the finer picture in the coarser one's frame; the mask is 1 where it really lies.

    `onto` maps pixels of the source to the frame of `shape`; `shrink` <= 1 is its scale, for the blur that resampling needs.
    """
    size = (shape[1], shape[0])
    if shrink < 0.75:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1)), np.uint8)
    drawn = cv2.warpPerspective(source, onto, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.ones_like(source), onto, size, flags=cv2.INTER_NEAREST)
    inside = cv2.erode(mask, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(drawn, np.uint8), np.asarray(inside, np.uint8)


def compare(
    source: Grey, target: Grey, inside: Grey, min_texture: float, min_correlation: float, max_outlier: float
) -> Comparison:
    """Compare two aligned grey pictures [h, w] uint8 where `inside` is 1.

    `min_texture` is the deviation, in grey levels, that makes a window textured.
    """
    cells = (max(target.shape[1] // CELL_PIXELS, 1), max(target.shape[0] // CELL_PIXELS, 1))
    whole = _shrunk(inside.astype(np.float32), cells) > 0.999
    if whole.sum() < 3 * WINDOW_CELLS**2:
        return Comparison(0, 0.0, 0.0, 0.0, 0, None, 0.0, 1.0)
    kernel = np.ones((WINDOW_CELLS, WINDOW_CELLS), np.uint8)
    valid = cv2.erode(whole.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if not valid.any():
        return Comparison(0, 0.0, 0.0, 0.0, 0, None, 0.0, 1.0)
    tone = _tone_curve(_shrunk(source, cells)[whole], _shrunk(target, cells)[whole])
    half = (cells[0] * 2, cells[1] * 2)  # what is finer is noise and compression
    s, t = _shrunk(tone[source], half), _shrunk(target.astype(np.float32), half)
    detail = _detail_correlation(s, t, valid)
    seen = _match_sharpness(cv2.GaussianBlur(s, (0, 0), 0.4), cv2.GaussianBlur(t, (0, 0), 0.4), cells, valid)
    weaker, stronger = np.minimum(seen.source, seen.target), np.maximum(seen.source, seen.target)
    textured = valid & (stronger > min_texture**2)
    agreeing = seen.common > min_correlation * np.sqrt(weaker * stronger)
    conflict = valid & (weaker > min_texture**2) & (seen.common < 0.5 * weaker)
    beyond = seen.residual > max_outlier * _expected_residual(seen, valid)
    standing_out = valid & beyond & (seen.residual > 16) & (seen.common < 0.8 * stronger)
    odd, box = _largest_group(conflict | standing_out)
    windows, count = int(valid.sum()), int(textured.sum())
    return Comparison(
        windows,
        count / windows,
        float(agreeing[textured].mean()) if count else 0.0,
        float(conflict.sum()) / windows,
        odd,
        box,
        detail,
        _typical(seen, valid),
    )


def _shrunk(picture: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.generic]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
