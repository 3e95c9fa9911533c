"""The second look: are these two pictures the same picture, pixel by pixel after alignment?

Works on previews alone, so it answers when the originals are offline. A pair is first tried as it lies (and turned, and
mirrored) by comparing small thumbnails; where that does not align, by corners that agree on one transform. Then the
aligned overlap is compared window by window: what the whole picture shares (tone, loss of detail, noise) is measured first
and forgiven; what stands out in one compact place is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from pipeline.alignment import Alignment, Matrix, Points, align, find_points, project, refine
from store.records import MatchKind

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]

THUMB_PIXELS = 32
CELL_PIXELS = 4  # previews are compared on cells of this size
WINDOW_CELLS = 4  # a window is 16 pixels wide


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """When two aligned pictures count as the same picture."""

    max_points: Annotated[int, Ge(50), Le(2000)] = 500  # corners per preview
    max_descriptor_ratio: Annotated[float, Gt(0), Le(1)] = 0.85  # nearest against second nearest corner
    max_point_error_pixels: Annotated[float, Gt(0)] = 3.0  # for a corner to agree with the transform
    min_inliers: Annotated[int, Ge(4)] = 12  # corners that must agree on one transform
    min_thumb_correlation: Annotated[float, Gt(0), Le(1)] = 0.8  # to compare two pictures as they lie
    min_texture_levels: Annotated[float, Gt(0)] = 3.0  # grey levels of deviation that make a window textured
    min_textured_share: Annotated[float, Ge(0), Le(1)] = 0.05  # below, a picture is flat and needs its noise as proof
    min_correlation: Annotated[float, Gt(0), Le(1)] = 0.6  # inside a window, for it to agree
    min_agreement: Annotated[float, Gt(0), Le(1)] = 0.85  # share of textured windows, for a copy
    min_edited_agreement: Annotated[float, Gt(0), Le(1)] = 0.6  # share of textured windows, for an edited picture
    max_outlier: Annotated[float, Gt(1)] = 12.0  # a window's residual against what the whole picture explains
    max_odd_windows: Annotated[int, Ge(0)] = 5  # touching windows beyond that residual, for a copy
    min_fine_correlation: Annotated[float, Ge(0), Le(1)] = 0.5  # of fine detail, where a picture is flat
    min_overlap: Annotated[float, Gt(0), Le(1)] = 0.9  # share of the smaller picture, for a copy
    max_fill_levels: Annotated[float, Gt(0)] = 6.0  # deviation of a flat border


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Features of one preview, computed once: about 200 kB."""

    grey: Grey  # [h, w]
    small: NDArray[np.uint8]  # [h / 4, w / 4, 3] RGB, mean of each cell
    thumb: Float  # [32, 32], mean 0, norm 1
    points: Points


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What a second look saw."""

    kind: MatchKind | None  # COPY, EDITED or None: not shown to be the same picture
    change: str  # for people: "cropped and mirrored"
    inliers: int  # corners that agree on the transform; 0 where the pictures lay over each other as they were
    overlap: float  # share of the smaller picture's area that both show
    agreement: float  # share of the textured windows that agree
    difference: tuple[float, float, float, float] | None  # x, y, width, height as shares of `a`
    explanation: str  # one line for people


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """The aligned overlap, measured."""

    matrix: Matrix  # from a to b
    overlap_a: float  # share of a that b shows
    overlap_b: float
    filled: bool  # what lies outside the overlap is flat fill, in one of the pictures at least
    agreement: float
    textured: float  # share of the windows
    odd_windows: int  # the largest group of touching windows that stand out
    fine: float  # correlation of fine detail over the whole overlap
    recoloured: bool
    turned_colours: bool  # the colours changed to others, not only in strength
    difference: tuple[float, float, float, float] | None


def prepare(preview: NDArray[np.uint8], settings: VerifySettings | None = None) -> Prepared:
    """Compute what `verify` needs of one oriented preview [h, w, 3] RGB uint8."""
    settings = settings or VerifySettings()
    grey = np.asarray(cv2.cvtColor(preview, cv2.COLOR_RGB2GRAY), np.uint8)
    wide, high = (max(side // CELL_PIXELS, 1) for side in (grey.shape[1], grey.shape[0]))
    whole_cells = preview[: high * CELL_PIXELS, : wide * CELL_PIXELS]
    small = np.asarray(cv2.resize(whole_cells, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
    thumb = cv2.resize(grey, (THUMB_PIXELS, THUMB_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumb = thumb - cv2.GaussianBlur(thumb, (0, 0), 8)
    thumb /= float(np.linalg.norm(thumb)) + 1e-3
    return Prepared(grey, small, thumb, find_points(grey, settings.max_points))


def verify(a: Prepared, b: Prepared, settings: VerifySettings) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed."""
    best: SecondLook | None = None
    for alignment in _alignments(a, b, settings):
        look = _judge(a, b, alignment, settings)
        if best is None or _strength(look) > _strength(best):
            best = look
        if best.kind is MatchKind.COPY:
            break
    return best or SecondLook(None, "", 0, 0.0, 0.0, None, "no common structure found")


