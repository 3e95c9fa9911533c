"""What it takes for two aligned pictures to count as the same picture, by all that was measured on them."""

from collections.abc import Sequence

from pipeline.comparison import Comparison
from pipeline.framing import Framing
from pipeline.settings import VerifySettings
from pipeline.siblings import Siblings
from store.records import MatchKind

MAX_ODD_COARSE = 4  # windows that may differ or have moved where compression, or haze, hides what would
MAX_ODD_CALM, MAX_RESIDUAL_CALM = 3, 0.03  # the same once both are as soft, for a blur hides much; what may be left
MAX_ODD_SAVED = 6  # the same, where the files show that one was saved from the other
MAX_MOVED_SHARE = 0.15  # of what compression and noise leave: chance
# The same, of a mild cut, without and with pixel on pixel of the files: of true cuts one in a hundred has more, of the
# next frame, cut as well, three in five.
MAX_MOVED_CUT, MAX_MOVED_ON_GRID, MAX_MOVED_EXACT = 0.11, 0.15, 0.5
# What compression may leave of a cut that lies pixel on pixel, where the windows do not ask for any other place.
MAX_RESIDUAL_ON_GRID, SURE_DRIFT = 0.09, 0.15
CLEAN_RESIDUAL = 0.004  # below, not even a mild compression shows
# Two frames of a tree in the wind: 0.028 to 0.071, 0.84 to 0.94, 0.07 to 0.14. Copies that went through other codecs
# have as much of one or two of these; of 200 drawn one had of all three.
LIVELY_RESIDUAL, LIVELY_DETAIL, LIVELY_MOVED = 0.012, 0.95, 0.06
# Where most blocks show that the frame stood still: how far others may lie off, and what one shift may explain of a
# place then, or whatever the blocks say; how far any may lie off where nearly all stood still.
MIN_STILL, MAX_APART, MAX_COHERENT, MAX_COHERENT_EVER = 0.5, 4.0, 0.2, 0.5
NEARLY_STILL, MAX_APART_ALONE = 0.95, 8.0
MAX_SHARPER, MAX_DRIFT_SAVED = 1.08, 0.18  # detail that only sharpening gives; pixels by which saving moves nothing
MIN_DETAIL_CODED, MAX_RESIDUAL_CODED, MAX_DRIFT_CODED = 0.7, 0.18, 0.6  # beyond, hardly anything could agree
SURELY = 1.3  # times what single places may differ by
MAX_SPOT_WINDOWS = 5  # touching windows that changed in a pair that is clean otherwise
MAX_PAGE_WINDOWS = 2  # the same, of a page
MAX_SPOT_ROUGH = 12  # the same where much differs all over: of 2,190 copies 2 have more, both in few colours
# Times what is usual that a place of 4 pixels may have changed: of copies 1 in 100 has more. Tones and colours that
# changed, few colours, which miss rare ones by far, and the edges of a cut come on top.
MAX_PEAK, PEAK_RECOLOURED, PEAK_FEW_COLOURS, PEAK_CUT = 3.3, 2.4, 4.0, 1.0
# Where no place stands out, edges may be off all over: how many more windows may have moved, and go with the gradients.
EVEN_PEAK, EVEN_MOVED, EVEN_MOVED_SHARE = 2.1, 60, 0.2
EVEN_ODD, EVEN_TEXTURED = 8, 0.2  # touching windows that differ otherwise; share that must show something
# How far the place that changed most may lead the next: tails of what storing leaves fall off step by step. On blank
# ground one letter may be all that there is to see.
MAX_LEAD, MAX_LEAD_BLANK, LEAD_RECOLOURED = 2.0, 1.8, 0.25
LEAD_TINY, TINY_WINDOWS = 1.0, 400  # among so few places the second tells little
USUAL_TEXTURED = 0.05  # share of the windows that must show something for it to be told what is usual in them
FEW_WINDOWS, MANY_WINDOWS = 1000, 4000  # a thumbnail of 140 pixels, and a preview of 280: less evidence, more


def kind_of(
    seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings, *,
    few_colours: bool = False, saved: bool = False,
) -> MatchKind | None:  # fmt: skip
    """Judge two pictures by what a comparison and their frames show; None: not shown to be the same picture.

    `recoloured` tells how much tones or colours changed as a whole, from 1 on clearly; `few_colours` that one of the
    two is known to have been brought to a few; `saved` that the files show one to be saved from the other, which no
    two exposures do: then only single places are asked about.
    """
    flat = seen.textured < settings.min_textured_share
    if flat and seen.detail < settings.min_detail:
        return None
    if not flat and seen.agreement < settings.min_edited_agreement and seen.residual > settings.max_residual_moved:
        return None  # where half a picture was covered, the other half still fits exactly
    explained = _is_explained(seen, framing, recoloured, settings, few_colours, saved)
    few = seen.odd_windows + seen.moved_windows <= MAX_ODD_COARSE
    if not explained and few and seen.known[0] > 0:
        explained = _is_explained(seen.without_noise, framing, recoloured, settings, few_colours, saved)
    if not explained and few and seen.spot_windows <= MAX_SPOT_WINDOWS:  # in haze the least thing stands out
        explained = _is_explained(seen.without_haze, framing, recoloured, settings, few_colours, saved)
    return MatchKind.COPY if framing.whole and explained else MatchKind.EDITED


