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
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels
from pipeline.detail import Floats
from store.records import Traces

_SIDE, _MARGIN = 8, 2  # pixels of a block, and around it
_PATCH = _SIDE + 2 * _MARGIN
_ACROSS = 4  # patches in each direction
_CELLS = _SIDE**2
_UNCLIPPED = (2, 253)
_LEAST_DEVIATION = 1.0  # grey levels in a block that has something to tell
_MIN_PATCHES = 4
_SHOWN, _SNAPPED = 4, 3  # least steps whose grid shows through the rounding of pixels, and that pixels tell for certain
_OFF_GRID = 0.8  # grey levels: more is no rounding of pixels
_RINGS = 6  # of pixels that lie alike around the middle one, it included
_FITS = 3  # rounds of weighting
_LEAST_ERROR, _FAR = 0.3, 2.0  # grey levels; errors
_SCALES = 0.15 * 1.5 ** np.arange(12)  # grey levels: of what a fit leaves
_OUTLIER = 1e-4
_LEAST_SCALE = 0.5  # grey levels
_ORDERS = ((1, 2), (3, 4), (5, 7), (8, 14))  # of coefficients that share a scale, coarse to fine
_SLACK = 1.5  # grey levels beyond half a step: the rounding of pixels on the way
_MIN_SHORTER = 25.0  # natural logarithms
_MOST_BEYOND = 0.05  # share of the copy's coefficients that the fit leaves further off than rounding does
_OFF_CENTRE = 0.08  # of a filter's weights: less is none
_NO_FILTER = 0.1  # how much finer or coarser detail became: what clipping alone makes of a tone curve


@dataclass(frozen=True, slots=True)
class Cause:
    """Which of two was there first, 1 or 2, else 0; and what turned it into the other.

    `finer` is above 0 where fine detail was raised as against coarse, below 0 where it was lowered, 0 for neither.
    """

    original: int = 0
    finer: float = 0.0


def sample_patches(rgb: Pixels, steps: Sequence[int]) -> bytes:
    """Sample an oriented picture, uint8 [h, w, 3], both sides at least 64 pixels.

    `steps` is the luma quantisation table of a JPEG, 64 numbers row by row, else empty. Returns it, uint8 [64] (0 for
    none), then the grey of 16 blocks with two pixels around each, uint8 [16, 12, 12].
    """
    down, across = (_places(length) for length in rgb.shape[:2])
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb[down[:, None], across]), cv2.COLOR_RGB2GRAY))
    patches = grey.reshape(_ACROSS, _PATCH, _ACROSS, _PATCH).transpose(0, 2, 1, 3)
    table = bytes(min(step, 255) for step in steps) if len(steps) == _CELLS else bytes(_CELLS)
    return table + patches.tobytes()


