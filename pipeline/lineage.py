"""Which of two aligned pictures was made from the other, as far as what lies where can tell.

A crop shows less of the scene; a border, a page around the picture or something written over it shows more, but not of
the scene. What was put over a picture ends in an edge that the picture without it does not have: so along the rim of
what differs, the one with the stronger gradients is the one that was worked on.
"""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix, outline, project
from pipeline.comparison import Box, warp
from pipeline.framing import Framing, Placement, frame_corners, is_filled, linear_part
from pipeline.typical import median
from store.records import Lineage, Relation

_MIN_CUT = 0.02  # share that must be gone
_MIN_DIFFERENCE = 12.0  # grey levels
_MARGIN = 8  # pixels of a preview around what differs
_MIN_RIM = 20  # pixels
_MIN_RATIO = 1.12  # of the gradients along the rim to those around it
_MIN_SLOPE = 0.5  # grey levels per pixel: the gradient of nothing
_RING = (7, 15)  # pixels: what lies around the rim
_AROUND = 10  # pixels: as much as the widest ring and a gradient need
_STRIDE = 3  # rows and columns of a preview
_MIN_MARGIN = 0.7  # pixels of a preview: a border's least width
_FLAT_LEVELS = 10  # grey levels
_FLAT_SHARE = 0.93
_EDGE_SHARE = 0.3  # of a picture's own rim that is not of its border's colour, on one side
_ALL_ALONG = 0.6  # the same, where only one side is seen
# The same of the whole rim of a page: half of that of a third of the pages and charts cut in their blank margins is,
# nearly all of that of one with a border; and where the rest of the margin is not blank.
_PAGE_EDGE_SHARE, _PAGE_ALL_ALONG = 0.4, 0.7
# Share of a preview's neighbours that are exactly equal: nine in ten charts, screens and pages have half and more, of
# photographs, night scenes among them, none.
_PAGE_EQUAL = 0.48
_MIN_INSIDE = 64  # pixels
_MIN_BAR = 3.0  # pixels of a preview: thinner bars hold nothing

# Grey levels off, and pixels of a preview that may be: of 940 pictures with a border or bars none has three, of 76 with
# a title, a subtitle or handwriting there none has fewer than 44, and a clock in the bar of a screen has 18.
_BESIDE_LEVELS, _MAX_BESIDE = 24, 8

_Found = tuple[Relation, str]  # the second: which one is whole, "source", "target" or ""
_ACROSS = np.array([-4.5, -2.5, 2.5, 4.5])  # pixels: within a part, just within, just outside, outside
_CONTINUES = 0.35  # correlation across the rim of a part
_FAINT = 25.0  # squared grey levels: the variance of a line without structure


def find_lineage(place: Placement, framing: Framing, odd_box: Box | None, max_fill_levels: float) -> Lineage:
    """Tell from an alignment how one of `a` and `b` could have been made from the other: 1 is `a`, 2 is `b`.

    `odd_box` is where the two differ in one place, in pixels of the target.
    """
    relation, whole = _by_frames(place, framing, max_fill_levels)
    marked = "" if odd_box is None or relation is Relation.INSET else _find_marked(place, odd_box)
    if marked and relation is Relation.SAME:
        relation, whole = Relation.MARKED, "target" if marked == "source" else "source"
    elif marked == whole:  # one was cut, and the other written over: neither is the original
        whole = ""
    covered = framing.source_covered, framing.target_covered
    first, second = covered[::-1] if place.swapped else covered
    number = {"": 0, "source": 2, "target": 1} if place.swapped else {"": 0, "source": 1, "target": 2}
    return Lineage(relation, number[whole], first, second)


def stands_among(place: Placement, lineage: Lineage, max_fill_levels: float) -> bool:
    """Tell whether the larger picture shows the other among things that are not in that one: letters, buttons, a page.

    `lineage` is what `find_lineage` found of the two. A frame of several tones is none: its lines are of one grey each.
    """
    if lineage.relation not in (Relation.FRAMED, Relation.INSET):
        return False
    larger, part, onto = place.target, place.source, place.onto
    if lineage.whole == (1 if place.swapped else 2):  # what was put around it lies in the source
        larger, part, onto = part, larger, np.asarray(np.linalg.inv(onto))
    if _count_beside(larger, part, onto, tilted=place.tilted) > _MAX_BESIDE:
        return True
    plain = lineage.relation is Relation.FRAMED or is_filled(larger, part, onto, max_fill_levels)
    return not (plain or _is_ringed(larger, part, onto))


