"""Was one file made from the other by a filter or by a tone curve? Whichever way round explains both more briefly.

Sharpening one picture and blurring the other leave the same spectra, so the spectra do not say which was done. Rounding
does: a file holds its pixels, or its DCT coefficients, rounded to steps of its own. A copy follows from its original up
to half a step of the copy's file, and the original's own steps go on in it, filtered. The other way round, the copy's
steps would have to be found in the original, and they are not there.

So the little filter (up to two pixels away) and the tone curve are fitted that turn one into the other, both ways, on a
few patches at the same places. Then the pair is described in two parts each way: one file by itself, as such
coefficients are distributed (Laplace; Reininger and Gibson 1983), and the other by what the fit leaves, in steps of its
own. The shorter description tells the original (minimum description length, Rissanen 1978), provided that the fit
leaves hardly more than the rounding; noise, and edits that are no filter, say nothing here.

Most filters treat pixels alike that lie alike around the middle one, so those share a weight at first. Where that tells
nothing, every pixel gets a weight of its own, as a smear needs it, and the median of nine joins them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dct import block_basis
from pipeline.decode import Pixels
from pipeline.descent import shown_table
from pipeline.detail import Floats
from pipeline.typical import median
from store.records import Traces

_SIDE, _MARGIN = 8, 2  # pixels of a block, and around it
PATCH = _SIDE + 2 * _MARGIN  # pixels along either side of a patch
PATCHES_ACROSS = 4  # patches in each direction
_CELLS = _SIDE**2
_UNCLIPPED = (2, 253)
_LEAST_DEVIATION = 1.0  # grey levels in a block that has something to tell
_MIN_PATCHES = 4
_SHOWN, _SNAPPED = 4, 3  # least steps whose grid shows through the rounding of pixels, and that pixels tell for certain
_OFF_GRID = 0.8  # grey levels: more is no rounding of pixels
_RINGS, _NEXT = 6, 3  # of pixels that lie alike around the middle one, it included: all, and those next to it
_FITS = 3  # rounds of weighting
_RIDGE = 1e-3  # squared grey levels: neighbours are nearly alike
_LEAST_ERROR, _FAR = 0.3, 2.0  # grey levels; errors
_SCALES = 0.15 * 1.5 ** np.arange(12)  # grey levels: of what a fit leaves
_OUTLIER = 1e-4
_LEAST_SCALE = 0.5  # grey levels
_ORDERS = ((1, 2), (3, 4), (5, 7), (8, 14))  # of coefficients that share a scale, coarse to fine
_SLACK = 1.5  # grey levels beyond half a step: the rounding of pixels on the way
_MIN_SHORTER, _MUCH_SHORTER = 25.0, 200.0  # natural logarithms
# Share of the copy's coefficients that the fit leaves further off than rounding does: clipping and wide filters leave
# more, and where the description is much shorter, they may.
_MOST_BEYOND = (0.05, 0.12)
# Share of the difference that the fit may leave to be its cause: of 221 that left less 8 were wrong, of 52 others 26.
_EXPLAINS = 0.5
_COARSE, _FINER = 5, 2  # a step that leaves much empty; how much finer the other's must be to have held something
_MIN_EMPTY, _MIN_HELD = 50, 20  # coefficients
_SOMETHING = 0.7  # of a step: what is less may be the rounding of pixels
_OFF_CENTRE = 0.08  # of a filter's weights: less is none
_NO_FILTER = 0.1  # how much finer or coarser detail became: what clipping alone makes of a tone curve


@dataclass(frozen=True, slots=True)
class Fits:
    """How well a filter and a tone curve make each of two from the other, though none may be proven.

    `left` is the share of the difference (or of the one to be made, whichever is less) that the best fit leaves,
    `beyond` that of the coefficients that tell (nearly 0 on neither side) further off than rounding goes; both first
    of the second, made from the first, then the other way round. `shorter` is by how much the description is shorter
    where the first is the original: a logarithm.
    """

    left: tuple[float, float]
    beyond: tuple[float, float]
    shorter: float

    def turned(self) -> "Fits":
        """Return the same with the two exchanged."""
        return Fits(self.left[::-1], self.beyond[::-1], -self.shorter)


@dataclass(frozen=True, slots=True)
class Cause:
    """Which of two was there first, 1 or 2, else 0; and what turned it into the other.

    `finer` is above 0 where fine detail was raised as against coarse, below 0 where it was lowered, 0 for neither.
    `fits` is None where there is too little to compare.
    """

    original: int = 0
    finer: float = 0.0
    fits: Fits | None = None

    def turned(self) -> "Cause":
        """Return the same with the two exchanged."""
        return Cause((0, 2, 1)[self.original], self.finer, self.fits and self.fits.turned())


def sample_patches(rgb: Pixels, steps: Sequence[int]) -> bytes:
    """Sample an oriented picture, uint8 [h, w, 3], both sides at least 64 pixels.

    `steps` is the luma quantisation table of a JPEG, 64 numbers row by row, else empty. Returns it, uint8 [64] (0 for
    none), then the grey of 16 blocks with two pixels around each, uint8 [16, 12, 12].
    """
    down, across = (place_patches(length) for length in rgb.shape[:2])
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb[down[:, None], across]), cv2.COLOR_RGB2GRAY))
    patches = grey.reshape(PATCHES_ACROSS, PATCH, PATCHES_ACROSS, PATCH).transpose(0, 2, 1, 3)
    table = bytes(min(step, 255) for step in steps) if len(steps) == _CELLS else bytes(_CELLS)
    return table + patches.tobytes()


def place_patches(length: int) -> NDArray[np.intp]:
    """Return which pixels along a side of `length` the patches lie on: [4 * 12]."""
    blocks = (length - 2 * _MARGIN) // _SIDE - 1
    starts = ((2 * np.arange(PATCHES_ACROSS) + 1) * blocks // (2 * PATCHES_ACROSS) + 1) * _SIDE - _MARGIN
    return np.asarray((starts[:, None] + np.arange(PATCH)).ravel())


def find_cause(ours: Traces, theirs: Traces) -> Cause:
    """Tell two pictures of one size and frame apart, antisymmetrically; without the patches of both, say nothing."""
    if not ours.patches or len(ours.patches) != len(theirs.patches):
        return Cause()
    first, second = _read(ours), _read(theirs)
    sound = first.sound & second.sound
    unclipped = sound & first.unclipped & second.unclipped
    if unclipped.sum() >= _MIN_PATCHES:  # clipping is no filter, but things before a white ground have nothing else
        sound = unclipped
    if sound.sum() < _MIN_PATCHES:
        return Cause(fits=_fit_loosely(first, second))
    first, second = first.only(sound), second.only(sound)
    tried = [_compare(first, second, _terms)]
    if abs(tried[0].fits.shorter) < _MUCH_SHORTER:
        tried.append(_compare(first, second, _all_terms))
    found = max(tried, key=lambda each: abs(each.shorter))
    longest = max((each.fits for each in tried), key=lambda fits: abs(fits.shorter))
    left = min(each.fits.left[0] for each in tried), min(each.fits.left[1] for each in tried)
    fits = Fits(left, longest.beyond, longest.shorter)
    original = 1 if found.shorter > 0 else 2 if found.shorter < 0 else 0
    if original and left[original == 2] > _EXPLAINS:
        return Cause(fits=fits)  # within coarse steps anything lies, and what is left is the work of something else
    return Cause(original, found.finer, fits)


def compare_empty_places(coarse: Traces, fine: Traces) -> float | None:
    """Return how little a picture holds where a JPEG of it with coarser steps, or that it was made from, holds nothing.

    That is what it has there in steps of the coarser one (root mean square), as a share of what sets both apart where
    that one has something. What was compressed lay anywhere within half a step of nothing; what another codec made of
    the compressed one has hardly more than nothing there. None where there is too little to tell.
    """
    if not coarse.patches or len(coarse.patches) != len(fine.patches):
        return None
    first, second = _read(coarse), _read(fine)
    if first.sound.sum() < _MIN_PATCHES:
        return None
    steps, inherited = first.steps[1:], fine.seen_step / fine.stored_step if fine.stored_step else 1.0
    told = (steps >= _COARSE) & (steps >= _FINER * max(inherited, 1.0) * second.steps[1:])
    held, there = (
        (values[first.sound, 1:] / steps)[:, told]
        for values in (first.stored, _inner(second.patches).reshape(-1, _CELLS) @ block_basis())
    )
    empty = held == 0
    if empty.sum() < _MIN_EMPTY or (~empty).sum() < _MIN_HELD:
        return None
    apart = float(((there - held)[~empty] ** 2).mean())
    return float(np.sqrt((there[empty] ** 2).mean() / max(apart, 1e-6)))


def compare_rounding(coarse: Traces, fine: Traces) -> float | None:
    """Return how far two pictures lie apart, in steps of the coarser one (root mean square, of at most one step).

    Had that one been saved from the other, it would be the deviation of rounding, 0.29, wherever it has something. The
    pixels are compared as they are: clipping moved them off the grid, and what was made after that has moved with them.
    None where there is too little to tell.
    """
    if not coarse.patches or len(coarse.patches) != len(fine.patches):
        return None
    first, second = _read(coarse), _read(fine)
    steps = first.steps[1:]
    told = (steps >= _SHOWN) & (steps >= _FINER * second.steps[1:])
    held, there = (
        (_inner(sample.patches[first.textured]).reshape(-1, _CELLS) @ block_basis())[:, 1:][:, told] / steps[told]
        for sample in (first, second)
    )
    something = np.abs(held) > _SOMETHING
    if something.sum() < _MIN_HELD:
        return None
    return float(np.sqrt((np.clip(there - held, -1, 1)[something] ** 2).mean()))


def _fit_loosely(first: "_Sample", second: "_Sample") -> Fits | None:
    """Fit where clipping moved nearly all patches off their files' grids: how well, but not which is the original."""
    told = first.textured & second.textured
    if told.sum() < _MIN_PATCHES:
        return None
    fits = _compare(first.only(told), second.only(told), _terms).fits
    return Fits(fits.left, fits.beyond, 0.0)


