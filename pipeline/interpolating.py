"""Of two sizes of one picture, which follows from the other? Patches that both have near the same places tell.

Interpolating the smaller one gives the larger one where that was enlarged, but for the rounding of its file, and never
gives the detail of a larger original. Smoothing the larger one gives the smaller one where that was reduced. Enlarging
without a filter also repeats lines, and the two sizes say which.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detail import Floats
from pipeline.filters import PATCH, PATCHES_ACROSS, place_patches, read_grey
from store.records import Observation

_OFF = 1.5  # pixels, of the larger one: what rounding the sides may leave
_ROUNDING = 0.3  # squared grey levels
_LINE_NOISE = 1.0  # the same, of a step from line to line
_MIN_PIXELS, _MIN_LINES = 40, 4
_MIN_DEVIATION = 0.5  # grey levels
_EXPLAINS = -2.0  # octaves: of what the patches hold, left by the better of both; mirrored pairs leave all
_MANY_REPEATS, _FEWEST_STEPS = 12, -5.0  # lines; octaves
_CUBIC = -0.75  # as OpenCV has it
_MASKS, _MASK_REACH = (0.6, 1.1), 2.0  # pixels of the smaller one: deviations
_SMOOTHED = 0.4  # of the ratio: the deviation of a reducing filter

_MIDDLE = 0.5  # of a pixel
_TIE = 1e-6  # pixels
_PHASES = (0.0, _MIDDLE)  # where programs look for the source of a pixel when they enlarge without a filter

_Kernel = Callable[[Floats], Floats]  # weights by distance in pixels


@dataclass(frozen=True, slots=True)
class Interpolated:
    """How well each of two sizes gives the other, in octaves of squared grey levels."""

    enlarging: float  # what the best interpolation of the smaller one leaves of the larger
    reducing: float  # what a smoothed larger one leaves of the smaller
    repeats: float  # steps between lines that enlarging without a filter repeats, against all others: 0 or less
    sharpening: "Sharpening | None" = None  # None where too few pixels lie on each other


@dataclass(frozen=True, slots=True)
class Sharpening:
    """What an interpolation of the smaller one gives of the larger with a mask of any width taken off or put on.

    Sharpening after enlarging takes a wide mask off (as an unsharp mask does), and still adds no detail.
    """

    plain: float  # the weight of the interpolation
    narrow: float  # of the smaller one smoothed by half a pixel
    wide: float  # by one pixel
    left: float  # octaves of squared grey levels that are not explained
    gained: float  # octaves by which that is less than what the interpolation alone leaves


@dataclass(frozen=True, slots=True)
class _Side:
    """One picture: its patches, float64 [4, 4, 12, 12], where they lie along either axis, [4, 12], and its sides."""

    patches: Floats
    places: tuple[NDArray[np.intp], NDArray[np.intp]]
    sides: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Way:
    kernel: _Kernel
    reach: float  # pixels of the source that must lie on either side
    phase: float = _MIDDLE  # where in a pixel its value lies
    nudge: float = 0.0  # pixels: where a place falls between two, programs round either way


@dataclass(frozen=True, slots=True)
class _Left:
    square: float  # octaves of squared grey levels that are not explained
    held: float  # the same, of what was to be explained


def compare_sizes(large: Observation, small: Observation) -> Interpolated | None:
    """Measure how two sizes of one picture explain each other; None where their patches do not lie on each other."""
    ours, theirs = _read(large), _read(small)
    if ours is None or theirs is None:
        return None
    down, across = (one / other for one, other in zip(ours.sides, theirs.sides, strict=True))
    if abs(down - across) * max(theirs.sides) > _OFF * max(down, across, 1.0):
        return None
    ratio = float(np.sqrt(down * across))
    up = [_explain(theirs, ours, way) for way in _INTERPOLATIONS]
    smooth = _explain(ours, theirs, _Way(_bell(_SMOOTHED * ratio), max(0.5, 0.6 * ratio - 0.5)))
    known = [left for left in up if left is not None]
    if not known or smooth is None:
        return None
    best = min(known, key=lambda left: left.square)
    if min(best.square - best.held, smooth.square - smooth.held) > _EXPLAINS:
        return None
    repeats = min(_repeats(ours, theirs, phase) for phase in _PHASES)
    return Interpolated(best.square, smooth.square, repeats, _fit_sharpening(theirs, ours))


def _read(seen: Observation) -> _Side | None:
    if seen.traces is None or not seen.traces.patches:
        return None
    patches = read_grey(seen.traces.patches).reshape(PATCHES_ACROSS, PATCHES_ACROSS, PATCH, PATCH)
    sides = seen.picture.height, seen.picture.width
    places = [place_patches(side).reshape(PATCHES_ACROSS, PATCH) for side in sides]
    return _Side(patches, (places[0], places[1]), sides)


def _explain(source: _Side, target: _Side, way: _Way) -> _Left | None:
    """Make the patches of one from those of the other, where they reach, and fit contrast and brightness."""
    (down_kept, down), (across_kept, across) = (_weights(source, target, axis, way) for axis in (0, 1))
    kept = down_kept[:, None, :, None] & across_kept[None, :, None, :]
    pixels = (down[:, None] @ source.patches @ across[None].transpose(0, 1, 3, 2))[kept]
    aims = target.patches[kept]
    if len(pixels) < _MIN_PIXELS or pixels.std() < _MIN_DEVIATION:
        return None
    pixels, aims = pixels - pixels.mean(), aims - aims.mean()
    left = aims - pixels * (float(pixels @ aims) / float(pixels @ pixels))
    return _Left(_octaves(left), _octaves(aims))


def _fit_sharpening(source: _Side, target: _Side) -> Sharpening | None:
    """Weigh an interpolation and two masks so that they give the patches of the target, where they reach."""
    made = []
    for kernel in (_cubic, *map(_bell, _MASKS)):
        way = _Way(kernel, _MASK_REACH)
        (down_kept, down), (across_kept, across) = (_weights(source, target, axis, way) for axis in (0, 1))
        kept = down_kept[:, None, :, None] & across_kept[None, :, None, :]
        made.append((down[:, None] @ source.patches @ across[None].transpose(0, 1, 3, 2))[kept])
    aims = target.patches[kept]
    if len(aims) < _MIN_PIXELS:
        return None
    parts = np.stack([*made, np.ones_like(aims)], axis=1)
    fits = [np.linalg.lstsq(part, aims, rcond=None)[0] for part in (parts, parts[:, [0, 3]])]
    left, alone = (_octaves(aims - part @ fit) for part, fit in zip((parts, parts[:, [0, 3]]), fits, strict=True))
    plain, narrow, wide = (float(weight) for weight in fits[0][:3])
    return Sharpening(plain, narrow, wide, left, alone - left)


def _octaves(values: Floats) -> float:
    return float(np.log2(np.mean(values**2) + _ROUNDING))


def _weights(source: _Side, target: _Side, axis: int, way: _Way) -> tuple[NDArray[np.bool_], Floats]:
    """Return which of the target's pixels along an axis are reached, [4, 12], and from what, [4, 12, 12]."""
    ours, scale = source.places[axis], source.sides[axis] / target.sides[axis]
    place = (target.places[axis] + way.phase) * scale - way.phase + way.nudge
    kept = (place >= ours[:, :1] + way.reach) & (place <= ours[:, -1:] - way.reach)
    weights = way.kernel(ours[:, None, :] - place[:, :, None])
    total = weights.sum(axis=2, keepdims=True)
    return kept, np.asarray(weights / np.where(total == 0, 1, total), np.float64)


