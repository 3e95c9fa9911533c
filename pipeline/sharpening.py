"""Was the richer of two sharpened, or did the other lose detail?

Where rounding tells (`pipeline.filters`), nobody needs to ask here. Where it does not, because the filter is wide,
bound to edges, or followed by a coarse compression, two things are left. Sharpening can be undone and blur cannot: the
picture before follows from a sharpened one by a little filter, while what a blur took follows from nothing. And the
gain over the spectrum has another shape.
"""

import numpy as np

from pipeline.detail import Floats
from pipeline.filters import Cause, Fits
from store.records import Traces

# Bands: the finest octave, around a sixth and a fourteenth of the Nyquist frequency, and below.
FINEST, FINER, MIDDLE, COARSE = slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 20)
# Bands: the very finest, those next to them, and those more than an octave below.
TOP, NEXT, UPPER = slice(0, 2), slice(2, 5), slice(5, 8)
# Whether one is sharpened, weighed (logistic regression): how much steeper the gain is an octave above the middle,
# how far it drops at the top, overshoot of both, clipping, the gain in the middle, how much steeper it is in the finest
# octave, the gain there, the most of all, and how it rises at the very top.
_SHARPENED = (2.68, -5.87, 7.94, -4.75, 2.09, 8.9, 0.71, -1.02, -1.15, 2.84)
_SHARPENED_LEAST = 4.45
# The same where it is known how well each follows from the other by a filter: how much steeper the gain is in the
# finest octave, clipping, the gain in the middle and in the finest octave, the most of all, how it rises at the very
# top, how much of that an octave below has, the most beyond what sharpening reaches, how the logarithm of the gain
# rises from the middle on, what the fit leaves of the smooth one and of the sharp one, and how much of the sharp one
# rounding does not explain. (1,340 pairs, ten times with other pictures left out: 31 wrong, 49 by the weights before.)
_UNDONE = (-5.22, 2.13, 2.66, 2.48, -2.17, 2.25, -3.1, -2.19, 1.59, 0.96, -5.86, -3.61)
_UNDONE_LEAST = 5.5
_REACHES = 5.0  # octaves of energy
_LEAST_AMPLITUDE, _LEAST_GAIN = 0.02, 0.05  # keep logarithms finite
# Natural logarithms: of sharpening against blur, and how much shorter a description each of those outweighs.
_SURE_ODDS, _WORTH = 5.0, 18.0
_MIN_CHANGE = 0.3  # octaves in the finest octave
_FAR_BETTER = 0.6  # of what a fit leaves the other way round
_MIN_FINER = 0.15  # octaves beyond what coarse bands gain, as by a tone curve
_LEAST_LEFT = 0.02  # of the difference
_HALF = slice(4, 6)  # bands: an octave below the very finest
# Of what the very finest gain in amplitude, those an octave below gain at least 0.44 by the shortest kernel, and hardly
# less than a quarter where it is applied twice.
_MIN_SHARE = 0.25
_RIMMED, _MORE_RIMMED = 0.45, 0.1  # overshoot that hardly any picture has by itself, and how much more than the other's
_MORE_CLIPPED = 0.03  # share of the pixels
_STRONGEST = 6.8  # octaves of energy: no sharpening in use gains more at any frequency


def is_sharpened(gain: Floats, first: Traces, second: Traces, fits: Fits | None = None) -> bool:
    """Tell sharpening of the first from blur of the second; `gain` is in octaves of energy by band, [20].

    Sharpening lifts middle frequencies as well, and all above them about alike; blur takes ever more, until nothing is
    left of the finest. Edges overshoot a little in every camera's pictures: sharpening raises that, blur takes it away.
    And what overshoots ends in black and white. `fits` has the first one first.
    """
    rimmed = first.overshoot > max(_RIMMED, second.overshoot + _MORE_RIMMED)
    if rimmed and first.clipped > second.clipped + _MORE_CLIPPED:
        return True
    if float(gain[FINEST].mean() - gain[COARSE].mean()) < _MIN_FINER:
        return False
    if _is_top_heavy(gain) or (fits is None and float(gain.max()) > _STRONGEST):
        return False
    return (_weigh_spectrum(gain, first, second) if fits is None else _weigh_fits(gain, first, second, fits)) > 0


