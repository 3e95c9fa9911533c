"""One alignment of two pictures, measured and judged: what it shows, and what that makes of the pair.

The drift that the windows show is followed as long as that explains more; where the files may be whole and plain cut,
pixel is laid on pixel.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.alignment import Alignment, Grey, project
from pipeline.comparison import Comparison, compare, warp
from pipeline.compression import Known
from pipeline.framing import Framing, Placement, find_framing, frame_corners, lay_on_grid
from pipeline.lineage import find_lineage, stands_among
from pipeline.prepared import Prepared
from pipeline.proof import how_sure_changed, is_lively, kind_of, may_be_coded
from pipeline.proposing import NEAR_FRAME_PIXELS
from pipeline.settings import VerifySettings
from pipeline.settling import ENOUGH_PIXELS, NEARLY_LAID, lay, settle
from pipeline.stains import is_stained
from pipeline.tones import mix_colours
from pipeline.wording import find_difference, say_change
from store.records import Lineage, MatchKind

WELL_LAID = 0.9  # agreement from which no other alignment is tried
SETTLED_PIXELS = 0.2  # of drift: less is no reason to look for corners
MAX_STEPS = 2
SURE_SHIFT_PIXELS = 1.0  # a frame that fits as it lies is not moved by less in vain
MIN_GAIN = 1.15  # what such a move must explain: the residual before over that after
# Where the windows ask for another place than a plain cut's by so many pixels, which leaves so much less: a camera.
BESIDE_PIXELS, BESIDE_GAIN = 0.5, 1.6
VAIN_RESIDUAL = 0.02
AS_SAVED = 1.05  # of a change of tones and colours: coarse compression alone changes them by less
HARDLY = 1.05  # a step that explains less more is the last


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


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One alignment, measured and judged."""

    place: Placement
    seen: Comparison
    framing: Framing
    recoloured: float
    kind: MatchKind | None
    other_print: tuple[float, float, float, float] | None = None  # where pages say something else, as shares of `a`

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
        place, seen, kind, fill = self.place, self.seen, self.kind, settings.max_fill_levels
        odd = seen.odd_box if kind is MatchKind.EDITED else None
        lineage = Lineage() if kind is None else find_lineage(place, self.framing, odd, fill)
        among = kind is MatchKind.COPY and stands_among(place, lineage, fill)
        kind = MatchKind.EDITED if among else kind
        change = say_change(place, self.framing, seen, kind, self.recoloured)
        said = f"{place.inliers} points agree, " if place.inliers else ""
        said += f"{seen.agreement:.0%} of the overlap is the same"
        said += ", but not what is written there" if self.other_print else ""
        said += ", but words or other things stand around it" if among else ""
        return SecondLook(
            kind,
            change,
            place.inliers,
            self.overlap,
            seen.agreement,
            self.other_print or (find_difference(place, seen) if kind is MatchKind.EDITED else None),
            f"{change}; {said}" if kind else f"not shown to be the same picture; {said}",
            lineage,
        )


# A place, what it shows, how much tones or colours changed (from 1 on clearly), and both greys with that made good.
Compared = tuple[Placement, Comparison, float, tuple[Grey, Grey]]


def judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings, known: Known) -> Judged | None:
    """Judge one alignment; follow the drift that the windows show as long as that explains more.

    Returns None where corners led to a place at which nothing goes together.
    """
    limits = settings.min_texture_levels, settings.min_correlation
    if alignment.inliers:
        settled = settle(a.grey, b.grey, alignment, *limits)
        if settled is None:
            return None
        alignment = settled
    best = compare_at(a, b, alignment, settings, known.noise, None)
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
        followed = compare_at(a, b, there, settings, known.noise, best if near else None)
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
    judged = weigh(a, b, best, settings, known)
    plain = None if judged.kind is None else _plain_cut(a, b, best, settings, known)
    if plain is None:
        return judged
    left, seen = plain[1], best[1]
    if judged.kind is MatchKind.EDITED:
        return judged if left.residual > HARDLY * seen.residual else weigh(a, b, plain, settings, known)
    beside = left.residual > BESIDE_GAIN * seen.residual and left.drift_pixels > BESIDE_PIXELS
    # Frame on frame it is no cut at all, but was resized by a few pixels.
    whole = judged.framing.same or judged.framing.rounded or judged.place.frames_meet
    return replace(judged, kind=MatchKind.EDITED) if beside and not whole else judged


def weigh(a: Prepared, b: Prepared, compared: Compared, settings: VerifySettings, known: Known) -> Judged:
    """Judge what a comparison showed."""
    place, seen, recoloured = compared[:3]
    framing = find_framing(place, seen.drift, settings.max_fill_levels, known.grids, two_sizes=known.two_sizes)
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
    return Judged(place, seen, framing, recoloured, kind)


def _plain_cut(a: Prepared, b: Prepared, best: Compared, settings: VerifySettings, known: Known) -> Compared | None:
    """Lay one as a plain cut of the other, where their files may be that and the place found is near it."""
    place, seen = best[:2]
    if known.grids is None or place.mirrored or seen.agreement < NEARLY_LAID:
        return None
    onto = seen.drift @ place.onto
    there = lay_on_grid(np.asarray(np.linalg.inv(onto)) if place.swapped else onto, a.grey.shape, known.grids)
    return (
        None if there is None else compare_in_place(a, b, Alignment(there, place.inliers, False), settings, known, best)
    )


def compare_in_place(
    a: Prepared, b: Prepared, at: Alignment, settings: VerifySettings, known: Known, near: Compared | None
) -> Compared:
    """Compare where pixel lies on pixel of both files: whatever drift the windows seem to show is none.

    The place is known to the hundredth of a pixel, so it pays to keep thin lines as thin as they are there.
    """
    place, seen, recoloured, greys = compare_at(a, b, at, settings, known.noise, near, cv2.INTER_LANCZOS4)
    return place, replace(seen, drift=np.eye(3)), recoloured, greys


def compare_at(
    a: Prepared, b: Prepared, at: Alignment, settings: VerifySettings, noise: float, near: Compared | None,
    drawn_by: int = cv2.INTER_LINEAR,
) -> Compared:  # fmt: skip
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