def _is_explained(
    seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings, few_colours: bool, saved: bool
) -> bool:
    """Tell whether what was done to the whole picture explains all that differs."""
    flat = seen.textured < settings.min_textured_share
    return (
        (flat or seen.agreement >= settings.min_agreement)
        and seen.conflict <= settings.max_conflict
        and (framing.pasted or seen.peak <= _allowed_peak(framing, recoloured, few_colours))
        and (
            seen.spot_windows <= (MAX_PAGE_WINDOWS if seen.page else MAX_SPOT_WINDOWS)
            or (seen.peak <= EVEN_PEAK and seen.textured >= USUAL_TEXTURED)
            or _is_rough(seen, recoloured, few_colours)
        )
        and (framing.pasted or seen.lead <= _allowed_lead(seen, recoloured))
        and seen.odd_windows + (0 if framing.pasted else seen.moved_windows)
        <= _allowed(seen, framing, recoloured, settings)
        and (
            (saved and framing.same and seen.odd_windows + seen.moved_windows <= MAX_ODD_SAVED)
            or (
                _is_proven(seen, framing, recoloured, settings)
                and (framing.pasted or seen.grain + min(seen.drift_pixels, 1.0) <= settings.max_grain)
            )
        )
    )


def is_lively(seen: Comparison) -> bool:
    """Tell whether leaves or a face may have moved between two pictures, in many places by less than shows in one."""
    return seen.residual > LIVELY_RESIDUAL and seen.detail < LIVELY_DETAIL and seen.moved_share > LIVELY_MOVED


def is_calm(seen: Comparison) -> bool:
    """Tell whether next to nothing is left that differs, in any place, as a blur that was done to both leaves it."""
    few = seen.odd_windows + seen.moved_windows <= MAX_ODD_CALM
    return few and seen.peak <= EVEN_PEAK and seen.residual <= MAX_RESIDUAL_CALM


def stands_out(seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings) -> bool:
    """Tell whether single places differ by clearly more than what was done to the whole explains.

    Moves are not asked about: edges that were brought to other tones seem to move.
    """
    return (
        seen.peak > SURELY * _allowed_peak(framing, recoloured, few_colours=False)
        or seen.lead > SURELY * _allowed_lead(seen, recoloured)
        or seen.odd_windows > SURELY * _allowed(seen, framing, recoloured, settings)
    )


def may_be_coded(seen: Comparison) -> bool:
    """Tell whether a codec alone may have left all that, so that it pays to try what it leaves."""
    in_a_place = seen.peak > MAX_PEAK or seen.lead > MAX_LEAD or seen.drift_pixels > MAX_DRIFT_CODED
    return seen.detail >= MIN_DETAIL_CODED and seen.residual <= MAX_RESIDUAL_CODED and not in_a_place


def would_as_well(seen: Comparison, would: Comparison) -> bool:
    """Tell whether what sets two pictures apart is what a codec alone would leave of one, as far as chance explains.

    `would` is what a comparison makes of that one and what the codec leaves of it.
    """
    return (
        seen.agreement >= would.agreement - 0.05
        and seen.conflict <= would.conflict + 0.01
        and seen.detail >= would.detail - 0.1
        and seen.residual <= 1.4 * would.residual + 0.002
        and seen.odd_windows <= 1.5 * would.odd_windows + 12
        and seen.moved_windows <= 1.5 * would.moved_windows + 10
        and seen.moved_share <= would.moved_share + 0.05
        and seen.spot_windows <= would.spot_windows + MAX_SPOT_WINDOWS
        and seen.peak <= 1.3 * max(would.peak, 1.5)
        and seen.lead <= 1.3 * max(would.lead, 1.0)
        and seen.drift_pixels <= would.drift_pixels + 0.1
        and seen.coherent <= would.coherent + 0.15
    )


def has_moved(seen: Comparison, told: Sequence[Siblings]) -> bool:
    """Tell whether something moved between two JPEGs of one frame, by as little as a part of a pixel.

    `told` is what their blocks tell, where they do. Nothing is where one is sharper: that shifts edges, too.
    """
    if not told or seen.detail >= MAX_SHARPER:
        return False
    if seen.drift_pixels > MAX_DRIFT_SAVED:
        return True
    if max(each.explained for each in told) < MIN_STILL:
        return False
    if any(each.every and each.explained >= NEARLY_STILL and each.beyond > MAX_APART_ALONE for each in told):
        return True
    apart = max(each.beyond for each in told) > MAX_APART
    return seen.coherent > (MAX_COHERENT if apart else MAX_COHERENT_EVER)


