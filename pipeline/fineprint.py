"""What a page says that its preview does not show: one digit of a sum, a name, a line of small print.

A preview of 384 pixels shows no letter of a page of text, and two statements of one bank, two forms, two screens of one
program are the same picture on it. So of every picture that has print on flat ground a larger copy is kept, in grey,
and two such pages are copies only where every place that has print on one has the same on the other. Photographs have
no such ground: there two pictures that differ in a small place alone were not taken twice.

Print that lies alone, far from all other, is laid less well by one transform of the whole, so a place that seems to
differ is looked for some pixels around. What coarse compression leaves differs everywhere, a digit in one place: the
usual difference counts. Limits were set on 700 pairs of 24 kinds of pages and screens, 245 of them of other contents,
and on 542 copies of other screens and diagrams.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.comparison import warp
from pipeline.framing import Placement
from pipeline.prepared import Prepared
from pipeline.wording import in_shares

Box = tuple[float, float, float, float]
Marks = NDArray[np.bool_]

_PIXELS, _QUALITY = 2_000_000, 80  # most of a page, 1,600 x 1,250; of JPEG
_WORTH = 1.1  # times the preview: a page that is hardly larger says no more
_FLAT, _BLOCK = 3.0, 8  # grey levels of deviation, less than which a block of so many pixels is ground
_TONE = 9  # grey levels that count as one
_GROUND = 0.8  # share of flat ground, and of its most frequent tone, together
# Grey levels from pixel to pixel, less where the picture has but part of all tones; share of such steps, in both
# directions.
_STEP, _LEAST_STEP, _STEP_OF_RANGE, _STEPS = 60.0, 25.0, 0.3, 0.0015
_RANGE = (0.005, 0.995)  # quantiles of the tones
_WINDOW = 12  # pixels: a letter
_INK, _NOISE = 20.0, 6.0  # grey levels of deviation of a window with print; of what compression leaves
_ENOUGH = 50  # windows
_OTHER, _OTHER_RECOLOURED = 0.2, 0.25  # of 1 - correlation: what no copy has; colours that changed have other greys
_USUAL, _TIMES, _AT_MOST = 0.99, 1.6, 0.42  # quantile of the windows; times that; whatever is usual
_PLACES, _APART = 100, 10  # that are looked at again; pixels
_HALF, _REACH, _FINER = 8, 3, 2  # of a patch and around it, pixels; steps of a pixel
# The same of a patch that holds one letter: half of it, what no copy has, times that are usual.
_HALF_LETTER, _OTHER_LETTER, _TIMES_LETTER = 6, 0.25, 2.5
_RIM = 2  # pixels along the edge of what is seen that do not count
_FARTHEST, _AS_LARGE = 8.0, 1.01  # scales of two pages that can be compared; that are of one size
_KERNEL, _SAMPLES = 5, 12_000  # pixels a side; places by which it is fitted
_EDGE = 12  # grey levels: a place that tells about it
_DOUBT, _OUTLYING = 0.5, 15.0  # weight of "as it is"; grey levels of a place that is not asked
_PRECISE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 8, 1e-5)
_SMOOTH = 5  # pixels


def page_of(rgb: NDArray[np.uint8], preview_pixels: int) -> bytes:
    """Encode a grey copy of a picture with print, at most two million pixels; nothing of any other picture.

    `rgb` is uint8 [h, w, 3]; a picture hardly larger than its preview, whose long side has `preview_pixels`, has none.
    """
    high, wide = rgb.shape[:2]
    scale = min(1.0, float(np.sqrt(_PIXELS / (high * wide))))
    if scale * max(high, wide) < _WORTH * preview_pixels or scale * min(high, wide) < 4 * _BLOCK:
        return b""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page = np.asarray(grey, np.uint8)
    if not has_print(page):
        return b""
    done, encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else b""


def has_print(page: Grey) -> bool:
    """Tell whether a grey picture, uint8 [h, w], has steep edges on ground that is mostly flat and of one tone."""
    tones = np.bincount(page.ravel(), minlength=256) / page.size
    darkest, lightest = np.searchsorted(np.cumsum(tones), _RANGE)
    step = min(max(_STEP_OF_RANGE * float(lightest - darkest), _LEAST_STEP), _STEP)
    pairs = (page[1:], page[:-1]), (page[:, 1:], page[:, :-1])
    if min(float((cv2.absdiff(*pair) > step).mean()) for pair in pairs) < _STEPS:
        return False
    high, wide = page.shape[0] // _BLOCK, page.shape[1] // _BLOCK
    blocks = page[: high * _BLOCK, : wide * _BLOCK].reshape(high, _BLOCK, wide, _BLOCK)
    flat = float((blocks.std((1, 3), dtype=np.float32) < _FLAT).mean())
    return flat + float(np.convolve(tones, np.ones(_TONE), "same").max()) > _GROUND


def find_other_print(a: Prepared, b: Prepared, matrix: Matrix, *, recoloured: bool) -> Box | None:
    """Find where two pages that lie over each other say something else: x, y, width, height as shares of `a`.

    `matrix` [3, 3] maps pixels of the preview of `a` to that of `b`. None where they say the same, so far as both
    show it, or where one of the two is no page, or a damaged one.
    """
    if not a.page or not b.page or a.page == b.page:
        return None
    ours, theirs = _decode(a.page), _decode(b.page)
    if ours is None or theirs is None:
        return None
    onto = _to_page(b, theirs) @ matrix @ np.linalg.inv(_to_page(a, ours))
    scale = float(np.sqrt(abs(np.linalg.det(onto[:2, :2]))))
    if not 1 / _FARTHEST < scale < _FARTHEST:
        return None
    # The finer one is drawn as the coarser one would show it; of two as large the same one, whichever comes first.
    swapped = scale > _AS_LARGE or (scale > 1 / _AS_LARGE and a.page > b.page)
    laid = (
        _lay(Placement(theirs, ours, np.asarray(np.linalg.inv(onto)), True, False, 0), 1 / scale)
        if swapped
        else _lay(Placement(ours, theirs, onto, False, False, 0), scale)
    )
    found = _find(laid, _OTHER_RECOLOURED if recoloured else _OTHER)
    if found is None:
        return None
    x, y = found
    return in_shares(laid.place, (x - _HALF, y - _HALF, x + _HALF, y + _HALF))


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Two pages, the source drawn in the frame of the target."""

    place: Placement
    drawn: Grey
    unfiltered: Grey  # the same before it was made as soft
    inside: Grey  # 1 where both are

    @property
    def shown(self) -> Grey:
        return self.place.target


