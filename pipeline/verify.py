"""The second look: are these two pictures the same picture, pixel by pixel after alignment?

Works on previews alone, so it answers when the originals are offline. A pair is first tried as it lies,
mirrored and turned by quarters, on small thumbnails; where that does not align, by corners that agree on
one transform. Then the overlap is compared (`pipeline.comparison`), and what lies outside it explained
(`pipeline.framing`). A pair is a *copy* when one picture lies within the other but for flat fill and
nothing in the overlap differs in one place; it is *edited* when it aligns and something does, or when
each shows what the other lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from pipeline.alignment import Alignment, Float, Grey, Matrix, Points, align, find_points, project, refine
from pipeline.comparison import Comparison, compare, mix_colours, warp
from pipeline.framing import MIN_TILT_DEGREES, Framing, Placement, find_framing, frame_corners, linear_part
from store.records import MatchKind

THUMB_PIXELS = 32
MIN_SHIFT_PIXELS = 0.1  # less is how well a refined alignment is known
MAX_VAIN_SHIFT_PIXELS = 2.5
MAX_VAIN_RESIDUAL = 1.15  # a shift that explains no more than this is not real
VAIN_RESIDUAL = 0.003
FEW_WINDOWS, MANY_WINDOWS = 1000, 4000  # a thumbnail of 140 pixels, and a preview of 280: less evidence, more


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """When two aligned pictures count as the same picture. A window is 16 pixels of a preview wide."""

    max_descriptor_ratio: Annotated[float, Gt(0), Le(1)] = 0.85  # nearest against second nearest corner
    max_point_error_pixels: Annotated[float, Gt(0)] = 3.0  # for a corner to agree with the transform
    min_inliers: Annotated[int, Ge(4)] = 12  # corners that must agree on one transform
    min_thumb_correlation: Annotated[float, Gt(0), Le(1)] = 0.8  # to compare two pictures as they lie
    min_texture_levels: Annotated[float, Gt(0)] = 3.0  # grey levels of deviation that make a window textured
    min_textured_share: Annotated[float, Ge(0), Le(1)] = 0.05  # below, a picture is flat: only grain proves
    min_correlation: Annotated[float, Gt(0), Le(1)] = 0.6  # inside a window, for it to agree
    min_agreement: Annotated[float, Gt(0), Le(1)] = 0.8  # share of textured windows, for a copy
    min_edited_agreement: Annotated[float, Gt(0), Le(1)] = 0.6  # the same, for an edited picture
    max_outlier: Annotated[float, Gt(1)] = 12.0  # a window against the whole
    max_odd_windows: Annotated[int, Ge(0)] = 16  # touching windows that differ, for a copy: a spot of 4 pixels
    max_conflict: Annotated[float, Ge(0), Le(1)] = 0.03  # share of all windows, for a copy
    min_detail: Annotated[float, Ge(0), Le(1)] = 0.82  # share of fine detail that must be shared, for a copy
    min_detail_small: Annotated[float, Ge(0), Le(1)] = 0.95  # the same, for an overlap of few windows
    max_residual: Annotated[float, Gt(0), Le(2)] = 0.3  # typical share of a window left unexplained
    max_moved: Annotated[float, Ge(0), Le(1)] = 0.2  # what one lacks, up to which a frame moved a little
    min_detail_moved: Annotated[float, Ge(0), Le(1)] = 0.95  # `min_detail` for such a frame
    max_residual_moved: Annotated[float, Gt(0), Le(2)] = 0.05  # `max_residual` for any other frame
    min_trim: Annotated[float, Ge(0), Le(1)] = 0.04  # share that must be gone before it counts as a crop
    max_bend_pixels: Annotated[float, Gt(0)] = 1.2  # of a corner, beyond turning, scaling and stretching
    max_fill_levels: Annotated[float, Gt(0)] = 6.0  # deviation of a flat border from its grey


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Features of one preview, computed once: about 250 kB."""

    grey: Grey  # [h, w]
    chroma: NDArray[np.uint8]  # [h // 2, w // 2, 2] Cr and Cb
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


