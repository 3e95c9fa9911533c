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
from functools import cached_property
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from pipeline.alignment import Alignment, Float, Grey, align, project, refine
from pipeline.comparison import Comparison, compare, warp
from pipeline.corners import Points, find_points
from pipeline.framing import Framing, Placement, find_framing, frame_corners, frame_to_frame
from pipeline.hues import has_changed_hues
from pipeline.lineage import find_lineage
from pipeline.settling import ENOUGH_PIXELS, NEARLY_LAID, lay, settle
from pipeline.tones import Tones, mix_colours
from pipeline.wording import find_difference, say_change
from store.records import Lineage, MatchKind

THUMB_PIXELS = 32
NEAR_FRAME_PIXELS = 2.0
_WAYS = [(mirrored, quarter) for mirrored in (False, True) for quarter in range(4)]
WELL_LAID = 0.9  # agreement from which no other alignment is tried
SETTLED_PIXELS = 0.2  # of drift: less is no reason to look for corners
MAX_STEPS = 2
SURE_SHIFT_PIXELS = 1.0  # a frame that fits as it lies is not moved by less in vain
MIN_GAIN = 1.15  # what such a move must explain: the residual before over that after
VAIN_RESIDUAL = 0.02
MAX_ODD_COARSE = 4  # windows that may differ or have moved where compression hides what would
HARDLY = 1.05  # a step that explains less more is the last
MAX_MOVED_SHARE = 0.15  # of what compression and noise leave: chance
CLEAN_RESIDUAL = 0.004  # below, not even a mild compression shows
MAX_PAGE_WINDOWS = 2  # the same, of a page
MAX_SPOT_WINDOWS = 5  # touching windows that changed in a pair that is clean otherwise
FEW_WINDOWS, MANY_WINDOWS = 1000, 4000  # a thumbnail of 140 pixels, and a preview of 280: less evidence, more


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """When two aligned pictures count as the same picture. A window is 16 pixels of a preview wide."""

    max_descriptor_ratio: Annotated[float, Gt(0), Le(1)] = 0.85  # nearest against second nearest corner
    max_point_error_pixels: Annotated[float, Gt(0)] = 3.0  # for a corner to agree with the transform
    min_inliers: Annotated[int, Ge(4)] = 12  # corners that must agree on one transform
    min_thumb_correlation: Annotated[float, Gt(0), Le(1)] = 0.8  # to compare two pictures as they lie
    min_texture_levels: Annotated[float, Gt(0)] = 3.0  # grey levels of deviation that make a window textured
    min_textured_share: Annotated[float, Ge(0), Le(1)] = 0.05  # below, a picture is flat: only grain proves
    min_correlation: Annotated[float, Gt(0), Le(1)] = 0.6  # inside a window, for it to agree
    min_agreement: Annotated[float, Gt(0), Le(1)] = 0.93  # share of textured windows, for a copy
    min_edited_agreement: Annotated[float, Gt(0), Le(1)] = 0.6  # the same, for an edited picture
    max_outlier: Annotated[float, Gt(1)] = 12.0  # a window against the whole
    max_odd_windows: Annotated[int, Ge(0)] = 20  # touching windows that differ, for a copy: a spot of 5 pixels
    max_odd_recoloured: Annotated[int, Ge(0)] = 40  # as many more where tones or colours changed as a whole
    max_drift_pixels: Annotated[float, Gt(0)] = 0.3  # by which the windows of one and the same frame may drift
    max_grain: Annotated[float, Ge(0), Le(3)] = 1.2  # how much like two exposures, drift in pixels added
    max_conflict: Annotated[float, Ge(0), Le(1)] = 0.03  # share of all windows, for a copy
    min_detail: Annotated[float, Ge(0), Le(1)] = 0.82  # share of fine detail that must be shared, for a copy
    min_detail_small: Annotated[float, Ge(0), Le(1)] = 0.97  # the same, for an overlap of few windows
    max_residual: Annotated[float, Gt(0), Le(2)] = 0.3  # typical share of a window left unexplained
    max_moved: Annotated[float, Ge(0), Le(1)] = 0.2  # what one lacks, up to which a frame moved a little
    min_detail_moved: Annotated[float, Ge(0), Le(1)] = 0.95  # `min_detail` for such a frame
    max_residual_moved: Annotated[float, Gt(0), Le(2)] = 0.05  # `max_residual` for any other frame
    min_trim: Annotated[float, Ge(0), Le(1)] = 0.035  # share that must be gone before it counts as a crop
    max_bend: Annotated[float, Gt(0)] = 0.002  # of a corner, in long sides, beyond turning, scaling and stretching
    max_fill_levels: Annotated[float, Gt(0)] = 6.0  # deviation of a flat border from its grey


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a look needs of one preview: about 200 kB, and 80 kB of corners once a look has asked for them."""

    tones: Tones
    thumb: Float  # [32, 32], mean 0, norm 1

    @property
    def grey(self) -> Grey:
        """Give the grey of the preview [h, w]."""
        return self.tones.grey

    @cached_property
    def turned_thumbs(self) -> Float:
        """Give the thumbnail mirrored and turned in all ways: [8, 1024]."""
        ways = [np.rot90(self.thumb[:, ::-1] if mirrored else self.thumb, -quarter) for mirrored, quarter in _WAYS]
        return np.stack(ways).reshape(len(_WAYS), -1)

    @cached_property
    def points(self) -> Points:
        """Find the corners; most copies lie over their originals as they are and never need them."""
        return find_points(self.grey)


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


def prepare(preview_rgb: NDArray[np.uint8]) -> Prepared:
    """Compute what `verify` needs of one oriented preview [h, w, 3] RGB uint8."""
    tones = np.asarray(cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2YCrCb), np.uint8)
    grey = np.ascontiguousarray(tones[..., 0])
    half, quarter = ((max(grey.shape[1] // n, 1), max(grey.shape[0] // n, 1)) for n in (2, 4))
    halved = cv2.resize(tones, half, interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.resize(halved, quarter, interpolation=cv2.INTER_AREA), np.uint8)
    thumb = cv2.resize(grey, (THUMB_PIXELS, THUMB_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumb = thumb - cv2.GaussianBlur(thumb, (0, 0), THUMB_PIXELS / 4)
    thumb /= float(np.linalg.norm(thumb)) + 1e-3
    return Prepared(Tones(grey, np.ascontiguousarray(halved[..., 1:], np.uint8), small), thumb)


def verify(a: Prepared, b: Prepared, settings: VerifySettings, noise: float = 0.0) -> SecondLook:
    """Decide whether two prepared previews show the same picture, and what was changed.

    `noise` is what compression is known to have put on the pixels of one of the two previews alone, in grey levels.
    """
    best: _Judged | None = None
    for alignment in _alignments(a, b, settings):
        if best is not None and best.lies_as(alignment):
            break
        judged = _judge(a, b, alignment, settings, noise)
        if judged is None:
            continue
        if best is None or judged.rank > best.rank:
            best = judged
        if judged.settled(settings):
            break
    nothing = SecondLook(None, "", 0, 0.0, 0.0, None, "no common structure found")
    return nothing if best is None else best.look(settings)


def _alignments(a: Prepared, b: Prepared, settings: VerifySettings) -> Iterator[Alignment]:
    """Propose alignments, the cheapest first."""
    as_lies = _lay_over(a, b, settings.min_thumb_correlation)
    if as_lies is not None:
        yield as_lies
    ratio, error = settings.max_descriptor_ratio, settings.max_point_error_pixels
    found = align(a.points, b.points, ratio, error, settings.min_inliers)
    if found is not None:
        found = _straightened(found, a, b)
        if as_lies is None or not np.array_equal(found.matrix, as_lies.matrix):
            yield found
        return
    if as_lies is not None:  # too soft for corners
        yield Alignment(refine(a.grey, b.grey, as_lies.matrix), 0, as_lies.mirrored)


def _lay_over(a: Prepared, b: Prepared, min_correlation: float) -> Alignment | None:
    """Try the eight ways to lay one frame on the other; return the best where the thumbnails correlate."""
    correlations = a.turned_thumbs @ b.thumb.ravel()
    best = int(correlations.argmax())
    if correlations[best] < min_correlation:
        return None
    mirrored, quarter = _WAYS[best]
    return Alignment(frame_to_frame(a.grey, b.grey, mirrored, quarter), 0, mirrored)


def _straightened(found: Alignment, a: Prepared, b: Prepared) -> Alignment:
    """Lay frame on frame where the corners found nearly the same: of the two, an edit makes that one."""
    corners = frame_corners(a.grey.shape)
    ours = project(found.matrix, corners)
    apart = np.linalg.norm(ours[:, None] - frame_corners(b.grey.shape), axis=2).min(axis=1)
    for mirrored, quarter in _WAYS if apart.max() < NEAR_FRAME_PIXELS else ():
        matrix = frame_to_frame(a.grey, b.grey, mirrored, quarter)
        off = np.linalg.norm(project(matrix, corners) - ours, axis=1)
        if mirrored is found.mirrored and off.max() < NEAR_FRAME_PIXELS:
            return Alignment(matrix, 0, mirrored)
    return found


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


def _judge(a: Prepared, b: Prepared, alignment: Alignment, settings: VerifySettings, noise: float) -> _Judged | None:
    """Judge one alignment; follow the drift that the windows show as long as that explains more.

    Returns None where corners led to a place at which nothing goes together.
    """
    limits = settings.min_texture_levels, settings.min_correlation
    if alignment.inliers:
        settled = settle(a.grey, b.grey, alignment, *limits)
        if settled is None:
            return None
        alignment = settled
    best = _compared(a, b, alignment, settings, noise, None)
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
        followed = _compared(a, b, there, settings, noise, best if near else None)
        gain = 1.0
        if not alignment.inliers and step == 0 and near:
            # Where one is blurred (the other then has more detail than it shares) or recoloured, places are known
            # less well.
            gain = MIN_GAIN + min(max(followed[1].detail - 1.1, 0.0), 1.0) + 0.35 * _changed(recoloured)
        if seen.residual < gain * followed[1].residual + (gain - 1) * VAIN_RESIDUAL:
            break
        best = followed
        if seen.residual < HARDLY * followed[1].residual:
            break
    place, seen, recoloured = best[:3]
    framing = find_framing(place, seen.drift, settings.max_fill_levels)
    kind = _kind(seen, framing, recoloured, settings)
    if kind is MatchKind.COPY and has_changed_hues(a.tones, b.tones, place):
        kind = MatchKind.EDITED
    return _Judged(place, seen, framing, recoloured, kind)


def _compared(
    a: Prepared, b: Prepared, at: Alignment, settings: VerifySettings, noise: float, near: _Compared | None
) -> _Compared:
    """Lay one over the other and compare. Colours and tones are not measured again at a place `near` another."""
    place, scale = lay(a.grey, b.grey, at)
    curves = None
    if near is not None and near[0].swapped is place.swapped:
        recoloured, (ours, theirs) = near[2:]
        curves = near[1].curves
    else:
        source, target = (b, a) if place.swapped else (a, b)
        ours, theirs, recoloured = mix_colours(source.tones, target.tones, place.onto)
    drawn, inside = warp(ours, theirs.shape, place.onto, scale, not place.frames_meet)
    texture, correlation = settings.min_texture_levels, settings.min_correlation
    seen = compare(drawn, theirs, inside, texture, correlation, settings.max_outlier, curves, noise)
    return place, seen, recoloured, (ours, theirs)


def _kind(seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings) -> MatchKind | None:
    flat = seen.textured < settings.min_textured_share
    if flat and seen.detail < settings.min_detail:
        return None
    if not flat and seen.agreement < settings.min_edited_agreement and seen.residual > settings.max_residual_moved:
        return None  # where half a picture was covered, the other half still fits exactly
    explained = _is_explained(seen, framing, recoloured, settings)
    if not explained and seen.known[0] > 0 and seen.odd_windows + seen.moved_windows <= MAX_ODD_COARSE:
        explained = _is_explained(seen.without_noise, framing, recoloured, settings)
    return MatchKind.COPY if framing.whole and explained else MatchKind.EDITED


def _is_explained(seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings) -> bool:
    """Tell whether what was done to the whole picture explains all that differs."""
    flat = seen.textured < settings.min_textured_share
    return (
        (flat or seen.agreement >= settings.min_agreement)
        and seen.conflict <= settings.max_conflict
        and (seen.spot_windows <= (MAX_PAGE_WINDOWS if seen.page else MAX_SPOT_WINDOWS) or _is_rough(seen, recoloured))
        and seen.odd_windows + (0 if framing.pasted else seen.moved_windows)
        <= _allowed(seen, framing.same, recoloured, settings)
        and _is_proven(seen, framing, recoloured, settings)
        and (framing.pasted or seen.grain + min(seen.drift_pixels, 1.0) <= settings.max_grain)
    )


def _is_rough(seen: Comparison, recoloured: float) -> bool:
    """Tell whether so much differs all over that a spot tells nothing; on paper it does, of whatever colour."""
    return not seen.page and (seen.residual > CLEAN_RESIDUAL or (recoloured >= 1 and not seen.blank))


def _allowed(seen: Comparison, same_frame: bool, recoloured: float, settings: VerifySettings) -> float:
    """Tell how many windows may differ by what the whole picture shows to have been done to it.

    Heavy compression makes single windows conflict; a change of tone or colour moves the edges between two tones by a
    fraction of a pixel, and so does a change of sharpness. Two frames of a standing camera show none of the three, and
    the less the rest of the picture differs, the less may differ anywhere. A standing camera keeps its frame; in a cut
    one, sharp edges may show the little that its place is off, in fewer windows than any spot.
    """
    clean = min(max(seen.residual / CLEAN_RESIDUAL, 0.125 if same_frame else 0.4), 1.0)
    coarse = 30 * min(max(seen.residual - 0.005, 0.0) / 0.06, 1.0)
    compressed = 250 * max(0.0, 0.95 - seen.detail)
    sharpened = 100 * min(max(0.0, seen.detail - 1.05), 0.6)
    forgiven = max(coarse, compressed, sharpened) + _changed(recoloured) * settings.max_odd_recoloured
    return clean * settings.max_odd_windows + forgiven


def _allowed_share(seen: Comparison, recoloured: float) -> float:
    """Tell what share of all that differs may go with the gradients, by the same reasons."""
    sharpened = min(2 * max(seen.detail - 1.05, 0.0), 0.5)
    resampled = 0.2 * min(max(seen.residual - 0.001, 0.0) / 0.002, 1.0)
    return MAX_MOVED_SHARE + resampled + 0.3 * _changed(recoloured) + sharpened + 3 * max(seen.residual - 0.01, 0.0)


def _changed(recoloured: float) -> float:
    """Tell from 0 to 1 how sure it is that tones or colours changed: light that flickers changes them a little."""
    return min(max(recoloured - 0.3, 0.0) / 0.7, 1.0)


def _is_proven(seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings) -> bool:
    """Ask for more proof where a camera could have made the same change as an edit.

    A camera that moves a little before a wall or a lawn frames its next exposure as a mild crop would; only
    the grain tells the two apart, and for a trim of a few pixels not even that. A far move bends the frame as
    no crop does; a print that was photographed bends, too, but lies on a ground of its own.
    """
    few = 1 - min(max((seen.windows - FEW_WINDOWS) / (MANY_WINDOWS - FEW_WINDOWS), 0.0), 1.0)
    least = settings.min_detail + few * (settings.min_detail_small - settings.min_detail)
    if framing.pasted:
        return seen.detail >= least and seen.residual <= settings.max_residual
    if framing.same or framing.rounded:
        if seen.moved_share > _allowed_share(seen, recoloured):
            return False
        if framing.same and seen.drift_pixels <= settings.max_drift_pixels:
            return seen.detail >= least and seen.residual <= settings.max_residual
        least = max(least, settings.min_detail_moved)
        return framing.rounded and seen.detail >= least and seen.residual <= settings.max_residual_moved
    lacking = max(1 - framing.source_covered, 1 - framing.target_covered)
    least_trim = settings.min_trim if not framing.tilted else settings.min_trim / 2
    trimmed = lacking < least_trim and not (framing.tilted and framing.filled)
    little = lacking < settings.max_moved  # as a camera that moved a little: of true crops one in fifty bends by half
    if framing.bend > settings.max_bend * (0.5 if little else 1.0) or trimmed:
        return False
    least = settings.min_detail_moved if little else least
    return seen.detail >= least and seen.residual <= settings.max_residual_moved * (1 - few / 2)