def _allowed_peak(framing: Framing, recoloured: float, few_colours: bool) -> float:
    """Tell how far a single place may stand out by what was done to the whole."""
    allowed = MAX_PEAK + PEAK_RECOLOURED * how_sure_changed(recoloured)
    return allowed + (PEAK_FEW_COLOURS if few_colours else 0.0) + (0.0 if framing.same else PEAK_CUT)


def _allowed_lead(seen: Comparison, recoloured: float) -> float:
    """Tell how far a single place may lead the next; the more colours changed, the worse rare ones are known."""
    allowed = (MAX_LEAD_BLANK if seen.blank else MAX_LEAD) + LEAD_RECOLOURED * max(recoloured - 1, 0.0)
    return allowed + (LEAD_TINY if seen.windows < TINY_WINDOWS and not seen.blank else 0.0)


def _is_even(seen: Comparison) -> bool:
    """Tell whether what differs does so all over, as sharp lines do when they are drawn on another pixel grid."""
    return seen.peak <= EVEN_PEAK and seen.drift_pixels <= SURE_DRIFT and seen.textured >= EVEN_TEXTURED


def _is_rough(seen: Comparison, recoloured: float, few_colours: bool) -> bool:
    """Tell whether so much differs all over that a spot tells nothing; on paper it does, of whatever colour."""
    if seen.spot_windows > MAX_SPOT_ROUGH and not few_colours:
        return False
    changed = few_colours or recoloured >= 1
    return not seen.page and (seen.residual > CLEAN_RESIDUAL or (changed and not seen.blank))


def _allowed(seen: Comparison, framing: Framing, recoloured: float, settings: VerifySettings) -> float:
    """Tell how many windows may differ by what the whole picture shows to have been done to it.

    Heavy compression makes single windows conflict; a change of tone or colour moves the edges between two tones by a
    fraction of a pixel, and so does a change of sharpness. Two frames of a standing camera show none of the three, and
    the less the rest of the picture differs, the less may differ anywhere. A standing camera keeps its frame; in a cut
    one, sharp edges may show the little that its place is off, in fewer windows than any spot.
    """
    clean = min(max(seen.residual / CLEAN_RESIDUAL, 0.125 if framing.same else 0.4), 1.0)
    coarse = 30 * min(max(seen.residual - 0.005, 0.0) / 0.06, 1.0)
    compressed = 250 * max(0.0, 0.95 - seen.detail)
    sharpened = 100 * min(max(0.0, seen.detail - 1.05), 0.6)
    forgiven = max(coarse, compressed, sharpened) + how_sure_changed(recoloured) * settings.max_odd_recoloured
    laid = framing.same or (framing.on_grid and _is_exact(seen))
    even = EVEN_MOVED if laid and seen.odd_windows <= EVEN_ODD and _is_even(seen) else 0
    return clean * settings.max_odd_windows + forgiven + even


def _is_exact(seen: Comparison) -> bool:
    """Tell whether next to nothing is left, all over, as of thin lines that were drawn again where they were."""
    return _is_even(seen) and seen.residual <= CLEAN_RESIDUAL and seen.odd_windows <= EVEN_ODD


def _allowed_share(seen: Comparison, recoloured: float) -> float:
    """Tell what share of all that differs may go with the gradients, by the same reasons."""
    sharpened = min(2 * max(seen.detail - 1.05, 0.0), 0.5)
    resampled = 0.2 * min(max(seen.residual - 0.001, 0.0) / 0.002, 1.0)
    return (
        MAX_MOVED_SHARE
        + (EVEN_MOVED_SHARE if _is_even(seen) else 0.0)
        + resampled
        + 0.3 * how_sure_changed(recoloured)
        + sharpened
        + 3 * max(seen.residual - 0.01, 0.0)
    )


def how_sure_changed(recoloured: float) -> float:
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
    most_moved = MAX_MOVED_ON_GRID if framing.on_grid else MAX_MOVED_CUT
    if framing.on_grid and _is_exact(seen):
        most_moved = MAX_MOVED_EXACT
    if lacking < settings.max_moved and not framing.tilted and seen.moved_share > most_moved:
        return False
    least_trim = settings.min_trim if not framing.tilted else settings.min_trim / 2
    trimmed = lacking < least_trim and not (
        (framing.tilted and framing.filled) or framing.on_grid or framing.by_program
    )
    little = lacking < settings.max_moved  # as a camera that moved a little: of true crops one in fifty bends by half
    if framing.bend > settings.max_bend * (0.5 if little else 1.0) or trimmed:
        return False
    if framing.on_grid:
        surely = seen.drift_pixels <= SURE_DRIFT
        most = MAX_RESIDUAL_ON_GRID if surely else settings.max_residual_moved  # grain, which compression takes away
        return seen.detail >= settings.min_detail_moved and seen.residual <= most
    least = settings.min_detail_moved if little else least
    return seen.detail >= least and seen.residual <= settings.max_residual_moved * (1 - few / 2)
