"""Where one picture lies on another, to a fraction of a pixel: a place is followed on few windows at half size.

Corners tell a place to a pixel or so. The windows then show by what shift each would fit better, and a small affine
change that most of them agree on leads to a place where they fit. To seek it, a quarter of the windows, of cells of 8
pixels, do as well as all of them at a quarter of the cost; what differs is looked at once, at the place found.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.alignment import Alignment, Grey, Matrix, refine
from pipeline.comparison import APART, APART_RESIDUAL, RIM, TOO_FLAT, warp
from pipeline.framing import Placement, linear_part
from pipeline.tones import Curves, learn_curves
from pipeline.windows import Chosen, Shifts, fit_drift, measure_shifts, measure_windows, shrunk, some, whole_windows

_CELL_HALVES = 4  # half-pixels of a preview
_WINDOW_CELLS = 2
_MIN_WINDOWS = 24
MAX_STEPS, MAX_BENDS = 3, 2
ENOUGH_PIXELS = 0.1  # less is how well a place is known
NEARLY_LAID = 0.75  # agreement from which the drift of the windows leads to the place
MAX_DRIFT_PIXELS = 3.0  # a longer way is searched for from coarse to fine
MIN_GAIN = 1.15  # what a bend must explain: the residual before over that after


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A place, and how well the two fit there."""

    onto: Matrix  # from pixels of the source to pixels of the target
    textured: float  # share of the windows
    agreement: float  # share of the textured windows that correlate
    residual: float  # typical share of a window's variance that is not common
    drift: Matrix  # 3 x 3, from pixels of the target to where the source would fit better
    drift_pixels: float  # how far that moves most windows, at most
    shifts: Shifts
    chosen: Chosen


class Settler:
    """Follow places of one picture on another. `source` is the finer one, both grey [h, w] uint8."""

    def __init__(self, source: Grey, target: Grey, min_texture: float, min_correlation: float) -> None:
        self._source, self._source_halves = _halved(source)
        self._target, self._target_halves = _halved(target)
        self._shape = target.shape
        self._limits = min_texture, min_correlation
        self._curves: Curves | None = None

    def look(self, onto: Matrix, shrink: float) -> Settled | None:
        """See how well the two fit at a place, and where they would fit better; None where they hardly overlap."""
        cells = self._target.shape[1] // _CELL_HALVES, self._target.shape[0] // _CELL_HALVES
        if min(cells) < _WINDOW_CELLS:
            return None
        onto_halves = self._target_halves @ onto @ np.linalg.inv(self._source_halves)
        drawn, inside = warp(self._source, self._target.shape, onto_halves, shrink, cut=True, rim=RIM // 2)
        whole, valid = whole_windows(inside, cells, _WINDOW_CELLS)
        chosen = some(valid)
        if len(chosen) < _MIN_WINDOWS:
            return None
        if self._curves is None:
            self._curves = learn_curves(drawn, self._target, cells, whole)
        s, t = self._curves.applied(drawn, self._target)
        seen = measure_windows(s, t, cells)
        shifts = measure_shifts(seen, cells)
        drift = fit_drift(shifts, chosen, cells[1], cells[0], bends=False)
        texture, correlation = self._limits
        ours, theirs = seen.source, seen.target
        stronger = np.maximum(ours, theirs)
        textured = valid & (stronger > texture**2)
        agreeing = textured & (seen.common > correlation * np.sqrt(np.maximum(np.minimum(ours, theirs), 0) * stronger))
        count = int(np.count_nonzero(textured))
        return Settled(
            onto,
            count / int(np.count_nonzero(valid)),
            int(np.count_nonzero(agreeing)) / count if count else 0.0,
            seen.typical(chosen),
            drift.matrix((cells[1] * 8, cells[0] * 8), cells[0] * _CELL_HALVES),
            drift.furthest,
            shifts,
            chosen,
        )

    def follow(self, best: Settled, shrink: float) -> Settled:
        """Follow the drift of the windows as long as that explains more, until it is next to nothing.

        At the end a bend is tried, as of a photographed print: that must explain clearly more, for few windows always
        show some.
        """
        for _ in range(MAX_STEPS):
            if best.drift_pixels < ENOUGH_PIXELS:
                break
            there = self.look(best.drift @ best.onto, shrink)
            if there is None or there.residual >= best.residual:
                break
            best = there
        for _ in range(MAX_BENDS):
            high, wide = best.shifts.left.shape
            bend = fit_drift(best.shifts, best.chosen, high, wide)
            if bend.furthest < best.drift_pixels + ENOUGH_PIXELS:
                break
            there = self.look(bend.matrix((high * 8, wide * 8), wide * _CELL_HALVES) @ best.onto, shrink)
            if there is None or there.residual * MIN_GAIN >= best.residual:
                break
            best = there
        return best


def _halved(grey: Grey) -> tuple[Grey, Matrix]:
    """Give a picture at half its size, in whole cells, and the transform to its pixels."""
    high, wide = (side // (2 * _CELL_HALVES) * _CELL_HALVES for side in grey.shape)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    if min(high, wide) == 0:
        return grey, half
    return shrunk(grey[: 2 * high, : 2 * wide], (wide, high)), half


def settle(a: Grey, b: Grey, found: Alignment, min_texture: float, min_correlation: float) -> Alignment | None:
    """Follow a place until its windows fit; search from coarse to fine where corners left them far astray.

    Returns None where nothing goes together at the end.
    """
    place, shrink = lay(a, b, found)
    settler = Settler(place.source, place.target, min_texture, min_correlation)
    best = settler.look(place.onto, shrink)
    if best is None:
        return found
    astray = best.agreement < NEARLY_LAID and best.drift_pixels > ENOUGH_PIXELS
    if found.inliers and (astray or best.drift_pixels > MAX_DRIFT_PIXELS):
        refined = settler.look(refine(place.source, place.target, place.onto), shrink)
        if refined is not None and refined.residual < best.residual:
            best = refined
    best = settler.follow(best, shrink)
    if best.agreement < APART and best.residual > APART_RESIDUAL and best.textured > TOO_FLAT:
        return None
    return replace(found, matrix=np.asarray(np.linalg.inv(best.onto)) if place.swapped else best.onto)


def lay(a: Grey, b: Grey, at: Alignment) -> tuple[Placement, float]:
    """Lay the finer picture over the coarser one; the second is the scale, at most 1."""
    scale = float(np.sqrt(abs(np.linalg.det(linear_part(at.matrix, a.shape)))))
    if scale > 1:
        return Placement(b, a, np.asarray(np.linalg.inv(at.matrix)), True, at.mirrored, at.inliers), 1 / scale
    return Placement(a, b, at.matrix, False, at.mirrored, at.inliers), scale