def _count_beside(larger: Grey, part: Grey, onto: Matrix, *, tilted: bool) -> int:
    """Count the pixels around a part that are of another grey than their line along it, as those of letters are.

    Where the part lies askew there are no such lines, and the ground is of one grey, or slopes as light does.
    """
    beyond = cv2.dilate(outline(part.shape, larger.shape, onto), np.ones((5, 5), np.uint8)) == 0
    if not beyond.any():
        return 0
    odd = np.zeros_like(beyond)
    odd[beyond] = np.abs(_off_plane(larger, beyond)) > _BESIDE_LEVELS
    if tilted:
        return int(np.count_nonzero(odd))
    beside = []
    x, y = project(onto, frame_corners(part.shape)).T
    for lines, mask, along in ((larger, odd, y), (larger.T, odd.T, x)):
        numbers = np.arange(len(lines))
        beside.append((numbers < along.min()) | (numbers > along.max()))
        for number in np.flatnonzero(beside[-1]):
            line = lines[number].astype(np.float32)
            mask[number] &= np.abs(line - _slope_of(line)) > _BESIDE_LEVELS
    # The round corners of a frame are alike, all four.
    near = cv2.dilate(odd.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    odd &= ~(near[:, ::-1] & near[::-1] & np.logical_and.outer(*beside))
    return int(np.count_nonzero(odd))


def _off_plane(picture: Grey, beyond: NDArray[np.bool_]) -> Float:
    """Return by how much the pixels of a ground are off the grey that slopes evenly over it."""
    y, x = np.nonzero(beyond)
    levels = picture[beyond].astype(np.float64)
    terms = np.stack([np.ones_like(levels), x / picture.shape[1], y / picture.shape[0]], axis=1)
    off = levels - np.median(levels)
    for _ in range(2):  # what stands out does not tilt it
        near = np.abs(off) <= 2 * _BESIDE_LEVELS
        off = levels - terms @ np.linalg.lstsq(terms[near], levels[near], rcond=None)[0]
    return np.asarray(off, np.float32)


def _slope_of(line: Float) -> Float:
    """Return the grey of a line of a border, which may slope from its first third to its last."""
    third = max(len(line) // 3, 1)
    first, last = float(np.median(line[:third])), float(np.median(line[-third:]))
    along = (np.arange(len(line), dtype=np.float32) - (third - 1) / 2) / max(len(line) - third, 1)
    return np.asarray(first + (last - first) * along, np.float32)


def _is_ringed(larger: Grey, part: Grey, onto: Matrix) -> bool:
    """Tell whether on every side of a part all lines along it are of one grey each, as those of a frame are."""
    for margin, lines in _margins(larger, part, onto, beside=True):
        fill = lines[: max(int(margin - 1), 1)].astype(np.int16)
        if fill.shape[1] == 0:
            return False
        off = np.abs(fill - np.median(fill, axis=1, keepdims=True))
        if np.count_nonzero((off <= _FLAT_LEVELS).mean(axis=1) < _FLAT_SHARE) > 1:
            return False
    return True


def _by_frames(place: Placement, framing: Framing, max_fill_levels: float) -> _Found:
    """Tell by the frames alone."""
    source_lacks, target_lacks = 1 - framing.target_covered, 1 - framing.source_covered
    if max(source_lacks, target_lacks) < _MIN_CUT:
        return Relation.SAME, ""
    seam = framing.inset or framing.pasted  # on other content, or on a blank page
    if source_lacks < _MIN_CUT:
        onto = np.asarray(np.linalg.inv(place.onto))
        filled = is_filled(place.source, place.target, onto, max_fill_levels)
        relation, whole = _within(place, onto, place.source, filled=filled, seam=seam)
        return relation, "source" if whole == "larger" else "target"
    if target_lacks < _MIN_CUT:
        relation, whole = _within(place, place.onto, place.target, filled=framing.filled, seam=seam)
        return relation, "target" if whole == "larger" else "source"
    if framing.whole and framing.filled:  # a turned picture in its old frame, with empty corners
        fresh = is_filled(place.target, place.source, place.onto, max_fill_levels)
        return Relation.FRAMED, "source" if fresh else "target"
    return Relation.UNKNOWN, ""


def _within(place: Placement, onto: Matrix, larger: Grey, *, filled: bool, seam: bool) -> _Found:
    """Tell what a part is of the larger picture it lies in; `onto` maps the part's pixels."""
    part = place.source if larger is place.target else place.target
    if _is_on_ground(larger, part, onto) if place.tilted and filled else _is_framed(larger, part, onto):
        return Relation.FRAMED, "part"
    # Nothing lies askew on a page, and what was set into something ends in a seam.
    if place.tilted:
        return Relation.PART, "larger"
    set_in = seam and not _continues(larger, part, onto)
    bordered = _is_bordered(larger, part, onto, beside=not filled)
    return (Relation.INSET, "part") if set_in or bordered else (Relation.PART, "larger")


def _continues(larger: Grey, part: Grey, onto: Matrix) -> bool:
    """Tell whether the scene goes on beyond the rim of a part, along which it jumps, and no other picture or page."""
    corners = project(onto, frame_corners(part.shape))
    middle = corners.mean(axis=0)
    along = np.linspace(0.03, 0.97, 100)[:, None]
    height, width = larger.shape
    shared = levels = 0.0
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = start + along * (end - start)
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / (np.linalg.norm(end - start) + 1e-6)
        normal *= np.sign(normal @ (edge.mean(axis=0) - middle))
        places = edge[:, None] + normal * _ACROSS[None, :, None]
        outer = places[:, -1]
        seen = (outer >= 0).all(axis=1) & (outer[:, 0] <= width - 1) & (outer[:, 1] <= height - 1)
        if seen.sum() < _MIN_RIM:
            continue
        x, y = places[seen, :, 0].astype(np.float32), places[seen, :, 1].astype(np.float32)
        lines = cv2.remap(larger, x, y, cv2.INTER_LINEAR).astype(np.float64)
        within, beyond = (lines[:, 1:3] - lines[:, 1:3].mean()).T
        shared += float((within * beyond).sum())
        levels += float((within**2).sum() + (beyond**2).sum()) / 2
        shared += _FAINT * len(x) / 10  # two blank lines go on
    return shared >= _CONTINUES * levels


def _is_framed(larger: Grey, part: Grey, onto: Matrix) -> bool:
    """Tell whether flat fill lies around a part and ends where that ends; `onto` maps the part's pixels.

    A thing on white paper that was cut out has white around it too, but also within.
    """
    rim = []
    for margin, lines in _margins(larger, part, onto):
        # The last pixel before the picture is half its own.
        last = max(0, int(margin - 2))
        fill = lines[[0, last // 2, last]].astype(np.int16)
        level = int(np.median(fill))
        if (np.abs(fill - level) <= _FLAT_LEVELS).mean() < _FLAT_SHARE:
            return False
        rim.append((lines, margin, level))
    return _ends_there(part, rim, _EDGE_SHARE, _PAGE_EDGE_SHARE)


def _is_on_ground(larger: Grey, part: Grey, onto: Matrix) -> bool:
    """Tell whether a part is unlike the grey that lies around it along its rim: of a page cut askew most is alike."""
    beyond = cv2.dilate(outline(part.shape, larger.shape, onto), np.ones((5, 5), np.uint8)) == 0
    rim = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]]).astype(np.int16)
    unlike = np.abs(rim - int(np.median(larger[beyond]))) > _FLAT_LEVELS
    return not _is_page(part) or float(unlike.mean()) > _PAGE_EDGE_SHARE


def _is_page(part: Grey) -> bool:
    """Tell pages, screens and charts from photographs by their even ground, of which margins are made as well."""
    return float((part[:, 1:] == part[:, :-1]).mean()) >= _PAGE_EQUAL


def _is_bordered(larger: Grey, part: Grey, onto: Matrix, *, beside: bool) -> bool:
    """Tell whether a part ends in a line of one grey wherever it ends, as what is shown on a page with letters does.

    A scene that goes on may have a line as calm where it was cut, but hardly on two sides, nor all along an edge. Only
    what lies `beside` the part is asked where more than that ground lies around it, bars and letters; a thing on paper
    has nothing else around it.
    """
    rim = []
    for margin, lines in _margins(larger, part, onto, beside=beside):
        if margin < _MIN_BAR:
            return False
        line = lines[int(margin - 2)].astype(np.int16)
        level = int(np.median(line))
        if (np.abs(line - level) <= _FLAT_LEVELS).mean() < _FLAT_SHARE:
            return False
        rim.append((lines, margin, level))
    return _ends_there(part, rim, _EDGE_SHARE if len(rim) > 1 else _ALL_ALONG, _PAGE_ALL_ALONG)


def _margins(larger: Grey, part: Grey, onto: Matrix, *, beside: bool = False) -> list[tuple[float, Grey]]:
    """List what lies around a part: how wide it is, in lines, and the picture by lines from that side inwards.

    The lines are whole, or as long as the part where only what lies `beside` it counts: pages have bars at the rims.
    """
    x, y = project(onto, frame_corners(part.shape)).T
    height, width = larger.shape
    across, along = slice(None), slice(None)
    if beside:
        across, along = (slice(max(round(each.min()), 0), max(round(each.max()), 0) + 1) for each in (x, y))
    turned = np.ascontiguousarray(larger.T)[:, along]
    upright = larger[:, across]
    sides = (
        (x.min() + 0.5, turned), (width - 0.5 - x.max(), turned[::-1]),
        (y.min() + 0.5, upright), (height - 0.5 - y.max(), upright[::-1]),
    )  # fmt: skip
    return [(float(margin), lines) for margin, lines in sides if margin > _MIN_MARGIN]


def _ends_there(part: Grey, sides: list[tuple[Grey, float, int]], share: float, page_share: float) -> bool:
    """Tell whether the grey around a part ends where that begins.

    `sides` are the lines from each side inwards, how many of them lie before the part, and their grey. A thing on
    white ends it on one side; on a page words stand close to a margin that goes on around them.
    """
    if not sides:
        return False
    if not _is_page(part):
        return max(float(_unlike(lines, int(margin + 3), level).mean()) for lines, margin, level in sides) > share
    rim = np.concatenate([_unlike(lines, ceil(margin), level) for lines, margin, level in sides])
    return float(rim.mean()) > page_share


def _unlike(lines: Grey, place: int, level: int) -> NDArray[np.bool_]:
    """Tell where a line is not of a grey."""
    line = lines[min(place, len(lines) - 1)].astype(np.int16)
    return np.asarray(np.abs(line - level) > _FLAT_LEVELS, np.bool_)


def _find_marked(place: Placement, odd_box: Box) -> str:
    """Tell which of the two was written over where they differ: "source", "target" or, undecided, ""."""
    scale = float(np.sqrt(abs(np.linalg.det(linear_part(place.onto, place.source.shape)))))
    drawn, inside = warp(place.source, place.target.shape, place.onto, min(scale, 1.0), place.tilted)
    kept = inside > 0
    if kept.sum() < _MIN_INSIDE:
        return ""
    # What is typical is read off every third row and column; what differs is looked at around the box alone.
    sparse = kept[::_STRIDE, ::_STRIDE]
    few, few_too = drawn[::_STRIDE, ::_STRIDE][sparse], place.target[::_STRIDE, ::_STRIDE][sparse]
    if len(few) < _MIN_INSIDE:
        return ""
    gain = (few_too.std() + 1) / (few.std() + 1)
    around, within = _boxes(odd_box, drawn.shape)
    theirs, inside, kept = place.target[around].astype(np.float32), inside[around], kept[around]
    ours = (drawn[around] - np.float32(few.mean())) * np.float32(gain) + np.float32(few_too.mean())
    usual = median(np.abs((few - few.mean()) * gain + few_too.mean() - few_too))
    spot = _odd_spot(ours - theirs, inside, max(_MIN_DIFFERENCE, 3 * usual), within)
    kernel = np.ones((3, 3), np.uint8)
    rim = (cv2.dilate(spot, kernel) != cv2.erode(spot, kernel)) & kept
    near, far = (cv2.dilate(spot, np.ones((size, size), np.uint8)) for size in _RING)
    ring = (far != near) & kept
    if min(rim.sum(), ring.sum()) < _MIN_RIM:
        return ""
    first, second = (
        (slope[rim].mean() + _MIN_SLOPE) / (slope[ring].mean() + _MIN_SLOPE) for slope in map(_slope, (ours, theirs))
    )
    if max(first, second) < _MIN_RATIO * min(first, second):
        return ""
    return "source" if first > second else "target"


def _boxes(odd_box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Give what is looked at around a box, and where in that a difference counts: rows and columns of each."""
    around, within = [], []
    for start, end, side in ((odd_box[1], odd_box[3], shape[0]), (odd_box[0], odd_box[2], shape[1])):
        first, last = max(int(start) - _MARGIN, 0), min(int(end) + _MARGIN, side)
        begin = max(first - _AROUND, 0)
        around.append(slice(begin, min(last + _AROUND, side)))
        within.append(slice(first - begin, last - begin))
    return (around[0], around[1]), (within[0], within[1])


def _odd_spot(off: Float, inside: Grey, level: float, within: tuple[slice, slice]) -> Grey:
    """Return a mask of what differs in a part, without holes: texture goes on below what was put over it."""
    odd = (np.abs(cv2.GaussianBlur(off, (0, 0), 0.7)) * inside > level).view(np.uint8)
    mask = np.zeros_like(odd)
    mask[within] = odd[within]
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED), np.uint8)


def _slope(picture: Float) -> Float:
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)