@dataclass(frozen=True, eq=False)
class _Sample:
    patches: Floats  # [n, 12, 12]
    steps: Floats  # [64]; 1, as pixels have it, where there are none
    stored: Floats  # [n, 64]: coefficients, as the file holds them where that is certain
    textured: NDArray[np.bool_]  # [n]
    sound: NDArray[np.bool_]  # [n]: those of them that lie on the file's own grid
    unclipped: NDArray[np.bool_]  # [n]

    def only(self, chosen: NDArray[np.bool_]) -> "_Sample":
        return _Sample(
            self.patches[chosen], self.steps, self.stored[chosen], self.textured[chosen], self.sound[chosen],
            self.unclipped[chosen],
        )  # fmt: skip

    @cached_property
    def blocks(self) -> Floats:
        """The grey of the blocks themselves, [n * 64]."""
        return _inner(self.patches).ravel()

    @cached_property
    def around(self) -> Floats:
        """The pixels of the blocks, moved by up to two each way: [25, n * 64]."""
        moved = [self.patches[:, down : down + _SIDE, across : across + _SIDE].ravel() for down, across in _moved()]
        return np.stack(moved)

    @cached_property
    def brevity(self) -> float:
        """Return how likely the coefficients are by themselves: natural logarithm, without the mean ones."""
        values, steps = self.stored[:, 1:], self.steps[1:]
        scale = np.maximum(np.abs(values).mean(axis=0), _LEAST_SCALE)
        half, size = steps / (2 * scale), np.abs(values) / scale
        none = np.log(-np.expm1(-half))
        some = half - np.maximum(size, half) + np.log(-np.expm1(-2 * half)) - np.log(2)
        return float(np.where(size < half, none, some).sum())


