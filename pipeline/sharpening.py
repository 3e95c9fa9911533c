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
_HALF = slice(4, 6)  # bands: an octave below the very finest
# Of what the very finest gain in amplitude, those an octave below gain at least 0.44 by the shortest kernel, and hardly
# less than a quarter where it is applied twice.
_MIN_SHARE = 0.25
_RIMMED, _MORE_RIMMED = 0.45, 0.1  # overshoot that hardly any picture has by itself, and how much more than the other's
_MORE_CLIPPED = 0.03  # share of the pixels
_STRONGEST = 6.8  # octaves of energy: no sharpening in use gains more at any frequency


def is_sharpened(gain: Floats, first: Traces, second: Traces) -> bool:
    """Tell sharpening of the first from blur of the second; `gain` is in octaves of energy by band, [20].

    Sharpening lifts middle frequencies as well, and all above them about alike; blur takes ever more, until nothing is
    left of the finest. Edges overshoot a little in every camera's pictures: sharpening raises that, blur takes it away.
    And what overshoots ends in black and white.
    """
    rimmed = first.overshoot > max(_RIMMED, second.overshoot + _MORE_RIMMED)
    if rimmed and first.clipped > second.clipped + _MORE_CLIPPED:
        return True
    if float(gain.max()) > _STRONGEST or _is_top_heavy(gain):
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


def _is_top_heavy(gain: Floats) -> bool:
    """Tell whether the very finest gain alone: interpolation takes those, and no sharpening lifts them by themselves.

    A kernel of three pixels adds in proportion to 1 - cos(pi f), a wider one to something flatter.
    """
    added = np.exp2(gain / 2) - 1
    return float(added[_HALF].mean()) < _MIN_SHARE * float(added[TOP].mean())