def _weigh_spectrum(gain: Floats, first: Traces, second: Traces) -> float:
    """Return the odds, as a natural logarithm, that the first was sharpened, by the shape of the gain."""
    middle, finer, fine = (max(float(gain[bands].mean()), 0.0) + 0.1 for bands in (MIDDLE, FINER, FINEST))
    top, finest = float(gain[TOP].mean()), float(gain[FINEST].mean())
    rise = 2 * (top - finest)  # from the second half of the finest octave to the first
    marks = (
        float(np.log2(finer / middle)), *_rims(gain, first, second), middle - 0.1,
        float(np.log2(fine / finer)), finest, float(gain.max()), rise,
    )  # fmt: skip
    return sum(weight * mark for weight, mark in zip(_SHARPENED, marks, strict=True)) - _SHARPENED_LEAST


def is_contrary(cause: Cause, gain: Floats, first: Traces, second: Traces) -> bool:
    """Tell whether a shorter description is contradicted by what else tells blur from sharpening.

    Either the one that is said to be blurred has more fine detail, and the other follows from it far better; or the
    description is not much shorter, and all marks together say clearly otherwise. Exchanged, it is the same.
    """
    finer = float(gain[FINEST].mean() - gain[COARSE].mean())  # a tone curve changes all alike
    if cause.fits is None or abs(finer) < _MIN_CHANGE:
        return False
    if finer < 0:
        return is_contrary(cause.turned(), -gain, second, first)
    odds = _weigh_fits(gain, first, second, cause.fits)
    agrees = (odds > 0) is (cause.original == 2)
    if not agrees and abs(odds) > _SURE_ODDS + abs(cause.fits.shorter) / _WORTH:
        return True
    of_copy, of_original = cause.fits.left if cause.original == 1 else cause.fits.left[::-1]
    return cause.original == 2 and cause.finer < 0 and of_original < _FAR_BETTER * of_copy


def _weigh_fits(gain: Floats, first: Traces, second: Traces, fits: Fits) -> float:
    """Return the same, by what the filter leaves that makes each from the other as well; overshoot tells no more."""
    middle, finer, fine = (max(float(gain[bands].mean()), 0.0) + 0.1 for bands in (MIDDLE, FINER, FINEST))
    finest, most = float(gain[FINEST].mean()), float(gain.max())
    added, bent = np.exp2(gain / 2) - 1, np.log2(np.maximum(gain, _LEAST_GAIN))
    half, top = (max(float(added[bands].mean()), _LEAST_AMPLITUDE) for bands in (_HALF, TOP))
    smooth, sharp = (float(np.log(left + _LEAST_LEFT)) for left in fits.left)
    marks = (
        float(np.log2(fine / finer)), _rims(gain, first, second)[-1], middle, finest, most,
        2 * (float(gain[TOP].mean()) - finest), float(np.log2(half / top)), max(most - _REACHES, 0.0),
        float(bent[FINER].mean() - bent[MIDDLE].mean()), smooth, sharp, fits.beyond[1],
    )  # fmt: skip
    return sum(weight * mark for weight, mark in zip(_UNDONE, marks, strict=True)) - _UNDONE_LEAST


def _rims(gain: Floats, first: Traces, second: Traces) -> tuple[float, float, float, float]:
    """Return how far the gain drops at the top, the overshoot of both, and how much more the first is clipped."""
    drop = max(0.0, float(gain.max()) - max(float(gain[TOP].mean()), float(gain[FINEST].mean())))
    clipping = float(np.clip(np.log((first.clipped + 0.003) / (second.clipped + 0.003)), -1, 1.5))
    return drop, first.overshoot, second.overshoot, clipping


def _is_top_heavy(gain: Floats) -> bool:
    """Tell whether the very finest gain alone: interpolation takes those, and no sharpening lifts them by themselves.

    A kernel of three pixels adds in proportion to 1 - cos(pi f), a wider one to something flatter.
    """
    added = np.exp2(gain / 2) - 1
    return float(added[_HALF].mean()) < _MIN_SHARE * float(added[TOP].mean())
