"""How two pictures lie over each other: what each shows that the other does not, and who could have done
that.

An editing program turns, mirrors, scales, stretches along the sides, cuts, and fills with one colour. A
camera that moves shows on one side what it loses on the other, and bends the frame. A picture that was
pasted into another ends in a seam.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.alignment import Alignment, Grey, Matrix, outline, project
from pipeline.typical import median

SAME_REACH_PIXELS = 0.15  # of the coarser picture: how far two frames may reach over each other and be the same
RESIZED = 1.05  # a camera gives all its pictures the same size
KNOWN_PIXELS = 0.15  # how well the drift of an edge is known
WITHIN_PIXELS = 0.25  # the same, where hardly anything was cut
CUT_REACH_PIXELS = 1.0  # how far a picture may reach over the frame that it was cut from
MAX_LOST_CORNERS = 0.012  # share of a picture that a turn by a degree about its middle hides; no hand turns a camera so
MIN_TILT_DEGREES = 0.7  # less is no turn that a person would make
SMALL_SIDE = 250  # pixels: of a smaller picture a bend is not known any better
NEAR_GRID_PIXELS = 1.5  # by which a place may be known so badly that it lies on the grid
FILL_SAMPLES = 1000  # places that are enough to tell whether a ground is of one grey
_NO_SLOPE = np.diag([0.0, 1e-6, 1e-6])  # where the fill is a single line, its grey slopes one way only
STEEP_SEAM = 30.0  # grey levels by which a picture jumps all along a side
EDGE_STEPS = np.array([-4.5, -1.5, 1.5, 4.5])  # pixels across a seam: the jump between the middle two tells


Grids = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """How two pictures lie over each other. Source is the finer one: its pixels cover less of the scene."""

    source: Grey
    target: Grey
    onto: Matrix  # from pixels of the source to pixels of the target
    swapped: bool  # the source is `b`
    mirrored: bool
    inliers: int

    @property
    def alignment(self) -> Alignment:
        """Give what maps the first picture to the second."""
        matrix = np.asarray(np.linalg.inv(self.onto)) if self.swapped else self.onto
        return Alignment(matrix, self.inliers, self.mirrored)

    @property
    def degrees(self) -> float:
        """Give the turn from `a` to `b`, clockwise."""
        linear = linear_part(self.onto, self.source.shape)
        linear = np.asarray(np.linalg.inv(linear)) if self.swapped else linear
        sign = -1.0 if self.mirrored else 1.0
        return float(np.degrees(np.arctan2(sign * linear[1, 0], sign * linear[0, 0])))

    @property
    def turned(self) -> bool:
        """Tell whether there is a turn that a person would make."""
        return abs(self.degrees) > MIN_TILT_DEGREES

    @property
    def tilted(self) -> bool:
        """Tell whether the turn is none by quarters."""
        return abs((self.degrees + 45) % 90 - 45) > MIN_TILT_DEGREES

    @property
    def frames_meet(self) -> bool:
        """Tell whether corner lies on corner, give or take a pixel."""
        ours, theirs = project(self.onto, frame_corners(self.source.shape)), frame_corners(self.target.shape)
        apart = np.linalg.norm(ours[:, None] - theirs[None], axis=2).min(axis=1)
        return bool((apart < CUT_REACH_PIXELS).all())


@dataclass(frozen=True, slots=True)
class Framing:
    """What each picture shows that the other does not."""

    source_covered: float  # share of the source that lies in the target's frame
    target_covered: float
    same: bool  # each lies within the other
    rounded: bool  # each lies within the other but for what a rounded size explains
    whole: bool  # one lies within the other, but for flat fill
    filled: bool  # what lies outside the overlap is flat fill: a border, or corners of a turned picture
    tilted: bool  # turned by no quarter
    on_grid: bool  # of one picture's pixels, as a cut leaves them: neither turned nor scaled
    by_program: bool  # the files have two sizes, and one lies within the other, as two exposures of a camera do not
    inset: bool  # one of the two, whole, on other content
    pasted: bool  # the whole source on flat fill, and its edge shows: a print on a table, a picture on a page
    bend: float  # how far a corner is from where turning, scaling and stretching put it, in long sides of the target


def find_framing(
    place: Placement, drift: Matrix, max_fill_levels: float, grids: Grids | None = None, *, two_sizes: bool = False
) -> Framing:
    """Find what lies outside the overlap, and whether that is one grey, give or take `max_fill_levels`.

    `drift` [3, 3] corrects the placement a little, from pixels of the target to pixels of the target. `grids` are
    how many pixels of each lie in one of its file, across and down, where one may be a plain cut of the other;
    `two_sizes` tells that the files have not the same sides.
    """
    back = np.asarray(np.linalg.inv(place.onto))
    source, target = place.source, place.target
    scale = float(np.sqrt(abs(np.linalg.det(linear_part(place.onto, source.shape)))))
    source_reach = _reach(source.shape, target.shape, place.onto)
    target_reach = _reach(target.shape, source.shape, back) * scale
    source_within, target_within = source_reach < CUT_REACH_PIXELS, target_reach < CUT_REACH_PIXELS
    same = max(source_reach, target_reach) < SAME_REACH_PIXELS
    source_covered = 1.0 if source_within else _covered(source.shape, target.shape, back)
    target_covered = 1.0 if target_within else _covered(target.shape, source.shape, place.onto)
    rounded = is_rounded(place, drift, two_sizes=two_sizes)
    bend, tilted, on_grid = _bend(place, drift), place.tilted, _is_on_grid(place, drift, grids)
    made = two_sizes and _lies_within(place, drift, scale)
    if target_within:
        inset = not source_within and _is_set_into(source, target, back, max_fill_levels)
        return Framing(
            source_covered, target_covered, same, rounded, not inset, False, tilted, on_grid, made, inset, False, bend
        )
    fill = is_filled(target, source, place.onto, max_fill_levels)
    if source_within:
        seam, all_round = _find_seam(target, source.shape, place.onto)
        # One side of a crop may run along an edge of the scene; what was pasted has a seam wherever it ends.
        inset = seam and all_round and not fill
        return Framing(
            source_covered,
            target_covered,
            False,
            rounded,
            not inset,
            fill,
            tilted,
            on_grid,
            made,
            inset,
            seam and fill,
            bend,
        )
    # A turned picture in its old frame loses corners and gains flat ones; a camera that pans shows more.
    lost = 1 - min(source_covered, target_covered)
    whole = tilted and (lost < MAX_LOST_CORNERS or fill or is_filled(source, target, back, max_fill_levels))
    return Framing(
        source_covered, target_covered, False, rounded, whole, whole, tilted, on_grid, made, False, False, bend
    )


def is_rounded(place: Placement, drift: Matrix, *, two_sizes: bool = False) -> bool:
    """Tell whether the frames differ as far as a rounded size explains; `drift` corrects the placement.

    `two_sizes` tells that the files have not the same sides, although their previews may.

    A program that resizes cuts to whole pixels: of two opposite edges one stays, and the other moves by less than a
    pixel. Or it counts from the corner of a pixel where another counts from its middle: then all moves by up to half
    a pixel of the smaller size, as far across as down. A camera keeps its size, shifts both edges, and turns.
    """
    frame = frame_corners(place.target.shape)
    ours = project(drift @ place.onto, frame_corners(place.source.shape))
    nearest = np.linalg.norm(frame[:, None] - ours[None], axis=2).argmin(axis=1)
    off = ours[nearest] - frame  # of the corners, clockwise from the upper left one
    edges = np.array([off[[0, 3], 0], off[[1, 2], 0], off[[0, 1], 1], off[[3, 2], 1]])  # left, right, upper, lower
    moved = np.abs(edges.mean(axis=1))
    askew = float(np.abs(np.diff(edges, axis=1)).max()) / 2
    stays = max(min(moved[0], moved[1]), min(moved[2], moved[3]))
    if len(set(nearest.tolist())) < 4 or askew >= KNOWN_PIXELS:
        return False
    if stays < KNOWN_PIXELS and moved.max() < CUT_REACH_PIXELS:
        return True
    resized = two_sizes or max(place.source.shape) > RESIZED * max(place.target.shape)
    return bool(resized and moved.max() < 0.5 + KNOWN_PIXELS and np.ptp(moved) < 2 * KNOWN_PIXELS)


def _is_on_grid(place: Placement, drift: Matrix, grids: Grids | None) -> bool:
    """Tell whether pixel lies on pixel but for a shift, as far as that is known."""
    if grids is None or place.mirrored:
        return False
    source, target = grids[::-1] if place.swapped else grids
    corners = frame_corners(place.source.shape)
    off = project(drift @ place.onto, corners) - corners * (np.asarray(target) / np.asarray(source))
    return bool(np.abs(off - off.mean(axis=0)).max() < KNOWN_PIXELS)


def lay_on_grid(onto: Matrix, shape: tuple[int, ...], grids: Grids) -> Matrix | None:
    """Lay pixel on pixel of the files, as a plain cut does, where a place of a picture of a `shape` is near that.

    `onto` [3, 3] maps pixels of the first preview to the second; so does what is returned.
    """
    first, second = np.asarray(grids)
    corners = frame_corners(shape)
    there = project(onto, corners)
    # Pixels of the files, whose corner is where counting starts, not the middle of the first pixel.
    offset = ((there + 0.5) / second - (corners + 0.5) / first).mean(axis=0)
    laid = plain_cut(offset, grids)
    off = (project(laid, corners) - there) * np.sqrt(first / second)  # the same, whichever picture is the first
    apart = np.linalg.norm(off, axis=1)
    return laid if apart.max() < NEAR_GRID_PIXELS else None


def plain_cut(offset: Matrix, grids: Grids) -> Matrix:
    """Lay pixel on pixel of two files, the first moved by an offset (x, y) of its pixels: from preview to preview."""
    first, second = np.asarray(grids)
    if second.min() > 0.5:
        offset = np.rint(offset)
    scale = second / first
    shift = 0.5 * scale - 0.5 + offset * second
    return np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]], [0, 0, 1]])


def frame_corners(shape: tuple[int, ...]) -> Matrix:
    """Give the outer corners [4, 2] of a picture, clockwise, in pixels whose centres are whole numbers."""
    right, bottom = shape[1] - 0.5, shape[0] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def frame_to_frame(a: Grey, b: Grey, mirrored: bool, quarter: int) -> Matrix:
    """Mirror left to right, turn clockwise by quarters, and stretch one frame onto the other."""
    unit = np.array([[1 / a.shape[1], 0, 0.5 / a.shape[1]], [0, 1 / a.shape[0], 0.5 / a.shape[0]], [0, 0, 1]])
    mirror = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) if mirrored else np.eye(3)
    turn = np.linalg.matrix_power(np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]]), quarter)
    size = np.array([[b.shape[1], 0, -0.5], [0, b.shape[0], -0.5], [0, 0, 1]])
    return np.asarray(size @ turn @ mirror @ unit)


def linear_part(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Give the linear part [2, 2] of a transform in the middle of a picture."""
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    moved = project(matrix, np.array([shape[1] / 2, shape[0] / 2]) + steps)
    return np.asarray((moved[1:] - moved[0]).T)


