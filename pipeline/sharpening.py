"""Was the richer of two sharpened, or did the other lose detail?

Where rounding tells (`pipeline.filters`), nobody needs to ask here. Where it does not, because the filter is wide,
bound to edges, or followed by a coarse compression, the shape of the gain over the spectrum is the best there is.
"""

import numpy as np

from pipeline.detail import Floats
from store.records import Traces

# Bands: the finest octave, around a sixth and a fourteenth of the Nyquist frequency.
FINEST, FINER, MIDDLE = slice(0, 4), slice(4, 8), slice(8, 12)
# Bands: the very finest, those next to them, and those more than an octave below.
TOP, NEXT, UPPER = slice(0, 2), slice(2, 5), slice(5, 8)
# Whether one is sharpened, weighed (logistic regression): how much steeper the gain is an octave above the middle,
# how far it drops at the top, overshoot of both, clipping, the gain in the middle, how much steeper it is in the finest
# octave, the gain there, the most of all, and how it rises at the very top.
_SHARPENED = (2.68, -5.87, 7.94, -4.75, 2.09, 8.9, 0.71, -1.02, -1.15, 2.84)
_SHARPENED_LEAST = 4.45
_STRONGEST = 6.8  # octaves of energy: no sharpening in use gains more at any frequency


def is_sharpened(gain: Floats, first: Traces, second: Traces) -> bool:
    """Tell sharpening of the first from blur of the second; `gain` is in octaves of energy by band, [20].

    Sharpening lifts middle frequencies as well, and all above them about alike; blur takes ever more, until nothing is
    left of the finest. Edges overshoot a little in every camera's pictures: sharpening raises that, blur takes it away.
    And what overshoots ends in black and white.
    """
    if float(gain.max()) > _STRONGEST:
        return False
    most, top, finest = float(gain.max()), float(gain[TOP].mean()), float(gain[FINEST].mean())
    middle, finer, fine = (max(float(gain[bands].mean()), 0.0) + 0.1 for bands in (MIDDLE, FINER, FINEST))
    drop = max(0.0, most - max(top, finest))
    clipping = float(np.clip(np.log((first.clipped + 0.003) / (second.clipped + 0.003)), -1, 1.5))
    rise = 2 * (top - finest)  # from the second half of the finest octave to the first
    marks = (
        float(np.log2(finer / middle)), drop, first.overshoot, second.overshoot, clipping, middle - 0.1,
        float(np.log2(fine / finer)), finest, most, rise,
    )  # fmt: skip
    return sum(weight * mark for weight, mark in zip(_SHARPENED, marks, strict=True)) > _SHARPENED_LEAST
