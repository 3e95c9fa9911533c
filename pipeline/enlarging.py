"""Was the larger of two pictures enlarged? What interpolation weakens, leaves out and repeats."""

from functools import cache

import numpy as np

from pipeline.chains import mean_step
from pipeline.detail import CENTRES, Floats
from pipeline.filters import PATCH, read_grey
from pipeline.interpolating import Interpolated, Sharpening
from pipeline.rhythm import UNTOLD, find_old_blocks, find_rhythm
from pipeline.traces import octaves
from store.records import Traces

HARDLY_LARGER = 1.15  # linear: so little is told by patches alone, where both have them
# Whether the larger one is enlarged, weighed (logistic regression): per octave of energy that it lacks about the
# smaller one's finest detail, of its rhythm by pixels and by old blocks, and of size; and where nothing is lacking.
_RHYTHM, _OLD_BLOCKS, _LARGER, _LACKS_NOTHING, _ENLARGED = 1.0, 1.3, -1.5, -2.0, 3.7
# What `_signs` lists, in its order, weighed (logistic regression on 5,577 enlarged and 4,549 reduced copies): what is
# lacking, both rhythms, old blocks of either, repeated lines, and what is left of the larger and of the smaller one.
_WEIGHTS = (0.41, 0.65, 0.59, 0.9, -0.77, -2.21, -1.21, 0.83)
_ENLARGED_BY_PATCHES = 4.1
# The same for what was sharpened after that (logistic regression on 660 pictures of 330 photographs enlarged 1.3 to 2.6
# times by three filters, sharpened by unsharp masks of any width and saved, and on 660 reduced ones, half of either or
# both sides sharpened): the sum of the above, the weights of the wide mask, of the narrow one and of the interpolation,
# what they leave, what they gain, and size. 579 exceed the limit (435 by the above alone). Reduced copies of frames
# that a camera enlarged itself come close: one of 32 exceeds it, none of 1,740 others.
_SHARPENED_WEIGHTS = (0.886, -2.211, 0.7, 3.118, -0.549, 0.863, 1.327)
_SHARPENED, _LEAST_SIGN, _MOST_SIGN = 6.0, -12.0, 6.0
_LOUDEST_RHYTHM = 8.0
_SURE_RHYTHM = 3.2  # octaves: no chance peak
# Whether a picture on a page is enlarged, weighed (logistic regression on 93 pages with an enlarged picture and 61 that
# show a larger one as it is): per octave of energy missing beyond what the smaller one can show, and of the rhythm.
_EMPTIER, _ON_PAGE, _ENLARGED_ON_PAGE = 2.05, 1.11, 12.0
_WITHIN, _FROM, _BEYOND = 0.95, 0.3, 1.12  # of the finest frequency that the smaller one can show
_FINEST = 0.8  # share of the Nyquist frequency from which everything counts as beyond
_LEAST_ENERGY, _FLAT = 0.3, 4.0  # squared grey levels: of rounding; of a patch that has something to tell
_USUAL_BLOCKS = 1.2  # where no rhythm is known
# The step within a pair of doubled pixels against that to the next: after JPEG 75 to 95 up to 0.6, of others and of
# pictures enlarged by any filter 0.63 and more (175 pictures of seven sets).
_DOUBLED, _TWICE, _ROUNDING = 0.6, 1.8, 0.3
# Squared grey levels: of a step from line to line that tells, beyond what compression makes; and of rounding. Lines
# that must tell.
_MIN_LINE_STEP, _LINE_NOISE, _MIN_LINES = 8.0, 1.0, 8
_GONE, _KEPT = 2.5, 0.3  # octaves of energy that a step loses
# Share of the lines: enlarging by a ninth repeats that many. Of 6,500 pairs 287 have it, all rightly. Drawings repeat
# lines by themselves, beside which compression leaves some: of 590 pairs 16 have it, all rightly.
_MIN_REPEATS, _DRAWN_REPEATS = 0.1, 0.25
_EMPTY = -1.8  # octaves of energy from there to what lies beyond: a reduced copy's original has more, however soft


