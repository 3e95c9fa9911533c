"""Where two previews lie over each other: corners, their descriptions, and the transform that most of
them obey.

Corners come from ORB's multi-scale FAST detector (Rublee 2011); each is described by the gradients around
it, pooled as in SIFT (Lowe 2004) but on 12 x 12 samples of the turned patch, which numpy does for all
corners at once. A mirrored patch is a permutation of its description, so mirrored pictures cost one more
product of matrices and no more corners. The transform is searched without random draws: each matched pair
of corners proposes place, turn and scale, then each two of the best pairs do.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.typical import median

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]
Matrix = NDArray[np.float64]

MAX_POINTS = 500
MIN_SIDE = 32  # pixels: a corner needs its surroundings
LEVELS = 7
LEVEL_RATIO = 1.26
PATCH_PIXELS = 25
SAMPLES = 12
SAMPLE_STEP = 2.6  # pixels of a level between two samples: the patch spans 31 pixels
BINS = 4
OUTSIDE = -99.0
MAX_RUN = 0.2  # of the long side: how far a refined corner may move
MAX_PAIRS = 150  # the clearest pairs are enough, and all ways to combine them stay cheap
DIRECTIONS = 8
MAX_SLOPES = 2500  # pixels that a refinement looks at


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Corners of one preview: places [n, 2], scales [n], angles [n] in radians, descriptions [n, 128]."""

    places: Float
    scales: Float
    angles: Float
    descriptions: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """A transform from the pixels of `a` to those of `b` (3 x 3), and how many corners obey it."""

    matrix: Matrix
    inliers: int
    mirrored: bool


def _pooling() -> Float:
    """Weights [16, 144] that pool samples into 4 x 4 soft cells, under a Gaussian over the patch."""
    line = (np.arange(SAMPLES) + 0.5) / SAMPLES * BINS - 0.5
    soft = np.maximum(1 - np.abs(line[:, None] - np.arange(BINS)[None]), 0)
    radius = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1
    soft *= np.exp(-(radius**2))[:, None]
    cells = soft[:, None, :, None] * soft[None, :, None, :]
    return np.ascontiguousarray(cells.reshape(SAMPLES * SAMPLES, BINS * BINS).T, np.float32)


def _mirroring() -> NDArray[np.intp]:
    """The order in which a description reads when its patch is mirrored across the patch's own direction."""
    order = np.arange(BINS * BINS * DIRECTIONS).reshape(DIRECTIONS, BINS, BINS)
    return order[(-np.arange(DIRECTIONS)) % DIRECTIONS][:, ::-1, :].reshape(-1)


_POOLING = _pooling()
_MIRRORING = _mirroring()
_PAIRS = np.stack([np.arange(_MIRRORING.size), _MIRRORING])[:, np.arange(_MIRRORING.size) < _MIRRORING]
_ROOT_HALF = np.float32(np.sqrt(0.5))
_OFFSETS = ((np.arange(SAMPLES) - (SAMPLES - 1) / 2) * SAMPLE_STEP).astype(np.float32)
_ACROSS, _DOWN = np.tile(_OFFSETS, SAMPLES)[:, None], np.repeat(_OFFSETS, SAMPLES)[:, None]


def find_points(grey: Grey) -> Points:
    """Find and describe at most 500 corners of a grey preview [h, w] uint8."""
    orb = cv2.ORB.create(MAX_POINTS, LEVEL_RATIO, LEVELS, edgeThreshold=14, patchSize=PATCH_PIXELS, fastThreshold=7)
    found = orb.detect(grey, None) if min(grey.shape) >= MIN_SIDE else ()
    if not found:
        none = np.zeros(0, np.float32)
        return Points(np.zeros((0, 2), np.float32), none, none, np.zeros((0, _MIRRORING.size), np.uint8))
    raw = np.array([(*k.pt, k.angle, k.octave) for k in found], np.float32)
    raw = raw[np.lexsort((raw[:, 1], raw[:, 0], raw[:, 3]))]
    angles = np.asarray(np.deg2rad(raw[:, 2]), np.float32)
    scales = np.asarray(LEVEL_RATIO ** raw[:, 3], np.float32)
    # ORB scales the corners of pixels, not their centres.
    places = np.asarray(raw[:, :2] + (scales[:, None] - 1) / 2, np.float32)
    ends = np.searchsorted(raw[:, 3], np.arange(LEVELS + 1))
    described = []
    for level, (start, end) in enumerate(itertools.pairwise(ends.tolist())):
        if start < end:
            here = slice(start, end)
            described.append(_describe(_patches(grey, places[here], angles[here], LEVEL_RATIO**level)))
    return Points(places, scales, angles, np.concatenate(described))


