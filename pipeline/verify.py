"""The second look: are these two pictures the same picture, pixel by pixel after alignment?

Works on previews alone, so it answers when the originals are offline. A pair is first tried as it lies, mirrored and turned
by quarters, on small thumbnails; where that does not align, by corners that agree on one transform. Then the overlap
is compared (`pipeline.comparison`). A pair is a *copy* when one picture lies within the other but for flat fill and nothing
in the overlap differs in one place; it is *edited* when it aligns and something does, or when each shows what the other lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from pipeline.alignment import Alignment, Float, Grey, Matrix, Points, align, find_points, project, refine
from pipeline.comparison import CELL_PIXELS, Comparison, compare, warp
from store.records import MatchKind

THUMB_PIXELS = 32
MIN_SHIFT_PIXELS = 0.1  # less is how well a refined alignment is known
MAX_VAIN_SHIFT_PIXELS = 2.5
MAX_VAIN_RESIDUAL = 1.15  # a shift that explains no more than this is not real
REACH_PIXELS = 0.3  # how far a frame may reach over another and still lie within it
MIN_TILT_DEGREES = 0.7


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """When two aligned pictures count as the same picture."""

    max_descriptor_ratio: Annotated[float, Gt(0), Le(1)] = 0.85  # nearest against second nearest corner
    max_point_error_pixels: Annotated[float, Gt(0)] = 3.0  # for a corner to agree with the transform
    min_inliers: Annotated[int, Ge(4)] = 12  # corners that must agree on one transform
    min_thumb_correlation: Annotated[float, Gt(0), Le(1)] = 0.8  # to compare two pictures as they lie
    min_texture_levels: Annotated[float, Gt(0)] = 3.0  # grey levels of deviation that make a window textured
    min_textured_share: Annotated[float, Ge(0), Le(1)] = 0.05  # below, a picture is flat: its grain is the proof
    min_correlation: Annotated[float, Gt(0), Le(1)] = 0.6  # inside a window, for it to agree
    min_agreement: Annotated[float, Gt(0), Le(1)] = 0.8  # share of textured windows, for a copy
    min_edited_agreement: Annotated[float, Gt(0), Le(1)] = 0.6  # share of textured windows, for an edited picture
    max_outlier: Annotated[float, Gt(1)] = 12.0  # a window's residual against what the whole picture explains
    max_odd_windows: Annotated[int, Ge(0)] = 16  # touching windows that differ, for a copy: one spot of a cell
    max_conflict: Annotated[float, Ge(0), Le(1)] = 0.03  # share of all windows, for a copy
    min_detail: Annotated[float, Ge(0), Le(1)] = 0.55  # share of fine detail that must be the same, for a copy
    min_detail_moved: Annotated[float, Ge(0), Le(1)] = 0.88  # the same, where the frame moved a little: see `_kind`
    max_moved: Annotated[float, Ge(0), Le(1)] = 0.2  # share of a picture the other lacks, up to which it moved a little
    max_residual: Annotated[float, Gt(0), Le(2)] = 0.3  # typical share of a window that stays unexplained, for a copy
    max_fill_levels: Annotated[float, Gt(0)] = 6.0  # deviation of a flat border from its colour


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Features of one preview, computed once: about 200 kB."""

    grey: Grey  # [h, w]
    small: NDArray[np.uint8]  # [h // 4, w // 4, 3] RGB, the mean of each cell
    thumb: Float  # [32, 32], mean 0, norm 1
    points: Points


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What a second look saw."""

    kind: MatchKind | None  # COPY, EDITED or None: not shown to be the same picture
    change: str  # for people: "mirrored and cropped"
    inliers: int  # corners that agree on the transform; 0 where the pictures lay over each other as they were
    overlap: float  # share of the smaller picture's area that both show
    agreement: float  # share of the textured windows that agree
    difference: tuple[float, float, float, float] | None  # x, y, width, height as shares of `a`
    explanation: str  # one line for people


@dataclass(frozen=True, slots=True, eq=False)
class _Placement:
    """How two pictures lie over each other. Source is the finer one: its pixels cover less of the scene."""

    source: Prepared
    target: Prepared
    onto: Matrix  # from pixels of the source to pixels of the target
    swapped: bool  # the source is `b`
    mirrored: bool
    inliers: int

    @property
    def degrees(self) -> float:
        """The turn from `a` to `b`, clockwise."""
        linear = _linear(np.linalg.inv(self.onto) if self.swapped else self.onto, self.source.grey.shape)
        sign = -1.0 if self.mirrored else 1.0
        return float(np.degrees(np.arctan2(sign * linear[1, 0], sign * linear[0, 0])))


@dataclass(frozen=True, slots=True)
class _Framing:
    """What each picture shows that the other does not."""

    source_covered: float  # share of the source that lies in the target's frame
    target_covered: float
    same: bool  # each lies within the other
    whole: bool  # one lies within the other, but for flat fill
    bordered: bool  # the whole source, with flat fill around it
    inset: bool  # the whole source, on other content


def prepare(preview_rgb: NDArray[np.uint8]) -> Prepared:
    """Compute what `verify` needs of one oriented preview [h, w, 3] RGB uint8."""
    grey = np.asarray(cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    wide, high = (max(side // CELL_PIXELS, 1) for side in (grey.shape[1], grey.shape[0]))
    whole_cells = preview_rgb[: high * CELL_PIXELS, : wide * CELL_PIXELS]
    small = np.asarray(cv2.resize(whole_cells, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
    thumb = cv2.resize(grey, (THUMB_PIXELS, THUMB_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumb = thumb - cv2.GaussianBlur(thumb, (0, 0), THUMB_PIXELS / 4)
    thumb /= float(np.linalg.norm(thumb)) + 1e-3
    return Prepared(grey, small, thumb, find_points(grey))


def verify(a: Prepared, b: Prepared, settings: VerifySettings) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed."""
    best: SecondLook | None = None
    for alignment in _alignments(a, b, settings):
        look = _judge(a, b, alignment, settings)
        if best is None or _rank(look) > _rank(best):
            best = look
        if look.kind is not None and look.agreement >= settings.min_agreement:
            break  # this is how they lie; another alignment would not explain more
    return best or SecondLook(None, "", 0, 0.0, 0.0, None, "no common structure found")


