"""Which of two lost colours or tones: one is grey or tinted, or skips levels that the other has."""

from pipeline.traces import own_colour
from store.records import Observation, Traces

_GREY, _COLOURFUL = 2.5, 6.0  # mean spread between channels
_TINTED = 2.0  # of that, what no tint explains
_MISSING, _FEW = 0.06, 0.25  # shares of levels that a tone curve skips, and few colours
_MISSES_MORE = 3.0  # times the other's
_NEVER_IN_WEBP = 0.18  # share: it stores 219 levels of grey for 256
MANY_TONES = 5.0  # bits: drawings have few


def find_coloured(first: Traces, second: Traces) -> int:
    """Tell which of two has colours that the other lost, 0 if none; a tint is none, whoever was tinted."""
    ours, theirs = own_colour(first), own_colour(second)
    if ours is not None and theirs is not None:
        if min(ours, theirs) < _GREY and max(ours, theirs) > _COLOURFUL:
            return 1 if ours > theirs else 2
        if max(ours, theirs) < _TINTED:
            return 0
    if min(first.colour, second.colour) < _GREY and max(first.colour, second.colour) > _COLOURFUL:
        return 1 if first.colour > second.colour else 2
    return 0


def find_richer(ours: Observation, theirs: Observation, *, filtered: bool) -> int:
    """Tell whether one of two skips levels that the other has, as after a tone curve or in few colours; 0 if not.

    A drawing has few levels by itself, and more of them once it was compressed. A filter (`filtered`) leaves out some.
    """
    if ours.traces is None or theirs.traces is None or not (ours.traces.levels and theirs.traces.levels):
        return 0
    shares = _share_skipped(ours, ours.traces), _share_skipped(theirs, theirs.traces)
    if max(shares) < (_FEW if filtered else _MISSING) or max(shares) < _MISSES_MORE * min(shares):
        return 0
    richer = 1 if shares[0] < shares[1] else 2
    return richer if (ours, theirs)[richer - 1].quality.entropy > MANY_TONES else 0


def _share_skipped(seen: Observation, traces: Traces) -> float:
    """Return the share of levels that a picture skips, beyond those that its file cannot hold."""
    share = traces.levels[0] / 255
    return 0.0 if seen.picture.encoding == "WEBP" and share < _NEVER_IN_WEBP else share
