"""What a file went through since it was the original: compressions before its own, and codecs in between.

A file that was compressed coarsely and saved again, finer, still shows the coarse steps; and the finer table says
nothing about what was lost. What went through another codec shows that one's blocks.
"""

from pipeline.rhythm import compare_fours
from store.records import Observation, Traces

EQUAL_STEPS = 1.04
UNLIKE_STEPS = 1.25  # where a step was read from pixels
_FINER_THAN_SEEN = 0.8  # of a step seen in the pixels: the file spends bytes on what was lost before
_COARSE = 9.0  # grey levels, a mean step: JPEG 60 and below
LOUD = 1.5  # octaves: neither noise nor fine compression adds more
LOUDEST = 3.0  # octaves: what the blocks of coarse compression add to a soft picture, at most
_MORE_FOURS = 1.2  # octaves of power: of 42 pairs of JPEG files with nothing else to tell them apart, 41 right


def mean_step(traces: Traces) -> float:
    """Return the coarsest mean quantisation step that a picture is known to have gone through, 0 for none."""
    return max(traces.stored_step, traces.seen_step)


def has_inherited(traces: Traces) -> bool:
    """Tell whether the pixels show a compression that the file itself does not have."""
    return traces.stored_step < _FINER_THAN_SEEN * traces.seen_step


def is_compression_noise(finest: float, first: Traces, second: Traces) -> bool:
    """Tell whether what one has more of may be the noise of a coarser compression, which its pixels show.

    `finest` is how much more the first has in the finest octave: octaves of energy, below 0 where it has less.
    """
    loud, quiet = (first, second) if finest > 0 else (second, first)
    most = LOUDEST if loud.seen_step > _COARSE else LOUD
    return abs(finest) < most and has_inherited(loud) and loud.seen_step > UNLIKE_STEPS * mean_step(quiet)


def find_direct(ours: Observation, theirs: Observation) -> int:
    """Tell which of two JPEG files, 1 or 2, did not go through a codec with smaller blocks as the other did; 0 if none.

    Such a codec smooths, and the finer table of a JPEG saved after it does not bring that back. Of the file with the
    coarser table nothing is said: its own blocks are the stronger.
    """
    first, second = ours.traces, theirs.traces
    if first is None or second is None or not (first.rhythm and second.rhythm):
        return 0
    if not (first.stored_step and second.stored_step):
        return 0
    more = compare_fours(first.rhythm, second.rhythm)
    through, direct = (first, second) if more > 0 else (second, first)
    if abs(more) <= _MORE_FOURS or mean_step(through) > mean_step(direct):
        return 0
    return 2 if more > 0 else 1
