"""Where two previews lie over each other: the transform that most of their corners obey, in a mirror or not.

The transform is searched without random draws: each matched pair of corners proposes place, turn and scale, then each
two of the best pairs do. A place that is roughly known is refined on the pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.corners import Points
from pipeline.typical import median

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]
Matrix = NDArray[np.float64]

OUTSIDE = -99.0
FAR_PIXELS = 1e5  # how far off a corner may lie and still be drawn to
MAX_RUN = 0.2  # of the long side: how far a refined corner may move
MAX_PAIRS = 150  # the clearest pairs are enough, and all ways to combine them stay cheap
PROPOSING = 30  # pairs, each two of which propose a similarity
MAX_SLOPES = 1500  # pixels that a refinement looks at


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """A transform from the pixels of `a` to those of `b` (3 x 3), and how many corners obey it."""

    matrix: Matrix
    inliers: int
    mirrored: bool


_PAIRS_OF = tuple(each.astype(np.intp) for each in np.tril_indices(PROPOSING, -1))  # the first k pairs come first


def _likeness(a: Points, b: Points) -> Iterator[tuple[bool, Float]]:
    """Tell how alike each description of `a` is to each of `b`, and then so with `b` in a mirror: cosines [n, m].

    A mirror swaps the entries of a description in pairs. What the two of a pair have in common stays, and what sets
    them apart turns its sign: one product of each tells both cosines. The array given first is written over.
    """
    (even_a, odd_a), (even_b, odd_b) = a.parts, b.parts
    alike, apart = even_a @ even_b.T, odd_a @ odd_b.T
    alike += apart
    yield False, alike
    apart *= -2
    alike += apart
    yield True, alike


def match_points(a: Points, b: Points, alike: Float, max_ratio: float) -> NDArray[np.intp]:
    """Pair corners whose descriptions are closest to each other and clearly closer than the next.

    `alike` [n, m] are the cosines. Returns indexes [k, 2] into `a` and `b`, the clearest pair first.
    """
    nearest = alike.argmax(axis=1)
    best = alike[np.arange(len(a)), nearest]
    rows = np.flatnonzero(best >= alike.max(axis=0)[nearest])
    nearest, best, alike = nearest[rows], best[rows], alike[rows]
    # A corner is found again on neighbouring scales: only a rival at another place counts as one.
    x, y = b.places.T
    near = (np.abs(x[nearest][:, None] - x) < 6) & (np.abs(y[nearest][:, None] - y) < 6)
    alike[near] = -1
    ratio = np.sqrt(np.maximum(1 - best, 0) / np.maximum(1 - alike.max(axis=1), 1e-6))
    order = np.argsort(ratio, kind="stable")
    order = order[ratio[order] < max_ratio][:MAX_PAIRS]
    return np.stack([rows[order], nearest[order]], axis=1)


def align(a: Points, b: Points, max_ratio: float, max_pixels: float, min_inliers: int) -> Alignment | None:
    """Find the affine transform that most matched corners obey within `max_pixels`, if need be in a mirror.

    Returns None where fewer than `min_inliers` corners agree.
    """
    if min(len(a), len(b)) < max(min_inliers, 4):
        return None
    for mirrored, alike in _likeness(a, b):
        found = _align(a, b, match_points(a, b, alike, max_ratio), mirrored, max_pixels, min_inliers)
        if found is not None:
            return found
    return None


def _align(
    a: Points, b: Points, pairs: NDArray[np.intp], mirrored: bool, max_pixels: float, min_inliers: int
) -> Alignment | None:
    if len(pairs) < max(min_inliers, 4):
        return None
    source = a.places[pairs[:, 0]].astype(np.float64)
    target = b.places[pairs[:, 1]].astype(np.float64)
    near = _coarse_inliers(a, b, pairs, source, target, mirrored)
    if near.sum() < 4:
        return None
    matrix = _fine_matrix(source, target, near, mirrored, max_pixels)
    for _ in range(4):
        inliers = _distances(matrix, source, target) < max_pixels
        if inliers.sum() < 4:
            return None
        matrix = _fit_affine(source[inliers], target[inliers])
    inliers = _distances(matrix, source, target) < max_pixels
    apart = len(set(map(tuple, np.rint(source[inliers] / 4).tolist())))
    agreeing = min(int(inliers.sum()), apart)
    if agreeing < min_inliers or (np.linalg.det(matrix[:2, :2]) < 0) != mirrored:
        return None
    return Alignment(matrix, agreeing, mirrored)


def _coarse_inliers(
    a: Points, b: Points, pairs: NDArray[np.intp], source: Matrix, target: Matrix, mirrored: bool
) -> NDArray[np.bool_]:
    """Let every pair propose turn, scale and place; return the pairs that roughly obey the best proposal."""
    scale = (b.scales[pairs[:, 1]] / a.scales[pairs[:, 0]]).astype(np.float64)
    sign = -1.0 if mirrored else 1.0
    turn = b.angles[pairs[:, 1]].astype(np.float64) - sign * a.angles[pairs[:, 0]]
    direction, size = np.exp(1j * turn).astype(np.complex64), np.log(scale)
    gain = scale.astype(np.float32) * direction
    p, q = _complex(source, sign), _complex(target, 1.0)
    off = gain[:, None] * p + (q - gain * p)[:, None] - q
    allowed = np.float32(6) + np.float32(0.25) * np.abs(gain[:, None] * (p - p[:, None]))
    turned = (direction[:, None] * direction.conj()).real > np.float32(np.cos(0.4))
    sized = np.abs(size[None] - size[:, None]) < 0.5
    near = (off.real * off.real + off.imag * off.imag < allowed * allowed) & turned & sized
    return np.asarray(near[near.sum(axis=1).argmax()])


def _complex(places: Matrix, sign: float) -> NDArray[np.complex64]:
    return (places[:, 0] + 1j * sign * places[:, 1]).astype(np.complex64)


def _fine_matrix(source: Matrix, target: Matrix, near: NDArray[np.bool_], mirrored: bool, max_pixels: float) -> Matrix:
    """Let each two of the best rough pairs propose a similarity; return the one that most pairs obey."""
    chosen = np.flatnonzero(near)[:PROPOSING]
    sign = -1.0 if mirrored else 1.0
    p, q = _complex(source, sign), _complex(target, 1.0)
    i, j = (chosen[each[: len(chosen) * (len(chosen) - 1) // 2]] for each in _PAIRS_OF)
    apart = np.abs(p[i] - p[j]) > 12
    if not apart.any():
        return _fit_affine(source[near], target[near])
    i, j = i[apart], j[apart]
    gain = (q[i] - q[j]) / (p[i] - p[j])
    place = q[i] - gain * p[i]
    off = gain[:, None] * p[near]
    off += place[:, None] - q[near]
    apart = off.real * off.real
    apart += off.imag * off.imag
    np.minimum(apart, np.float32((2 * max_pixels) ** 2), out=apart)
    best = int(apart.sum(axis=1).argmin())
    g, t = complex(gain[best]), complex(place[best])
    return np.array([[g.real, -sign * g.imag, t.real], [g.imag, sign * g.real, t.imag], [0, 0, 1]])


def _fit_affine(source: Matrix, target: Matrix) -> Matrix:
    design = np.column_stack([source, np.ones(len(source))])
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    return np.vstack([solution.T, [0, 0, 1]])


def project(matrix: Matrix, points: Matrix) -> Matrix:
    """Apply a 3 x 3 transform to points [n, 2]."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def outline(shape: tuple[int, ...], frame: tuple[int, ...], onto: Matrix) -> Grey:
    """Draw where a picture lies in a frame: 1 there, 0 elsewhere. `onto` maps the picture's pixels."""
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    corners = project(onto, np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]]))
    drawn = np.zeros((frame[0], frame[1]), np.uint8)
    places = np.rint(np.clip(corners, -FAR_PIXELS, FAR_PIXELS) * 16).astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(drawn, places, 1, shift=4), np.uint8)


