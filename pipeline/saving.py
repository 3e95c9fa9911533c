"""Was one of two small pictures merely saved from the other? Every block of both previews answers.

A JPEG holds each DCT coefficient of a block rounded to a multiple of its step. Where a preview is as large as its file
its blocks lie where the file's do, so the coefficients of both pictures can be held against each other: saving rounds
each to the multiple nearest by, and storing the previews moves it by half a step of theirs, twice. Within that the two
are the same picture. What lies far beyond, in one place and while nearly all else lies within, was written over.

This holds for any quality, and the coarser it is the more it says: what is rounded away is not in the saved file at
all. Blocks with burnt-out colours lost what went beyond white and black and tell less; blocks that reach over the
rim tell nothing. `pipeline.descent` asks the same of a few blocks of files of any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey
from pipeline.dct import SIDE as _SIDE
from pipeline.dct import block_basis
from pipeline.earlier import standard_table
from pipeline.settings import DecodeSettings
from pipeline.tones import Tones

Mask = NDArray[np.bool_]

_LEVEL = 128  # of grey, in the middle
_ROUNDING = 1.5  # grey levels, of pixels and colours, in a coefficient
_BURNT = 6  # grey levels from white or black: so far a preview may misplace a burnt-out colour
_BURNT_SLACK = 24.0  # grey levels by which the rounding of burnt-out colours may lie beyond
_MIN_BLOCKS = 40
_WRITTEN, _MIN_CHANGED = 8.0, 2  # grey levels beyond; so many coefficients of touching blocks
_REST = 0.995  # share of the other blocks that saving explains then, at least
_ALL, _HARDLY = 0.98, 4.0  # share of the blocks that saving explains, and how far the others lie beyond, at most
_PRIOR = 200.0  # grey levels of coefficients in all, below which no change is told
_ERRORS = 3.0  # of a change of the whole: by so many it may be misjudged
_RED, _GREEN, _BLUE = (1.402, 0.0), (-0.714136, -0.344136), (0.0, 1.772)  # of Cr and Cb (JFIF 1.02)
_FINENESS = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).ravel()  # diagonals of a block


@dataclass(frozen=True, eq=False)
class Saving:
    """What comes of taking one picture for a JPEG that was saved from the other.

    Coefficients are in grey levels, a block in a row: [n, 64], in `shape` rows and columns of whole blocks.
    """

    parent: Grey  # [h, w]
    child: Grey  # [h, w]
    steps: Float  # [64], of the child's file
    tells: Mask  # [n] blocks without burnt-out colours
    shape: tuple[int, int]

    @cached_property
    def _ours(self) -> Float:
        return coefficients_of(self.parent)

    @cached_property
    def _theirs(self) -> Float:
        return coefficients_of(self.child)

    @cached_property
    def _off(self) -> Float:
        """Return by how much each coefficient lies further off than saving explains, [n, 64]."""
        off = np.abs(_rounded(self._ours, self._theirs, self.steps, storing()) - self._theirs) - storing()
        burnt = ~self.tells
        reach = self.steps / 2 + storing() + _BURNT_SLACK
        off[burnt] = np.abs(self._theirs[burnt] - self._ours[burnt]) - reach
        return np.asarray(off, np.float32)

    @cached_property
    def _beyond(self) -> Float:
        return np.asarray(self._off.max(axis=1))

    @property
    def explained(self) -> float:
        """Give the share of the blocks that saving explains."""
        return float((self._beyond <= 0).mean())

    @property
    def merely_saved(self) -> bool:
        """Tell whether nothing else was done."""
        return self.explained >= _ALL and bool((self._beyond <= _HARDLY).all())

    @property
    def changed(self) -> NDArray[np.intp]:
        """Count in each block, [rows, columns], the coefficients that no change of the whole picture explains."""
        off = self._off > _WRITTEN
        if off.any():
            altered, unsure = _altered(self._ours, self._theirs, self.steps, self.tells)
            left = np.abs(_rounded(altered, self._theirs, self.steps, storing() + unsure) - self._theirs)
            off &= (left - storing() > _WRITTEN) | ~self.tells[:, None]
        return np.asarray(off.sum(axis=1).reshape(self.shape))

    @property
    def written_over(self) -> bool:
        """Tell whether something was written over one of the two, in one place, and nothing else was done."""
        changed = self.changed
        count, labels = cv2.connectedComponents((changed > 0).astype(np.uint8))
        if count < 2:
            return False
        sums = np.bincount(labels.ravel(), changed.ravel())
        rows, columns = np.nonzero(labels == sums.argmax())
        rest = self._beyond.reshape(self.shape).copy()
        rest[max(rows.min() - 1, 0) : rows.max() + 2, max(columns.min() - 1, 0) : columns.max() + 2] = 0
        return bool(sums.max() >= _MIN_CHANGED and (rest <= 0).mean() >= _REST)

    @property
    def again(self) -> Grey:
        """Move the parent [h, w] to the child as far as saving explains it, but for the rim."""
        reach = self.steps / 2 + storing()
        near = self._ours + np.clip(self._theirs - self._ours, -reach, reach)
        rows, columns = self.shape
        blocks = (near @ _basis().T).reshape(rows, columns, _SIDE, _SIDE).transpose(0, 2, 1, 3)
        drawn = self.parent.copy()
        whole = np.clip(np.rint(blocks.reshape(rows * _SIDE, -1) + _LEVEL), 0, 255)
        drawn[: rows * _SIDE, : columns * _SIDE] = whole.astype(np.uint8)
        return drawn


def find_saving(a: Tones, b: Tones, children: Sequence[tuple[int, Float]]) -> tuple[int, Saving | None]:
    """Tell which of two, 0 or 1, is more likely a JPEG saved from the other, and what comes of that.

    `children` are those that may be, with the luma tables [64] of their files (`Known.children`). None where too few
    blocks tell anything.
    """
    pair = a, b
    found: tuple[int, Saving | None] = 0, None
    for place, steps in sorted(children, key=lambda child: float(-child[1].sum())):  # the coarsest first
        tells = ~find_burnt(pair[place])
        if tells.sum() < _MIN_BLOCKS:
            continue
        saving = Saving(pair[1 - place].grey, pair[place].grey, steps, tells.ravel(), tells.shape)
        if saving.merely_saved:
            return place, saving
        if found[1] is None or saving.explained > found[1].explained:
            found = place, saving
    return found


def _rounded(ours: Float, theirs: Float, steps: Float, unsure: Float) -> Float:
    """Round coefficients, known but for `unsure` grey levels, to multiples of steps.

    Of two multiples that may be meant it is the one nearer to theirs.
    """
    exact = ours / steps
    nearest = np.rint(exact)
    exact -= nearest
    other = nearest + np.sign(exact)
    either = (0.5 - np.abs(exact)) * steps < unsure
    nearest *= steps
    other *= steps
    either &= np.abs(other - theirs) < np.abs(nearest - theirs)
    return np.asarray(np.where(either, other, nearest), np.float32)


def _altered(ours: Float, theirs: Float, steps: Float, tells: Mask) -> tuple[Float, Float]:
    """Do to coefficients [n, 64] what was done to all blocks alike: to the tones, and to detail by its fineness.

    Coarse steps swallow most of a mild change and may leave it in few blocks alone. The second is by how much that
    may be wrong.
    """
    altered, unsure = ours.copy(), np.zeros_like(ours)
    moved = theirs - _rounded(ours, theirs, steps, storing())
    for diagonal in range(2 * _SIDE - 1):
        here = np.flatnonzero(diagonal == _FINENESS)
        known = ours[np.ix_(tells, here)].ravel().astype(np.float64)
        off = moved[np.ix_(tells, here)].ravel().astype(np.float64)
        design = np.stack([known, np.ones_like(known)]) if diagonal == 0 else known[None]
        normal = design @ design.T + np.diag([_PRIOR**2, 1.0])[: len(design), : len(design)]
        fit = np.zeros(len(design))
        for _ in range(3):  # what was written over counts as little more than chance does
            left = off - fit @ design
            left = np.clip(left, *(np.array([-_ERRORS, _ERRORS]) * left.std()))
            fit = np.linalg.solve(normal, design @ (left + fit @ design))
        whole = ours[:, here].ravel().astype(np.float64)
        whole = np.stack([whole, np.ones_like(whole)])[: len(design)]
        spread = np.sqrt(np.einsum("in,ij,jn->n", whole, np.linalg.inv(normal) * left.var(), whole))
        change = fit @ whole
        altered[:, here] += change.reshape(-1, len(here))
        unsure[:, here] = (np.abs(change) / 2 + _ERRORS * spread).reshape(-1, len(here))
    return altered, unsure


@cache
def storing() -> Float:
    """Return by how much storing moves the coefficients of two previews apart: [64]."""
    return np.asarray(standard_table(DecodeSettings().preview_quality) + _ROUNDING, np.float32)


def coefficients_of(grey: Grey) -> Float:
    """Return the DCT of all whole blocks, [n, 64] row by row."""
    rows, columns = grey.shape[0] // _SIDE, grey.shape[1] // _SIDE
    blocks = grey[: rows * _SIDE, : columns * _SIDE].reshape(rows, _SIDE, columns, _SIDE).transpose(0, 2, 1, 3)
    return np.asarray((blocks.reshape(-1, _SIDE**2).astype(np.float32) - _LEVEL) @ _basis(), np.float32)


@cache
def _basis() -> Float:
    return np.ascontiguousarray(block_basis(), np.float32)


def find_burnt(tones: Tones) -> Mask:
    """Tell which of the whole blocks hold burnt-out colours: [rows, columns]."""
    high, wide = (side // _SIDE * _SIDE for side in tones.grey.shape)
    grey = tones.grey[:high, :wide].astype(np.int16)
    burnt = np.zeros(grey.shape, np.bool_)
    size = (tones.grey.shape[1], tones.grey.shape[0])
    for red, blue in (_RED, _GREEN, _BLUE):
        colour = np.rint((tones.chroma.astype(np.float32) - _LEVEL) @ np.array([red, blue], np.float32))
        whole = cv2.resize(colour.astype(np.int16), size, interpolation=cv2.INTER_NEAREST)[:high, :wide] + grey
        burnt |= (whole < _BURNT) | (whole > 255 - _BURNT)
    return np.asarray(burnt.reshape(high // _SIDE, _SIDE, wide // _SIDE, _SIDE).any(axis=(1, 3)))