def _nearest(away: Floats) -> Floats:
    return np.asarray((away > -0.5) & (away <= 0.5), np.float64)


def _last(away: Floats) -> Floats:
    return np.asarray((away > -1) & (away <= 0), np.float64)


def _linear(away: Floats) -> Floats:
    return np.asarray(np.maximum(1 - np.abs(away), 0), np.float64)


def _cubic(away: Floats) -> Floats:
    """Weigh by Keys's cubic convolution (1981)."""
    far = np.abs(away)
    near = ((_CUBIC + 2) * far - (_CUBIC + 3)) * far * far + 1
    return np.where(far < 1, near, np.where(far < 2, ((far - 5) * far + 8) * far * _CUBIC - 4 * _CUBIC, 0))


def _bell(deviation: float) -> _Kernel:
    return lambda away: np.exp(-0.5 * (away / deviation) ** 2)


_INTERPOLATIONS = (
    *(_Way(_nearest, 0.0, nudge=nudge) for nudge in (-_TIE, _TIE)),
    *(_Way(_last, 0.0, phase=0.0, nudge=nudge) for nudge in (-_TIE, _TIE)),
    _Way(_linear, 0.5),
    _Way(_cubic, 0.5),
)


def _repeats(large: _Side, small: _Side, phase: float) -> float:
    """Return, in octaves, how small the steps are between lines that come from one line, against all others.

    `phase` is where in a pixel its source was looked for.
    """
    repeated, others = [], []
    for axis in (0, 1):
        source = (large.places[axis] + phase) * small.sides[axis] / large.sides[axis]
        line = np.floor(source)
        tied = np.abs(source - np.rint(source)) < _TIE
        clear = ~(tied[:, 1:] | tied[:, :-1])
        same = line[:, 1:] == line[:, :-1]
        square = np.diff(large.patches, axis=2 + axis) ** 2
        step = np.log2(square.mean(axis=(1, 3) if axis == 0 else (0, 2)) + _LINE_NOISE)
        repeated.append(step[same & clear])
        others.append(step[~same & clear])
    gone, kept = np.concatenate(repeated), np.concatenate(others)
    if min(len(gone), len(kept)) < _MIN_LINES:
        return 0.0
    # The mean of logarithms: in a drawing most lines are flat and a few hold everything.
    found = float(gone.mean() - kept.mean())
    return min(max(found, _FEWEST_STEPS), 0.0) * min(len(gone) / _MANY_REPEATS, 1.0)