def _rank(look: SecondLook) -> tuple[bool, bool, float]:
    return look.kind is MatchKind.COPY, look.kind is MatchKind.EDITED, look.agreement * look.overlap


def _alignments(a: Prepared, b: Prepared, settings: VerifySettings) -> Iterator[Alignment]:
    """Propose alignments, the cheapest first."""
    as_lies = _lay_over(a, b, settings.min_thumb_correlation)
    if as_lies is not None:
        yield as_lies
    for mirrored in (False, True):
        ratio, error = settings.max_descriptor_ratio, settings.max_point_error_pixels
        found = align(a.points, b.points, mirrored, ratio, error)
        if found is not None and found.inliers >= settings.min_inliers:
            yield found
            return


def _lay_over(a: Prepared, b: Prepared, min_correlation: float) -> Alignment | None:
    """Try the eight ways to lay one frame on the other; return the best where the thumbnails correlate."""
    ways = [(mirrored, quarter) for mirrored in (False, True) for quarter in range(4)]
    turned = [np.rot90(a.thumb[:, ::-1] if mirrored else a.thumb, -quarter) for mirrored, quarter in ways]
    correlations = [float((thumb * b.thumb).sum()) for thumb in turned]
    best = int(np.argmax(correlations))
    if correlations[best] < min_correlation:
        return None
    mirrored, quarter = ways[best]
    return Alignment(_frame_to_frame(a.grey, b.grey, mirrored, quarter), 0, mirrored)


