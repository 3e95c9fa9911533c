"""Was one file merely saved from the other? What JPEG's rounding left at the same places of both answers.

A JPEG holds every DCT coefficient of a block rounded to a multiple of its quantisation step. Saved from another
picture, its coefficients lie within half a step of that picture's, all of them; if some lie further off, it was not
saved from that one. And whoever was saved from a JPEG keeps lying near the multiples of *its* steps, which a picture
that never was a JPEG does only by chance. So a few coefficients of the same blocks of both files, and the tables that
the files state, tell the parent from the child, or that something else was done to one of them.

A file may have been a coarser JPEG before; where its coefficients still show that one's steps, and the other file does
not have them, it stands for that earlier JPEG, whose child it is (`pipeline.earlier`).

Then they tell what: blur and sharpening change coefficients in proportion, noise comes on top whatever they are.

The blocks lie at fixed shares of a picture and begin where JPEG's own do. Blocks that do not lie on their file's own
grid (burnt-out colours, pictures turned by their metadata) say nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dct import SIDE as _SIDE
from pipeline.dct import block_basis
from pipeline.decode import Pixels
from pipeline.detail import Floats
from pipeline.earlier import explain_alike, find_steps, find_table, lie_on
from store.records import Traces

Flags = NDArray[np.bool_]

_ROWS = _COLUMNS = 8  # of blocks looked at, at most
# Coefficients looked at, (row, column): the lowest, where values are large, along four diagonals.
_PLACES = (
    (0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2),
    (2, 1), (3, 0), (4, 0), (3, 1), (2, 2), (1, 3), (0, 4),
)  # fmt: skip
_UNIT = 8.0  # stored units per grey level
_LEVEL = 128 * _SIDE  # JPEG's level shift, in the mean coefficient
_BURNT = 960  # mean coefficient: nearly black or white blocks lose what goes beyond
_MIN_BLOCKS = 6
_MIN_ALIKE = 0.9  # correlation of the blocks' means: below, the blocks do not lie on each other
_COVERED, _MIN_ALIKE_ELSE = 0.4, 0.95  # share of the blocks that may be written over; correlation of the others
_EARLIER = 1.1  # times the file's own mean step: what the pixels show of a coarser one before
_SHOWN = 4  # least step whose grid shows through the rounding of pixels
_OFF_GRID = 0.8  # grey levels: more is no rounding of pixels
_SNAPPED = 3  # least step that pixels tell for certain
_REACH = (0.5, 0.75)  # of a step: how far a child's coefficients may lie off; where finer ones may have come before
_BEFORE = 0.15  # of a step: deviation that such finer ones leave
_SLACK = (2.5, 1.0)  # grey levels beyond half a step, for coefficients not told for certain and for others
_HOLDS = (0.08, 0.04)  # share of blocks with a coefficient beyond, at most: of all, and of those not written over
_REFUTED, _REWRITTEN = 0.12, 0.7  # at least
_GROSS = 8.0  # grey levels beyond: something was written over the block
_MIN_UNTOUCHED = 0.6  # share of blocks
# Where fewer are: coefficients that a block must have to tell that it was left alone, and how many such blocks.
_MIN_SHOWING, _FEW_UNTOUCHED, _MIN_LEFT_ALONE = 3, 0.2, 8
_MIN_OVER = 3  # blocks
_HOLDS_IN_PART = 0.15  # share of those beyond: on the rim of what was written over
_ANYWHERE, _FLAT = 0.24, 2.2  # of a step: least deviation of what was merely rounded; most fourth moment, as below
_MIN_ODDS, _MOST_ODDS = 8.0, 6.0  # natural logarithms: of all blocks, at least; of one block, at most
_SPREAD = (0.8, 0.4)  # grey levels: deviation of roundings on the way, for coefficients not certain and for others
_OUTLIER = 1e-3
_LEAST_SCALE = 0.5  # grey levels
_FAINT, _FAINT_COMB = 1.2, 0.5  # grey levels; how deep a comb of step two is through the rounding of pixels
_MIN_VALUES = 40
_FINE = (4, 3, 2)  # diagonals, the finest two that are told
_DIAGONALS = np.array([row + column for row, column in _PLACES])
_MORE, _ERRORS = 0.04, 2.5  # of a gain: what is more than chance, at least, and in errors
_LEAST_VALUE, _WHOLE_STEP, _MIN_TOLD = 2.5, 0.9, 20  # grey levels; steps; coefficients
_TAILS = 2.1  # fourth moment by the second one squared: 1.8 where evenly spread, 3 of noise
_INHERITED, _OWN = 0.2, 0.255  # of a step: deviation from the grid's multiples; 0.289 where there is no grid


@dataclass(frozen=True, slots=True)
class Descent:
    """What the rounding tells of two files: which is the original, 1 or 2, else 0.

    `altered` says of each whether it is certain that it was not merely saved from the other, `rewritten` whether that
    holds nearly everywhere: then nothing was merely put over a part of it. `richer` is the one that
    has more of every fine coefficient that the other has, `noisier` the one that has as much of it, and something else
    on top that has nothing to do with it; 0 for neither. `compared`: there was enough to say so. `beyond` is by how
    many grey levels the block that is furthest off lies beyond what saving allows; below 0 none does.
    """

    original: int = 0
    altered: tuple[bool, bool] = (False, False)
    rewritten: tuple[bool, bool] = (False, False)
    compared: bool = False
    richer: int = 0
    noisier: int = 0
    beyond: float = 0.0


def sample_blocks(rgb: Pixels, steps: Sequence[int]) -> bytes:
    """Sample an oriented picture, uint8 [h, w, 3], both sides at least 8 pixels.

    `steps` is the luma quantisation table of a JPEG, 64 numbers row by row, else empty. Returns the chosen steps, uint8
    [15] (0 for none), then the coefficients of each block, little-endian int16 [n, 15] in eighths of a grey level.
    """
    rows, columns = (_starts(length, most) for length, most in zip(rgb.shape, (_ROWS, _COLUMNS), strict=False))
    inside = np.arange(_SIDE)
    down, across = ((starts[:, None] + inside).ravel() for starts in (rows, columns))
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb[down[:, None], across]), cv2.COLOR_RGB2GRAY))
    blocks = grey.reshape(len(rows), _SIDE, len(columns), _SIDE).transpose(0, 2, 1, 3).reshape(-1, _SIDE**2)
    values = blocks.astype(np.float32) @ _basis()
    values[:, 0] -= _LEVEL
    table = [min(steps[row * _SIDE + column], 255) for row, column in _PLACES] if len(steps) == _SIDE**2 else []
    stored: NDArray[np.int16] = np.rint(values * _UNIT).astype("<i2")
    return bytes(table or len(_PLACES)) + stored.tobytes()


def _starts(length: int, most: int) -> NDArray[np.intp]:
    blocks = length // _SIDE
    count = min(blocks, most)
    return (2 * np.arange(count) + 1) * blocks // (2 * count) * _SIDE


@cache
def _basis() -> NDArray[np.float32]:
    """Return the DCT of a block for the chosen coefficients: float32 [64, 15]."""
    chosen = [row * _SIDE + column for row, column in _PLACES]
    return np.ascontiguousarray(block_basis()[:, chosen], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    steps: Floats  # [15], 0 for no JPEG
    values: Floats  # [n, 15], as the pixels show them
    stored: Floats  # [n, 15], as the file holds them, where that is certain
    sound: NDArray[np.bool_]  # [n]
    known: Flags  # [15]: whose steps are known
    chained: bool = False  # stands for the earlier JPEG of a file that was saved several times

    @property
    def is_jpeg(self) -> bool:
        return bool(self.steps.any())

    def certain(self, least: tuple[float, float]) -> Floats:
        """Choose by whether a coefficient is certain, [15]."""
        return np.where(self.steps >= _SNAPPED, least[1], least[0])


def own_table(traces: Traces) -> Floats:
    """Return the luma table of a JPEG, [64] row by row; all 0 where it is none, or not the standard's."""
    if len(traces.blocks) <= len(_PLACES):
        return np.zeros(_SIDE**2)
    steps = np.frombuffer(traces.blocks, np.uint8, len(_PLACES)).astype(np.float64)
    table = find_table(steps, _PLACES)
    return table if bool((table[[row * _SIDE + column for row, column in _PLACES]] == steps).all()) else 0 * table


