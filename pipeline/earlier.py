"""The quantisation table of an earlier JPEG, as the coefficients of a later file still show it.

A picture that was a JPEG once keeps its DCT coefficients near the multiples of that JPEG's steps, whatever it was saved
as since, as long as nothing coarser came after (after Fan and de Queiroz 2003). So of each coefficient the step is
sought that explains its values best: on a grid a value tells its multiple and nothing more, off it any place within a
step is as likely as another.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.detail import Floats

_LEAST, _MOST = 4, 100  # steps sought: finer ones drown in the rounding of pixels, coarser ones leave next to nothing
_WIDEST = 2.5  # times the mean step: no table in use is steeper at its low frequencies
_ROUNDING, _BESIDE = 1.0, 0.5  # grey levels off a grid: by the rounding of pixels, and beyond half a step of its own
_OUTLIER = 0.03
_STEPS = 256  # of JPEG, in eight bits
_COARSER = 1.3  # times the file's own step: nearer ones are not told apart
_MIN_ODDS = 4.0  # natural logarithm, of one coefficient
_MIN_TOLD = 6  # coefficients
_MISREAD = 0.2  # share of the steps told that a known table may not have
_SIDE = 8
_STANDARD = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_EQUAL_ODDS = (0.9, 0.5)  # of those of the best steps, for values that no later compression moved, and for others


def find_steps(values: Floats, own: Floats, mean: float) -> Floats:
    """Return the earlier step of each coefficient, 0 where none is told, [k]; all 0 where too few are told.

    `values` [n, k] are in grey levels, `own` [k] are the steps of the file itself, 0 for none. `mean` is the mean
    earlier step as all of the picture shows it (`pipeline.traces`).
    """
    steps = np.arange(_LEAST, int(min(_WIDEST * mean, _MOST)) + 1)
    odds = _odds(values, own, np.repeat(steps[:, None], len(own), axis=1))
    found = np.where(odds.max(axis=0) > _MIN_ODDS, steps[odds.argmax(axis=0)], 0.0)
    return np.asarray(found if (found > 0).sum() >= _MIN_TOLD else np.zeros_like(found), np.float64)


def explain_alike(values: Floats, own: Floats, steps: Floats, others: Floats) -> bool:
    """Tell whether the steps of another file, [k], explain values about as well as `steps`, found by `find_steps`."""
    both = (steps > 0) & (others > 0)
    first, second = _odds(values, own, np.stack([steps, others]).astype(np.intp))[:, both].sum(axis=1)
    return bool(both.any() and second > _EQUAL_ODDS[bool(own.any())] * first)


def lie_on(values: Floats, own: Floats, steps: Floats) -> bool:
    """Tell whether values of a file with steps of its `own`, [k], went through `steps`, [k], as well; 0 for none."""
    told = steps > 0
    return bool(_odds(values, own, steps[None].astype(np.intp))[0, told].sum() > 0)


def find_table(steps: Floats, places: Sequence[tuple[int, int]]) -> Floats:
    """Return the table, [64] row by row, of which `steps` at `places` are a part, 0 for those not told.

    Nearly all programs scale the table of the standard's annex K by a quality, as libjpeg does; of another one nothing
    is told, and all are 0.
    """
    told, numbers = steps > 0, [row * _SIDE + column for row, column in places]
    off = np.abs(_tables()[:, numbers] - steps)[:, told] > 0
    best = int(off.sum(axis=1).argmin())
    matches = told.sum() >= _MIN_TOLD and off[best].mean() <= _MISREAD
    return np.asarray(_tables()[best] if matches else np.zeros(_SIDE**2))


def standard_table(quality: int) -> Floats:
    """Return the standard's table of luma at a quality, [64] row by row."""
    return np.asarray(_tables()[quality - 1])


@cache
def _tables() -> Floats:
    """Return the standard's table of luma at each quality, [100, 64]."""
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((np.array(_STANDARD) * scale + 50) // 100, 1, 255), np.float64)


def _odds(values: Floats, own: Floats, steps: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return how much likelier values [n, k] are on the grids of steps [m, k] than off them, as logarithms: [m, k].

    0 for steps that are hardly coarser than the file's own.
    """
    reach = np.where(own > 0, own / 2 + _BESIDE, _ROUNDING).astype(np.float32)
    size, grid = np.abs(values).astype(np.float32)[None], np.maximum(steps, 1).astype(np.float32)[:, None]
    off = np.abs(size - grid * np.rint(size / grid)) / reach
    by_chance = np.stack([_by_chance(int(each))[steps[:, place]] for place, each in enumerate(own)], axis=1)
    worth = np.log((1 - _OUTLIER) / by_chance)[:, None] * (size > grid / 2)
    odds = np.where(off > 1, np.float32(np.log(_OUTLIER)), worth - off**2 / 2 * (own == 0)).sum(axis=1)
    return np.asarray(odds * (steps > _COARSER * own), np.float32)


@cache
def _by_chance(own: int) -> NDArray[np.float32]:
    """Return, by step, 0 to 255, which share of the values that a file can hold lies within reach of a multiple."""
    steps = np.arange(_STEPS)
    if not own:
        return np.minimum(2 * _ROUNDING / np.maximum(steps, 1), 1).astype(np.float32)
    values = own * np.arange(_STEPS)[:, None]
    off = np.abs(values - np.maximum(steps, 1) * np.rint(values / np.maximum(steps, 1)))
    return np.asarray((off <= own / 2 + _BESIDE).mean(axis=0), np.float32)