def _frame_to_frame(a: Grey, b: Grey, mirrored: bool, quarter: int) -> Matrix:
    """Mirror left to right, turn clockwise by quarters, and stretch one frame onto the other."""
    unit = np.array([[1 / a.shape[1], 0, 0.5 / a.shape[1]], [0, 1 / a.shape[0], 0.5 / a.shape[0]], [0, 0, 1]])
    mirror = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) if mirrored else np.eye(3)
    turn = np.linalg.matrix_power(np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]]), quarter)
    size = np.array([[b.shape[1], 0, -0.5], [0, b.shape[0], -0.5], [0, 0, 1]])
    return np.asarray(size @ turn @ mirror @ unit)


def _linear(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """The linear part of a transform in the middle of a picture."""
    middle = np.array([[shape[1] / 2, shape[0] / 2]])
    moved = project(matrix, np.vstack([middle, middle + [[1.0, 0.0]], middle + [[0.0, 1.0]]]))
    return np.asarray((moved[1:] - moved[0]).T)


def _judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings) -> SecondLook:
    place, seen = _place(a, b, alignment, settings)
    framing = _frame(place, settings)
    kind = _kind(seen, framing, settings)
    change = _change(place, framing, seen, kind)
    said = f"{place.inliers} points agree, " if place.inliers else ""
    said += f"{seen.agreement:.0%} of the overlap is the same"
    return SecondLook(
        kind,
        change,
        place.inliers,
        max(framing.source_covered, framing.target_covered),
        seen.agreement,
        _difference(place, seen) if kind is MatchKind.EDITED else None,
        f"{change}; {said}" if kind else f"not shown to be the same picture; {said}",
    )


def _place(
    a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings
) -> tuple[_Placement, Comparison]:
    """Refine the alignment and compare; a frame that fits as it lies is not moved by a fraction of a pixel in vain."""
    refined = refine(a.grey, b.grey, alignment.matrix)
    place, seen = _compared(a, b, refined, alignment, settings)
    if alignment.inliers:
        return place, seen
    moved = _corner_shift(alignment.matrix, refined, a.grey.shape)
    if not MIN_SHIFT_PIXELS < moved < MAX_VAIN_SHIFT_PIXELS:
        return place, seen
    plain = _compared(a, b, alignment.matrix, alignment, settings)
    return plain if plain[1].residual < MAX_VAIN_RESIDUAL * seen.residual + 1e-3 else (place, seen)


def _corner_shift(before: Matrix, after: Matrix, shape: tuple[int, ...]) -> float:
    corners = _corners(shape)
    return float(np.abs(project(after, corners) - project(before, corners)).max())


def _corners(shape: tuple[int, ...]) -> Matrix:
    right, bottom = shape[1] - 0.5, shape[0] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def _compared(
    a: Prepared, b: Prepared, matrix: Matrix, alignment: Alignment, settings: VerifySettings
) -> tuple[_Placement, Comparison]:
    scale = float(np.sqrt(abs(np.linalg.det(_linear(matrix, a.grey.shape)))))
    swapped = scale > 1
    source, target = (b, a) if swapped else (a, b)
    onto = np.asarray(np.linalg.inv(matrix)) if swapped else matrix
    drawn, inside = warp(source.grey, target.grey.shape, onto, 1 / scale if swapped else scale)
    texture, correlation = settings.min_texture_levels, settings.min_correlation
    seen = compare(drawn, target.grey, inside, texture, correlation, settings.max_outlier)
    return _Placement(source, target, onto, swapped, alignment.mirrored, alignment.inliers), seen