@dataclass(frozen=True, slots=True)
class _Found:
    shorter: float  # by how much the description is shorter where the first is the original; 0 where nothing is told
    finer: float
    fits: Fits


_Terms = Callable[[Floats], tuple[list[Floats], tuple[int, ...]]]  # of the pixels around: what explains one, its ring


@dataclass(frozen=True, slots=True)
class _Explained:
    brevity: float  # natural logarithm of how likely the copy is, given the original
    beyond: float  # share of its coefficients further off than rounding goes
    told_beyond: float  # the same, of those that tell
    left: float  # share of the difference, or of the copy itself, whichever is less
    finer: float


def read_grey(packed: bytes) -> Floats:
    """Return the grey of the patches of a sample: float64 [16, 12, 12]."""
    return np.frombuffer(packed, np.uint8, offset=_CELLS).reshape(-1, PATCH, PATCH).astype(np.float64)


def bend(patches: Floats) -> Floats:
    """Return the Laplacian within patches, [n, h, w]: [n, h - 2, w - 2]."""
    inner = 4 * patches[:, 1:-1, 1:-1] - patches[:, :-2, 1:-1] - patches[:, 2:, 1:-1]
    return np.asarray(inner - patches[:, 1:-1, :-2] - patches[:, 1:-1, 2:], np.float64)


