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
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.alignment import Alignment, Grey, project
from pipeline.comparison import Comparison, compare, warp
from pipeline.compression import FileFacts, Known
from pipeline.cutting import find_cut
from pipeline.framing import Framing, Placement, find_framing, frame_corners, lay_on_grid
from pipeline.lineage import find_lineage
from pipeline.palettes import colours_of, in_colours_of, lost_a_colour
from pipeline.prepared import Prepared, prepare, prepare_tones
from pipeline.proof import has_moved, how_sure_changed, is_calm, is_lively, kind_of, may_be_coded, would_as_well
from pipeline.proposing import NEAR_FRAME_PIXELS, as_it_lies, propose
from pipeline.recoding import differs_more, recoded
from pipeline.saving import find_saving
from pipeline.settings import VerifySettings
from pipeline.settling import ENOUGH_PIXELS, NEARLY_LAID, lay, settle
from pipeline.softening import soften_as
from pipeline.stains import is_stained
from pipeline.tones import has_other_colours, mix_colours
from pipeline.wording import find_difference, say_change
from store.records import Lineage, MatchKind

__all__ = ["Facts", "Prepared", "SecondLook", "prepare", "verify"]

WELL_LAID = 0.9  # agreement from which no other alignment is tried
SETTLED_PIXELS = 0.2  # of drift: less is no reason to look for corners
MAX_STEPS = 2
SURE_SHIFT_PIXELS = 1.0  # a frame that fits as it lies is not moved by less in vain
MIN_GAIN = 1.15  # what such a move must explain: the residual before over that after
MAX_ODD_ALIKE = 12  # windows that may differ or have moved once both are as coarse
MAX_ODD_IN_FEW = 2  # of these, that may differ once both have the same few colours, or were saved block by block
MAX_ODD_CUT, MAX_MOVED_SOUGHT = 6, 0.12  # the same at a place that no corners tell; what may go with the gradients
MAX_DRIFT_SOUGHT = 0.35  # pixels by which the windows there may ask for another place
# Where the windows ask for another place than a plain cut's by so many pixels, which leaves so much less: a camera.
BESIDE_PIXELS, BESIDE_GAIN = 0.5, 1.6
VAIN_RESIDUAL = 0.02
AS_SAVED = 1.05  # of a change of tones and colours: coarse compression alone changes them by less
HARDLY = 1.05  # a step that explains less more is the last


Facts = tuple[FileFacts, FileFacts] | None  # of two files, where both were measured


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What a second look saw."""

    kind: MatchKind | None  # COPY, EDITED or None: not shown to be the same picture
    change: str  # for people: "mirrored and cropped"
    inliers: int  # corners that agree on the transform; 0 where the pictures lay over each other as they were
    overlap: float  # share of the smaller picture's area that both show
    agreement: float  # share of the textured windows that agree
    difference: tuple[float, float, float, float] | None  # x, y, width, height as shares of `a`
    explanation: str  # one line for people
    lineage: Lineage = Lineage()  # which of the two could have been made from the other


def verify(a: Prepared, b: Prepared, settings: VerifySettings, facts: Facts = None) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed.

    `facts` are what the files of `a` and `b` tell beyond their previews, where that is known.
    """
    known = Known() if facts is None else Known.of(*facts, a.grey, b.grey)
    best: _Judged | None = None
    for alignment in propose(a, b, settings):
        if best is not None and best.lies_as(alignment):
            break
        judged = _judge(a, b, alignment, settings, known)
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
    if best is not None and best.stood_still and not known.saved:
        moved = has_moved(best.seen, known.siblings(a.tones, b.tones)) and not has_other_colours(a.tones, b.tones)
        best = replace(best, kind=MatchKind.EDITED) if moved else best
    nothing = SecondLook(None, "", 0, 0.0, 0.0, None, "no common structure found")
    return nothing if best is None else best.look(settings)