def _kind(seen: Comparison, framing: _Framing, settings: VerifySettings) -> MatchKind | None:
    flat = seen.textured < settings.min_textured_share
    if flat and seen.detail < settings.min_detail:
        return None
    if not flat and seen.agreement < settings.min_edited_agreement:
        return None
    # A camera that is moved a little between two exposures of a wall or a lawn frames them as a mild crop would; only
    # the grain tells the two apart. An edit that also destroys the grain ends as edited.
    moved = not framing.same and max(1 - framing.source_covered, 1 - framing.target_covered) < settings.max_moved
    least_detail = settings.min_detail_moved if moved else settings.min_detail
    # Heavy compression and noise make single windows conflict; the more detail is lost, the more windows may.
    allowed = settings.max_odd_windows + 100 * max(0.0, 0.85 - seen.detail)
    explained = (
        (flat or seen.agreement >= settings.min_agreement)
        and seen.detail >= least_detail
        and seen.residual <= settings.max_residual
        and seen.conflict <= settings.max_conflict
        and seen.odd_windows <= allowed
    )
    return MatchKind.COPY if framing.whole and explained else MatchKind.EDITED


def _frame(place: _Placement, settings: VerifySettings) -> _Framing:
    """Find what lies outside the overlap, and whether it is only flat fill."""
    back = np.asarray(np.linalg.inv(place.onto))
    source, target = place.source.grey, place.target.grey
    source_within = _lies_within(source.shape, target.shape, place.onto)
    target_within = _lies_within(target.shape, source.shape, back)
    source_covered = 1.0 if source_within else _covered(source.shape, target.shape, place.onto)
    target_covered = 1.0 if target_within else _covered(target.shape, source.shape, back)
    if target_within:
        return _Framing(source_covered, target_covered, source_within, True, False, False)
    fill = _is_filled(target, source, place.onto, settings.max_fill_levels)
    if source_within:
        inset = not fill and _has_seam(place)
        return _Framing(source_covered, target_covered, False, not inset, fill, inset)
    # A turned picture in its old frame loses corners and gains flat ones; a camera that pans shows new content.
    tilted = abs((place.degrees + 45) % 90 - 45) > MIN_TILT_DEGREES
    whole = tilted and (fill or _is_filled(source, target, back, settings.max_fill_levels))
    return _Framing(source_covered, target_covered, False, whole, False, False)


def _covered(shape: tuple[int, ...], frame: tuple[int, ...], onto: Matrix) -> float:
    """The share of a picture that lies in another's frame, from a grid of its points."""
    x, y = np.meshgrid((np.arange(48) + 0.5) / 48 * shape[1] - 0.5, (np.arange(48) + 0.5) / 48 * shape[0] - 0.5)
    x, y = project(onto, np.column_stack([x.ravel(), y.ravel()])).T
    return float(((x >= -0.5) & (y >= -0.5) & (x <= frame[1] - 0.5) & (y <= frame[0] - 0.5)).mean())


def _on_cells(matrix: Matrix) -> Matrix:
    """The same transform between the pictures of cells."""
    centre = 0.5 - CELL_PIXELS / 2
    shrink = np.array([[1, 0, centre], [0, 1, centre], [0, 0, CELL_PIXELS]])
    return np.asarray(shrink @ matrix @ np.linalg.inv(shrink))