def is_enlarged(large: Traces, small: Traces, ratio: float, laid: Interpolated | None = None) -> bool:
    """Tell whether the larger of two was enlarged by `ratio`, linear, from the smaller one or its like.

    `laid` is how well their patches explain each other, where they lie on each other.
    """
    if ratio > _TWICE and _is_doubled(large):
        return True
    if laid is not None:
        found = float(np.dot(_signs(large, small, ratio, laid), _WEIGHTS)) - _ENLARGED_BY_PATCHES
        return found > 0 or (laid.sharpening is not None and _is_sharpened(found, laid.sharpening, ratio))
    if ratio < HARDLY_LARGER:
        return False
    lacks = -_lacks_about(large, small, ratio)
    pixels, blocks = find_rhythm(large.rhythm, ratio) if large.rhythm else (UNTOLD, _USUAL_BLOCKS)
    found = lacks + _RHYTHM * min(pixels, _LOUDEST_RHYTHM) + _OLD_BLOCKS * blocks + _LARGER * float(np.log2(ratio))
    return found + (_LACKS_NOTHING if lacks == 0 else 0.0) > _ENLARGED


def _signs(large: Traces, small: Traces, ratio: float, laid: Interpolated) -> tuple[float, ...]:
    """Return what speaks for enlarging or against it, where patches lie on each other."""
    pixels, blocks = find_rhythm(large.rhythm, ratio) if large.rhythm else (UNTOLD, _USUAL_BLOCKS)
    pixels = min(pixels, _LOUDEST_RHYTHM)
    old = find_old_blocks(small.rhythm, ratio) if small.rhythm else 0.0
    lacks, sure = -_lacks_about(large, small, ratio), max(pixels - _SURE_RHYTHM, 0.0)
    return lacks, pixels, sure, blocks, old, laid.repeats, laid.enlarging, laid.reducing


def _is_sharpened(found: float, sharpening: Sharpening, ratio: float) -> bool:
    """Tell whether the larger one was enlarged and sharpened; `found` is what speaks for enlarging alone."""
    signs = (
        min(max(found, _LEAST_SIGN), _MOST_SIGN),
        float(np.clip(sharpening.wide, -4, 3)),
        float(np.clip(sharpening.narrow, -4, 6)),
        float(np.clip(sharpening.plain, -1, 4)),
        sharpening.left,
        min(sharpening.gained, 4.0),
        float(np.log2(ratio)),
    )
    return float(np.dot(signs, _SHARPENED_WEIGHTS)) > _SHARPENED


def is_enlarged_on_page(large: Traces, ratio: float) -> bool:
    """Tell whether a picture on a page was enlarged: by its rhythm, and by what is missing in most of its patches.

    The page has edges and letters of its own, so its spectrum says nothing; but they fill few patches.
    """
    if not large.rhythm:
        return False
    rhythm = find_rhythm(large.rhythm, ratio)[0]
    emptiness = _emptiness(large, ratio)
    if rhythm > _SURE_RHYTHM or emptiness is None:
        return rhythm > _SURE_RHYTHM
    return _EMPTIER * emptiness + _ON_PAGE * min(rhythm, _LOUDEST_RHYTHM) > _ENLARGED_ON_PAGE


def _emptiness(large: Traces, ratio: float) -> float | None:
    """Return by how many octaves of energy what one a `ratio` smaller cannot show lies below what it can.

    That is the median of the patches; None where all of them are flat.
    """
    if not large.patches:
        return None
    grey = read_grey(large.patches)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * _window()
    energy = (_cosines() @ grey @ _cosines().T) ** 2
    frequency = np.arange(PATCH) / PATCH
    place = np.maximum(frequency[:, None], frequency)
    beyond = place > min(_BEYOND / ratio, _FINEST)
    within = (place < _WITHIN / ratio) & (place > min(_FROM / ratio, place[0, 1] / 2))
    above, below = energy[:, beyond].mean(axis=1), energy[:, within].mean(axis=1)
    tell = below > _FLAT
    if not tell.any():
        return None
    return float(np.median(np.log2((below + _LEAST_ENERGY) / (above + _LEAST_ENERGY))[tell]))


@cache
def _window() -> Floats:
    along = np.sin(np.pi * (np.arange(PATCH) + 0.5) / PATCH)
    return np.outer(along, along)


