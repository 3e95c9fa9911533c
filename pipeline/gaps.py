"""Of two, one skips grey levels that the other has: did it lose tones, or did the other's filter fill its gaps?

Few colours and a tone curve leave levels out; blurring, sharpening, reducing and other codecs fill them again. A
picture in few colours follows from its original level by level, but for a rounding or a scatter of dots that know
nothing of the scene; from a copy that was filtered it does not, and what is left goes with the bends of the scene.
"""

import numpy as np

from pipeline.curves import octaves_of, without_curve
from pipeline.detail import Floats
from pipeline.filters import Cause, bend, read_grey
from pipeline.recompressed import Preference
from pipeline.sharpening import FINER
from pipeline.tints import MANY_TONES
from store.records import Observation

LACKS_TONES = "the other lacks tones"
FILLED = "the other has its missing tones filled in"

_MISSING, _FEW = 0.06, 0.25  # shares of levels that a tone curve skips, and few colours
_MISSES_MORE = 3.0  # times the other's
_NEVER_IN_WEBP = 0.18  # share: it stores 219 levels of grey for 256
_MIN_LEVELS = 40  # of the patches: with fewer, what scatters them is as coarse as what a filter does
_MOST_SHORTER = 300.0  # natural logarithms
_LEAST_NOISE = 0.5  # grey levels
# What `_signs` lists, weighed (logistic regression on 1,532 copies of PNG files in few tones, filtered or by another
# codec, and 1,820 copies in few tones, of 450 photographs).
_WEIGHTS = (0.004, 2.04, -1.29, 1.68, 17.2, -1.45, 1.53, 0.67)
_ARE_FILLED = 4.1


def by_tones(ours: Observation, theirs: Observation, gain: Floats, cause: Cause) -> Preference:
    """Tell whether one of two lacks tones that the other has, or had its gaps filled in the other.

    `gain` is by how much the first one has more at each frequency, in octaves.
    """
    richer = _find_richer(ours, theirs, filtered=cause.finer != 0)
    if richer == 1:
        return by_tones(theirs, ours, -gain, cause.turned()).turned()
    if not richer:
        return Preference()
    # Fewer gaps may be those of what went through WebP, whose like this is not about.
    signs = _signs(ours, theirs, gain, cause) if _share_skipped(ours) > _NEVER_IN_WEBP else None
    filled = signs is not None and float(np.dot(signs, _WEIGHTS)) > _ARE_FILLED
    return Preference(1, FILLED) if filled else Preference(2, LACKS_TONES)


def _signs(few: Observation, rich: Observation, gain: Floats, cause: Cause) -> tuple[float, ...] | None:
    """Return what speaks for filled gaps or against them; None without patches, or where so few levels tell nothing."""
    first, second = few.traces, rich.traces
    if first is None or second is None or not first.patches or len(first.patches) != len(second.patches):
        return None
    grey, other = read_grey(first.patches), read_grey(second.patches)
    if len(np.unique(grey)) < _MIN_LEVELS:
        return None
    left = without_curve(grey, other)
    shorter = cause.fits.shorter if cause.fits is not None else 0.0
    return (
        min(max(shorter, -_MOST_SHORTER), _MOST_SHORTER),
        octaves_of(left),
        float(np.log2(first.noise + _LEAST_NOISE)),
        float(np.log2(second.noise + _LEAST_NOISE)),
        _goes_with(left, other),
        octaves_of(grey - other),
        float(gain[FINER].mean()),
        few.quality.entropy - rich.quality.entropy,
    )


def _goes_with(left: Floats, scene: Floats) -> float:
    """Return how much what is left goes with the bends of a scene, either way: a correlation."""
    bends, inner = bend(scene), left[:, 1:-1, 1:-1]
    both = float((inner**2).sum() * (bends**2).sum())
    return abs(float((inner * bends).sum())) / max(float(np.sqrt(both)), 1.0)


def _find_richer(ours: Observation, theirs: Observation, *, filtered: bool) -> int:
    """Tell whether one of two skips levels that the other has, as after a tone curve or in few colours; 0 if not.

    A drawing has few levels by itself, and more of them once it was compressed. A filter (`filtered`) leaves out some.
    """
    if ours.traces is None or theirs.traces is None or not (ours.traces.levels and theirs.traces.levels):
        return 0
    shares = _share_skipped(ours), _share_skipped(theirs)
    if max(shares) < (_FEW if filtered else _MISSING) or max(shares) < _MISSES_MORE * min(shares):
        return 0
    richer = 1 if shares[0] < shares[1] else 2
    return richer if (ours, theirs)[richer - 1].quality.entropy > MANY_TONES else 0


def _share_skipped(seen: Observation) -> float:
    """Return the share of levels that a picture skips, beyond those that its file cannot hold."""
    share = seen.traces.levels[0] / 255 if seen.traces is not None and seen.traces.levels else 0.0
    return 0.0 if seen.picture.encoding == "WEBP" and share < _NEVER_IN_WEBP else share