def _strength(look: SecondLook) -> tuple[int, float]:
    return {MatchKind.COPY: 2, MatchKind.EDITED: 1}.get(look.kind, 0) if look.kind else 0, look.agreement


def _alignments(a: Prepared, b: Prepared, settings: VerifySettings) -> Iterator[Alignment]:
    """Propose alignments, the cheapest first."""
    as_lies = _lay_over(a, b, settings.min_thumb_correlation)
    if as_lies is not None:
        yield as_lies
    for mirrored in (False, True):
        found = align(
            a.points, b.points, mirrored, settings.max_descriptor_ratio, settings.max_point_error_pixels
        )
        if found is not None and found.inliers >= settings.min_inliers:
            yield found


def _lay_over(a: Prepared, b: Prepared, min_correlation: float) -> Alignment | None:
    """Try the eight ways to lay one frame on the other; return the best where the thumbnails correlate."""
    height, width = a.grey.shape
    unit = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    best: tuple[float, Matrix, bool] | None = None
    for mirrored in (False, True):
        for quarter in range(4):
            thumb = np.rot90(a.thumb[:, ::-1] if mirrored else a.thumb, -quarter)
            correlation = float((thumb * b.thumb).sum())
            if best is None or correlation > best[0]:
                best = correlation, _dihedral(mirrored, quarter), mirrored
    if best is None or best[0] < min_correlation:
        return None
    size = np.array([[b.grey.shape[1], 0, -0.5], [0, b.grey.shape[0], -0.5], [0, 0, 1]])
    return Alignment(size @ best[1] @ unit, 0, best[2])


def _dihedral(mirrored: bool, quarter: int) -> Matrix:
    """Mirror left to right, then turn clockwise by quarters, on the unit square."""
    matrix = np.diag([-1.0, 1.0, 1.0]) if mirrored else np.eye(3)
    matrix[0, 2] = float(mirrored)
    turn = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(np.linalg.matrix_power(turn, quarter) @ matrix)


def _judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings) -> SecondLook:
    matrix = refine(a.grey, b.grey, alignment.matrix)
    seen = _compare(a, b, matrix, settings)
    kind = _kind(seen, settings)
    overlap = max(seen.overlap_a, seen.overlap_b)
    change = _describe_change(seen, alignment, a, b)
    said = f"{alignment.inliers} points agree, " if alignment.inliers else ""
    said += f"{seen.agreement:.0%} of the overlap is the same"
    return SecondLook(
        kind,
        change,
        alignment.inliers,
        min(overlap, 1.0),
        seen.agreement,
        seen.difference if kind is MatchKind.EDITED else None,
        f"{change}; {said}" if kind else f"not shown to be the same picture; {said}",
    )


def _kind(seen: _Comparison, settings: VerifySettings) -> MatchKind | None:
    flat = seen.textured < settings.min_textured_share
    if flat and seen.fine < settings.min_fine_correlation:
        return None
    if not flat and seen.agreement < settings.min_edited_agreement:
        return None
    whole = max(seen.overlap_a, seen.overlap_b) >= 0.985 or seen.filled
    same = flat or seen.agreement >= settings.min_agreement
    if same and whole and seen.odd_windows <= settings.max_odd_windows and not seen.turned_colours:
        return MatchKind.COPY
    return MatchKind.EDITED


def _describe_change(seen: _Comparison, alignment: Alignment, a: Prepared, b: Prepared) -> str:
    linear = project_linear(seen.matrix, a.grey.shape)
    parts: list[str] = []
    if alignment.mirrored:
        parts.append("mirrored")
    sign = -1.0 if alignment.mirrored else 1.0
    degrees = float(np.degrees(np.arctan2(linear[1, 0] * sign, linear[0, 0] * sign)))
    if abs(degrees) > 0.7:
        parts.append(f"turned by {abs(degrees):.0f}°")
    if seen.overlap_a < 0.97 or seen.overlap_b < 0.97:
        parts.append("cropped")
    if seen.recoloured:
        parts.append("recoloured")
    if seen.odd_windows:
        parts.append("edited in one place")
    if a.grey.shape != b.grey.shape and not parts:
        parts.append("resized")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts or ["re-encoded"])