@cache
def _cosines() -> Floats:
    """Return the orthonormal DCT of a row of a patch: [12, 12]."""
    place = np.arange(PATCH)
    cosines = np.cos((2 * place + 1) * place[:, None] * np.pi / (2 * PATCH)) * np.sqrt(2 / PATCH)
    cosines[0] /= np.sqrt(2)
    return np.asarray(cosines, np.float64)


def _is_doubled(traces: Traces) -> bool:
    """Tell whether each pixel was made two or four across and down, as enlarging without a filter does.

    Then neighbours differ at every other step only, which no spectrum of second differences shows. Patches begin
    where a pair does.
    """
    if not traces.patches:
        return False
    grey = read_grey(traces.patches)
    for axis in (1, 2):
        steps = np.abs(np.diff(grey, axis=axis))
        within, between = (float(np.take(steps, range(start, 11, 2), axis).mean()) for start in (0, 1))
        if within + _ROUNDING >= _DOUBLED * (between + _ROUNDING):
            return False
    return True


def find_repeated(ours: Traces, theirs: Traces, *, drawn: bool = False) -> int:
    """Tell which of two of one size, 1 or 2, repeats lines that differ in the other, as pixels made several do; else 0.

    Blur weakens all steps from line to line, sharpening raises all, and what is put over a picture makes new ones in
    places. Enlarging without a filter leaves out many of them and keeps the others or makes them larger. `drawn` where
    one of them has the few tones of a drawing.
    """
    if not ours.patches or len(ours.patches) != len(theirs.patches):
        return 0
    first, second = _line_steps(ours), _line_steps(theirs)
    told = np.maximum(first, second) > max(_MIN_LINE_STEP, mean_step(ours) ** 2, mean_step(theirs) ** 2)
    if told.sum() < _MIN_LINES:
        return 0
    ratio = np.where(told, np.log2((first + _LINE_NOISE) / (second + _LINE_NOISE)), np.nan)
    repeats = [_repeats(each) / told.sum() for each in (ratio, -ratio)]
    if max(repeats) < (_DRAWN_REPEATS if drawn else _MIN_REPEATS) or min(repeats) > max(repeats) / 3:
        return 0
    return 1 if repeats[0] > repeats[1] else 2


def _repeats(ratio: Floats) -> int:
    """Count the steps, [n, 11], that are gone next to one that was kept: noise hides calm ones beside calm ones."""
    kept = np.pad(ratio > -_KEPT, ((0, 0), (1, 1)))
    return int(((ratio < -_GONE) & (kept[:, :-2] | kept[:, 2:])).sum())


def _line_steps(traces: Traces) -> Floats:
    """Return the mean square step from each line of the patches to the next, of columns and of rows: [8, 11]."""
    grey = read_grey(traces.patches)
    across = int(np.sqrt(len(grey)))
    grid = grey.reshape(across, -1, PATCH, PATCH)
    columns, rows = (np.diff(grid, axis=3) ** 2).mean(axis=(0, 2)), (np.diff(grid, axis=2) ** 2).mean(axis=(1, 3))
    return np.concatenate([columns, rows])


def _lacks_about(large: Traces, small: Traces, ratio: float) -> float:
    """Measure, in octaves of energy, what the larger of two lacks about the finest detail of the smaller.

    Reducing weakens the finest detail of the smaller one, if anything. Enlarging weakens the same detail in the larger
    one, by interpolation, and leaves hardly anything beyond it; but that is also missing in a soft picture, and hidden
    by noise, so it counts for less. The last term is what the smaller one leads to expect.
    """
    ours, theirs = octaves(large.spectrum), octaves(small.spectrum)
    place = CENTRES * ratio  # of our bands, on the other's scale: from 1 on, the other has nothing
    beyond = place > 1.05
    beyond[0] = True
    near = (place < 0.97) & (place > 0.6)
    below = (place < 0.6) & (place > 0.2)
    if not below.any():
        return 0.0
    above = float(ours[beyond].mean() - ours[below].mean())
    if above > _EMPTY:
        return 0.0
    change = ours - np.interp(-np.log2(CENTRES), -np.log2(CENTRES / ratio), theirs)
    weakened = float(change[near].mean() - change[below].mean()) if near.any() else 0.0
    usual = float(theirs[CENTRES > 0.6].mean() - theirs[(CENTRES < 0.6) & (CENTRES > 0.2)].mean())
    return weakened + 0.4 * above - 0.35 * usual