def _decode(jpeg: bytes) -> Grey | None:
    page = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if page is None or min(page.shape) < 4 * _BLOCK else np.asarray(page, np.uint8)


def _to_page(prepared: Prepared, page: Grey) -> Matrix:
    """Map pixels of a preview to those of its page, middle on middle."""
    down, across = (page.shape[axis] / prepared.grey.shape[axis] for axis in (0, 1))
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _lay(place: Placement, shrink: float) -> _Laid:
    """Draw the source in the frame of the target, as well as an affine transform lays it, and as soft.

    `shrink` is the scale, about 1 at most.
    """
    finer, coarser = place.source, place.target
    drawn, inside = warp(finer, coarser.shape, place.onto, shrink, cut=True, rim=0)
    halves = [cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in (coarser, drawn, inside)]
    try:
        start = np.eye(2, 3, dtype=np.float32)
        moved = cv2.findTransformECC(
            halves[0], halves[1], start, cv2.MOTION_AFFINE, _PRECISE, halves[2], _SMOOTH
        )[1]  # fmt: skip
    except cv2.error:  # nothing to go by, or no better place: it stays where the previews laid it
        moved = np.eye(2, 3)
    doubled = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    better = doubled @ np.vstack([moved, [0, 0, 1]]) @ np.linalg.inv(doubled)
    place = replace(place, onto=np.asarray(np.linalg.inv(better)) @ place.onto)
    drawn, inside = warp(finer, coarser.shape, place.onto, shrink, cut=True, rim=_RIM, drawn_by=cv2.INTER_CUBIC)
    return _Laid(place, _as_soft(drawn, coarser, inside), drawn, inside)