def _is_filled(grey: Grey, other: Grey, onto: Matrix, max_levels: float) -> bool:
    """Whether all that a picture shows outside the other's frame is of one grey; `onto` maps the other's pixels."""
    size = (grey.shape[1], grey.shape[0])
    alone = 1 - cv2.warpPerspective(np.ones_like(other), onto, size, flags=cv2.INTER_NEAREST)
    alone = cv2.erode(alone, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    levels = grey[alone > 0].astype(np.int16)
    return bool(levels.size > 30 and (np.abs(levels - np.median(levels)) <= max_levels).mean() > 0.97)


def _lies_within(shape: tuple[int, ...], frame: tuple[int, ...], onto: Matrix) -> bool:
    x, y = project(onto, _corners(shape)).T
    reach = 0.5 + REACH_PIXELS
    return bool(
        x.min() > -reach
        and y.min() > -reach
        and x.max() < frame[1] - 1 + reach
        and y.max() < frame[0] - 1 + reach
    )


def _is_fill(small: NDArray[np.uint8], alone: NDArray[np.bool_], max_levels: float) -> bool:
    """Whether the cells that one picture shows alone are all of one colour."""
    core = cv2.erode(alone.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    if core.sum() < 4:
        return False
    colours = small[core].astype(np.float32)
    off = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    return bool((off <= max_levels).mean() > 0.97)


def _has_seam(place: _Placement) -> bool:
    """Whether the target jumps where the source's frame ends: then the source was pasted in, not cut out."""
    corners = project(place.onto, _corners(place.source.grey.shape))
    middle = corners.mean(axis=0)
    along = np.linspace(0.05, 0.95, 60)[:, None]
    height, width = place.target.grey.shape
    jumps, steps = [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = start + along * (end - start)
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / (np.linalg.norm(end - start) + 1e-6)
        normal *= np.sign(normal @ (edge.mean(axis=0) - middle))
        places = edge[:, None] + normal * np.array([-4.5, -1.5, 1.5, 4.5])[None, :, None]
        outer = places[:, 3]
        seen = (outer >= 0).all(axis=1) & (outer[:, 0] <= width - 1) & (outer[:, 1] <= height - 1)
        x, y = places[seen, :, 0].astype(np.float32), places[seen, :, 1].astype(np.float32)
        if not len(x):
            continue
        levels = cv2.remap(place.target.grey, x, y, cv2.INTER_LINEAR).astype(np.float32)
        change = np.abs(np.diff(levels.reshape(-1, 4), axis=1))
        jumps.append(change[:, 1])
        steps.append((change[:, 0] + change[:, 2]) / 2)
    if not jumps:
        return False
    return float(np.concatenate(jumps).mean()) > 2 * float(np.concatenate(steps).mean()) + 2


def _difference(place: _Placement, seen: Comparison) -> tuple[float, float, float, float] | None:
    """Give the box where the pair differs as shares of `a`."""
    if seen.odd_box is None:
        return None
    x0, y0, x1, y1 = seen.odd_box
    box = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    height, width = place.target.grey.shape
    if not place.swapped:
        box = project(np.asarray(np.linalg.inv(place.onto)), box)
        height, width = place.source.grey.shape
    left, top = np.clip(box.min(axis=0) / [width, height], 0, 1)
    right, bottom = np.clip(box.max(axis=0) / [width, height], 0, 1)
    return float(left), float(top), float(right - left), float(bottom - top)


def _change(place: _Placement, framing: _Framing, seen: Comparison, kind: MatchKind | None) -> str:
    """Say in words what was done."""
    parts: list[str] = []
    if place.mirrored:
        parts.append("mirrored")
    if abs(place.degrees) > MIN_TILT_DEGREES:
        parts.append(f"turned by {abs(place.degrees):.0f}°")
    if framing.bordered:
        parts.append("with a border")
    elif framing.inset:
        parts.append("set into another picture")
    elif min(framing.source_covered, framing.target_covered) < 0.97:
        parts.append("cropped")
    if _recoloured(place):
        parts.append("recoloured")
    if kind is MatchKind.EDITED and seen.odd_box is not None and not framing.inset:
        parts.append("edited in one place")
    if not parts:
        parts.append("re-encoded" if place.source.grey.shape == place.target.grey.shape else "resized")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _recoloured(place: _Placement) -> bool:
    size = (place.target.small.shape[1], place.target.small.shape[0])
    cells = _on_cells(place.onto)
    drawn = cv2.warpPerspective(place.source.small, cells, size, borderMode=cv2.BORDER_REPLICATE)
    full = np.ones(place.source.small.shape[:2], np.uint8)
    shared = cv2.warpPerspective(full, cells, size, flags=cv2.INTER_NEAREST) > 0
    off = cv2.absdiff(drawn, place.target.small)[shared]
    return bool(len(off) and np.median(off.max(axis=1)) > 10)