def project_linear(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """The linear part of a transform at the middle of a picture."""
    middle = np.array([[shape[1] / 2, shape[0] / 2]])
    steps = np.vstack([middle, middle + [[1.0, 0.0]], middle + [[0.0, 1.0]]])
    moved = project(matrix, steps)
    return np.asarray((moved[1:] - moved[0]).T)


def _compare(a: Prepared, b: Prepared, matrix: Matrix, settings: VerifySettings) -> _Comparison:
    """Lay the finer picture over the coarser one and measure the overlap window by window."""
    scale = float(np.sqrt(abs(np.linalg.det(project_linear(matrix, a.grey.shape)))))
    forward = scale <= 1
    source, target = (a, b) if forward else (b, a)
    onto = matrix if forward else np.linalg.inv(matrix)
    shrink = scale if forward else 1 / scale
    warped, inside = _warp(source.grey, target.grey.shape, onto, shrink)
    measured = _measure(warped, target.grey, inside, settings)
    recoloured, turned = _colours(source, target, onto)
    outside_target = _outside(target, source, onto)
    outside_source = _outside(source, target, np.linalg.inv(onto))
    covered = 1 - float(outside_source.mean()), 1 - float(outside_target.mean())
    filled = _explained(source, target, onto, outside_source, outside_target, settings)
    box = measured.box
    if box is not None and not forward:
        pass
    elif box is not None:
        corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[0], box[3]], [box[2], box[3]]])
        corners = project(np.linalg.inv(onto), corners)
        box = (*corners.min(axis=0), *corners.max(axis=0))
    height, width = a.grey.shape
    share = None
    if box is not None:
        x0, x1 = np.clip([box[0] / width, box[2] / width], 0, 1)
        y0, y1 = np.clip([box[1] / height, box[3] / height], 0, 1)
        share = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    return _Comparison(
        matrix,
        covered[0] if forward else covered[1],
        covered[1] if forward else covered[0],
        filled,
        measured.agreement,
        measured.textured,
        measured.odd_windows,
        measured.fine,
        recoloured,
        turned,
        share,
    )