def _read(traces: Traces) -> _Sample:
    table = np.frombuffer(traces.patches, np.uint8, _CELLS).astype(np.float64)
    if not table.any():
        table = shown_table(traces)  # of the JPEG that it was
    patches = read_grey(traces.patches)
    least, most = _UNCLIPPED
    unclipped = (patches.min(axis=(1, 2)) > least) & (patches.max(axis=(1, 2)) < most)
    textured = _inner(patches).std(axis=(1, 2)) > _LEAST_DEVIATION
    sound = textured
    values = _inner(patches).reshape(-1, _CELLS) @ block_basis()
    steps = np.maximum(table, 1)
    on_grid = steps * np.rint(values / steps)
    shown = steps >= _SHOWN
    if shown.any():
        sound = textured & (np.sqrt(((values - on_grid)[:, shown] ** 2).mean(axis=1)) < _OFF_GRID)
    return _Sample(patches, steps, np.where(steps >= _SNAPPED, on_grid, values), textured, sound, unclipped)


def _inner(patches: NDArray[Any]) -> NDArray[Any]:
    return patches[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _compare(first: _Sample, second: _Sample, terms: _Terms) -> _Found:
    """Tell which way round the description is shorter, provided that it explains the copy."""
    there, back = _explain(first, second, terms), _explain(second, first, terms)
    shorter = (first.brevity + there.brevity) - (second.brevity + back.brevity)
    found = there if shorter > 0 else back
    fits = Fits((there.left, back.left), (there.told_beyond, back.told_beyond), shorter)
    exact = max(first.steps.max(), second.steps.max()) == 1 and abs(found.finer) < _NO_FILTER
    most = _MOST_BEYOND[abs(shorter) >= _MUCH_SHORTER]
    if abs(shorter) < _MIN_SHORTER or found.beyond > most or exact:
        return _Found(0.0, 0.0, fits)  # where nothing was compressed, a tone curve works both ways
    return _Found(shorter, found.finer, fits)


def _explain(original: _Sample, copy: _Sample, terms: _Terms) -> _Explained:
    """Fit the filter and the tone curve that make one from the other, robustly, and weigh what is left."""
    (around, rings), wanted = terms(original.around), copy.blocks
    pixels = np.stack([*around, *_tones(original.blocks)])
    weight = np.ones(len(wanted))
    fit: Floats = np.zeros(len(pixels))
    ridge = _RIDGE * len(wanted) * np.eye(len(pixels))
    for _ in range(_FITS):
        weighted = pixels * weight
        fit = np.asarray(np.linalg.solve(weighted @ weighted.T + ridge, weighted @ (wanted * weight)), np.float64)
        off = np.abs(wanted - fit @ pixels)
        far = _FAR * (1.48 * median(off) + _LEAST_ERROR)
        weight = 1 / np.sqrt(1 + (off / far) ** 2)
    made = ((fit @ pixels).reshape(-1, _CELLS) @ block_basis())[:, 1:]
    stored, steps = copy.stored[:, 1:], copy.steps[1:]
    left = stored - made
    shares = np.bincount(rings, fit[: len(rings)])
    whole, beside = abs(float(shares.sum())), shares[1:]
    filtered = np.abs(beside).sum() > _OFF_CENTRE * whole
    finer = -float(beside.sum()) / max(whole, 1e-3) if filtered else 0.0
    reach = steps / 2 + _SLACK
    beyond, tells = np.abs(left) > reach, np.maximum(np.abs(made), np.abs(stored)) > reach
    most = float(min(((stored - original.stored[:, 1:]) ** 2).sum(), (stored**2).sum()))
    return _Explained(
        brevity=sum(_likely(left[:, each], steps[each]) for each in _orders()),
        beyond=float(beyond.mean()),
        told_beyond=float(beyond[tells].mean()) if tells.any() else 0.0,
        left=min(float((left**2).sum()) / most, 1.0) if most else 1.0,
        finer=finer,
    )


def _terms(around: Floats) -> tuple[list[Floats], tuple[int, ...]]:
    """Return the means of the rings around each pixel of the blocks, itself first, [n] each, and their numbers."""
    numbers, rings = tuple(range(_RINGS)), np.array(_ring_numbers())
    return [around[rings == number].mean(axis=0) for number in numbers], numbers


def _all_terms(around: Floats) -> tuple[list[Floats], tuple[int, ...]]:
    """Return each pixel around, [n] each, with the number of its ring, and the median of nine as one more."""
    rings = _ring_numbers()
    nine = around[np.array(rings) < _NEXT]
    return [*around, np.asarray(np.partition(nine, len(nine) // 2, axis=0)[len(nine) // 2])], (*rings, _RINGS)


def _moved() -> list[tuple[int, int]]:
    return [(down, across) for down in range(2 * _MARGIN + 1) for across in range(2 * _MARGIN + 1)]


@cache
def _ring_numbers() -> tuple[int, ...]:
    """Number the rings of the pixels around the middle one, by how far they are both ways, nearest first."""
    far = [tuple(sorted((abs(down - _MARGIN), abs(across - _MARGIN)), reverse=True)) for down, across in _moved()]
    return tuple(sorted(set(far)).index(ring) for ring in far)


def _tones(grey: Floats) -> list[Floats]:
    """Return powers of grey, for a tone curve, and one: [n] each."""
    level = grey / 128 - 1
    square = level * level
    return [128 * square, 128 * square * level, np.ones_like(level)]


@cache
def _orders() -> tuple[NDArray[np.intp], ...]:
    order = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).ravel()[1:]
    return tuple(np.flatnonzero((order >= least) & (order <= most)) for least, most in _ORDERS)


def _likely(left: Floats, steps: Floats) -> float:
    """Return how likely it is to leave so much, [n, k], rounded to steps, at the scale that suits best: a logarithm."""
    upper, lower = (left + steps / 2)[None], (left - steps / 2)[None]
    scale = _SCALES[:, None, None]
    inside = _below(upper / scale) - _below(lower / scale)
    return float(np.log(np.maximum(inside, _OUTLIER * steps)).sum(axis=(1, 2)).max())


def _below(values: Floats) -> Floats:
    """Return the share of a logistic distribution below: it stands for the sum of many small roundings."""
    return np.asarray(0.5 + 0.5 * np.tanh(values / 2))