def _distances(matrix: Matrix, source: Matrix, target: Matrix) -> Matrix:
    return np.asarray(np.linalg.norm(project(matrix, source) - target, axis=1))


def refine(source: Grey, target: Grey, onto: Matrix) -> Matrix:
    """Improve a transform by robust Gauss-Newton steps on locally normalised pictures.

    The steps look at the target's strongest gradients only (Lucas and Kanade 1981, compositional), first
    as an affine change, then with perspective. What differs between the pictures is given little weight. A
    search that runs away gives the transform back as it was.
    """
    given = onto
    scale = min(float(np.sqrt(abs(np.linalg.det(onto[:2, :2])))), 1.0)
    for step in (4, 2):
        small_source, shrink_source = _normalised(source, step, scale)
        small_target, shrink_target = _normalised(target, step, 1.0)
        small = shrink_target @ onto @ np.linalg.inv(shrink_source)
        small = _descend(small_source, small_target, small, 6, perspective=step == 2)
        onto = np.linalg.inv(shrink_target) @ small @ shrink_source
    size = np.array(source.shape[::-1], np.float64)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]]) * size
    moved = np.linalg.norm(project(onto, corners) - project(given, corners), axis=1)
    return onto if bool((moved < MAX_RUN * scale * size.max()).all()) else given


