"""What a file went through since it was the original: compressions before its own, and codecs in between.

A file that was compressed coarsely and saved again, finer, still shows the coarse steps; and the finer table says
nothing about what was lost. What went through another codec shows that one's blocks.
"""

from pipeline.rhythm import measure_fours
from store.records import Observation, Traces

EQUAL_STEPS = 1.04
UNLIKE_STEPS = 1.25  # where a step was read from pixels
_FAR_COARSER = 2.0  # times
_FINER_THAN_SEEN = 0.8  # of a step seen in the pixels: the file spends bytes on what was lost before
_COARSE = 9.0  # grey levels, a mean step: JPEG 60 and below
LOUD = 1.5  # octaves: neither noise nor fine compression adds more
LOUDEST = 3.0  # octaves: what the blocks of coarse compression add to a soft picture, at most
# Octaves of power, of its own and beyond the other's: of 82 pairs of which neither was saved from the other 80 right.
MORE_FOURS = 1.0
SURE_FOURS = 3.5  # of 1,000 files none that was never WebP, nor enlarged by four, shows that much
_PLAIN = frozenset({"JPEG", "PNG", "TIFF", "BMP", "PPM"})  # whose own codec leaves no blocks of four
# Octaves: the least that the mean of four stored bands tells; how much more blocks add at the very top. Of 42 pairs
# that keep to both, and to what follows, 35 right, of 30 that only compression sets apart 27.
_MORE_DETAIL, _TOP_HEAVY = 0.05, 1.3
_SPARED = 0.15  # of what the finest octave loses: by 58 blurs and reductions the octave below lost 0.19 of it and more


def mean_step(traces: Traces) -> float:
    """Return the coarsest mean quantisation step that a picture is known to have gone through, 0 for none."""
    return max(traces.stored_step, traces.seen_step)


def has_inherited(traces: Traces) -> bool:
    """Tell whether the pixels show a compression that the file itself does not have."""
    return traces.stored_step < _FINER_THAN_SEEN * traces.seen_step


def is_far_finer(first: Traces | None, second: Traces | None) -> bool:
    """Tell whether the first of two went through far finer steps than the second."""
    return first is not None and second is not None and mean_step(second) > _FAR_COARSER * max(mean_step(first), 1.0)


def is_compression_noise(finest: float, first: Traces, second: Traces) -> bool:
    """Tell whether what one has more of may be the noise of a coarser compression, which its pixels show.

    `finest` is how much more the first has in the finest octave: octaves of energy, below 0 where it has less.
    """
    loud, quiet = (first, second) if finest > 0 else (second, first)
    most = LOUDEST if loud.seen_step > _COARSE else LOUD
    return abs(finest) < most and has_inherited(loud) and loud.seen_step > UNLIKE_STEPS * mean_step(quiet)


def is_finest_alone(finest: float, finer: float, first: Traces, second: Traces) -> bool:
    """Tell whether one has more in the finest octave alone, and coarser steps, now or before: their noise, no detail.

    `finest` and `finer` are how much more the first has there and in the octave below: octaves of energy. Whatever
    blurs or enlarges takes from both.
    """
    loud, quiet = (first, second) if finest > 0 else (second, first)
    coarser = mean_step(loud) > EQUAL_STEPS * mean_step(quiet) or (loud.stored_step > 0 and has_inherited(loud))
    return coarser and abs(finest) < LOUD and abs(finer) < _SPARED * abs(finest)


def find_direct(ours: Observation, theirs: Observation, least: float = MORE_FOURS) -> int:
    """Tell which of two, 1 or 2, did not go through a codec with smaller blocks as the other did; 0 if none.

    `least` is by how many octaves of power the other must show them.

    Such a codec smooths, and what is saved after it, a JPEG with a finer table or a PNG, does not bring that back. Of
    the file with the coarser table nothing is said: its own blocks are the stronger. Nor is it where the other one was
    compressed more coarsely before, which weakens all that its own blocks are measured against.
    """
    first, second = ours.traces, theirs.traces
    if first is None or second is None or not (first.rhythm and second.rhythm):
        return 0
    if not {ours.picture.encoding, theirs.picture.encoding} <= _PLAIN:
        return 0
    fours = measure_fours(first.rhythm), measure_fours(second.rhythm)
    through, direct = (first, second) if fours[0] > fours[1] else (second, first)
    if min(max(fours), abs(fours[0] - fours[1])) <= least or mean_step(through) > mean_step(direct):
        return 0
    if has_inherited(direct) and direct.seen_step > _COARSE:
        return 0
    return 2 if fours[0] > fours[1] else 1


def find_smoothed(gains: tuple[float, float, float], first: Traces, second: Traces) -> int:
    """Tell which of two, 1 or 2, another codec smoothed, where neither was saved from the other; 0 if none is shown.

    Its finer table is then that of the last file of a chain. `gains` are how much more the first has at the very top,
    in the finest octave and in the one below: octaves of energy. A codec that smooths takes from all fine frequencies;
    what blocks and their edges add lies at the top most of all, and what coarse steps add in the finest octave alone.
    """
    rich, poor, sign = (first, second, 1) if gains[1] > 0 else (second, first, -1)
    top, finest, finer = (sign * gain for gain in gains)
    chained = rich.stored_step > 0 and has_inherited(rich)  # what it has more may be the noise of a coarser one before
    if chained or EQUAL_STEPS * mean_step(rich) < mean_step(poor):
        return 0
    told = finest > _MORE_DETAIL and top < _TOP_HEAVY * finest and finer > _SPARED * finest
    return (2 if sign > 0 else 1) if told else 0
