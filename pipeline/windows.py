"""Two aligned pictures in windows of 16 pixels of a preview: what they share, what differs, and by what shift.

All is measured at half the size of the previews: what is finer is noise and compression. Windows lie on a grid of
cells, of 4 pixels where windows are counted, of 8 where only a place is sought; every cell has its window.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.typical import median, quantile

WINDOW_HALVES = 8  # half-pixels: the width of a window
GAIN_PRIOR = 1.0  # grey levels squared: a window with less texture keeps its gain
SHIFT_PRIOR = 0.15  # squared levels per pixel: a window with less gradient keeps its place
MOST = 0.8  # of the windows: at the rim of what is known, a fit runs astray
TYPICAL_WINDOWS = 1000  # that are enough to tell what is typical
# Which of the terms 1, u, v, uu, uv, vv each of the eight parameters of a drift goes with, across and down.
_ACROSS, _DOWN = np.zeros((8, 6)), np.zeros((8, 6))
_ACROSS[[0, 1, 2, 6, 7], [0, 1, 2, 3, 4]] = 1
_DOWN[[3, 4, 5, 6, 7], [0, 1, 2, 4, 5]] = 1
_GOES = np.stack([_ACROSS, _DOWN])  # [2, 8, 6]
# From products of the terms [6, 6] to the normal equations [8, 8]; from those with the shifts [2, 6] to the other side.
_NORMAL = np.einsum("kip,kjq->ijpq", _GOES, _GOES).reshape(64, 36)
_WANTED = _GOES.transpose(1, 0, 2).reshape(8, 12)
_PRIOR = 1e-3  # per window, half-pixels to the power of minus two: a drift that nothing speaks for is none
_STIFF = 1e6  # the same, for what may not be
Scalar = TypeVar("Scalar", np.uint8, np.float32)
Mask = NDArray[np.bool_]
Chosen = NDArray[np.intp]  # flat indexes of windows
Cells = tuple[int, int]  # across and down


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Second moments of all windows of a pair: [rows, columns] each, grey levels squared."""

    middle: Float  # of the mean of both pictures
    change: Float  # of their difference
    mixed: Float  # of the two with each other
    levels: tuple[Float, Float]  # mean of both pictures and their difference, as they are
    means: tuple[Float, Float]  # of those, in each window

    @property
    def source(self) -> Float:
        """Give the variance of the source in each window."""
        return np.asarray(self.common + np.float32(0.5) * self.change - self.mixed)

    @property
    def target(self) -> Float:
        """Give the variance of the target in each window."""
        return np.asarray(self.common + np.float32(0.5) * self.change + self.mixed)

    @property
    def common(self) -> Float:
        """Give the covariance of the two in each window."""
        return np.asarray(self.middle - np.float32(0.25) * self.change)

    def typical(self, chosen: Chosen) -> float:
        """Give the typical share of a window's variance that is not common, of the windows with these flat indexes."""
        middle, change = self.middle.ravel()[chosen], self.change.ravel()[chosen]
        return median(change / (2 * middle + 0.5 * change + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
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


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """A small change of perspective that explains the shifts of the windows as far as one can."""

    found: Matrix  # [8] parameters
    furthest: float  # how far it reaches for most windows where there is something to see, in pixels

    def smooth(self, high: int, wide: int) -> tuple[Float, Float]:
        """Give the shifts that it explains on a grid of cells [high, wide], in half-pixels."""
        across = ((2 * np.arange(wide) - wide) / wide).astype(np.float32)[None, :]
        down = ((2 * np.arange(high) - high) / wide).astype(np.float32)[:, None]
        x0, xu, xv, y0, yu, yv, tilt_u, tilt_v = self.found.astype(np.float32)
        tilt = tilt_u * across + tilt_v * down
        return (x0 + xu * across) + xv * down + across * tilt, (y0 + yu * across) + yv * down + down * tilt

    def matrix(self, shape: tuple[int, ...], half_wide: int) -> Matrix:
        """Give the transform [3, 3] that makes up for it, in pixels of a preview of a `shape`.

        `half_wide` is the width of the picture at half its size.
        """
        x0, xu, xv, y0, yu, yv, tilt_u, tilt_v = self.found * (2 / half_wide)  # from half-pixels to the unit of u
        step = np.array([[1 - xu, -xv, -x0], [-yu, 1 - yv, -y0], [tilt_u, tilt_v, 1]])
        unit, high, wide = 2 / shape[1], shape[0], shape[1]
        middle = np.array([[unit, 0, 1 / wide - 1], [0, unit, (1 - high) / wide], [0, 0, 1]])
        back = np.array([[1 / unit, 0, (wide - 1) / 2], [0, 1 / unit, (high - 1) / 2], [0, 0, 1]])
        drift = back @ step @ middle
        return np.asarray(drift / drift[2, 2])


def shrunk(picture: NDArray[Scalar], size: Cells) -> NDArray[Scalar]:
    """Shrink a picture to so many pixels across and down, each the mean of what it covers."""
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)


def blurred(picture: Float, sigma: float) -> Float:
    """Blur a picture by a Gaussian of so many pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def whole_windows(inside: Grey, cells: Cells, side: int) -> tuple[Mask, Mask]:
    """Tell which cells, and which windows of `side` cells, lie wholly inside: [rows, columns] each.

    `inside` is 1 or 0.
    """
    kernel = np.ones((side, side), np.uint8)
    if cv2.countNonZero(inside) == inside.size:
        whole = np.ones((cells[1], cells[0]), np.uint8)
    else:
        whole = (shrunk(inside.astype(np.float32), cells) > np.float32(0.999)).view(np.uint8)
    valid = cv2.erode(whole, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return whole.view(np.bool_), np.asarray(valid, np.uint8).view(np.bool_)


def some(valid: Mask) -> Chosen:
    """Choose windows that are enough to tell what is typical: indexes into the flat grid."""
    chosen = valid.ravel().nonzero()[0]
    return np.asarray(chosen[:: max(len(chosen) // TYPICAL_WINDOWS, 1)])


def mean_of(values: Float, cells: Cells) -> Float:
    """Average values [2 or 4 x rows, as much x columns] over the window at each cell."""
    side = WINDOW_HALVES * cells[0] // values.shape[1]
    if side == 2:  # to halve twice is faster than to quarter
        values = shrunk(values, (cells[0] * 2, cells[1] * 2))
    return np.asarray(cv2.blur(shrunk(values, cells), (side, side), borderType=cv2.BORDER_REFLECT))


def measure_windows(s: Float, t: Float, cells: Cells) -> Windows:
    """Measure what two greys [2 or 4 x rows, as much x columns] share in the window at each cell."""
    middle, change = (s + t) * np.float32(0.5), t - s
    mean_m, mean_c = mean_of(middle, cells), mean_of(change, cells)
    return Windows(
        np.maximum(mean_of(middle * middle, cells) - mean_m * mean_m, 0),
        np.maximum(mean_of(change * change, cells) - mean_c * mean_c, 0),
        mean_of(middle * change, cells) - mean_m * mean_c,
        (middle, change),
        (mean_m, mean_c),
    )


def measure_shifts(seen: Windows, cells: Cells) -> Shifts:
    """Explain the change in each window by a gain and a shift; both are kept small where little speaks for them."""
    (middle, change), (mean_m, mean_c) = seen.levels, seen.means
    across = np.asarray(cv2.Sobel(middle, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    down = np.asarray(cv2.Sobel(middle, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    mean_x, mean_y = mean_of(across, cells), mean_of(down, cells)
    by_gain = np.float32(1) / (seen.middle + np.float32(GAIN_PRIOR))
    gain_x = mean_of(middle * across, cells) - mean_m * mean_x
    gain_y = mean_of(middle * down, cells) - mean_m * mean_y
    scaled_x, scaled_y = gain_x * by_gain, gain_y * by_gain
    xx = mean_of(across * across, cells) - mean_x * mean_x - gain_x * scaled_x
    yy = mean_of(down * down, cells) - mean_y * mean_y - gain_y * scaled_y
    xy = mean_of(across * down, cells) - mean_x * mean_y - gain_x * scaled_y
    change_x = mean_of(across * change, cells) - mean_x * mean_c - scaled_x * seen.mixed
    change_y = mean_of(down * change, cells) - mean_y * mean_c - scaled_y * seen.mixed
    change_left = seen.change - seen.mixed * seen.mixed * by_gain
    xx, yy = (np.maximum(part, 0) + np.float32(SHIFT_PRIOR) for part in (xx, yy))
    determinant = np.float32(1) / np.maximum(xx * yy - xy * xy, np.float32(1e-3))
    by_x = (yy * change_x - xy * change_y) * determinant
    by_y = (xx * change_y - xy * change_x) * determinant
    left = np.maximum(change_left - by_x * change_x - by_y * change_y, np.float32(1e-3))
    return Shifts(by_x, by_y, xx, xy, yy, left)


def fit_drift(shifts: Shifts, chosen: Chosen, high: int, wide: int, *, bends: bool = True) -> Drift:
    """Fit a small change of perspective to the shifts of the chosen windows of a grid [high, wide], robustly.

    Where nothing `bends`, an affine one.
    """
    rows, columns = np.divmod(chosen, wide)
    u = (columns * np.float32(2 / wide) - np.float32(1)).astype(np.float32)
    v = (rows * np.float32(2 / wide) - np.float32(high / wide)).astype(np.float32)
    terms = np.empty((6, len(u)), np.float32)
    terms[0], terms[1], terms[2] = 1, u, v
    np.multiply(terms[1:2], terms[1:3], out=terms[3:5])
    np.multiply(v, v, out=terms[5])
    shift = np.empty((2, len(u)), np.float32)
    shift[0], shift[1] = shifts.across.ravel()[chosen], shifts.down.ravel()[chosen]
    trust = np.sqrt(np.minimum(shifts.xx.ravel()[chosen], shifts.yy.ravel()[chosen]))
    weight, prior = trust, len(u) * np.diag([_PRIOR] * 6 + [_PRIOR if bends else _STIFF] * 2)
    for _ in range(3):
        weighted = terms * weight
        normal = (_NORMAL @ (weighted @ terms.T).ravel()).reshape(8, 8) + prior
        found = np.linalg.solve(normal, _WANTED @ (shift @ weighted.T).ravel())
        fit = (found @ _WANTED).reshape(2, 6).astype(np.float32) @ terms
        off = fit - shift
        off *= off
        apart = off[0] + off[1]
        apart *= np.float32((2 * median(apart) ** 0.5 + 0.04) ** -2)
        apart += 1
        weight = trust / (apart * apart)
    known = trust > 1
    fit = fit[:, known] if known.any() else fit
    return Drift(found, 2 * quantile(np.hypot(fit[0], fit[1]), MOST))