def shown_table(traces: Traces) -> Floats:
    """Return the luma table, [64] row by row, that the pixels of a file without one show; all 0 where none is told."""
    if len(traces.blocks) <= len(_PLACES) or traces.seen_step <= 0:
        return np.zeros(_SIDE**2)
    return find_table(_earlier_steps(_sample(traces.blocks), traces), _PLACES)


def read_samples(ours: Traces, theirs: Traces) -> tuple[_Sample, _Sample]:
    """Read the blocks of both, each as the earlier JPEG that it shows and the other does not."""
    both = _sample(ours.blocks), _sample(theirs.blocks)
    first, second = (_earlier_steps(sample, traces) for sample, traces in zip(both, (ours, theirs), strict=True))
    one = _as_earlier(both[0], first, (both[1].steps, second), both[1])
    return one, _as_earlier(both[1], second, (both[0].steps, first), both[0])


def _sample(blocks: bytes) -> _Sample:
    steps = np.frombuffer(blocks, np.uint8, len(_PLACES)).astype(np.float64)
    values = np.frombuffer(blocks, "<i2", offset=len(_PLACES)).reshape(-1, len(_PLACES)) / _UNIT
    unclipped = np.abs(values[:, 0]) < _BURNT
    known = np.ones(len(_PLACES), np.bool_)
    if not steps.any():
        return _Sample(steps, values, values, unclipped, known)
    return _Sample(steps, values, _on_grid(values, steps), unclipped & _is_on_grid(values, steps), known)


