"""What the difference of two pictures that lie on each other is like: related to the scene or not, all over or not.

Does what one has beyond the other know the scene? Noise that was added to a picture does not.

Noise is as strong on an edge as beside it, and in one place as in another. What blur, enlarging, noise removal and
compression took from a picture lay on its edges and in its texture. So where the difference of two files that lie on
each other is the stronger the more there is to see, the rougher one is no noisy copy of the other.
"""

import numpy as np

from pipeline.detail import Floats
from pipeline.filters import bend, read_grey
from store.records import Traces

_UNCLIPPED = (2, 253)
_MIN_PATCHES = 4
_LEAST, _DARKEST, _FLATTEST = 0.3, 8.0, 1.0  # grey levels: the rounding of pixels; what keeps logarithms finite
_RELATED = 0.25  # rank correlation of the difference with the gradient
_UNEVEN = 0.25  # deviation of the logarithm of its strength from patch to patch, as far as light does not explain it,
_GOES_ALONG = 0.5  # where it goes along with the contrast of the patch: their correlation
_FEW = 0.3  # share of the places that are not looked at
_FAINT = 16.0  # mean square of the Laplacian that rounding and fine compression leave


def is_unrelated(rough: Traces, smooth: Traces) -> bool:
    """Tell whether what the first has beyond the second may be noise; true where there is too little to tell."""
    if not rough.patches or len(rough.patches) != len(smooth.patches):
        return True
    first, second = read_grey(rough.patches), read_grey(smooth.patches)
    both, (least, most) = np.stack([first, second]), _UNCLIPPED
    sound = (both.min(axis=(0, 2, 3)) > least) & (both.max(axis=(0, 2, 3)) < most)
    if sound.sum() < _MIN_PATCHES:
        return True
    grey, off = second[sound], (first - second)[sound]
    off = off - off.mean(axis=(1, 2), keepdims=True)
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    if _rank_correlation(np.hypot(across, down).ravel(), np.abs(off[:, 1:-1, 1:-1]).ravel()) > _RELATED:
        return False
    # The noise of light grows with light.
    light = np.log(grey.mean(axis=(1, 2)) + _DARKEST)
    strength = _without(light, np.log(np.sqrt((off**2).mean(axis=(1, 2))) + _LEAST))
    contrast = _without(light, np.log(grey.std(axis=(1, 2)) + _FLATTEST))
    together = float((strength * contrast).sum())
    return strength.std() < _UNEVEN or together < _GOES_ALONG * float(
        np.sqrt((strength**2).sum() * (contrast**2).sum())
    )


def compare_sharpness(ours: Traces, theirs: Traces) -> float:
    """Return by how much most places of the first are sharper, in octaves of energy; below 0 if they are softer.

    0 where they are neither, or nothing tells; antisymmetric. What was put over a part changes a part.
    """
    if not ours.patches or len(ours.patches) != len(theirs.patches):
        return 0.0
    first, second = (_roughness(read_grey(each.patches)) for each in (ours, theirs))
    sharper = np.sort(np.log2(first + _FAINT) - np.log2(second + _FAINT))
    few = int(_FEW * len(sharper))
    return max(float(sharper[few]), 0.0) + min(float(sharper[-1 - few]), 0.0)


def _roughness(patches: Floats) -> Floats:
    """Return the mean square of the Laplacian of each patch: [n]."""
    return np.asarray((bend(patches) ** 2).mean(axis=(1, 2)))


def _without(cause: Floats, values: Floats) -> Floats:
    """Return what is left of values, [n], where a straight line explains the rest by a cause."""
    cause, values = cause - cause.mean(), values - values.mean()
    return values - cause * (cause @ values) / max(float(cause @ cause), 1e-6)


def _rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's correlation; equal values take their ranks as they come."""
    ranks = [np.argsort(np.argsort(values)) - (len(values) - 1) / 2 for values in (first, second)]
    return float((ranks[0] * ranks[1]).sum() / (ranks[0] ** 2).sum())