def prepare(preview_rgb: NDArray[np.uint8]) -> Prepared:
    """Compute what `verify` needs of one oriented preview [h, w, 3] RGB uint8."""
    tones = np.asarray(cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2YCrCb), np.uint8)
    grey = np.ascontiguousarray(tones[..., 0])
    half = (max(grey.shape[1] // 2, 1), max(grey.shape[0] // 2, 1))
    chroma = np.asarray(cv2.resize(tones, half, interpolation=cv2.INTER_AREA)[..., 1:], np.uint8)
    thumb = cv2.resize(grey, (THUMB_PIXELS, THUMB_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumb = thumb - cv2.GaussianBlur(thumb, (0, 0), THUMB_PIXELS / 4)
    thumb /= float(np.linalg.norm(thumb)) + 1e-3
    return Prepared(grey, np.ascontiguousarray(chroma), thumb, find_points(grey))


def verify(a: Prepared, b: Prepared, settings: VerifySettings) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed."""
    best: SecondLook | None = None
    for alignment in _alignments(a, b, settings):
        look, settled = _judge(a, b, alignment, settings)
        if best is None or _rank(look) > _rank(best):
            best = look
        if settled:
            break
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


def _judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings) -> tuple[SecondLook, bool]:
    """Give the look at one alignment, and whether another could explain no more."""
    place, seen, recoloured = _place(a, b, alignment, settings)
    framing = find_framing(place, settings.max_fill_levels)
    kind = _kind(seen, framing, settings)
    change = _change(place, framing, seen, kind, recoloured)
    said = f"{place.inliers} points agree, " if place.inliers else ""
    said += f"{seen.agreement:.0%} of the overlap is the same"
    look = SecondLook(
        kind,
        change,
        place.inliers,
        max(framing.source_covered, framing.target_covered),
        seen.agreement,
        _difference(place, seen) if kind is MatchKind.EDITED else None,
        f"{change}; {said}" if kind else f"not shown to be the same picture; {said}",
    )
    well_placed = seen.agreement >= settings.min_agreement and seen.residual <= settings.max_residual_moved
    return look, kind is MatchKind.COPY or (kind is MatchKind.EDITED and well_placed)


_Compared = tuple[Placement, Comparison, bool]  # the last: whether the picture was recoloured


def _place(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings) -> _Compared:
    """Refine and compare; a frame that fits as it lies is not moved by a fraction of a pixel in vain."""
    matrix = refine(a.grey, b.grey, alignment.matrix)
    refined = _compared(a, b, matrix, alignment, settings)
    if alignment.inliers:
        return refined
    corners = frame_corners(a.grey.shape)
    moved = float(np.abs(project(matrix, corners) - project(alignment.matrix, corners)).max())
    if not MIN_SHIFT_PIXELS < moved < MAX_VAIN_SHIFT_PIXELS:
        return refined
    plain = _compared(a, b, alignment.matrix, alignment, settings)
    # Where one is blurred (the other then has more detail than it shares), places are known less well.
    factor = MAX_VAIN_RESIDUAL + min(max(refined[1].detail - 1.1, 0.0), 1.0)
    return plain if plain[1].residual < factor * refined[1].residual + VAIN_RESIDUAL else refined


def _compared(a: Prepared, b: Prepared, matrix: Matrix, alignment: Alignment, settings: VerifySettings) -> _Compared:
    """Lay the finer picture over the coarser one."""
    scale = float(np.sqrt(abs(np.linalg.det(linear_part(matrix, a.grey.shape)))))
    swapped = scale > 1
    source, target = (b, a) if swapped else (a, b)
    onto = np.asarray(np.linalg.inv(matrix)) if swapped else matrix
    ours, theirs, recoloured = mix_colours(source.grey, source.chroma, target.grey, target.chroma, onto)
    placement = Placement(source.grey, target.grey, onto, swapped, alignment.mirrored, alignment.inliers)
    drawn, inside = warp(ours, theirs.shape, onto, 1 / scale if swapped else scale, placement.tilted)
    texture, correlation = settings.min_texture_levels, settings.min_correlation
    seen = compare(drawn, theirs, inside, texture, correlation, settings.max_outlier)
    return placement, seen, recoloured


def _kind(seen: Comparison, framing: Framing, settings: VerifySettings) -> MatchKind | None:
    flat = seen.textured < settings.min_textured_share
    if flat and seen.detail < settings.min_detail:
        return None
    if not flat and seen.agreement < settings.min_edited_agreement:
        return None
    # Heavy compression and noise make single windows conflict; the more detail is lost, the more windows may.
    allowed = settings.max_odd_windows + 250 * max(0.0, 0.95 - seen.detail)
    explained = (
        (flat or seen.agreement >= settings.min_agreement)
        and seen.conflict <= settings.max_conflict
        and seen.odd_windows <= allowed
        and _is_proven(seen, framing, settings)
    )
    return MatchKind.COPY if framing.whole and explained else MatchKind.EDITED


def _is_proven(seen: Comparison, framing: Framing, settings: VerifySettings) -> bool:
    """Ask for more proof where a camera could have made the same change as an edit.

    A camera that moves a little before a wall or a lawn frames its next exposure as a mild crop would; only
    the grain tells the two apart, and for a trim of a few pixels not even that. A far move bends the frame as
    no crop does.
    """
    few = 1 - min(max((seen.windows - FEW_WINDOWS) / (MANY_WINDOWS - FEW_WINDOWS), 0.0), 1.0)
    least = settings.min_detail + few * (settings.min_detail_small - settings.min_detail)
    if framing.same:
        return seen.detail >= least and seen.residual <= settings.max_residual
    lacking = max(1 - framing.source_covered, 1 - framing.target_covered)
    trimmed = lacking < settings.min_trim and not (framing.tilted and framing.filled)
    if framing.bend_pixels > settings.max_bend_pixels or trimmed:
        return False
    least = settings.min_detail_moved if lacking < settings.max_moved else least
    return seen.detail >= least and seen.residual <= settings.max_residual_moved * (1 - few / 2)


def _difference(place: Placement, seen: Comparison) -> tuple[float, float, float, float] | None:
    """Give the box where the pair differs as shares of `a`."""
    if seen.odd_box is None:
        return None
    x0, y0, x1, y1 = seen.odd_box
    box = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    height, width = place.target.shape
    if not place.swapped:
        box = project(np.asarray(np.linalg.inv(place.onto)), box)
        height, width = place.source.shape
    left, top = np.clip(box.min(axis=0) / [width, height], 0, 1)
    right, bottom = np.clip(box.max(axis=0) / [width, height], 0, 1)
    return float(left), float(top), float(right - left), float(bottom - top)


def _change(place: Placement, framing: Framing, seen: Comparison, kind: MatchKind | None, recoloured: bool) -> str:
    """Say in words what was done."""
    parts: list[str] = []
    if place.mirrored:
        parts.append("mirrored")
    if abs(place.degrees) > MIN_TILT_DEGREES:
        parts.append(f"turned by {abs(place.degrees):.0f}°")
    if framing.filled and framing.source_covered == 1:
        parts.append("with a border")
    elif framing.inset:
        parts.append("set into another picture")
    elif min(framing.source_covered, framing.target_covered) < 0.97:
        parts.append("cropped")
    if recoloured:
        parts.append("recoloured")
    if kind is MatchKind.EDITED and seen.odd_box is not None and not framing.inset:
        parts.append("edited in one place")
    if not parts:
        parts.append("re-encoded" if place.source.shape == place.target.shape else "resized")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