def _earlier_steps(sample: _Sample, traces: Traces) -> Floats:
    """Return the steps of an earlier JPEG, coarser than the file's own, 0 where none is told: [15]."""
    if traces.seen_step <= _EARLIER * traces.stored_step or not sample.sound.any():
        return np.zeros(len(_PLACES))
    return find_steps(sample.stored[sample.sound], sample.steps, traces.seen_step)


def _as_earlier(sample: _Sample, steps: Floats, others: tuple[Floats, Floats], other: _Sample) -> _Sample:
    """Restore the earlier JPEG, unless the other may be it, or went through it; of steps it does not tell, any may."""
    if not steps.any() or lie_on(other.stored[other.sound], other.steps, steps):
        return sample
    values = sample.stored[sample.sound]
    if any(explain_alike(values, sample.steps, steps, each) for each in others):
        return sample
    sound = sample.sound if sample.is_jpeg else sample.sound & _is_on_grid(sample.values, steps)
    return _Sample(steps, sample.values, _on_grid(sample.values, steps), sound, steps > 0, sample.is_jpeg)


def _on_grid(values: Floats, steps: Floats) -> Floats:
    """Round to multiples of steps where pixels tell those for certain."""
    known = np.maximum(steps, 1)
    return np.where(steps >= _SNAPPED, known * np.rint(values / known), values)


def _is_on_grid(values: Floats, steps: Floats) -> Flags:
    """Tell which blocks lie on a grid, as far as it shows through the rounding of pixels: bool [n]."""
    shown = steps >= _SHOWN
    if not shown.any():
        return np.ones(len(values), np.bool_)
    off = values[:, shown] - steps[shown] * np.rint(values[:, shown] / steps[shown])
    return np.asarray(np.sqrt((off**2).mean(axis=1)) < _OFF_GRID)


def find_descent(ours: Traces, theirs: Traces, *, marked: bool = False) -> Descent:
    """Tell two pictures of one size and frame apart; `marked` where one seems to be written over in places.

    Antisymmetric. Without the blocks of both, nothing is told.
    """
    if len(ours.blocks) != len(theirs.blocks) or len(ours.blocks) <= len(_PLACES):
        return Descent()
    first, second = read_samples(ours, theirs)
    sound = first.sound & second.sound
    if sound.sum() < _MIN_BLOCKS or not _lie_alike(first.values[sound, 0], second.values[sound, 0]):
        return Descent()
    excess = _excess(first, second), _excess(second, first)
    untouched = sound & (np.minimum(*excess) < _GROSS)
    off = [float((each[sound] > 0).mean()) for each in excess]  # nothing is, of no JPEG
    gains = _gain(first, second, sound), _gain(second, first, sound)
    richer, noisier = (
        next((number for number in (1, 2) if told(gains[number - 1], gains[2 - number])), 0)
        for told in (_has_more, _has_noise)
    )
    # Where all of it was altered, blocks with little to alter may pass for untouched.
    holds = _HOLDS[richer > 0 and not marked and bool((sound & ~untouched).any())]
    original = 0
    if untouched.sum() >= max(_MIN_BLOCKS, _MIN_UNTOUCHED * sound.sum()):
        original = _by_rounding(first, second, (excess[0] > 0, excess[1] > 0), untouched, holds)
    original = original or _by_part(first, second, excess, sound)
    altered, rewritten = ((off[0] > least, off[1] > least) for least in (_REFUTED, _REWRITTEN))
    beyond = 0.0
    if original:
        parent, child = (first, second) if original == 1 else (second, first)
        beyond = float((excess[original == 1] if child.is_jpeg else _off(child, parent))[sound].max())
        # What is burnt out tells nothing else than that it was not so before.
        means = np.abs(child.values[~sound, 0] - parent.values[~sound, 0])
        beyond = max(beyond, float(means.max(initial=0.0)) - _GROSS * _SIDE)
    return Descent(original, altered, rewritten, min(gains)[0] > 0, richer, noisier, beyond)