def _patches(grey: Grey, places: Float, angles: Float, scale: float) -> Grey:
    """Sample the turned patches [144, n] around corners of one scale."""
    size = (max(round(grey.shape[1] / scale), 8), max(round(grey.shape[0] / scale), 8))
    level = cv2.GaussianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (0, 0), 1.2)
    shrink = np.array([level.shape[1] / grey.shape[1], level.shape[0] / grey.shape[0]], np.float32)
    middle = (places + np.float32(0.5)) * shrink - np.float32(0.5)
    cos, sin = np.cos(angles), np.sin(angles)
    x = middle[:, 0] + cos * _ACROSS - sin * _DOWN
    y = middle[:, 1] + sin * _ACROSS + cos * _DOWN
    return np.asarray(cv2.remap(level, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _describe(patches: Grey) -> NDArray[np.uint8]:
    """Pool gradients of patches [144, n] into square-rooted descriptions [n, 128] (Arandjelovic 2012).

    A gradient counts with its strength times the squared cosine of its angle to each of eight directions, where that
    cosine is positive. Opposite directions add up to the square in full, and neighbouring axes follow from the double
    angle: seven pooled maps tell all eight. Samples come first and patches last, so that numpy runs along patches.
    """
    count = patches.shape[1]
    levels = patches.reshape(SAMPLES, SAMPLES, count).astype(np.float32)
    across, down = np.empty_like(levels), np.empty_like(levels)
    np.subtract(levels[:, 2:], levels[:, :-2], out=across[:, 1:-1])
    np.subtract(levels[:, 1::10], levels[:, :-1:10], out=across[:, ::11])  # the first and the last column
    np.subtract(levels[2:], levels[:-2], out=down[1:-1])
    np.subtract(levels[1::10], levels[:-1:10], out=down[::11])
    maps = np.empty((7, SAMPLES, SAMPLES, count), np.float32)
    xx, yy, xy = maps[4:]
    np.multiply(across, across, out=xx)
    np.multiply(down, down, out=yy)
    weakened = np.reciprocal(np.sqrt(xx + yy + np.float32(1e-6)))
    xx *= weakened
    yy *= weakened
    np.multiply(across * down, weakened, out=xy)
    mean = (xx + yy) * np.float32(0.5)
    np.multiply(xx, across > 0, out=maps[0])
    np.multiply(mean + xy, across + down > 0, out=maps[1])
    np.multiply(yy, down > 0, out=maps[2])
    np.multiply(mean - xy, down > across, out=maps[3])
    pooled = np.matmul(_POOLING, maps.reshape(7, SAMPLES * SAMPLES, count))
    mean = (pooled[4] + pooled[5]) * np.float32(0.5)
    whole = np.stack([pooled[4], mean + pooled[6], pooled[5], mean - pooled[6]])
    described = np.maximum(np.concatenate([pooled[:4], whole - pooled[:4]]), 0).reshape(-1, count)
    described /= np.sqrt((described * described).sum(axis=0)) + np.float32(1e-6)
    described = np.minimum(described, np.float32(0.25))
    described = np.sqrt(described / (described.sum(axis=0) + np.float32(1e-6)))
    return np.asarray(np.minimum(np.rint(described * 512), 255).T, np.uint8)


def _likeness(a: Points, b: Points) -> Iterator[tuple[bool, Float]]:
    """Tell how alike each description of `a` is to each of `b`, and then so with `b` in a mirror: cosines [n, m].

    A mirror swaps the entries of a description in pairs. What the two of a pair have in common stays, and what sets
    them apart turns its sign: one product of each tells both cosines. The array given first is written over.
    """
    (even_a, odd_a), (even_b, odd_b) = _even_and_odd(a), _even_and_odd(b)
    alike, apart = even_a @ even_b.T, odd_a @ odd_b.T
    alike += apart
    yield False, alike
    apart *= -2
    alike += apart
    yield True, alike


def _even_and_odd(points: Points) -> tuple[Float, Float]:
    """Split descriptions, brought to length 1, into what a mirror keeps and what it negates: [n, 64] each."""
    described = points.descriptions.astype(np.float32)
    described *= (1 / (np.sqrt(np.einsum("ij,ij->i", described, described)) + 1e-6))[:, None]
    first, second = described[:, _PAIRS[0]], described[:, _PAIRS[1]]
    return (first + second) * _ROOT_HALF, (first - second) * _ROOT_HALF


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
    chosen = np.flatnonzero(near)[:30]
    sign = -1.0 if mirrored else 1.0
    p = source[:, 0] + 1j * sign * source[:, 1]
    q = target[:, 0] + 1j * target[:, 1]
    i, j = np.triu_indices(len(chosen), 1)
    i, j = chosen[i], chosen[j]
    apart = np.abs(p[i] - p[j]) > 12
    if not apart.any():
        return _fit_affine(source[near], target[near])
    i, j = i[apart], j[apart]
    gain = (q[i] - q[j]) / (p[i] - p[j])
    place = q[i] - gain * p[i]
    off = gain[:, None] * p[near][None] + (place[:, None] - q[near][None])
    score = np.maximum(1 - (off.real * off.real + off.imag * off.imag) / (2 * max_pixels) ** 2, 0).sum(axis=1)
    best = int(score.argmax())
    g, t = gain[best], place[best]
    return np.array([[g.real, -sign * g.imag, t.real], [g.imag, sign * g.real, t.imag], [0, 0, 1]])


def _fit_affine(source: Matrix, target: Matrix) -> Matrix:
    design = np.column_stack([source, np.ones(len(source))])
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    return np.vstack([solution.T, [0, 0, 1]])


def project(matrix: Matrix, points: Matrix) -> Matrix:
    """Apply a 3 x 3 transform to points [n, 2]."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


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
        small = _descend(small_source, small_target, small, 6, perspective=False)
        if step == 2:
            small = _descend(small_source, small_target, small, 3, perspective=True)
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