def _normalised(grey: Grey, step: int, scale: float) -> tuple[Float, Matrix]:
    """Shrink by about `step`, take out the local mean, divide by the local deviation; blur for `scale` < 1.

    Returns the small picture and the transform to its pixels.
    """
    size = (max(grey.shape[1] // step, 8), max(grey.shape[0] // step, 8))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    if scale < 0.75:
        small = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1)))
    spread = 4 / scale
    small = np.asarray(small - cv2.GaussianBlur(small, (0, 0), spread))
    deviation = np.sqrt(cv2.GaussianBlur(small * small, (0, 0), 2 * spread))
    across, down = size[0] / grey.shape[1], size[1] / grey.shape[0]
    shrink = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    return np.asarray(small / (deviation + 2), np.float32), shrink


def _descend(source: Float, target: Float, onto: Matrix, steps: int, perspective: bool) -> Matrix:
    height, width = target.shape
    slope, places, wanted = _slopes(target, perspective)
    if len(wanted) < 50:
        return onto
    middle = np.array([[2 / width, 0, -1], [0, 2 / width, -height / width], [0, 0, 1]])
    for _ in range(steps):
        x, y, depth = np.linalg.inv(onto) @ places
        seen = cv2.remap(
            source,
            (x / depth).astype(np.float32),
            (y / depth).astype(np.float32),
            cv2.INTER_LINEAR,
            borderValue=OUTSIDE,
        ).ravel()
        inside = seen > OUTSIDE / 10
        error = np.where(inside, wanted - seen, np.float32(0))
        spread = 1.5 * median(np.abs(error[inside])) + 0.05 if inside.any() else 1.0
        weight = inside / (1 + (error / spread) ** 2) ** 2
        weighted = slope * weight
        normal = (weighted @ slope.T).astype(np.float64)
        normal[np.diag_indices_from(normal)] *= 1.001
        normal[np.diag_indices_from(normal)] += 1e-3
        change = np.linalg.solve(normal, weighted @ error)
        step = np.eye(3).ravel()
        step[: len(change)] += change
        onto = np.linalg.inv(np.linalg.inv(middle) @ step.reshape(3, 3) @ middle) @ onto
        onto /= onto[2, 2]
        if np.abs(change).max() * width / 2 < 0.01:
            break
    return onto


def _slopes(target: Float, perspective: bool) -> tuple[Float, Matrix, Float]:
    """Find how the strongest pixels change with the parameters: slopes [6 or 8, n], places [3, n], values [n]."""
    height, width = target.shape
    across = cv2.Sobel(target, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(target, cv2.CV_32F, 0, 1, scale=0.125)
    strength = (across * across + down * down)[1:-1, 1:-1].ravel()
    count = min(MAX_SLOPES, strength.size // 2)
    chosen = np.sort(np.argpartition(strength, strength.size - count)[-count:])
    y, x = np.divmod(chosen, width - 2)
    x, y = x + 1, y + 1
    gx, gy, wanted = across[y, x], down[y, x], target[y, x]
    u, v = x * (2 / width) - 1, y * (2 / width) - height / width
    rows = [gx * u, gx * v, gx, gy * u, gy * v, gy]
    if perspective:
        along = gx * u + gy * v
        rows += [-along * u, -along * v]
    slope = (np.stack(rows) * (width / 2)).astype(np.float32)
    return slope, np.stack([x, y, np.ones_like(x)]).astype(np.float64), wanted