def _gain(ours: _Sample, theirs: _Sample, sound: Flags) -> tuple[float, float]:
    """Return how much of ours there is for one of theirs, where theirs is no mere rounding, and the error of that.

    Both 0 where there is too little to tell.
    """
    told = (np.abs(theirs.values) >= np.maximum(_LEAST_VALUE, _WHOLE_STEP * theirs.steps)) & sound[:, None]
    counts = [int((told & (diagonal == _DIAGONALS)).sum()) for diagonal in _FINE]
    chosen = [diagonal for diagonal, count in zip(_FINE, counts, strict=True) if count >= _MIN_TOLD][:2]
    here = told & np.isin(_DIAGONALS, chosen)
    if not here.any():
        return 0.0, 0.0
    size, signed = np.abs(theirs.values[here]), ours.values[here] * np.sign(theirs.values[here])
    gain = float(signed.sum() / size.sum())
    return gain, float(np.sqrt(((signed - gain * size) ** 2).sum()) / size.sum())


def _has_more(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    (gain, error), (back, _) = ours, theirs
    return 0 < back < 1 and gain > 1 + max(_MORE, _ERRORS * error)


def _has_noise(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    (gain, error), (back, _) = ours, theirs
    return 0 < back < gain - _MORE and abs(gain - 1) < max(_MORE, _ERRORS * error)


def _lie_alike(ours: Floats, theirs: Floats) -> bool:
    """Tell whether blocks lie on each other, by their means; part of them may be written over."""
    if _correlate(ours, theirs) >= _MIN_ALIKE:
        return True
    off = np.abs(ours - theirs - np.median(ours - theirs))
    kept = off <= np.quantile(off, 1 - _COVERED)
    return _correlate(ours[kept], theirs[kept]) >= _MIN_ALIKE_ELSE


def _correlate(ours: Floats, theirs: Floats) -> float:
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return float((ours * theirs).sum() / np.sqrt(max((ours**2).sum() * (theirs**2).sum(), 1e-9)))


def _excess(child: _Sample, parent: _Sample) -> Floats:
    """Return by how many grey levels each block is beyond what saving the other's allows; nothing is, for no JPEG."""
    if not child.is_jpeg:
        return np.zeros(len(child.values))
    share = _REACH[child.chained]
    reach = np.where(child.known, share * child.steps + child.certain(_SLACK), np.inf)
    return np.asarray((np.abs(child.stored - parent.values) - reach).max(axis=1))


def _off(child: _Sample, parent: _Sample) -> Floats:
    """Return by how many grey levels each block of a file without compression differs from its parent's."""
    return np.asarray(np.abs(child.values - parent.values).max(axis=1) - _SLACK[0])


def _by_rounding(first: _Sample, second: _Sample, beyond: tuple[Flags, Flags], sound: Flags, holds: float) -> int:
    """Tell which of two is the original, if one was saved from the other, by blocks that nothing was written over."""
    off = float(beyond[0][sound].mean()), float(beyond[1][sound].mean())
    if first.is_jpeg and second.is_jpeg:
        odds = _odds(first, second)[sound].sum(axis=1)
        total = float(np.clip(odds, -_MOST_ODDS, _MOST_ODDS).sum())
        if abs(total) < _MIN_ODDS or (off[1] if total > 0 else off[0]) > holds:
            return 0
        return 1 if total > 0 else 2
    if second.is_jpeg:
        return (0, 2, 1)[_by_rounding(second, first, beyond[::-1], sound, holds)]
    if not first.is_jpeg or off[0] > holds:
        return 0
    shows = sound & (first.stored[:, 1:] != 0).any(axis=1)  # a page's ground has but one level, anywhere
    if (first.values == second.values)[shows].all(axis=1).sum() > _MIN_UNTOUCHED * max(shows.sum(), 1):
        return 1  # whoever lost nothing since: had the JPEG been made from it, it would differ a little
    told = (first.steps >= _SHOWN) & (first.stored != 0) & (shows & ~beyond[0])[:, None]
    distance = ((second.values - first.stored) / np.maximum(first.steps, 1))[told]
    if len(distance) < _MIN_VALUES:
        return 0
    deviation = float(np.sqrt((distance**2).mean()))
    if deviation < _INHERITED:
        return 1
    # Whoever was rounded to the grid lay anywhere within a step of it; noise that came later lies closer by and beyond.
    return 2 if deviation > _OWN and float((distance**4).mean()) < _TAILS * deviation**4 else 0


def _by_part(first: _Sample, second: _Sample, excess: tuple[Floats, Floats], sound: Flags) -> int:
    """Tell which of two is the original by the blocks that were left alone where a good part was written over.

    Whatever is done to all of a picture moves every block that has something to show, some little and some much.
    What is put over a part leaves the others just as saving did, and hardly any lies in between.
    """
    steps = np.maximum(np.maximum(first.steps, second.steps), 2)[1:]
    shows = [(np.abs(each.values[:, 1:]) >= steps / 2).sum(axis=1) >= _MIN_SHOWING for each in (first, second)]
    showing = sound & shows[0] & shows[1]
    told = [each for each, sample in zip(excess, (first, second), strict=True) if sample.is_jpeg]
    if not told:
        return 0
    left_alone = showing & (np.min(told, axis=0) < _GROSS)
    over = int(showing.sum() - left_alone.sum())
    if over < _MIN_OVER or left_alone.sum() < max(_MIN_LEFT_ALONE, _FEW_UNTOUCHED * showing.sum()):
        return 0
    found = _by_rounding(first, second, (excess[0] > 0, excess[1] > 0), left_alone, _HOLDS_IN_PART)
    if not found:
        return 0
    parent, child, beyond = (first, second, excess[1] > 0) if found == 1 else (second, first, excess[0] > 0)
    return found if _is_rounded(child, parent, left_alone & ~beyond) else 0


def _is_rounded(child: _Sample, parent: _Sample, kept: Flags) -> bool:
    """Tell whether a parent's coefficients lie anywhere within a child's coarser steps, and not around the middle."""
    told = (child.steps >= _SHOWN) & (child.steps > parent.steps) & (child.stored != 0) & kept[:, None]
    off = ((parent.values - child.stored) / np.maximum(child.steps, 1))[told]
    if len(off) < _MIN_VALUES:
        return True
    square = float((off**2).mean())
    return square > _ANYWHERE**2 and float((off**4).mean()) < _FLAT * square**2


def _odds(first: _Sample, second: _Sample) -> Floats:
    """Return how much likelier each coefficient is if the second was saved from the first: natural logarithms, [n, 15].

    A child's coefficient follows from its parent's; the parent's is as likely as such values are in pictures, where
    each coefficient is distributed after Laplace (Reininger and Gibson 1983). So a parent on a coarse grid is worth as
    much as its step is wider than the child's.
    """
    steps = np.maximum(first.steps, 1), np.maximum(second.steps, 1)
    scale = np.maximum((np.abs(first.values) + np.abs(second.values)).mean(axis=0) / 2, _LEAST_SCALE)
    on_grids = _mass(first.stored, steps[0], scale) - _mass(second.stored, steps[1], scale)
    told = on_grids + _chance(second, first) - _chance(first, second)
    faint = _faintly(second, steps[0] > steps[1]) - _faintly(first, steps[1] > steps[0])
    tells = first.known & second.known & ((first.stored != 0) | (second.stored != 0))
    return np.asarray(np.where(np.maximum(*steps) >= _SNAPPED, told, faint) * tells)


def _mass(values: Floats, steps: Floats, scale: Floats) -> Floats:
    """Return how likely values are that were rounded to steps, by the scale of their distribution: logarithms."""
    half = steps / (2 * scale)
    away = half - np.abs(values) / scale + np.log(-np.expm1(-2 * half)) - np.log(2)
    return np.asarray(np.where(values == 0, np.log(-np.expm1(-half)), away))


def _faintly(child: _Sample, inherits: Flags) -> Floats:
    """Return how much likelier coefficients are if they inherited a step of two: natural logarithms, [n, 15]."""
    shown = np.abs(child.values) > _FAINT
    return np.where(inherits & shown, np.log1p(_FAINT_COMB * np.cos(np.pi * child.values)), 0.0)


def _chance(child: _Sample, parent: _Sample) -> Floats:
    """Return how likely each coefficient of a child is, rounded from its parent's: natural logarithms, [n, 15]."""
    spread = np.maximum(child.certain(_SPREAD), _BEFORE * child.steps if child.chained else 0.0)
    off, reach = np.abs(child.stored - parent.values), np.maximum(child.steps, 1) / 2
    # The logistic curve stands for the normal one: the sum of many small roundings.
    within = 1 / (1 + np.exp(np.clip((off - reach) / (0.55 * spread), -50, 50)))
    return np.asarray(np.log(np.maximum(within, _OUTLIER)))
