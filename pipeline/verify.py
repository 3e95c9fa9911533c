"""The second look: are these two pictures the same picture, pixel by pixel after alignment?

Works on previews alone, so it answers when the originals are offline. A pair is first tried as it lies,
mirrored and turned by quarters, on small thumbnails: most copies need no more. Where that does not align, corners
that agree on one transform are sought. Then the overlap is compared (`pipeline.comparison`), the drift it shows
followed, and what lies outside explained (`pipeline.framing`). A pair is a *copy* when one picture lies within the
other but for flat fill and what differs is explained by what was done to the whole; it is *edited* when it
aligns and something stands out or moved, or when each shows what the other lacks.

`prepare` and `verify` are pure and keep no state, so they may run in any thread or process; what `prepare` gives can
be pickled, and remembers its corners once a look has asked for them.
"""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.alignment import Alignment
from pipeline.compression import FileFacts, Known
from pipeline.cutting import find_cut
from pipeline.dyeing import is_dyed
from pipeline.fineprint import find_other_print
from pipeline.judging import AS_SAVED, Judged, SecondLook, compare_at, compare_in_place, judge, weigh
from pipeline.palettes import brought_to_few, colours_of, in_colours_of, lost_a_colour
from pipeline.prepared import Prepared, prepare, prepare_tones
from pipeline.proof import has_moved, is_calm, stands_out, would_as_well
from pipeline.proposing import as_it_lies, propose
from pipeline.recoding import differs_more, recoded
from pipeline.repainting import is_repainted
from pipeline.saving import find_saving
from pipeline.settings import VerifySettings
from pipeline.softening import soften_as
from pipeline.stains import is_stained
from pipeline.tones import Colours, has_other_colours
from pipeline.toning import tone_as
from store.records import MatchKind

__all__ = ["Facts", "Prepared", "SecondLook", "prepare", "verify"]

MAX_ODD_ALIKE = 12  # windows that may differ or have moved once both are as coarse
MAX_ODD_IN_FEW = 2  # of these, that may differ once both have the same few colours, or were saved block by block
MAX_ODD_CUT, MAX_MOVED_SOUGHT = 6, 0.12  # the same at a place that no corners tell; what may go with the gradients
MAX_DRIFT_SOUGHT = 0.35  # pixels by which the windows there may ask for another place
MIN_TONED, MIN_SURELY_TONED = 0.5, 1.0  # a change of tones and colours that is worth taking off; that is none by chance
TONED, MAX_LEFT_TONED = 0.99, 0.75  # such a change, for what curves may err by; what they may leave of one
MIN_TEXTURED_TONED = 0.2  # share of the windows that must show something for other tones alone to make a copy

Facts = tuple[FileFacts, FileFacts] | None  # of two files, where both were measured