def _places(length: int) -> NDArray[np.intp]:
    blocks = (length - 2 * _MARGIN) // _SIDE - 1
    starts = ((2 * np.arange(_ACROSS) + 1) * blocks // (2 * _ACROSS) + 1) * _SIDE - _MARGIN
    return np.asarray((starts[:, None] + np.arange(_PATCH)).ravel())


def find_cause(ours: Traces, theirs: Traces) -> Cause:
    """Tell two pictures of one size and frame apart, antisymmetrically; without the patches of both, say nothing."""
    if not ours.patches or len(ours.patches) != len(theirs.patches):
        return Cause()
    first, second = _read(ours.patches), _read(theirs.patches)
    sound = first.sound & second.sound
    if sound.sum() < _MIN_PATCHES:
        return Cause()
    first, second = first.only(sound), second.only(sound)
    there, back = _explain(first, second), _explain(second, first)
    shorter = first.brevity() + there.brevity - second.brevity() - back.brevity
    if abs(shorter) < _MIN_SHORTER:
        return Cause()
    found = there if shorter > 0 else back
    exact = max(first.steps.max(), second.steps.max()) == 1 and abs(found.finer) < _NO_FILTER
    if found.beyond > _MOST_BEYOND or exact:  # where nothing was compressed, a tone curve works both ways
        return Cause()
    return Cause(1 if shorter > 0 else 2, found.finer)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    patches: Floats  # [n, 12, 12]
    steps: Floats  # [64]; 1, as pixels have it, where there are none
    stored: Floats  # [n, 64]: coefficients, as the file holds them where that is certain
    sound: NDArray[np.bool_]  # [n]

    def only(self, chosen: NDArray[np.bool_]) -> "_Sample":
        return _Sample(self.patches[chosen], self.steps, self.stored[chosen], self.sound[chosen])

    @property
    def blocks(self) -> Floats:
        """The grey of the blocks themselves, [n * 64]."""
        return _inner(self.patches).ravel()

    def brevity(self) -> float:
        """Return how likely the coefficients are by themselves: natural logarithm, without the mean ones."""
        values, steps = self.stored[:, 1:], self.steps[1:]
        scale = np.maximum(np.abs(values).mean(axis=0), _LEAST_SCALE)
        half, size = steps / (2 * scale), np.abs(values) / scale
        none = np.log(-np.expm1(-half))
        some = half - np.maximum(size, half) + np.log(-np.expm1(-2 * half)) - np.log(2)
        return float(np.where(size < half, none, some).sum())


@dataclass(frozen=True, slots=True)
class _Explained:
    brevity: float  # natural logarithm of how likely the copy is, given the original
    beyond: float  # share of its coefficients further off than rounding goes
    finer: float


def _read(packed: bytes) -> _Sample:
    table = np.frombuffer(packed, np.uint8, _CELLS).astype(np.float64)
    patches = np.frombuffer(packed, np.uint8, offset=_CELLS).reshape(-1, _PATCH, _PATCH)
    least, most = _UNCLIPPED
    sound = (patches.min(axis=(1, 2)) > least) & (patches.max(axis=(1, 2)) < most)
    sound &= _inner(patches).std(axis=(1, 2)) > _LEAST_DEVIATION
    values = _inner(patches).reshape(-1, _CELLS).astype(np.float64) @ _basis()
    steps = np.maximum(table, 1)
    on_grid = steps * np.rint(values / steps)
    shown = steps >= _SHOWN
    if shown.any():
        sound &= np.sqrt(((values - on_grid)[:, shown] ** 2).mean(axis=1)) < _OFF_GRID
    return _Sample(patches.astype(np.float64), steps, np.where(steps >= _SNAPPED, on_grid, values), sound)


def _inner(patches: NDArray[Any]) -> NDArray[Any]:
    return patches[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


@cache
def _basis() -> Floats:
    """Return the orthonormal DCT of a block, as one product: [64, 64]; the mean coefficient is the first."""
    place = np.arange(_SIDE)
    cosines = np.cos((2 * place[None] + 1) * place[:, None] * np.pi / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    cosines[0] /= np.sqrt(2)
    return np.asarray(np.kron(cosines, cosines).T)


def _explain(original: _Sample, copy: _Sample) -> _Explained:
    """Fit the filter and the tone curve that make one from the other, robustly, and weigh what is left."""
    terms, wanted = _terms(original.patches), copy.blocks
    weight = np.ones(len(wanted))
    fit: Floats = np.zeros(terms.shape[1])
    for _ in range(_FITS):
        weighted = terms * weight[:, None]
        fit = np.asarray(np.linalg.lstsq(weighted, wanted * weight, rcond=None)[0], np.float64)
        off = np.abs(wanted - terms @ fit)
        far = _FAR * (1.48 * float(np.median(off)) + _LEAST_ERROR)
        weight = 1 / np.sqrt(1 + (off / far) ** 2)
    left = (copy.stored - (terms @ fit).reshape(-1, _CELLS) @ _basis())[:, 1:]
    steps = copy.steps[1:]
    around, centre = fit[1:_RINGS], fit[:_RINGS].sum()
    filtered = np.abs(around).sum() > _OFF_CENTRE * abs(centre)
    finer = -float(around.sum()) / max(abs(float(centre)), 1e-3) if filtered else 0.0
    beyond = float((np.abs(left) > steps / 2 + _SLACK).mean())
    return _Explained(sum(_likely(left[:, each], steps[each]) for each in _orders()), beyond, finer)


def _terms(patches: Floats) -> Floats:
    """Return what each pixel of the blocks is explained by: [n * 64, 9].

    The means of the rings around it, itself first; powers of itself, for a tone curve; one.
    """
    rings: dict[tuple[int, int], list[Floats]] = {}
    around = range(-_MARGIN, _MARGIN + 1)
    for down in around:
        for across in around:
            far, near = max(abs(down), abs(across)), min(abs(down), abs(across))
            rows, columns = (slice(_MARGIN + by, _MARGIN + by + _SIDE) for by in (down, across))
            rings.setdefault((far, near), []).append(patches[:, rows, columns])
    means = [np.mean(rings[key], axis=0).ravel() for key in sorted(rings)]
    level = means[0] / 128 - 1
    return np.stack([*means, 128 * level**2, 128 * level**3, np.ones_like(level)], axis=1)


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
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