def _judge_alike(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> "_Judged | None":
    """Do to one of two pictures what was done to the other, and look again; None where that does not make them one."""
    alike = [a, b]
    if known.coarser is not None:
        place, file = known.coarser
        alike[1 - place] = prepare_tones(file.saved_again(colours_of(alike[1 - place].tones)))
    elif known.few_colours is not None:
        place = known.few_colours
        nearest = in_colours_of(alike[1 - place].tones, alike[place].tones)
        if lost_a_colour(alike[1 - place].tones, nearest):
            return None
        alike[1 - place] = prepare_tones(nearest)
    else:
        return None
    ours, theirs = alike
    judged = _judge(ours, theirs, as_it_lies(ours, theirs), settings, Known(few_colours=known.few_colours))
    if judged is None or judged.kind is not MatchKind.COPY:
        return None
    odd, moved = judged.seen.odd_windows, judged.seen.moved_windows
    painted = known.coarser is None and odd > MAX_ODD_IN_FEW  # single places stand out where all has the same colours
    return None if painted or odd + moved > MAX_ODD_ALIKE else judged


def _judge_recoded(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> "_Judged | None":
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
    seen, would = (_compared(*each, at, settings, 0.0, None) for each in ((a, b), pair))
    if seen[2] >= AS_SAVED or not would_as_well(seen[1], would[1]):
        return None
    stained = is_stained(a.tones, b.tones, seen[0], seen[1], seen[2], few_colours=False)
    return None if stained else replace(_weighed(a, b, seen, settings, known), kind=MatchKind.COPY)


def _judge_softened(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> "_Judged | None":
    """Make the sharper one as soft as the other, and look again; None where they do not come out as one."""
    softened = soften_as(a.grey, b.grey)
    if softened is None:
        return None
    place, grey = softened
    alike = (a, b.with_grey(grey)) if place else (a.with_grey(grey), b)
    judged = _judge(*alike, as_it_lies(a, b), settings, Known(few_colours=known.few_colours))
    return judged if judged is not None and judged.kind is MatchKind.COPY and is_calm(judged.seen) else None


def _judge_saving(a: Prepared, b: Prepared, settings: VerifySettings, known: Known, best: "_Judged") -> "_Judged":
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
    again = [a, b]
    colours = colours_of(again[1 - place].tones)
    if known.coarser is not None and known.coarser[0] == place:
        colours = known.coarser[1].saved_again(colours)
    colours[..., 0] = saving.again
    again[1 - place] = prepare_tones(colours)
    ours, theirs = again
    judged = _judge(ours, theirs, as_it_lies(a, b), settings, Known())
    alike = judged is not None and judged.seen.odd_windows + judged.seen.moved_windows <= MAX_ODD_IN_FEW
    return judged if judged is not None and alike and judged.kind is MatchKind.COPY else best


def _judge_cut(a: Prepared, b: Prepared, settings: VerifySettings, known: Known) -> Iterator["_Judged"]:
    """Look again where a plain cut would have been made, if there is such a place."""
    there = None if known.grids is None else find_cut(a.grey, b.grey, known.grids)
    if there is None:
        return
    compared = _in_place(a, b, Alignment(there, 0, False), settings, known, None)
    seen = compared[1]
    few = seen.odd_windows + seen.moved_windows <= MAX_ODD_CUT and seen.moved_share <= MAX_MOVED_SOUGHT
    if few and seen.drift_pixels <= MAX_DRIFT_SOUGHT:
        yield _weighed(a, b, compared, settings, known)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """One alignment, measured and judged."""

    place: Placement
    seen: Comparison
    framing: Framing
    recoloured: float
    kind: MatchKind | None

    @property
    def overlap(self) -> float:
        return max(self.framing.source_covered, self.framing.target_covered)

    @property
    def stood_still(self) -> bool:
        """Tell whether it was called a copy in one frame, with tones and colours as they were."""
        same_frame = self.framing.same or self.framing.rounded
        return self.kind is MatchKind.COPY and same_frame and self.recoloured < AS_SAVED

    @property
    def may_be_coded(self) -> bool:
        """Tell whether it was called edited although a codec alone may have left what sets the two apart."""
        in_place = self.kind is MatchKind.EDITED and self.framing.same and self.recoloured < AS_SAVED
        return in_place and may_be_coded(self.seen)

    @property
    def rank(self) -> tuple[bool, bool, float]:
        return self.kind is MatchKind.COPY, self.kind is MatchKind.EDITED, self.seen.agreement * self.overlap

    def settled(self, settings: VerifySettings) -> bool:
        """Tell whether another alignment could explain no more."""
        seen = self.seen
        drifts = self.framing.tilted or seen.drift_pixels > SETTLED_PIXELS
        laid = self.framing.same or self.place.inliers > 0 or not drifts
        well_placed = laid and seen.agreement >= WELL_LAID
        # The windows fit where they lie, to less than a pixel, and what does not go together there will not elsewhere.
        differs = seen.conflict > settings.max_conflict or seen.odd_windows > 3 * settings.max_odd_windows
        in_place = seen.agreement >= NEARLY_LAID and seen.drift_pixels < SURE_SHIFT_PIXELS
        return self.kind is MatchKind.COPY or (
            self.kind is MatchKind.EDITED and (well_placed or (in_place and differs))
        )

    def lies_as(self, other: Alignment) -> bool:
        """Tell whether another alignment leads to the same place, which the windows have found already."""
        shape = (self.place.target if self.place.swapped else self.place.source).shape
        onto = np.asarray(np.linalg.inv(self.place.onto)) if self.place.swapped else self.place.onto
        off = project(onto, frame_corners(shape)) - project(other.matrix, frame_corners(shape))
        known = self.seen.agreement >= WELL_LAID and self.seen.drift_pixels < SETTLED_PIXELS
        return known and bool(np.linalg.norm(off, axis=1).max() < NEAR_FRAME_PIXELS)

    def look(self, settings: VerifySettings) -> SecondLook:
        """Put into words what was seen, and tell which of the two could be the original."""
        place, seen, kind = self.place, self.seen, self.kind
        change = say_change(place, self.framing, seen, kind, self.recoloured)
        said = f"{place.inliers} points agree, " if place.inliers else ""
        said += f"{seen.agreement:.0%} of the overlap is the same"
        odd = seen.odd_box if kind is MatchKind.EDITED else None
        return SecondLook(
            kind,
            change,
            place.inliers,
            self.overlap,
            seen.agreement,
            find_difference(place, seen) if kind is MatchKind.EDITED else None,
            f"{change}; {said}" if kind else f"not shown to be the same picture; {said}",
            find_lineage(place, self.framing, odd, settings.max_fill_levels) if kind else Lineage(),
        )


# A place, what it shows, how much tones or colours changed (from 1 on clearly), and both greys with that made good.
_Compared = tuple[Placement, Comparison, float, tuple[Grey, Grey]]


def _judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings, known: Known) -> _Judged | None:
    """Judge one alignment; follow the drift that the windows show as long as that explains more.

    Returns None where corners led to a place at which nothing goes together.
    """
    limits = settings.min_texture_levels, settings.min_correlation
    if alignment.inliers:
        settled = settle(a.grey, b.grey, alignment, *limits)
        if settled is None:
            return None
        alignment = settled
    best = _compared(a, b, alignment, settings, known.noise, None)
    for step in range(MAX_STEPS):
        place, seen, recoloured, _ = best
        hopeless = seen.agreement < NEARLY_LAID or seen.conflict > 2 * settings.max_conflict
        # A settled place is off by so little that what is left there would not become little.
        hopeless |= alignment.inliers > 0 and seen.residual > 1.5 * settings.max_residual_moved
        if seen.drift_pixels < ENOUGH_PIXELS or hopeless:
            break
        onto = seen.drift @ place.onto
        there = replace(alignment, matrix=np.asarray(np.linalg.inv(onto)) if place.swapped else onto)
        near = seen.drift_pixels < SURE_SHIFT_PIXELS
        if not near:
            there = settle(a.grey, b.grey, there, *limits) or there
        followed = _compared(a, b, there, settings, known.noise, best if near else None)
        gain = 1.0
        if not alignment.inliers and step == 0 and near:
            # Where one is blurred (the other then has more detail than it shares) or recoloured, places are known
            # less well.
            gain = MIN_GAIN + min(max(followed[1].detail - 1.1, 0.0), 1.0) + 0.35 * how_sure_changed(recoloured)
        if seen.residual < gain * followed[1].residual + (gain - 1) * VAIN_RESIDUAL:
            break
        best = followed
        if seen.residual < HARDLY * followed[1].residual:
            break
    judged = _weighed(a, b, best, settings, known)
    plain = None if judged.kind is None else _plain_cut(a, b, best, settings, known)
    if plain is None:
        return judged
    left, seen = plain[1], best[1]
    if judged.kind is MatchKind.EDITED:
        return judged if left.residual > HARDLY * seen.residual else _weighed(a, b, plain, settings, known)
    beside = left.residual > BESIDE_GAIN * seen.residual and left.drift_pixels > BESIDE_PIXELS
    # Frame on frame it is no cut at all, but was resized by a few pixels.
    whole = judged.framing.same or judged.framing.rounded or judged.place.frames_meet
    return replace(judged, kind=MatchKind.EDITED) if beside and not whole else judged


def _weighed(a: Prepared, b: Prepared, compared: _Compared, settings: VerifySettings, known: Known) -> _Judged:
    """Judge what a comparison showed."""
    place, seen, recoloured = compared[:3]
    framing = find_framing(place, seen.drift, settings.max_fill_levels, known.grids)
    few_colours = known.few_colours is not None
    kind = kind_of(seen, framing, recoloured, settings, few_colours=few_colours)
    if kind is not MatchKind.COPY and known.saved:
        kind = kind_of(seen, framing, recoloured, settings, few_colours=few_colours, saved=True)
    if kind is not MatchKind.COPY and framing.same and known.same_before:  # no two exposures: their grain is storing's
        kind = kind_of(replace(seen, fine=None), framing, recoloured, settings, few_colours=few_colours)
    if kind is MatchKind.COPY and recoloured < AS_SAVED and framing.same:
        kind = MatchKind.EDITED if known.written_over or (known.unlike and is_lively(seen)) else kind
    if kind is MatchKind.COPY and is_stained(a.tones, b.tones, place, seen, recoloured, few_colours=few_colours):
        kind = MatchKind.EDITED
    return _Judged(place, seen, framing, recoloured, kind)


def _plain_cut(a: Prepared, b: Prepared, best: _Compared, settings: VerifySettings, known: Known) -> _Compared | None:
    """Lay one as a plain cut of the other, where their files may be that and the place found is near it."""
    place, seen = best[:2]
    if known.grids is None or place.mirrored or seen.agreement < NEARLY_LAID:
        return None
    onto = seen.drift @ place.onto
    there = lay_on_grid(np.asarray(np.linalg.inv(onto)) if place.swapped else onto, a.grey.shape, known.grids)
    return None if there is None else _in_place(a, b, Alignment(there, place.inliers, False), settings, known, best)


def _in_place(
    a: Prepared, b: Prepared, at: Alignment, settings: VerifySettings, known: Known, near: _Compared | None
) -> _Compared:
    """Compare where pixel lies on pixel of both files: whatever drift the windows seem to show is none.

    The place is known to the hundredth of a pixel, so it pays to keep thin lines as thin as they are there.
    """
    place, seen, recoloured, greys = _compared(a, b, at, settings, known.noise, near, cv2.INTER_LANCZOS4)
    return place, replace(seen, drift=np.eye(3)), recoloured, greys


def _compared(
    a: Prepared, b: Prepared, at: Alignment, settings: VerifySettings, noise: float, near: _Compared | None,
    drawn_by: int = cv2.INTER_LINEAR,
) -> _Compared:  # fmt: skip
    """Lay one over the other and compare. Colours and tones are not measured again at a place `near` another."""
    place, scale = lay(a.grey, b.grey, at)
    curves = None
    if near is not None and near[0].swapped is place.swapped:
        recoloured, (ours, theirs) = near[2:]
        curves = near[1].curves
    else:
        source, target = (b, a) if place.swapped else (a, b)
        ours, theirs, recoloured = mix_colours(source.tones, target.tones, place.onto)
    drawn, inside = warp(ours, theirs.shape, place.onto, scale, not place.frames_meet, drawn_by=drawn_by)
    texture, correlation = settings.min_texture_levels, settings.min_correlation
    seen = compare(drawn, theirs, inside, texture, correlation, settings.max_outlier, curves, noise)
    return place, seen, recoloured, (ours, theirs)