def verify(a: Prepared, b: Prepared, settings: VerifySettings, facts: Facts = None) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed.

    `facts` are what the files of `a` and `b` tell beyond their previews, where that is known.
    """
    known = Known() if facts is None else Known.of(*facts, a.grey, b.grey)
    best: Judged | None = None
    for alignment in propose(a, b, settings):
        if best is not None and best.lies_as(alignment):
            break
        judged = judge(a, b, alignment, settings, known)
        if judged is None:
            continue
        if best is None or judged.rank > best.rank:
            best = judged
        if judged.settled(settings):
            break
    not_yet = best is None or best.kind is not MatchKind.COPY
    if not_yet and not known.written_over:
        best = _judge_alike(a, b, settings, known) or best
    if best is not None and best.kind is not MatchKind.COPY and known.grids is not None:
        best = max((best, *_judge_cut(a, b, settings, known)), key=lambda judged: judged.rank)
    if best is not None and best.kind is not None:
        if best.may_be_coded:  # before the blocks are asked, which see what was written over a coarse file
            best = _judge_recoded(a, b, settings, known) or best
        best = _judge_saving(a, b, settings, known, best)
    if best is not None and best.kind is MatchKind.EDITED:
        best = _judge_softened(a, b, settings, known) or best
    if best is not None and best.kind is not None and not known.written_over:
        best = _judge_toned(a, b, settings, known, best)
    if best is not None and best.stood_still and not known.saved:
        moved = has_moved(best.seen, known.siblings(a.tones, b.tones)) and not has_other_colours(a.tones, b.tones)
        best = replace(best, kind=MatchKind.EDITED) if moved else best
    if best is not None and best.kind is MatchKind.COPY:
        dyed = is_dyed(a.tones, b.tones, best.place, few_colours=known.few_colours is not None)
        painted = dyed or is_repainted(a.tones, b.tones, best.place)
        best = replace(best, kind=MatchKind.EDITED) if painted else best
    if best is not None and best.kind is MatchKind.COPY:
        other = find_other_print(a, b, best.place.alignment.matrix, recoloured=best.recoloured >= AS_SAVED)
        best = best if other is None else replace(best, kind=MatchKind.EDITED, other_print=other)
    nothing = SecondLook(None, "", 0, 0.0, 0.0, None, "no common structure found")
    return nothing if best is None else best.look(settings)


def _judge_alike(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> Judged | None:
    """Do to one of two pictures what was done to the other, and look again; None where that does not make them one."""
    if known.coarser is not None:
        place, file = known.coarser
        saved = file.saved_again(colours_of((a, b)[1 - place].tones))
        return _judge_as(a, b, 1 - place, saved, settings, Known(few_colours=known.few_colours), MAX_ODD_ALIKE)
    if known.few_colours is None:
        return None
    place = known.few_colours
    few, many = ((a, b)[which].tones for which in (place, 1 - place))
    told = Known(few_colours=place)
    nearest = in_colours_of(many, few)
    lost = lost_a_colour(many, nearest)
    # Single places stand out where all has the same colours.
    judged = None if lost else _judge_as(a, b, 1 - place, nearest, settings, told, MAX_ODD_IN_FEW)
    if judged is not None or a.grey.shape != b.grey.shape:
        return judged
    tried = brought_to_few(many, few)
    if tried is None:
        return None
    # Where no colour was lost, what the trial leaves is to be explained without few colours.
    return _judge_as(a, b, 1 - place, tried, settings, told if lost else Known(), MAX_ODD_IN_FEW)


def _given(a: Prepared, b: Prepared, which: int, colours: Colours) -> tuple[Prepared, Prepared]:
    """Give other colours to one of the two, 0 or 1."""
    other = prepare_tones(colours)
    return (a, other) if which else (other, b)


def _judge_as(
    a: Prepared, b: Prepared, which: int, colours: Colours, settings: VerifySettings, told: Known, most_odd: int
) -> Judged | None:
    """Look again with other `colours` for one of two pictures; None where that makes them no copies."""
    ours, theirs = _given(a, b, which, colours)
    judged = judge(ours, theirs, as_it_lies(ours, theirs), settings, told)
    if judged is None or judged.kind is not MatchKind.COPY:
        return None
    odd, moved = judged.seen.odd_windows, judged.seen.moved_windows
    return judged if odd <= most_odd and odd + moved <= MAX_ODD_ALIKE else None


def _judge_recoded(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> Judged | None:
    """Try what the codec of one of the two would leave of the other; None where it would leave less."""
    last = None if known.written_over or a.grey.shape != b.grey.shape else known.recoded(a.grey, b.grey)
    if last is None:
        return None
    place, file = last
    coded, other = ((a, b), (b, a))[place]
    tried = recoded(other.tones, coded.tones, file.encoding, (file.width, file.height))
    alike = None if tried is None else prepare_tones(tried)
    if alike is None or differs_more(other.tones, coded.tones, alike.tones):
        return None
    pair = (alike, b) if coded is a else (a, alike)
    at = as_it_lies(a, b)
    seen, would = (compare_at(*each, at, settings, 0.0, None) for each in ((a, b), pair))
    if seen[2] >= AS_SAVED or not would_as_well(seen[1], would[1]):
        return None
    stained = is_stained(a.tones, b.tones, seen[0], seen[1], seen[2], few_colours=False)
    return None if stained else replace(weigh(a, b, seen, settings, known), kind=MatchKind.COPY)


def _judge_softened(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> Judged | None:
    """Make the sharper one as soft as the other, and look again; None where they do not come out as one."""
    softened = soften_as(a.grey, b.grey)
    if softened is None:
        return None
    place, grey = softened
    alike = (a, b.with_grey(grey)) if place else (a.with_grey(grey), b)
    judged = judge(*alike, as_it_lies(a, b), settings, Known(few_colours=known.few_colours))
    return judged if judged is not None and judged.kind is MatchKind.COPY and is_calm(judged.seen) else None


def _judge_toned(a: Prepared, b: Prepared, settings: VerifySettings, known: Known, best: Judged) -> Judged:
    """Give one the tones and colours of the other, and look again: nothing of a change of the whole is left then.

    A mixture of the primaries can give one thing another hue, and whatever has one hue alone any other, so it makes
    no copy; a turn of all hues by a little does.
    """
    copied = best.kind is MatchKind.COPY
    if best.recoloured < (MIN_SURELY_TONED if copied else MIN_TONED):
        return best
    toned = tone_as(a.tones, b.tones, best.place)
    if toned is None or not (copied or (not toned.mixed and known.few_colours is None)):
        return best
    ours, theirs = _given(a, b, toned.which, toned.colours)
    told = Known(few_colours=known.few_colours, grids=known.grids)
    judged = judge(ours, theirs, best.place.alignment, settings, told)
    if judged is None:
        return best
    explained = not toned.mixed and judged.recoloured <= MAX_LEFT_TONED
    if copied:
        differs = stands_out(judged.seen, judged.framing, judged.recoloured, settings)
        if explained and not toned.turned:
            differs |= is_stained(ours.tones, theirs.tones, judged.place, judged.seen, TONED, few_colours=False)
        return replace(judged, kind=MatchKind.EDITED, recoloured=best.recoloured) if differs else best
    seen = judged.seen
    copy = explained and judged.kind is MatchKind.COPY
    copy &= seen.textured >= MIN_TEXTURED_TONED and seen.odd_windows <= MAX_ODD_IN_FEW
    return replace(judged, recoloured=best.recoloured) if copy else best


def _judge_saving(a: Prepared, b: Prepared, settings: VerifySettings, known: Known, best: Judged) -> Judged:
    """Let all blocks tell whether one is a JPEG that was merely saved from the other, or was written over."""
    copied = best.kind is MatchKind.COPY
    # Where it is fine, or colours changed, what was done to the whole shows in places, and the windows see more.
    hidden = known.coarser is not None and best.framing.same and best.recoloured < AS_SAVED
    place, saving = find_saving(a.tones, b.tones, known.children if (hidden if copied else known.saved) else ())
    if saving is None:
        return best
    if copied:
        return replace(best, kind=MatchKind.EDITED) if saving.written_over else best
    if not saving.merely_saved:
        return best
    colours = colours_of((a, b)[1 - place].tones)
    if known.coarser is not None and known.coarser[0] == place:
        colours = known.coarser[1].saved_again(colours)
    colours[..., 0] = saving.again
    ours, theirs = _given(a, b, 1 - place, colours)
    judged = judge(ours, theirs, as_it_lies(a, b), settings, Known())
    alike = judged is not None and judged.seen.odd_windows + judged.seen.moved_windows <= MAX_ODD_IN_FEW
    return judged if judged is not None and alike and judged.kind is MatchKind.COPY else best


def _judge_cut(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> Iterator[Judged]:
    """Look again where a plain cut would have been made, if there is such a place."""
    there = None if known.grids is None else find_cut(a.grey, b.grey, known.grids)
    if there is None:
        return
    compared = compare_in_place(a, b, Alignment(there, 0, False), settings, known, None)
    seen = compared[1]
    few = seen.odd_windows + seen.moved_windows <= MAX_ODD_CUT and seen.moved_share <= MAX_MOVED_SOUGHT
    if few and seen.drift_pixels <= MAX_DRIFT_SOUGHT:
        yield weigh(a, b, compared, settings, known)