def _bend(place: Placement, drift: Matrix) -> float:
    """Measure how far the corners lie from the nearest similarity, or the nearest stretch along the sides.

    What the windows show to be left of the way counts: a camera that moved bends the frame by little.
    """
    onto = drift @ place.onto
    corners = frame_corners(place.source.shape)
    middle = corners.mean(axis=0, keepdims=True)
    linear = linear_part(onto, place.source.shape)
    sign = float(np.sign(np.linalg.det(linear)))
    along, across = (linear[0, 0] + sign * linear[1, 1]) / 2, (linear[1, 0] - sign * linear[0, 1]) / 2
    similar = np.array([[along, -sign * across], [across, sign * along]])
    straight = np.where(np.abs(linear) >= np.abs(linear).max(axis=1, keepdims=True), linear, 0.0)
    found = project(onto, corners) - project(onto, middle)
    wanted = [(corners - middle) @ model.T for model in (similar, straight)]
    off = min(float(np.linalg.norm(found - model, axis=1).max()) for model in wanted)
    return float(off / max(SMALL_SIDE, *(int(side) for side in place.target.shape)))


def _lies_within(place: Placement, drift: Matrix, scale: float) -> bool:
    """Tell whether one of two lies within the other's frame, to a quarter of a pixel of the coarser one.

    Of drawn exposures, shifted by up to 2 pixels, 96 % reach over each other by more, of true cuts one in a hundred.
    """
    onto = drift @ place.onto
    first = _reach(place.source.shape, place.target.shape, onto)
    second = _reach(place.target.shape, place.source.shape, np.asarray(np.linalg.inv(onto))) * scale
    return min(first, second) < WITHIN_PIXELS


