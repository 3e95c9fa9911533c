"""Were two JPEGs merely saved from the same picture? Where they were, and where not.

Neither need be the other's parent, as in `pipeline.descent`: two frames of a film, two saves of one drawing. What was
the same before lies within half a step of what each of the two files has, so the coefficients of both lie within the
mean of their steps of each other. Whatever else is done to a whole picture (another codec, a filter, other tones)
leaves few blocks that show anything within that. So where most such blocks lie within and others lie beyond, the frame
stood still and something in it did not: a face, a hand, a car. That alone proves nothing, for a file may have been
coarser on the way; but it tells where to ask the windows more closely (`pipeline.proof`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.descent import read_samples
from pipeline.saving import coefficients_of, find_burnt, storing
from pipeline.tones import Tones
from store.records import Traces

_SLACK = (2.5, 1.0)  # grey levels beyond half a step of each, for coefficients not told for certain and for others
_MIN_SHOWING = 3  # coefficients of half a step and more by which a block shows something
_MIN_BLOCKS = 8  # that do
Numbers = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Siblings:
    """What comes of taking two files for saves of one picture."""

    explained: float  # share of the blocks that show something in which saving explains all
    beyond: float  # grey levels by which a coefficient lies beyond what saving explains, at most
    every: bool  # whether every block was asked


def find_by_samples(ours: Traces, theirs: Traces) -> Siblings | None:
    """Ask the few blocks that were kept of two files of one size; None where too few of them show anything."""
    if len(ours.blocks) != len(theirs.blocks) or not ours.blocks:
        return None
    first, second = read_samples(ours, theirs)
    steps = np.maximum(first.steps, 1), np.maximum(second.steps, 1)
    reach = (steps[0] + steps[1]) / 2 + np.maximum(first.certain(_SLACK), second.certain(_SLACK))
    sound = first.sound & second.sound
    return _told(first.stored[sound], second.stored[sound], reach, np.maximum(*steps), every=False)


def find_by_previews(a: Tones, b: Tones, children: Sequence[tuple[int, Float]]) -> Siblings | None:
    """Ask all blocks of two previews [h, w] that have all pixels of their files, or None as above.

    `children` are the luma tables [64] of both (`Known.children`); without one of them nothing is told.
    """
    if len(children) < 2 or a.grey.shape != b.grey.shape:
        return None
    tables = children[0][1], children[1][1]
    told = ~(find_burnt(a) | find_burnt(b)).ravel()
    ours, theirs = (coefficients_of(each.grey)[told] for each in (a, b))
    return _told(ours, theirs, (tables[0] + tables[1]) / 2 + storing(), np.maximum(*tables), every=True)


def _told(ours: Numbers, theirs: Numbers, reach: Numbers, steps: Numbers, *, every: bool) -> Siblings | None:
    """Compare the coefficients of blocks [n, k], the mean first, by how far each may lie off and its step [k]."""
    least = np.maximum(steps[1:], 2) / 2
    shows = np.ones(len(ours), np.bool_)
    for values in (ours, theirs):
        shows &= (np.abs(values[:, 1:]) >= least).sum(axis=1) >= _MIN_SHOWING
    if shows.sum() < _MIN_BLOCKS:
        return None
    beyond = (np.abs(ours - theirs) - reach).max(axis=1)
    return Siblings(float((beyond[shows] <= 0).mean()), float(beyond.max()), every)
