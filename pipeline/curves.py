"""Of two that differ by a tone curve, which was there first? Where the curve lost something, and whose rounding shows.

Brightening, contrast and gamma turn each level into another. From an original its copy follows level by level; back
from the copy it follows less well where levels were joined or clipped. A curve raises or lowers all frequencies alike,
so what it made stronger is no detail that the other lost.
"""

import numpy as np

from pipeline.detail import Floats
from pipeline.filters import Cause, Fits, read_grey
from pipeline.rhythm import measure_fours
from pipeline.sharpening import COARSE, FINER, FINEST
from pipeline.tints import is_tint
from store.records import Observation

_EXPLAINS = 2.5  # octaves of what sets two apart: blur, sharpening and compression leave it nearly as it was
_MOST_SHORTER = 100.0  # natural logarithms
_LEFT = 0.5  # share of the difference that a fit may leave to be believed
_LEAST = 0.1  # squared grey levels: of rounding
# The signs, weighed (logistic regression on 1,141 copies of 600 photographs, brightened, darkened and so on,
# of which the shorter description does not tell).
_WEIGHTS = (5.0, 0.017, -0.6, 1.16, -2.5, -2.45)
_TELLS = 0.5
_EVEN = 0.5  # octaves: a curve raises all frequencies alike, a filter on top of it does not


def find_retoned(ours: Observation, theirs: Observation, gain: Floats, cause: Cause) -> int:
    """Tell which of two, 1 or 2, was there before a tone curve made the other; 0 where no curve did, or nothing tells.

    `gain` is by how much the first one has more at each frequency, in octaves. Antisymmetric.
    """
    first, second = ours.traces, theirs.traces
    if first is None or second is None or not first.patches or len(first.patches) != len(second.patches):
        return 0
    if cause.fits is None or is_tint(first, second):
        return 0
    grey, other = read_grey(first.patches), read_grey(second.patches)
    left = _octaves(without_curve(grey, other)), _octaves(without_curve(other, grey))
    if _octaves(grey - other) - max(left) < _EXPLAINS:
        return 0
    if abs(float(gain[FINER].mean() - gain[COARSE].mean())) > _EVEN:
        return 0
    held = [_octaves(each - each.mean(axis=(1, 2), keepdims=True)) for each in (grey, other)]
    signs = (
        (left[0] - held[0]) - (left[1] - held[1]),
        _shorter(cause.fits),
        measure_fours(first.rhythm) - measure_fours(second.rhythm) if first.rhythm and second.rhythm else 0.0,
        ours.quality.entropy - theirs.quality.entropy,
        float(gain[FINEST].mean() - gain[COARSE].mean()),
        cause.fits.beyond[0] - cause.fits.beyond[1],
    )
    found = float(np.dot(signs, _WEIGHTS))
    return 0 if abs(found) < _TELLS else 1 if found > 0 else 2


def _shorter(fits: Fits) -> float:
    """Return by how much the description is shorter where the first is the original, as far as that can be believed."""
    if fits.left[int(fits.shorter < 0)] > _LEFT:
        return 0.0  # within coarse steps anything lies
    return min(max(fits.shorter, -_MOST_SHORTER), _MOST_SHORTER)


def _octaves(values: Floats) -> float:
    """Return the mean square of grey levels, in octaves."""
    return float(np.log2(np.mean(values**2) + _LEAST))


def without_curve(grey: Floats, other: Floats) -> Floats:
    """Return what is left of the grey of patches, [n, h, w], where each level of the other's stands for their mean."""
    levels = other.ravel().astype(np.intp)
    counts = np.maximum(np.bincount(levels, minlength=256), 1)
    means = np.bincount(levels, grey.ravel(), minlength=256) / counts
    return np.asarray(grey - means[levels].reshape(grey.shape), np.float64)
