"""What differs between two pictures that lie over each other, window by window.

A copy loses detail, gains noise and changes tone as a whole; where both pictures still show structure, it
is the same structure at the same place. So what an edit explains is measured on the whole picture first
and forgiven: the tone curve (and in each window a gain and an offset, for vignettes and uneven light), the
loss of sharpness, noise, and the drift that an alignment leaves. Three things are not forgiven:

- windows in *conflict*: both textured, and the textures do not go together;
- windows that *stand out*: far more is left than noise and gradients explain; something was added or taken;
- windows that *moved*: what is left goes with the gradient, as a shift by a fraction of a pixel makes it
  (Lucas and Kanade 1981). An edit of the whole picture moves nothing; between two exposures leaves, people and
  the nearer things move.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.grain import own_grain, shared_detail
from pipeline.tones import match_tones
from pipeline.typical import median, quantile

CELL_PIXELS = 4  # of a preview; windows are counted at every cell
WINDOW_CELLS = 4  # a window is 16 pixels wide
GAIN_PRIOR = 1.0  # grey levels squared: a window with less texture keeps its gain
SHIFT_PRIOR = 0.15  # squared levels per pixel: a window with less gradient keeps its place
SLOPE_SHARE = 0.02  # squared half-pixels by which resampling may misplace an edge
MOVED_PIXELS = 0.4  # half-pixels of the preview that count as a move
MOVED_SHARE = 0.6  # of what is left otherwise: by how much the move must explain the window
APART, APART_RESIDUAL = 0.4, 0.3  # less agreement and more residual than any alignment of the same picture leaves
TOO_FLAT = 0.2  # share of textured windows, below which noise may hide what agrees
MOST = 0.8  # of the windows: at the rim of what is known, a fit runs astray
SPOT = 10.0  # times what changed in all windows but one in twenty, for their texture
SPOT_USUAL, SPOT_TEXTURE = 0.02, 0.02  # the least that counts as usual, squared levels; share of a window's variance
TYPICAL_WINDOWS = 1000  # that are enough to tell what is typical
# Which of the terms 1, u, v, uu, uv, vv each of the eight parameters of a drift goes with, across and down.
_ACROSS, _DOWN = np.zeros((8, 6)), np.zeros((8, 6))
_ACROSS[[0, 1, 2, 6, 7], [0, 1, 2, 3, 4]] = 1
_DOWN[[3, 4, 5, 6, 7], [0, 1, 2, 4, 5]] = 1
Box = tuple[float, float, float, float]
Scalar = TypeVar("Scalar", np.uint8, np.float32)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two aligned pictures, measured. Windows overlap: one odd spot of a cell shows in 16 of them."""

    windows: int  # that lie wholly in the overlap
    textured: float  # share of the windows
    agreement: float  # share of the textured windows that correlate
    conflict: float  # share of the windows
    odd_windows: int  # the largest group of touching windows that conflict or stand out
    odd_box: Box | None  # x0, y0, x1, y1 of the largest group that is odd or moved, in pixels of the target
    spot_windows: int  # the largest group of touching windows that changed, by far, more than the rest
    moved_windows: int  # the largest group of touching windows that moved
    moved_share: float  # of all that is left: how much local moves explain, against the rest
    detail: float  # share of the fine detail of the poorer picture that the other has too
    residual: float  # typical share of a window's variance that stays unexplained
    drift: Matrix  # 3 x 3, from pixels of the target to where the source would fit better
    drift_pixels: float  # how far that moves most windows, at most
    fine: tuple[Float, Float, Grey] | None  # both at half the size, tones made the same, and where they lie

    @property
    def grain(self) -> float:
        """Tell from 0 to 2 how much like the grain of two exposures is what sets the two apart."""
        return own_grain(*self.fine) if self.fine is not None else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Second moments of all windows of a pair: [rows, columns] each, grey levels squared."""

    middle: Float  # of the mean of both pictures
    change: Float  # of their difference
    mixed: Float  # of the two with each other

    @property
    def source(self) -> Float:
        return np.asarray(self.middle + 0.25 * self.change - self.mixed)

    @property
    def target(self) -> Float:
        return np.asarray(self.middle + 0.25 * self.change + self.mixed)

    @property
    def common(self) -> Float:
        return np.asarray(self.middle - 0.25 * self.change)


@dataclass(frozen=True, slots=True, eq=False)
class _Shifts:
    """The shift that best explains each window: half-pixels, information, and what is left without any shift."""

    across: Float
    down: Float
    xx: Float
    xy: Float
    yy: Float
    left: Float  # after gain and shift, grey levels squared

    def energy(self, across: Float, down: Float) -> Float:
        """Tell what a shift that is not made leaves in each window."""
        return np.asarray(self.xx * across * across + 2 * self.xy * across * down + self.yy * down * down)


def warp(source: Grey, shape: tuple[int, ...], onto: Matrix, shrink: float, cut: bool) -> tuple[Grey, Grey]:
    """Draw the finer picture in the coarser one's frame; the mask is 1 where it really lies.

    `onto` maps pixels of the source to the frame of `shape`; `shrink` <= 1 is its scale, for the blur that
    resampling needs. Where one was `cut` from the other, the frame's own edge may be where fill began: it does not
    count.
    """
    size = (shape[1], shape[0])
    if source.shape == shape and np.abs(onto - np.eye(3)).max() < 1e-9:
        return source, np.ones_like(source)
    if shrink < 0.75:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1)), np.uint8)
    drawn = cv2.warpPerspective(source, onto, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.ones_like(source), onto, size, flags=cv2.INTER_NEAREST)
    inside = cv2.erode(mask, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=int(not cut))
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
        return Comparison(0, 0.0, 0.0, 0.0, 0, None, 0, 0, 0.0, 0.0, 1.0, np.eye(3), 0.0, None)
    half = (cells[0] * 2, cells[1] * 2)  # what is finer is noise and compression
    fine_s, fine_t = (_shrunk(picture, half) for picture in match_tones(source, target, cells, whole))
    s, t = _blurred(fine_s, 0.4), _blurred(fine_t, 0.4)
    seen = _windows(s, t, cells)
    apart = _apart(seen, valid, min_texture, min_correlation)
    if apart is not None:
        return apart
    spot, spot_box = _spot(seen, valid)
    detail = shared_detail(fine_s, fine_t, valid)
    seen, s, t = _match_sharpness(s, t, seen, cells, valid)
    shifts = _shifts(s, t, seen, cells)
    drift, smooth, furthest = _drift(shifts, valid, target.shape)
    moved, moved_share = _moved(shifts, smooth, valid)
    slope, noise = shifts.xx + shifts.yy, _noise(shifts.left, shifts.xx + shifts.yy, valid)
    standing_out = valid & (shifts.left > max_outlier * (noise + SLOPE_SHARE * slope)) & (shifts.left > min_texture**2)
    weaker = np.maximum(np.minimum(seen.source, seen.target), 0)
    stronger = np.maximum(seen.source, seen.target)
    textured = valid & (stronger > min_texture**2 + 2 * min(noise, 100.0))
    agreeing = seen.common > min_correlation * np.sqrt(weaker * stronger)
    conflict = valid & (weaker > min_texture**2) & (seen.common < 0.5 * weaker)
    odd, box = _largest_group(conflict | standing_out)
    moves, moved_box = _largest_group(moved)
    agreement = float(agreeing[textured].mean()) if textured.any() else 0.0
    windows, count = int(valid.sum()), int(textured.sum())
    box = max((odd, 2, box), (moves, 1, moved_box), (spot, 0, spot_box))[2]
    return Comparison(
        windows, count / windows, agreement, float(conflict.sum()) / windows, odd, box, spot,
        moves, moved_share, detail, _typical(seen, valid), drift, furthest, (fine_s, fine_t, _shrunk(inside, half)),
    )  # fmt: skip


def _spot(seen: _Windows, valid: Mask) -> tuple[int, Box | None]:
    """Find the largest spot that changed although hardly anything else did: another digit on the same form.

    Nothing is forgiven here, so it tells only of pairs that are otherwise the same.
    """
    texture = np.maximum(seen.source, seen.target)
    changed = seen.change / (1 + np.float32(SPOT_TEXTURE) * texture)
    usual = max(quantile(changed.ravel()[_some(valid)], 0.95), SPOT_USUAL)
    return _largest_group(valid & (changed > SPOT * usual))


def _moved(shifts: _Shifts, smooth: tuple[Float, Float], valid: Mask) -> tuple[Mask, float]:
    """Find the windows that moved against the rest, and what share of all that is left their moves explain."""
    off_x, off_y = shifts.across - smooth[0], shifts.down - smooth[1]
    moving = shifts.energy(off_x, off_y)
    left = np.maximum(shifts.left, np.float32(median(shifts.left.ravel()[_some(valid)]))) + 0.25
    moved = valid & (moving > MOVED_SHARE * left) & (np.hypot(off_x, off_y) > MOVED_PIXELS)
    share = float(moving[valid].sum() / (shifts.left[valid].sum() + 0.25 * valid.sum()))
    return np.asarray(moved), share


def _shrunk(picture: NDArray[Scalar], size: tuple[int, int]) -> NDArray[Scalar]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)


def _blurred(picture: Float, sigma: float) -> Float:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def _mean(values: Float, cells: tuple[int, int]) -> Float:
    kernel = (WINDOW_CELLS, WINDOW_CELLS)
    return np.asarray(cv2.blur(_shrunk(values, cells), kernel, borderType=cv2.BORDER_REFLECT))


def _windows(s: Float, t: Float, cells: tuple[int, int]) -> _Windows:
    middle, change = (s + t) * 0.5, t - s
    mean_m, mean_c = _mean(middle, cells), _mean(change, cells)
    return _Windows(
        np.maximum(_mean(middle * middle, cells) - mean_m * mean_m, 0),
        np.maximum(_mean(change * change, cells) - mean_c * mean_c, 0),
        _mean(middle * change, cells) - mean_m * mean_c,
    )


def _apart(seen: _Windows, valid: Mask, min_texture: float, min_correlation: float) -> Comparison | None:
    """Make short work of two pictures that show little in common; None where they do, or where little is to be seen."""
    weaker, stronger = np.maximum(np.minimum(seen.source, seen.target), 0), np.maximum(seen.source, seen.target)
    textured = valid & (stronger > min_texture**2)
    windows, count = int(valid.sum()), int(textured.sum())
    if count < TOO_FLAT * windows:
        return None
    agreement = float((seen.common > min_correlation * np.sqrt(weaker * stronger))[textured].mean())
    residual = _typical(seen, valid)
    if agreement > APART or residual < APART_RESIDUAL:
        return None
    share = count / windows
    return Comparison(
        windows, share, agreement, share, windows, None, windows, 0, 0.0, 0.0, residual, np.eye(3), np.inf, None
    )


def _match_sharpness(
    s: Float, t: Float, seen: _Windows, cells: tuple[int, int], valid: Mask
) -> tuple[_Windows, Float, Float]:
    """Blur the sharper picture as far as that makes them more alike: lost detail is no local difference."""
    best = seen, s, t
    chosen = _some(valid)
    sharper = median((seen.source.ravel()[chosen] + 1) / (seen.target.ravel()[chosen] + 1))
    if 1 / 1.15 < sharper < 1.15:
        return best
    least = _typical(best[0], valid)
    for sigma in (0.4, 0.65, 1.0, 1.5, 2.3):
        pair = (_blurred(s, sigma), t) if sharper > 1 else (s, _blurred(t, sigma))
        tried = _windows(*pair, cells)
        typical = _typical(tried, valid)
        if typical >= least:
            break
        best, least = (tried, *pair), typical
    return best


def _typical(seen: _Windows, valid: Mask) -> float:
    chosen = _some(valid)
    middle, change = seen.middle.ravel()[chosen], seen.change.ravel()[chosen]
    return median(change / (2 * middle + 0.5 * change + 1))


def _shifts(s: Float, t: Float, seen: _Windows, cells: tuple[int, int]) -> _Shifts:
    """Explain the change in each window by a gain and a shift; both are kept small where little speaks for them."""
    middle, change = (s + t) * 0.5, t - s
    across = np.asarray(cv2.Sobel(middle, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    down = np.asarray(cv2.Sobel(middle, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    mean_m, mean_c = _mean(middle, cells), _mean(change, cells)
    mean_x, mean_y = _mean(across, cells), _mean(down, cells)
    by_gain = np.float32(1) / (seen.middle + np.float32(GAIN_PRIOR))
    gain_x = _mean(middle * across, cells) - mean_m * mean_x
    gain_y = _mean(middle * down, cells) - mean_m * mean_y
    xx = _mean(across * across, cells) - mean_x * mean_x - gain_x * gain_x * by_gain
    yy = _mean(down * down, cells) - mean_y * mean_y - gain_y * gain_y * by_gain
    xy = _mean(across * down, cells) - mean_x * mean_y - gain_x * gain_y * by_gain
    change_x = _mean(across * change, cells) - mean_x * mean_c - gain_x * seen.mixed * by_gain
    change_y = _mean(down * change, cells) - mean_y * mean_c - gain_y * seen.mixed * by_gain
    change_left = seen.change - seen.mixed * seen.mixed * by_gain
    xx, yy = (np.maximum(part, 0) + np.float32(SHIFT_PRIOR) for part in (xx, yy))
    determinant = np.maximum(xx * yy - xy * xy, np.float32(1e-3))
    by_x = (yy * change_x - xy * change_y) / determinant
    by_y = (xx * change_y - xy * change_x) / determinant
    left = np.maximum(change_left - by_x * change_x - by_y * change_y, np.float32(1e-3))
    return _Shifts(by_x, by_y, xx, xy, yy, left)


def _drift(shifts: _Shifts, valid: Mask, shape: tuple[int, ...]) -> tuple[Matrix, tuple[Float, Float], float]:
    """Fit a small change of perspective to the shifts, robustly.

    Returns the transform that makes up for it, what it explains of the shifts, and how far it reaches for most windows
    where there is something to see, in pixels.
    """
    high, wide = valid.shape
    chosen = _some(valid)
    rows, columns = np.divmod(chosen, wide)
    u, v = (2 * columns - wide) / wide, (2 * rows - high) / wide
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    shift = np.stack([shifts.across.ravel()[chosen], shifts.down.ravel()[chosen]]).astype(np.float64)
    trust = np.sqrt(np.minimum(shifts.xx.ravel()[chosen], shifts.yy.ravel()[chosen])).astype(np.float64)
    weight = trust
    for _ in range(3):
        weighted = terms * weight
        products, wanted = weighted @ terms.T, weighted @ shift.T
        normal = _ACROSS @ products @ _ACROSS.T + _DOWN @ products @ _DOWN.T + 1e-3 * len(u) * np.eye(8)
        found = np.linalg.solve(normal, _ACROSS @ wanted[:, 0] + _DOWN @ wanted[:, 1])
        fit_x, fit_y = found @ _ACROSS @ terms, found @ _DOWN @ terms
        off = np.hypot(fit_x - shift[0], fit_y - shift[1])
        weight = trust / (1 + (off / (2 * median(off) + 0.04)) ** 2) ** 2
    known = trust > 1 if (trust > 1).any() else trust > 0
    furthest = 2 * quantile(np.hypot(fit_x, fit_y)[known], MOST)
    across = ((2 * np.arange(wide) - wide) / wide).astype(np.float32)[None, :]
    down = ((2 * np.arange(high) - high) / wide).astype(np.float32)[:, None]
    x0, xu, xv, y0, yu, yv, tilt_u, tilt_v = found.astype(np.float32)
    tilt = tilt_u * across + tilt_v * down
    smooth_x = x0 + xu * across + xv * down + across * tilt
    smooth_y = y0 + yu * across + yv * down + down * tilt
    x0, xu, xv, y0, yu, yv, tilt_u, tilt_v = found / wide  # from half-pixels to the unit of u
    step = np.array([[1 - xu, -xv, -x0], [-yu, 1 - yv, -y0], [tilt_u, tilt_v, 1]])
    middle = np.array([[2 / shape[1], 0, 1 / shape[1] - 1], [0, 2 / shape[1], (1 - shape[0]) / shape[1]], [0, 0, 1]])
    drift = np.linalg.inv(middle) @ step @ middle
    return np.asarray(drift / drift[2, 2]), (smooth_x, smooth_y), furthest


def _noise(left: Float, slope: Float, valid: Mask) -> float:
    """Measure what noise and compression leave in a calm window, grey levels squared."""
    chosen = _some(valid)
    slope, left = slope.ravel()[chosen], left.ravel()[chosen]
    return quantile(left[slope <= median(slope)], 0.75) + 0.25


def _some(valid: Mask) -> NDArray[np.intp]:
    """Choose windows that are enough to tell what is typical: indexes into the flat grid."""
    chosen = np.flatnonzero(valid)
    return np.asarray(chosen[:: max(len(chosen) // TYPICAL_WINDOWS, 1)])


def _largest_group(odd: Mask) -> tuple[int, Box | None]:
    number, _, boxes, _ = cv2.connectedComponentsWithStats(odd.astype(np.uint8), connectivity=8)
    if number < 2:
        return 0, None
    left, top, wide, high, area = (int(x) for x in boxes[1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())])
    # The window at a cell reaches two cells back and one on; its middle half is where the difference lies.
    x0, y0 = (left - 1) * CELL_PIXELS, (top - 1) * CELL_PIXELS
    return area, (x0, y0, x0 + (wide + 1) * CELL_PIXELS, y0 + (high + 1) * CELL_PIXELS)