def _covered(shape: tuple[int, ...], frame: tuple[int, ...], back: Matrix) -> float:
    """Measure the share of a picture that lies in another's frame; `back` maps pixels of that to the picture's."""
    ours = frame_corners(shape).astype(np.float32)
    theirs = project(back, frame_corners(frame)).astype(np.float32)
    area, _ = cv2.intersectConvexConvex(ours, theirs)
    return min(max(float(area) / (shape[0] * shape[1]), 0.0), 1.0)


def _reach(shape: tuple[int, ...], frame: tuple[int, ...], onto: Matrix) -> float:
    """Measure how far a picture reaches over another's frame, in pixels of that; below 0 it lies within."""
    x, y = project(onto, frame_corners(shape)).T + 0.5
    return float(max(-x.min(), -y.min(), x.max() - frame[1], y.max() - frame[0]))


def is_filled(grey: Grey, other: Grey, onto: Matrix, max_levels: float) -> bool:
    """Tell whether a picture is of one grey, or a grey that slopes as light does, outside the other's frame.

    `onto` maps the other's pixels.
    """
    shown = cv2.dilate(outline(other.shape, grey.shape, onto), np.ones((5, 5), np.uint8))
    places = np.flatnonzero(shown == 0)
    if len(places) <= 30:
        return False
    y, x = np.divmod(places[:: max(len(places) // FILL_SAMPLES, 1)], grey.shape[1])
    levels = grey[y, x].astype(np.float32)
    off = levels - np.float32(median(levels))
    terms = np.stack([np.ones_like(levels), x / grey.shape[1], y / grey.shape[1]]).astype(np.float64)
    for _ in range(2):  # paper lies in uneven light: its grey may slope
        near = np.abs(off) <= max(2 * max_levels, median(np.abs(off)))
        kept = terms * near
        off = levels - np.linalg.solve(kept @ terms.T + _NO_SLOPE, kept @ levels) @ terms
    grain = min(2.5 * median(np.abs(off)), 2 * max_levels)
    return bool((np.abs(off) <= max(max_levels, grain)).mean() > 0.96)


def _is_set_into(larger: Grey, part: Grey, onto: Matrix, max_fill_levels: float) -> bool:
    """Tell whether a part was pasted onto other content; `onto` maps its pixels."""
    return all(_find_seam(larger, part.shape, onto)) and not is_filled(larger, part, onto, max_fill_levels)


def _find_seam(larger: Grey, shape: tuple[int, ...], onto: Matrix) -> tuple[bool, bool]:
    """Tell whether a picture jumps where the frame of a part ends: pasted in there, not cut out.

    `onto` maps the part's pixels. The second tells whether it does so on more than one side, or on the only one that is
    seen.
    """
    corners = project(onto, frame_corners(shape))
    middle = corners.mean(axis=0)
    along = np.linspace(0.05, 0.95, 60)[:, None]
    height, width = larger.shape
    jumps, steps = [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = start + along * (end - start)
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / (np.linalg.norm(end - start) + 1e-6)
        normal *= np.sign(normal @ (edge.mean(axis=0) - middle))
        places = edge[:, None] + normal * EDGE_STEPS[None, :, None]
        outer = places[:, 3]
        seen = (outer >= 0).all(axis=1) & (outer[:, 0] <= width - 1) & (outer[:, 1] <= height - 1)
        x, y = places[seen, :, 0].astype(np.float32), places[seen, :, 1].astype(np.float32)
        if not len(x):
            continue
        levels = cv2.remap(larger, x, y, cv2.INTER_LINEAR).astype(np.float32)
        change = np.abs(np.diff(levels.reshape(-1, 4), axis=1))
        jumps.append(change[:, 1])
        steps.append((change[:, 0] + change[:, 2]) / 2)
    if not jumps:
        return False, False
    # A seam runs all along a side, an edge of the scene along a part of it.
    sides = sum(median(jump) > 1.5 * median(step) + 1 for jump, step in zip(jumps, steps, strict=True))
    strong = median(np.concatenate(jumps)) > 2 * median(np.concatenate(steps)) + 2
    steep = len(jumps) > 1 and min(map(median, jumps)) > STEEP_SEAM  # whatever texture lies beside it
    return strong or steep, sides >= min(len(jumps), 2)
