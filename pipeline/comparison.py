"""What differs between two pictures that lie over each other, window by window.

A copy loses detail, gains noise and changes tone as a whole; where both pictures still show structure, it
is the same structure. So three things are forgiven because they are measured on the whole picture first:
the tone curve, the loss of sharpness, and the residual that noise and misplacement by a fraction of a
pixel leave. Two things are not: windows in *conflict* (both textured, and the textures do not go
together: something moved or was replaced) and windows that *stand out* (a residual far beyond what the
rest of the picture explains: something was added or taken away).
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix

CELL_PIXELS = 4  # of a preview; windows are counted at every cell
WINDOW_CELLS = 4  # a window is 16 pixels wide
MAX_MISPLACEMENT = 0.075  # squared half-pixels: a shift that the alignment cannot be blamed for stands out
Box = tuple[float, float, float, float]
Scalar = TypeVar("Scalar", np.uint8, np.float32)
Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two aligned pictures, measured. Windows overlap: one odd spot of a cell shows in 16 of them."""

    windows: int  # that lie wholly in the overlap
    textured: float  # share of the windows
    agreement: float  # share of the textured windows that correlate
    conflict: float  # share of the windows
    odd_windows: int  # the largest group of touching windows that conflict or stand out
    odd_box: Box | None  # x0, y0, x1, y1 of that group, in pixels of the target
    detail: float  # share of the fine detail of the poorer picture that the other has too
    residual: float  # typical share of a window's variance that stays unexplained


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Second moments of all windows of a pair: [rows, columns] each, grey levels squared."""

    source: Float
    target: Float
    common: Float
    slope: Float  # mean squared gradient
    level: Float  # mean of the target, grey levels

    @property
    def residual(self) -> Float:
        return np.asarray(self.source + self.target - 2 * self.common)


def mix_colours(
    source: Grey, chroma: NDArray[np.uint8], target: Grey, target_chroma: NDArray[np.uint8], onto: Matrix
) -> tuple[Grey, Grey, bool]:
    """Add colour to the grey of the more colourful picture, as much as makes it most like the other's grey.

    Saturation, white balance, hue and the way to grey change the grey of a recoloured picture by colour. Chroma is
    [h // 2, w // 2, 2]; `onto` maps pixels of the source to the target. Returns both greys, and whether colours
    or tones changed as a whole.
    """
    high, wide = target_chroma.shape[0] // 2, target_chroma.shape[1] // 2
    if min(high, wide, *chroma.shape[:2]) < 4:
        return source, target, False
    cell = np.diag([wide / target.shape[1], high / target.shape[0], 1.0]) @ onto
    of_half = np.diag([source.shape[1] / chroma.shape[1], source.shape[0] / chroma.shape[0], 1.0])
    halved = cv2.resize(source, (chroma.shape[1], chroma.shape[0]), interpolation=cv2.INTER_AREA)
    shrink = min(float(np.sqrt(abs(np.linalg.det((cell @ of_half)[:2, :2])))), 0.9)
    whole = cv2.GaussianBlur(cv2.merge([halved, chroma]), (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1))
    drawn = cv2.warpPerspective(whole, cell @ of_half, (wide, high))
    greys = cv2.resize(target, (wide, high), interpolation=cv2.INTER_AREA)
    colours = cv2.resize(target_chroma, (wide, high), interpolation=cv2.INTER_AREA)
    reached = drawn[..., 1] > 0  # no colour has a Cr of 0, so that stands for outside
    if reached.sum() < 64:
        return source, target, False
    ours = drawn[reached].astype(np.float64) - [0, 128, 128]
    theirs = np.column_stack([greys[reached], colours[reached].astype(np.float64) - 128])
    off = np.median(np.abs(ours - theirs), axis=0)
    if off[0] < 8 and off[1:].max() < 5:
        return source, target, False
    if np.var(ours[:, 1:], axis=0).sum() >= np.var(theirs[:, 1:], axis=0).sum():
        return _mixed(source, chroma, ours, theirs[:, 0]), target, True
    return source, _mixed(target, target_chroma, theirs, ours[:, 0]), True


def _mixed(grey: Grey, chroma: NDArray[np.uint8], seen: Matrix, wanted: Matrix) -> Grey:
    """Predict `wanted` [n] from `seen` [n, 3] (grey, Cr, Cb) and apply that to a grey, where colour helps much."""
    fit, error = _fit(_terms(*seen[::2].T), wanted[::2])
    if error > 0.75 * _fit(_terms(*seen[::2].T)[:, :3], wanted[::2])[1]:
        return grey
    high, wide = chroma.shape[:2]
    halved = cv2.resize(grey, (wide, high), interpolation=cv2.INTER_AREA).ravel().astype(np.float32)
    colours = chroma.reshape(-1, 2).astype(np.float32) - 128
    terms = _terms(halved, colours[:, 0], colours[:, 1])[:, 3:] @ fit[3:].astype(np.float32)
    by_colour = cv2.resize(terms.reshape(high, wide), (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    by_grey = (_terms(*np.array([np.arange(256), np.zeros(256), np.zeros(256)])) @ fit).astype(np.float32)
    return np.asarray(np.clip(np.rint(by_grey[grey] + by_colour), 0, 255), np.uint8)


def _terms(grey: NDArray[Real], red: NDArray[Real], blue: NDArray[Real]) -> NDArray[Real]:
    """All products of grey, Cr and Cb up to the second degree, those of grey alone first: [n, 10]."""
    y, r, b = grey / 128, red / 128, blue / 128
    return np.stack([np.ones_like(y), y, y * y, r, b, y * r, y * b, r * r, r * b, b * b], axis=1)


def _fit(design: Matrix, wanted: Matrix) -> tuple[Matrix, float]:
    """Fit weights of the columns robustly; return them with the median error."""
    weight = np.ones(len(wanted))
    for _ in range(2):
        weighted = design * weight[:, None]
        fit = np.linalg.solve(weighted.T @ design + 1e-3 * np.eye(design.shape[1]), weighted.T @ wanted)
        error = np.abs(design @ fit - wanted)
        typical = float(np.median(error))
        weight = 1 / (1 + (error / (1.5 * typical + 1)) ** 2)
    return np.asarray(fit), typical


def warp(source: Grey, shape: tuple[int, ...], onto: Matrix, shrink: float, tilted: bool) -> tuple[Grey, Grey]:
    """Draw the finer picture in the coarser one's frame; the mask is 1 where it really lies.

    `onto` maps pixels of the source to the frame of `shape`; `shrink` <= 1 is its scale, for the blur that
    resampling needs. In a `tilted` picture the frame's own edge may be where fill began before: it does not count.
    """
    size = (shape[1], shape[0])
    if shrink < 0.75:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1)), np.uint8)
    drawn = cv2.warpPerspective(source, onto, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.ones_like(source), onto, size, flags=cv2.INTER_NEAREST)
    inside = cv2.erode(mask, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=int(not tilted))
    return np.asarray(drawn, np.uint8), np.asarray(inside, np.uint8)


def compare(
    source: Grey, target: Grey, inside: Grey, min_texture: float, min_correlation: float, max_outlier: float
) -> Comparison:
    """Compare two aligned grey pictures [h, w] uint8 where `inside` is 1.

    `min_texture` is the deviation, in grey levels, that makes a window textured.
    """
    cells = (max(target.shape[1] // CELL_PIXELS, 1), max(target.shape[0] // CELL_PIXELS, 1))
    whole = _shrunk(inside.astype(np.float32), cells) > 0.999
    kernel = np.ones((WINDOW_CELLS, WINDOW_CELLS), np.uint8)
    valid = cv2.erode(whole.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if whole.sum() < 3 * WINDOW_CELLS**2 or not valid.any():
        return Comparison(0, 0.0, 0.0, 0.0, 0, None, 0.0, 1.0)
    tone = _tone_curve(_shrunk(source, cells)[whole], _shrunk(target, cells)[whole])
    half = (cells[0] * 2, cells[1] * 2)  # what is finer is noise and compression
    s, t = _shrunk(tone[source], half), _shrunk(target.astype(np.float32), half)
    detail = _shared_detail(s, t, valid)
    seen = _match_sharpness(_blurred(s, 0.4), _blurred(t, 0.4), cells, valid)
    weaker, stronger = np.minimum(seen.source, seen.target), np.maximum(seen.source, seen.target)
    textured = valid & (stronger > min_texture**2)
    agreeing = seen.common > min_correlation * np.sqrt(weaker * stronger)
    conflict = valid & (weaker > min_texture**2) & (seen.common < 0.5 * weaker)
    beyond = seen.residual > max_outlier * _expected_residual(seen, valid)
    # Where a picture is burnt out or black, a change of tone took texture; what was added shows at its rim.
    clipped = (seen.level > 248) | (seen.level < 7)
    standing_out = valid & beyond & ~clipped & (seen.residual > 16) & (seen.common < 0.8 * stronger)
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


def _shrunk(picture: NDArray[Scalar], size: tuple[int, int]) -> NDArray[Scalar]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)


def _blurred(picture: Float, sigma: float) -> Float:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def _tone_curve(source: Grey, target: Grey) -> Float:
    """Map the source's grey levels onto what the target mostly shows in their place: a table [256]."""
    counts = np.bincount((source >> 3).astype(np.intp) * 256 + target, minlength=32 * 256).reshape(32, 256)
    below = counts.cumsum(axis=1)
    total = below[:, -1]
    medians = (2 * below >= total[:, None]).argmax(axis=1)
    known = np.flatnonzero(total >= min(8, total.max()))
    weight = total[known].astype(np.float64)
    levels = np.bincount(source >> 3, weights=source, minlength=32)[known] / weight
    shift = np.convolve(np.pad(weight * (medians[known] - levels), 1), [1, 2, 1], "valid")
    shift /= np.convolve(np.pad(weight, 1), [1, 2, 1], "valid")
    everywhere = np.arange(256)
    return np.clip(everywhere + np.interp(everywhere, levels, shift), 0, 255).astype(np.float32)


def _windows(s: Float, t: Float, cells: tuple[int, int]) -> _Windows:
    def mean(values: Float) -> Float:
        small = _shrunk(values, cells)
        return np.asarray(cv2.blur(small, (WINDOW_CELLS, WINDOW_CELLS), borderType=cv2.BORDER_REFLECT))

    both = s + t
    across = cv2.Sobel(both, cv2.CV_32F, 1, 0, scale=1 / 16)
    down = cv2.Sobel(both, cv2.CV_32F, 0, 1, scale=1 / 16)
    mean_s, mean_t = mean(s), mean(t)
    return _Windows(
        np.maximum(mean(s * s) - mean_s * mean_s, 0),
        np.maximum(mean(t * t) - mean_t * mean_t, 0),
        mean(s * t) - mean_s * mean_t,
        mean(across * across + down * down),
        mean_t,
    )


def _match_sharpness(s: Float, t: Float, cells: tuple[int, int], valid: NDArray[np.bool_]) -> _Windows:
    """Blur the sharper picture as far as that makes them more alike: lost detail is no local difference."""
    best = _windows(s, t, cells)
    sharper = float(np.median((best.source[valid] + 1) / (best.target[valid] + 1)))
    if 1 / 1.15 < sharper < 1.15:
        return best
    least = _typical(best, valid)
    for sigma in (0.4, 0.65, 1.0, 1.5, 2.3):
        blurred = _blurred(s if sharper > 1 else t, sigma)
        tried = _windows(blurred, t, cells) if sharper > 1 else _windows(s, blurred, cells)
        typical = _typical(tried, valid)
        if typical >= least:
            break
        best, least = tried, typical
    return best


def _typical(seen: _Windows, valid: NDArray[np.bool_]) -> float:
    return float(np.median((seen.residual / (seen.source + seen.target + 1))[valid]))


def _expected_residual(seen: _Windows, valid: NDArray[np.bool_]) -> Float:
    """What noise (everywhere) and misplacement (at gradients, by half a pixel at most) leave in a window."""
    left, slope = seen.residual[valid], seen.slope[valid]
    calm = slope <= np.median(slope)
    noise = float(np.quantile(left[calm], 0.75)) + 0.25
    ratio = np.maximum(left[~calm] - noise, 0) / (slope[~calm] + 1e-3)
    misplaced = min(float(np.quantile(ratio, 0.75)), MAX_MISPLACEMENT) if ratio.size else 0.0
    return np.asarray(noise + misplaced * seen.slope)


def _largest_group(odd: NDArray[np.bool_]) -> tuple[int, Box | None]:
    number, _, boxes, _ = cv2.connectedComponentsWithStats(odd.astype(np.uint8), connectivity=8)
    if number < 2:
        return 0, None
    left, top, wide, high, area = (int(x) for x in boxes[1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())])
    # The window at a cell reaches two cells back and one on; its middle half is where the difference lies.
    x0, y0 = (left - 1) * CELL_PIXELS, (top - 1) * CELL_PIXELS
    return area, (x0, y0, x0 + (wide + 1) * CELL_PIXELS, y0 + (high + 1) * CELL_PIXELS)


def _shared_detail(s: Float, t: Float, valid: NDArray[np.bool_]) -> float:
    """Tell how much of the fine detail of the picture that has less of it is found in the other.

    Compression, blur and noise take detail away or add some in one of the two; what is left is the other's.
    Two exposures, or two pieces of the same carpet, each have detail of their own.
    """
    kept = cv2.resize(valid.astype(np.float32), (s.shape[1], s.shape[0]), interpolation=cv2.INTER_NEAREST)
    fine_s = (s - _blurred(s, 1.0)) * kept
    fine_t = (t - _blurred(t, 1.0)) * kept
    least = min(float((fine_s * fine_s).sum()), float((fine_t * fine_t).sum()))
    return float((fine_s * fine_t).sum()) / (least + 1e-3)