def _as_soft(drawn: Grey, shown: Grey, inside: Grey) -> Grey:
    """Filter one by the kernel that leads to the other: what was blurred, sharpened, brightened or lies beside.

    Weighted least squares, once more without the places that lie off; a digit that differs is too few to count.
    """
    reach = _KERNEL // 2
    edges = cv2.morphologyEx(shown, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > _EDGE
    edges &= inside > 0
    edges[:reach] = edges[-reach:] = False
    edges[:, :reach] = edges[:, -reach:] = False
    y, x = np.nonzero(edges)
    if len(y) < _ENOUGH * _KERNEL**2:
        return drawn
    some = slice(None, None, max(1, len(y) // _SAMPLES))
    y, x = y[some], x[some]
    around = range(-reach, reach + 1)
    known = np.stack([drawn[y + down, x + across] for down in around for across in around] + [np.full(len(y), 100)], 1)
    known, wanted = known.astype(np.float64), shown[y, x].astype(np.float64)
    prior = np.zeros(known.shape[1])
    prior[_KERNEL**2 // 2] = 1
    weights = np.ones(len(y))
    for _ in range(2):
        weighed = known * weights[:, None]
        doubt = _DOUBT * len(y)
        left = weighed.T @ known + doubt * np.eye(known.shape[1])
        kernel = np.linalg.solve(left, weighed.T @ wanted + doubt * prior)
        weights = 1 / (1 + ((wanted - known @ kernel) / _OUTLYING) ** 2)
    square = kernel[:-1].reshape(_KERNEL, _KERNEL)
    soft = cv2.filter2D(drawn, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE) + 100 * kernel[-1]
    return np.asarray(soft.clip(0, 255).round(), np.uint8)


def _find(laid: _Laid, least: float) -> tuple[int, int] | None:
    """Find a place, x and y, where the print of two pages differs by more than is usual."""
    other, asked = _difference(laid)
    if asked.sum() < _ENOUGH:
        return None
    usual = float(np.quantile(other[asked], _USUAL))
    limits = {
        _HALF: min(max(least, _TIMES * usual), _AT_MOST),
        _HALF_LETTER: max(_OTHER_LETTER, _TIMES_LETTER * usual),
    }
    left = np.where(asked, other, 0).astype(np.float32)
    high, wide = (side // _APART for side in left.shape)
    cells = left[: high * _APART, : wide * _APART].reshape(high, _APART, wide, _APART).max((1, 3))
    places = np.argwhere(cells > min(limits.values()))
    for row, column in places[np.argsort(-cells[tuple(places.T)])][:_PLACES]:
        cell = left[row * _APART : (row + 1) * _APART, column * _APART : (column + 1) * _APART]
        down, across = divmod(int(cell.argmax()), _APART)
        x, y = int(column) * _APART + across, int(row) * _APART + down
        if any(min(cells[row, column], _differs_around(laid, x, y, half)) > limit for half, limit in limits.items()):
            return x, y
    return None


def _difference(laid: _Laid) -> tuple[Float, Marks]:
    """Return 1 - correlation of the window around each pixel, [h, w], and where there is print in both frames."""
    size = _WINDOW, _WINDOW
    ours, theirs = laid.drawn.astype(np.float32), laid.shown.astype(np.float32)
    first, second = cv2.blur(ours, size), cv2.blur(theirs, size)
    own, others = (
        np.maximum(cv2.blur(each * each, size) - mean * mean, 0) for each, mean in ((ours, first), (theirs, second))
    )
    shared = cv2.blur(ours * theirs, size) - first * second
    correlation = shared / np.sqrt((own + _NOISE**2) * (others + _NOISE**2))
    inside = cv2.erode(laid.inside, np.ones(size, np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(1 - correlation, np.float32), (np.maximum(own, others) > _INK**2) & (inside > 0)


def _differs_around(laid: _Laid, x: int, y: int, half: int) -> float:
    """Return 1 - correlation of a place with the best one around it, to half a pixel; 0 where there is no room.

    What has more ink there is sought in the other; the lesser one with and without the filter, which may draw a shadow
    beside a line.
    """
    high, wide = laid.shown.shape
    room = half + _REACH
    if min(high, wide) <= 2 * room + 1:
        return 0.0
    x, y = min(max(x, room), wide - room - 1), min(max(y, room), high - room - 1)
    apart = []
    for page in (laid.drawn, laid.unfiltered):
        pages = (page, laid.shown) if _inked(page, x, y, half) > _inked(laid.shown, x, y, half) else (laid.shown, page)
        apart.append(_apart(_enlarged(pages[0], x, y, half), _enlarged(pages[1], x, y, room)))
    return min(apart)


def _inked(page: Grey, x: int, y: int, reach: int) -> float:
    return float(page[y - reach : y + reach + 1, x - reach : x + reach + 1].std())


def _enlarged(page: Grey, x: int, y: int, reach: int) -> Float:
    part = page[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(np.float32)
    return np.asarray(cv2.resize(part, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_CUBIC), np.float32)


def _apart(patch: Float, area: Float) -> float:
    """Return 1 - correlation of a patch with the place in an area that is most like it."""
    patch = patch - patch.mean()
    ones = np.full_like(patch, 1 / patch.size)
    shared = cv2.matchTemplate(area, patch, cv2.TM_CCORR) / patch.size
    mean, square = (cv2.matchTemplate(each, ones, cv2.TM_CCORR) for each in (area, area * area))
    others = np.maximum(square - mean * mean, 0)
    best = shared / np.sqrt((others + _NOISE**2) * (float((patch * patch).mean()) + _NOISE**2))
    return 1 - float(best.max())
