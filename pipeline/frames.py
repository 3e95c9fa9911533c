"""Of two that show the same scene, one may show more of it, have a border, or lie on a page: which one is whole?"""

import numpy as np

from pipeline.drawings import has_even_ground
from pipeline.enlarging import is_enlarged, is_enlarged_on_page
from pipeline.recompressed import Preference
from store.records import Lineage, Observation, Relation, Traces

SAME_SIZE, _ONE_SCALE = 1.0005, 1.0015  # linear: the latter as the second look sees it
_MIN_MARGIN, _THIN_BORDER = 0.003, 0.15  # shares of the picture: the second look sees wider borders
_SEEN_MARGIN = 0.3  # of a margin: the rest is lost to compression along its rim
_SAME_WITHIN = 0.3  # of the smaller one's own margin
_LEAST_CUT = 0.002  # share of the picture, as the second look sees it
_COARSER = {Relation.PART: 1.3}  # linear: how much more finely a part may show the scene before the whole is too coarse
_COARSER_ELSE = 1.6
_OWN_DETAIL = 1.5  # linear: of 850 parts on the scorecard's album 11 show so much more and are not known to be enlarged
_IS_PART, HAS_BORDER = "the other is a part of it", "the other has a border around it"


def by_frames(ours: Observation, theirs: Observation, lineage: Lineage) -> Preference:
    """Prefer the one that is whole, unless the other shows what both show far more finely."""
    if lineage.whole == 2:
        return by_frames(theirs, ours, exchanged(lineage)).turned()
    if lineage.relation is Relation.FRAMED and _is_trimmed(theirs, ours):
        return Preference(2, _IS_PART)
    finer = density(ours, theirs, lineage)
    enlarged_back = lineage.relation is Relation.PART and same_size(ours, theirs)
    if not enlarged_back and finer > _COARSER.get(lineage.relation, _COARSER_ELSE):
        small, large = ours.traces, theirs.traces
        if small is None or large is None or not (small.spectrum and large.spectrum):
            return Preference()
        on_page = lineage.relation in (Relation.FRAMED, Relation.INSET) and is_enlarged_on_page(large, finer)
        if not on_page and not is_enlarged(large, small, finer):
            return Preference()
    return Preference(1, {
        Relation.PART: _IS_PART,
        Relation.FRAMED: HAS_BORDER,
        Relation.INSET: "the other shows it on a page",
        Relation.MARKED: "something was put over the other",
    }.get(lineage.relation, "the other was made from it"))  # fmt: skip


def _is_trimmed(large: Observation, small: Observation) -> bool:
    """Tell whether both pages have the same within their margins of one colour: the smaller one lost some of its own.

    A border of another colour around a page with a margin leaves that within. Bars around a night scene are black
    beside black, and nobody cuts those.
    """
    if large.traces is None or small.traces is None or not small.traces.margin:
        return False
    if not (has_even_ground(large.traces) and has_even_ground(small.traces)):
        return False
    outer = large.picture.width * large.picture.height * (1 - large.traces.margin)
    inner = small.picture.width * small.picture.height * (1 - small.traces.margin)
    return abs(outer / inner - 1) < _SAME_WITHIN * small.traces.margin


def each_has_its_own(ours: Observation, theirs: Observation, lineage: Lineage) -> bool:
    """Tell whether one is a part of the other, which shows it so much more coarsely that neither stands for both.

    A map in tiles: one shows more of the land, the other more of what is there. A part that was enlarged does not.
    """
    if lineage.relation is not Relation.PART or not lineage.whole:
        return False
    if lineage.whole == 2:
        return each_has_its_own(theirs, ours, exchanged(lineage))
    finer, whole, part = density(ours, theirs, lineage), ours.traces, theirs.traces
    if finer <= _OWN_DETAIL or whole is None or part is None or not (whole.spectrum and part.spectrum):
        return False
    return not is_enlarged(part, whole, finer)


def by_rims(ours: Observation, theirs: Observation, lineage: Lineage) -> Preference:
    """Compare two of one scale, of which one shows a little more along its rims, or has a thin border there."""
    first, second = lineage.first_covered, lineage.second_covered
    if min(first, second) > 1 - _LEAST_CUT or max(first, second) < 1 or _is_scaled(ours, theirs, lineage):
        return Preference()
    if first > second:
        return by_rims(theirs, ours, exchanged(lineage)).turned()
    large, small = ours.picture, theirs.picture
    if same_size(ours, theirs) or large.width < small.width or large.height < small.height:
        return Preference()
    ratio = float(np.sqrt(large.width * large.height / (small.width * small.height)))
    bordered = ours.traces is not None and theirs.traces is not None and is_bordered(ours.traces, theirs.traces, ratio)
    return Preference(2, HAS_BORDER) if bordered else Preference(1, _IS_PART)


def _is_scaled(ours: Observation, theirs: Observation, lineage: Lineage) -> bool:
    return not 1 / _ONE_SCALE <= density(ours, theirs, lineage) <= _ONE_SCALE


def exchanged(lineage: Lineage) -> Lineage:
    """Return what lies where with the two pictures exchanged."""
    whole = (0, 2, 1)[lineage.whole]
    return Lineage(lineage.relation, whole, lineage.second_covered, lineage.first_covered)


def density(ours: Observation, theirs: Observation, lineage: Lineage) -> float:
    """Return how many pixels of the second lie along one pixel of the first."""
    if lineage.relation is Relation.SAME and same_size(ours, theirs):
        return 1.0  # what the second look does not cover along the rims makes neither of them smaller
    first = ours.picture.width * ours.picture.height * max(lineage.first_covered, 1e-3)
    second = theirs.picture.width * theirs.picture.height * max(lineage.second_covered, 1e-3)
    return float(np.sqrt(second / first))


def is_bordered(large: Traces, small: Traces, ratio: float) -> bool:
    """Tell whether one is larger by as much as its margin, too thin for the second look."""
    wider = 1 - 1 / ratio**2
    return small.margin == 0 and _MIN_MARGIN < wider < _THIN_BORDER and _SEEN_MARGIN < large.margin / wider < 2


def same_size(ours: Observation, theirs: Observation) -> bool:
    """Tell whether two pictures have the same sides, in pixels."""
    return (ours.picture.width, ours.picture.height) == (theirs.picture.width, theirs.picture.height)
