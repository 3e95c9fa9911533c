"""Which of two lost its colours: one is grey or tinted."""

from pipeline.traces import own_colour
from store.records import Traces

_GREY, _COLOURFUL = 2.5, 6.0  # mean spread between channels
_TINTED = 2.0  # of that, what no tint explains
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


def is_tint(first: Traces, second: Traces) -> bool:
    """Tell whether one of two is grey and the other has one colour for each grey."""
    own = own_colour(first), own_colour(second)
    told = [each for each in own if each is not None]
    grey, tinted = sorted((first.colour, second.colour))
    return len(told) == 2 and max(told) < _TINTED and grey < _GREY < tinted
