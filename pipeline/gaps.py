"""Of two, one skips grey levels that the other has: did it lose tones, or did a filter fill its gaps in the other?

Few colours and a tone curve leave levels out; blurring, and reducing and enlarging back, fill them again. Then a little
filter makes the filled one from the one with gaps, up to the rounding of its file, and none makes the one with gaps of
the other; and what a curve by levels leaves between them goes with the bends of the scene. The dots of a palette, which
a filter takes out as well, know nothing of the scene.
"""

import numpy as np

from pipeline.curves import without_curve
from pipeline.filters import Cause, Fits, bend, read_grey
from pipeline.recompressed import Preference
from pipeline.tints import MANY_TONES
from store.records import Observation

LACKS_TONES = "the other lacks tones"
FILLED = "the other has its missing tones filled in"

_MISSING, _FEW = 0.06, 0.25  # shares of levels that a tone curve skips, and few colours
_MISSES_MORE = 3.0  # times the other's
_NEVER_IN_WEBP = 0.18  # share: it stores 219 levels of grey for 256
# What a filter that fills gaps leaves of the difference at most; as a share of what is left the other way round; by how
# much the description is shorter, natural logarithms; how far the rest goes with the scene, a correlation. Of 1,094
# copies of originals in few tones 25 % pass (blurred or reduced and enlarged, mostly), of 1,893 copies in few tones,
# most of them filtered or saved by another codec before, 0.1 %.
_LEFT, _LEFT_BACK, _SHORTER, _GOES = 0.2, 0.4, 90.0, 0.15


def by_tones(ours: Observation, theirs: Observation, cause: Cause) -> Preference:
    """Tell whether one of two lacks tones that the other has, or had its gaps filled in the other."""
    richer = _find_richer(ours, theirs, filtered=cause.finer != 0)
    if richer == 1:
        return by_tones(theirs, ours, cause.turned()).turned()
    if not richer:
        return Preference()
    # Fewer gaps may be those of what went through WebP, whose like this is not about.
    many = _share_skipped(ours) > _NEVER_IN_WEBP
    filled = many and cause.fits is not None and _follows(cause.fits) and _goes_with_scene(ours, theirs) > _GOES
    return Preference(1, FILLED) if filled else Preference(2, LACKS_TONES)


def _follows(fits: Fits) -> bool:
    """Tell whether a filter makes the second from the first, and none does the other way round."""
    left, back = fits.left
    return left < min(_LEFT, _LEFT_BACK * back) and fits.shorter > _SHORTER


def _goes_with_scene(few: Observation, rich: Observation) -> float:
    """Return how much of what no curve by levels explains goes with the bends of the scene: a correlation."""
    first, second = few.traces, rich.traces
    if first is None or second is None or not first.patches or len(first.patches) != len(second.patches):
        return 0.0
    grey, scene = read_grey(first.patches), read_grey(second.patches)
    left, bends = without_curve(grey, scene)[:, 1:-1, 1:-1], bend(scene)
    both = float((left**2).sum() * (bends**2).sum())
    return abs(float((left * bends).sum())) / max(float(np.sqrt(both)), 1.0)


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