def _warp(source: Grey, shape: tuple[int, ...], onto: Matrix, shrink: float) -> tuple[Grey, Grey]:
    """Draw the finer picture in the coarser one's frame; the mask is 1 where it really lies."""
    size = (shape[1], shape[0])
    if shrink < 0.75:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1)), np.uint8)
    warped = cv2.warpPerspective(source, onto, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.ones_like(source), onto, size, flags=cv2.INTER_NEAREST)
    inside = cv2.erode(mask, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(warped, np.uint8), np.asarray(inside, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    agreement: float
    textured: float
    odd_windows: int
    fine: float
    box: tuple[float, float, float, float] | None  # x0, y0, x1, y1 in target pixels


def _measure(source: Grey, target: Grey, inside: Grey, settings: VerifySettings) -> _Measured:
    """Compare two aligned grey pictures by windows, after the tone curve that fits best."""
    cells = (max(target.shape[1] // CELL_PIXELS, 1), max(target.shape[0] // CELL_PIXELS, 1))
    shrunk = [cv2.resize(x, cells, interpolation=cv2.INTER_AREA) for x in (source, target)]
    whole = cv2.resize(inside.astype(np.float32), cells, interpolation=cv2.INTER_AREA) > 0.99
    if whole.sum() < 4 * WINDOW_CELLS**2:
        return _Measured(0.0, 0.0, 0, 0.0, None)
    tone = _tone_curve(shrunk[0][whole], shrunk[1][whole])
    s, t = tone[source], target.astype(np.float32)
    window = np.ones((WINDOW_CELLS, WINDOW_CELLS), np.uint8)
    valid = cv2.erode(whole.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    fine = _fine_correlation(s, t, inside)
    s, t = cv2.GaussianBlur(s, (0, 0), 1.0), cv2.GaussianBlur(t, (0, 0), 1.0)
    stats = _window_stats(s, t, cells)
    stats = _match_sharpness(s, t, cells, valid, stats)
    var_s, var_t, cov, gradient = stats
    textured = valid & (np.maximum(var_s, var_t) > settings.min_texture_levels**2)
    correlation = cov / np.sqrt(var_s * var_t + 1e-3)
    count = int(textured.sum())
    agreement = float((correlation[textured] > settings.min_correlation).mean()) if count else 1.0
    residual = var_s + var_t - 2 * cov
    expected = _expected_residual(residual, gradient, valid)
    odd = valid & (residual > settings.max_outlier * expected) & (residual > 9) & (correlation < 0.9)
    number, _, boxes, _ = cv2.connectedComponentsWithStats(odd.astype(np.uint8), connectivity=8)
    share = count / max(int(valid.sum()), 1)
    if number < 2:
        return _Measured(agreement, share, 0, fine, None)
    largest = boxes[1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())]
    half = WINDOW_CELLS / 2
    x0, y0 = (largest[0] - half) * CELL_PIXELS, (largest[1] - half) * CELL_PIXELS
    box = (x0, y0, x0 + (largest[2] + WINDOW_CELLS) * CELL_PIXELS, y0 + (largest[3] + WINDOW_CELLS) * CELL_PIXELS)
    return _Measured(agreement, share, int(largest[cv2.CC_STAT_AREA]), fine, box)


def _tone_curve(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> Float:
    """Fit the cubic that maps the source's grey levels onto the target's, robustly: a table [256] float32."""
    level = np.arange(256) / 255
    table = np.stack([np.ones(256), level, level**2, level**3], axis=1)
    design, wanted = table[source], target.astype(np.float64)
    weight = np.ones(len(wanted))
    ridge = np.diag([1e-3, 1e-3, 1.0, 1.0])
    identity = np.array([0.0, 255.0, 0.0, 0.0])
    for _ in range(3):
        weighted = design * weight[:, None]
        fit = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ wanted + ridge @ identity)
        error = design @ fit - wanted
        weight = 1 / (1 + (error / (1.5 * float(np.median(np.abs(error))) + 1)) ** 2)
    return np.asarray(np.clip(table @ fit, 0, 255), np.float32)


def _window_stats(s: Float, t: Float, cells: tuple[int, int]) -> tuple[Float, Float, Float, Float]:
    """Variances, covariance and gradient energy of each window of two aligned pictures."""

    def mean(values: Float) -> Float:
        small = cv2.resize(values, cells, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.blur(small, (WINDOW_CELLS, WINDOW_CELLS), borderType=cv2.BORDER_REFLECT))

    both = (s + t) / 2
    slopes = cv2.Sobel(both, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(both, cv2.CV_32F, 0, 1, scale=0.125)
    mean_s, mean_t = mean(s), mean(t)
    var_s = np.maximum(mean(s * s) - mean_s * mean_s, 0)
    var_t = np.maximum(mean(t * t) - mean_t * mean_t, 0)
    return var_s, var_t, mean(s * t) - mean_s * mean_t, mean(slopes[0] ** 2 + slopes[1] ** 2)


def _match_sharpness(
    s: Float, t: Float, cells: tuple[int, int], valid: NDArray[np.bool_], stats: tuple[Float, Float, Float, Float]
) -> tuple[Float, Float, Float, Float]:
    """Blur the sharper picture as far as that makes the two more alike: a loss of detail is no local difference."""
    var_s, var_t = stats[0][valid], stats[1][valid]
    sharper = float(np.median((var_s + 1) / (var_t + 1)))
    if 1 / 1.15 < sharper < 1.15:
        return stats
    best = stats
    least = _typical(stats, valid)
    for sigma in (0.8, 1.3, 2.0, 3.0, 4.5):
        blurred = (cv2.GaussianBlur(s, (0, 0), sigma), t) if sharper > 1 else (s, cv2.GaussianBlur(t, (0, 0), sigma))
        tried = _window_stats(blurred[0], blurred[1], cells)
        typical = _typical(tried, valid)
        if typical >= least:
            break
        best, least = tried, typical
    return best


def _typical(stats: tuple[Float, Float, Float, Float], valid: NDArray[np.bool_]) -> float:
    residual = (stats[0] + stats[1] - 2 * stats[2])[valid]
    return float(np.median(residual / (stats[0][valid] + stats[1][valid] + 1)))


def _expected_residual(residual: Float, gradient: Float, valid: NDArray[np.bool_]) -> Float:
    """What noise (everywhere) and misplacement by a fraction of a pixel (at gradients) leave in a window."""
    left, slope = residual[valid], gradient[valid]
    calm = slope <= np.median(slope)
    noise = float(np.quantile(left[calm], 0.75)) + 0.25
    busy = ~calm
    ratio = np.maximum(left[busy] - noise, 0) / (slope[busy] + 1e-3) if busy.any() else np.zeros(1)
    return np.asarray(noise + float(np.quantile(ratio, 0.75)) * gradient, np.float32)


def _fine_correlation(s: Float, t: Float, inside: Grey) -> float:
    """Correlate what a small blur takes away: grain and faint texture, which no other picture shares."""
    fine_s = (cv2.GaussianBlur(s, (0, 0), 0.7) - cv2.GaussianBlur(s, (0, 0), 2.0))[inside > 0]
    fine_t = (cv2.GaussianBlur(t, (0, 0), 0.7) - cv2.GaussianBlur(t, (0, 0), 2.0))[inside > 0]
    fine_s, fine_t = np.clip(fine_s, -6, 6), np.clip(fine_t, -6, 6)
    return float((fine_s * fine_t).sum() / (np.linalg.norm(fine_s) * np.linalg.norm(fine_t) + 1e-3))


def _on_cells(matrix: Matrix) -> Matrix:
    """The same transform between the pictures of cells."""
    shrink = np.array([[1, 0, 0.5 - CELL_PIXELS / 2], [0, 1, 0.5 - CELL_PIXELS / 2], [0, 0, CELL_PIXELS]])
    return np.asarray(shrink @ matrix @ np.linalg.inv(shrink))


def _outside(of: Prepared, other: Prepared, onto: Matrix) -> NDArray[np.bool_]:
    """Which cells of one picture the other does not reach; `onto` maps the other's pixels."""
    size = (of.small.shape[1], of.small.shape[0])
    full = np.ones(other.small.shape[:2], np.uint8)
    return np.asarray(cv2.warpPerspective(full, _on_cells(onto), size, flags=cv2.INTER_NEAREST) == 0)


def _explained(
    source: Prepared,
    target: Prepared,
    onto: Matrix,
    outside_source: NDArray[np.bool_],
    outside_target: NDArray[np.bool_],
    settings: VerifySettings,
) -> bool:
    """Whether one picture lies within the other, but for flat fill."""
    reach = 1.0
    inside_target = _lies_within(source.grey.shape, target.grey.shape, onto, reach)
    inside_source = _lies_within(target.grey.shape, source.grey.shape, np.linalg.inv(onto), reach)
    if inside_source:
        return True
    linear = project_linear(onto, source.grey.shape)
    degrees = float(np.degrees(np.arctan2(linear[1, 0], linear[0, 0])))
    tilted = abs((degrees + 45) % 90 - 45) > 0.7
    if inside_target:
        return _is_fill(target.small, outside_target, settings) or float(outside_target.mean()) > 0.03
    return tilted and (
        _is_fill(target.small, outside_target, settings) or _is_fill(source.small, outside_source, settings)
    )


def _lies_within(shape: tuple[int, ...], frame: tuple[int, ...], onto: Matrix, reach: float) -> bool:
    height, width = shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64)
    x, y = project(onto, corners).T
    return bool(
        x.min() > -0.5 - reach
        and y.min() > -0.5 - reach
        and x.max() < frame[1] - 0.5 + reach
        and y.max() < frame[0] - 0.5 + reach
    )


def _is_fill(small: NDArray[np.uint8], outside: NDArray[np.bool_], settings: VerifySettings) -> bool:
    """Whether the cells outside are all of one colour."""
    core = cv2.erode(outside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    if core.sum() < 4:
        return False
    colours = small[core].astype(np.float32)
    off = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    return bool((off <= settings.max_fill_levels).mean() > 0.97)


def _colours(source: Prepared, target: Prepared, onto: Matrix) -> tuple[bool, bool]:
    """Whether the picture was recoloured as a whole, and whether its colours became others."""
    size = (target.small.shape[1], target.small.shape[0])
    cells = _on_cells(onto)
    reached = cv2.warpPerspective(np.ones(source.small.shape[:2], np.uint8), cells, size, flags=cv2.INTER_NEAREST) > 0
    if not reached.any():
        return False, False
    warped = cv2.warpPerspective(source.small, cells, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    s, t = warped[reached].astype(np.float32), target.small[reached].astype(np.float32)
    recoloured = float(np.median(np.abs(s - t).max(axis=1))) > 10
    chroma_s, chroma_t = s - s.mean(axis=1, keepdims=True), t - t.mean(axis=1, keepdims=True)
    chroma_s, chroma_t = chroma_s - chroma_s.mean(axis=0) * 0, chroma_t
    strong = np.linalg.norm(chroma_s, axis=1) * np.linalg.norm(chroma_t, axis=1)
    common = float((chroma_s * chroma_t).sum() / (strong.sum() + 1.0))
    return recoloured, bool(strong.mean() > 60 and common < 0.5)
