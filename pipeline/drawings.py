"""Drawings, screens and pages as programs make them: whatever is done to them disturbs their flat ground and lines.

What was drawn has neighbours of exactly one colour, and where colours change they change at once. Saving with a loss,
resizing, blurring and sharpening put small steps beside each line, and cannot be taken back. A photograph has small
steps everywhere and tells nothing here; nor does one that was brought to few colours, for the other then is no drawing.
"""

from functools import reduce

import cv2
import numpy as np

from pipeline.decode import Pixels
from store.records import Observation, Traces

_LINES = 128  # rows that are looked at
_SMALL = 8  # levels: steps up to here are no lines
_UNIT = 255
# Of 96 drawings of packages and documents three in four pass; of what 24 kinds of edits make of them one in fifty, most
# of these lossless. Photographs, also in few colours, have less flat ground.
_DRAWN_FLAT, _DRAWN_SMALL = 0.5, 0.25
_STILL_FLAT, _MORE_SMALL = 0.35, 0.15
# Of the grey levels, in 255ths: who lacks so many more, in the same size, was brought to few colours, and who lacks
# fewer to two. Of 37 drawings beside their JPEGs 32 lie within, of 45 copies in few colours 25.
_MORE_MISSING = 47
_LEAST_SCALE = 0.4  # linear: what is smaller than that lacks too much


def measure_flatness(rgb: Pixels) -> bytes:
    """Measure a picture, uint8 [h, w, 3]: how many neighbours in a row are equal, and how many of the others nearly.

    Both are shares in 255ths, one byte each.
    """
    if rgb.shape[1] < 2:
        return bytes([_UNIT, 0])
    rows = np.ascontiguousarray(rgb[:: max(len(rgb) // _LINES, 1)])
    steps = reduce(np.maximum, cv2.split(cv2.absdiff(rows[:, 1:], rows[:, :-1])))
    changes = int(np.count_nonzero(steps))
    small = changes - int(np.count_nonzero(steps > _SMALL))
    return bytes([round(_UNIT * (1 - changes / steps.size)), round(_UNIT * small / max(changes, 1))])


def has_even_ground(traces: Traces) -> bool:
    """Tell whether half of all neighbours are equal, as on pages, screens and charts, compressed or not."""
    found = _flatness(traces)
    return found is not None and found[0] >= _DRAWN_FLAT


def find_drawn(ours: Observation, theirs: Observation, ratio: float) -> int:
    """Tell which of two, 1 or 2, is as it was drawn, beside one that was disturbed; else 0.

    `ratio` is how many pixels of the second lie along one of the first.
    """
    first, second = _flatness(ours.traces), _flatness(theirs.traces)
    if ours.traces is None or theirs.traces is None or first is None or second is None:
        return 0
    missing = ours.traces.levels[0] - theirs.traces.levels[0]
    most = _MORE_MISSING if ratio == 1 else _UNIT
    if _is_disturbed(first, second) and ratio < 1 / _LEAST_SCALE and 0 <= missing <= most:
        return 1
    return 2 if _is_disturbed(second, first) and ratio > _LEAST_SCALE and 0 <= -missing <= most else 0


def _is_disturbed(drawn: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether the first is as it was drawn, and the second the same with small steps beside its lines."""
    clean = drawn[0] >= _DRAWN_FLAT and drawn[1] <= _DRAWN_SMALL
    return clean and other[0] >= _STILL_FLAT and other[1] >= drawn[1] + _MORE_SMALL


def _flatness(traces: Traces | None) -> tuple[float, float] | None:
    """Unpack what was measured; None where nobody looked."""
    if traces is None or len(traces.levels) < 4:
        return None
    return traces.levels[2] / _UNIT, traces.levels[3] / _UNIT
