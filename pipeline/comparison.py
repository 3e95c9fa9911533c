"""What differs between two pictures that lie over each other, window by window.

A copy loses detail, gains noise and changes tone as a whole; where both pictures still show structure, it
is the same structure at the same place. So what an edit explains is measured on the whole picture first
and forgiven: the tone curve (and in each window a gain and an offset, for vignettes and uneven light), the
loss of sharpness, noise, and the drift that an alignment leaves. Three things are not forgiven:

- windows in *conflict*: both textured, and the textures do not go together;
- windows that *stand out*: far more is left than noise and gradients explain; something was added or taken;
- windows that *moved*: what is left goes with the gradient, as a shift by a fraction of a pixel makes it
  (Lucas and Kanade 1981). An edit of the whole picture moves nothing; between two exposures leaves, people and
  the nearer things move.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from pipeline.alignment import Float, Grey, Matrix, outline
from pipeline.coherence import coherent_share
from pipeline.grain import own_grain, shared_detail
from pipeline.tones import Curves, learn_curves
from pipeline.typical import median, quantile
from pipeline.windows import (
    WINDOW_HALVES,
    Cells,
    Chosen,
    Mask,
    Shifts,
    Windows,
    blurred,
    fit_drift,
    mean_of,
    measure_shifts,
    measure_windows,
    shrunk,
    some,
    whole_windows,
)

CELL_PIXELS = 4  # of a preview; windows are counted at every cell
WINDOW_CELLS = 4  # a window is 16 pixels wide
SLOPE_SHARE = 0.02  # squared half-pixels by which resampling may misplace an edge
MOVED_PIXELS = 0.4  # half-pixels of the preview that count as a move
MOVED_SHARE = 0.6  # of what is left otherwise: by how much the move must explain the window
APART, APART_RESIDUAL = 0.4, 0.3  # less agreement and more residual than any alignment of the same picture leaves
TOO_FLAT = 0.2  # share of textured windows, below which noise may hide what agrees
SPOT = 10.0  # times what changed in all windows but one in twenty, for their texture
BLANK_TEXTURE, BLANK_SHARE = 1.0, 0.35  # squared grey levels of a window that shows nothing; how many do on a page
THIN_SHARE = 0.26  # of a window's variance, in detail of two pixels of a preview: text 0.31 to 0.47, things up to 0.23
MAX_OFF_GROUND = 0.5  # of the strokes' height: how far the ground between them may be from that of the rest
PAGE_SPOT = 0.004  # of a window's variance: another character on a page changes more, see docs/judgement.md
SPOT_USUAL, SPOT_TEXTURE = 0.02, 0.02  # the least that counts as usual, squared levels; share of a window's variance
PLACE_HALVES = 2  # half-pixels: the width of the least place that is looked at by itself
USUAL_SHARE, USUAL_LEVELS = 0.98, 1.0  # of those places; grey levels that are usual whatever was measured
USUAL_PLACES = 5000  # that are enough to tell
LEAD_HALVES, LEAD_LEVELS = 8, 0.5  # half-pixels around a place that are not elsewhere; grey levels that are nothing
RIM = 4  # pixels along the edge of what a picture shows that do not count
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two aligned pictures, measured. Windows overlap: one odd spot of a cell shows in 16 of them."""

    windows: int = 0  # that lie wholly in the overlap
    textured: float = 0.0  # share of the windows
    agreement: float = 0.0  # share of the textured windows that correlate
    conflict: float = 0.0  # share of the windows
    odd_windows: int = 0  # the largest group of touching windows that conflict or stand out
    odd_box: Box | None = None  # x0, y0, x1, y1 of the largest group that is odd or moved, in pixels of the target
    spot_windows: int = 0  # the largest group of touching windows that changed, by far, more than the rest
    peak: float = 0.0  # the place of 4 pixels that changed most, against what is usual where there is something to see
    lead: float = 0.0  # how many times more the place that changed most changed than any other that does not touch it
    page: bool = False  # of text: thin strokes on a ground where nothing is
    blank: bool = False  # such a ground, whatever lies on it
    moved_windows: int = 0  # the largest group of touching windows that moved
    moved_share: float = 0.0  # of all that is left: how much local moves explain, against the rest
    detail: float = 0.0  # share of the fine detail of the poorer picture that the other has too
    residual: float = 1.0  # typical share of a window's variance that stays unexplained
    drift: Matrix = field(default_factory=lambda: np.eye(3))  # [3, 3], in pixels of the target, to where it fits better
    drift_pixels: float = 0.0  # how far that moves most windows, at most
    fine: tuple[Float, Float, Grey] | None = None  # both at half the size, tones made the same; where they lie
    noise: float = 0.0  # of compression that was taken off, in grey levels at half the size
    known: tuple[float, float] = 0.0, 0.0  # noise of compression that could be taken off, and the detail then
    hazy: float = 0.0  # the detail, where what storing adds to a hazy picture is taken off
    curves: Curves | None = None  # of the tones, to be used again at a place near by

    @property
    def without_noise(self) -> "Comparison":
        """Take off what compression is known to have put on."""
        return replace(self, noise=self.known[0], detail=self.known[1])

    @property
    def without_haze(self) -> "Comparison":
        """Take off what storing put on."""
        return replace(self, detail=self.hazy)

    @property
    def grain(self) -> float:
        """Tell from 0 to 2 how much like the grain of two exposures is what sets the two apart."""
        if self.fine is None:
            return 0.0
        s, t, inside = self.fine
        return own_grain(s, t, shrunk(inside, (s.shape[1], s.shape[0])), self.noise)

    @property
    def coherent(self) -> float:
        """Tell from 0 to 1 how much of what sets the two apart one shift explains, at the place where that is most."""
        return 0.0 if self.fine is None else coherent_share(*self.fine)


def warp(
    source: Grey, shape: tuple[int, ...], onto: Matrix, shrink: float, cut: bool, rim: int = RIM,
    drawn_by: int = cv2.INTER_LINEAR,
) -> tuple[Grey, Grey]:  # fmt: skip
    """Draw the finer picture in the coarser one's frame; the mask is 1 where it really lies.

    `onto` maps pixels of the source to the frame of `shape`; `shrink` <= 1 is its scale, for the blur that
    resampling needs. Where one was `cut` from the other, the frame's own edge may be where fill began: it does not
    count, nor do `rim` pixels along the edge of what is seen. `drawn_by` is OpenCV's interpolation.
    """
    size = (shape[1], shape[0])
    if source.shape == shape and np.abs(onto - np.eye(3)).max() < 1e-9:
        return source, np.ones_like(source)
    if shrink < 0.75:
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1)), np.uint8)
    drawn = cv2.warpPerspective(source, onto, size, flags=drawn_by, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.erode(
        outline(source.shape, shape, onto), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8),
        borderType=cv2.BORDER_CONSTANT, borderValue=int(not cut),
    )  # fmt: skip
    return np.asarray(drawn, np.uint8), np.asarray(inside, np.uint8)


def compare(
    source: Grey, target: Grey, inside: Grey, min_texture: float, min_correlation: float, max_outlier: float,
    curves: Curves | None = None, noise: float = 0.0,
) -> Comparison:  # fmt: skip
    """Compare two aligned grey pictures [h, w] uint8 where `inside` is 1.

    `min_texture` is the deviation, in grey levels, that makes a window textured; `curves` are those of the tones, where
    they are known; `noise` is that of compression in one of the two, in grey levels of a pixel.
    """
    cells = target.shape[1] // CELL_PIXELS, target.shape[0] // CELL_PIXELS
    # To shrink by whole numbers costs a tenth: what is left at the right and below, less than a cell, is not looked at.
    high, wide = cells[1] * CELL_PIXELS, cells[0] * CELL_PIXELS
    source, target, inside = source[:high, :wide], target[:high, :wide], inside[:high, :wide]
    if min(cells) < WINDOW_CELLS:
        return Comparison()
    whole, valid = whole_windows(inside, cells, WINDOW_CELLS)
    chosen = some(valid)
    if whole.sum() < 3 * WINDOW_CELLS**2 or not len(chosen):
        return Comparison()
    half = (cells[0] * 2, cells[1] * 2)  # what is finer is noise and compression
    if curves is None:
        curves = learn_curves(source, target, cells, whole)
    fine_s, fine_t = (shrunk(picture, half) for picture in curves.applied(source, target))
    s, t = blurred(fine_s, 0.4), blurred(fine_t, 0.4)
    seen = measure_windows(s, t, cells)
    apart = _apart(seen, valid, chosen, min_texture, min_correlation)
    if apart is not None:
        return apart
    spot = _spot(seen, valid, chosen, cells, min_texture)
    peak, lead = _peak(seen, valid, min_texture, shrunk(curves.doubts(source, target), half), blank=spot[3])
    known = noise / 2  # of a mean of four pixels
    detail, known_detail, hazy = shared_detail(fine_s, fine_t, valid, known)
    sharpened = _match_sharpness(s, t, seen, cells, chosen)
    shifts = measure_shifts(sharpened, cells)
    drift = fit_drift(shifts, chosen, cells[1], cells[0])
    smooth = drift.smooth(cells[1], cells[0])
    counted = _count(sharpened, shifts, smooth, valid, chosen, spot, (min_texture, min_correlation, max_outlier))
    return replace(
        counted, peak=peak, lead=lead, detail=detail, drift=drift.matrix(target.shape, half[0]),
        drift_pixels=drift.furthest, fine=(fine_s, fine_t, inside), known=(known, known_detail), hazy=hazy,
        curves=curves,
    )  # fmt: skip


def _count(
    seen: Windows, shifts: Shifts, smooth: tuple[Float, Float], valid: Mask, chosen: Chosen,
    spot: tuple[int, Box | None, bool, bool], limits: tuple[float, float, float],
) -> Comparison:  # fmt: skip
    """Count the windows that differ, in each of the ways in which they may."""
    min_texture, min_correlation, max_outlier = limits
    moved, moved_share = _moved(shifts, smooth, valid, chosen)
    slope = shifts.xx + shifts.yy
    noise = _noise(shifts.left, slope, chosen)
    standing_out = valid & (shifts.left > np.maximum(max_outlier * (noise + SLOPE_SHARE * slope), min_texture**2))
    common, ours, theirs = seen.common, seen.source, seen.target
    weaker, stronger = np.maximum(np.minimum(ours, theirs), 0), np.maximum(ours, theirs)
    textured = valid & (stronger > min_texture**2 + 2 * min(noise, 100.0))
    agreeing = common > min_correlation * np.sqrt(weaker * stronger)
    conflict = valid & (weaker > min_texture**2) & (common < 0.5 * weaker)
    odd, box = _largest_group(conflict | standing_out)
    moves, moved_box = _largest_group(moved)
    windows, count = int(np.count_nonzero(valid)), int(np.count_nonzero(textured))
    return Comparison(
        windows=windows,
        textured=count / windows,
        agreement=int(np.count_nonzero(agreeing & textured)) / count if count else 0.0,
        conflict=int(np.count_nonzero(conflict)) / windows,
        odd_windows=odd,
        odd_box=max((odd, 2, box), (moves, 1, moved_box), (spot[0], 0, spot[1]))[2],
        spot_windows=spot[0],
        page=spot[2],
        blank=spot[3],
        moved_windows=moves,
        moved_share=moved_share,
        residual=seen.typical(chosen),
    )


def _spot(
    seen: Windows, valid: Mask, chosen: Chosen, cells: Cells, min_texture: float
) -> tuple[int, Box | None, bool, bool]:
    """Find the largest spot that changed although hardly anything else did: another digit on the same form.

    Nothing is forgiven here, so it tells only of pairs that are otherwise the same. The third tells whether it is a
    page of text, the fourth whether it has the ground of one. Such a page differs nowhere else, and what compression
    does to its letters hides a digit among them: there, as much as a digit changes may not have changed in any place.
    """
    texture = np.maximum(seen.source, seen.target)
    blank = quantile(texture.ravel()[chosen], BLANK_SHARE) <= BLANK_TEXTURE
    if blank and _is_written(seen, texture, valid, cells, min_texture):
        as_a_digit = seen.change > np.float32(PAGE_SPOT) * (texture + np.float32(min_texture**2))
        return *_largest_group(valid & as_a_digit & (texture > min_texture**2)), True, True
    changed = seen.change / (1 + np.float32(SPOT_TEXTURE) * texture)
    usual = max(quantile(changed.ravel()[chosen], 0.95), SPOT_USUAL)
    return *_largest_group(valid & (changed > SPOT * usual)), False, blank


def _peak(seen: Windows, valid: Mask, min_texture: float, doubts: Grey, *, blank: bool) -> tuple[float, float]:
    """Tell how far the place that changed most stands out from what is usual where there is something to see.

    Storing, resizing and recolouring change all edges alike: what they leave has the tails of a Laplace distribution,
    which end at 2.5 among 20,000 places. What was written anew is a place of its own, however little of its window.
    The second number holds it against the next such place alone: where one letter is nearly all that is to be seen, it
    is what is usual. `doubts`, levels at half the size, is what is not known of its tones; on `blank` ground, where few
    levels are common, all of a letter would be doubted, so there the second number is taken without them.
    """
    shows = (valid & (np.maximum(seen.source, seen.target) > min_texture**2)).view(np.uint8)
    size = doubts.shape[1], doubts.shape[0]
    there = cv2.resize(shows, size, interpolation=cv2.INTER_NEAREST).view(np.bool_)
    if not there.any():
        return 0.0, 0.0
    change, off = (cv2.blur(part, (PLACE_HALVES, PLACE_HALVES)) for part in (seen.levels[1], doubts.astype(np.float32)))
    change = np.abs(change)
    sure = np.maximum(change - off, np.float32(0))
    changed = sure[there]
    usual = quantile(changed[:: max(len(changed) // USUAL_PLACES, 1)], USUAL_SHARE)
    most = float(changed.max())
    wider = cv2.blur(np.where(there, change if blank else sure, np.float32(0)), (PLACE_HALVES, PLACE_HALVES))
    y, x = divmod(int(wider.argmax()), wider.shape[1])
    leads = float(wider[y, x])
    wider[max(y - LEAD_HALVES, 0) : y + LEAD_HALVES + 1, max(x - LEAD_HALVES, 0) : x + LEAD_HALVES + 1] = 0
    return most / (usual + USUAL_LEVELS), leads / (float(wider.max()) + LEAD_LEVELS)


def _is_written(seen: Windows, texture: Float, valid: Mask, cells: Cells, min_texture: float) -> bool:
    """Tell whether what is in the picture are thin strokes."""
    middle = seen.levels[0]
    fine = middle - blurred(middle, 1.0)
    written = valid & (texture > min_texture**2)
    thin = mean_of(fine * fine, cells)[written] / texture[written]
    return bool(thin.size) and median(thin) > THIN_SHARE and _lies_on_ground(seen, texture, valid, written, cells)


def _lies_on_ground(seen: Windows, texture: Float, valid: Mask, written: Mask, cells: Cells) -> bool:
    """Tell whether the ground between the strokes is that of the blank rest: planks before a sky are no text."""
    middle, size = seen.levels[0], np.ones((WINDOW_HALVES, WINDOW_HALVES), np.uint8)
    least, most = (
        shrunk(np.asarray(spread(middle, size), np.float32), cells)[written] for spread in (cv2.erode, cv2.dilate)
    )
    ground = median(seen.means[0][valid & (texture <= BLANK_TEXTURE)])
    off = np.minimum(np.abs(least - ground), np.abs(most - ground)) / (most - least + 1)
    return median(off) < MAX_OFF_GROUND


def _moved(shifts: Shifts, smooth: tuple[Float, Float], valid: Mask, chosen: Chosen) -> tuple[Mask, float]:
    """Find the windows that moved against the rest, and what share of all that is left their moves explain."""
    off_x, off_y = shifts.across - smooth[0], shifts.down - smooth[1]
    moving = shifts.energy(off_x, off_y)
    left = np.maximum(shifts.left, np.float32(median(shifts.left.ravel()[chosen]))) + np.float32(0.25)
    moved = valid & (moving > MOVED_SHARE * left) & (off_x * off_x + off_y * off_y > MOVED_PIXELS**2)
    count = np.count_nonzero(valid)
    if count < valid.size:
        moving, left = moving[valid], shifts.left[valid]
    else:
        left = shifts.left
    return np.asarray(moved), float(moving.sum() / (left.sum() + 0.25 * count))


def _apart(seen: Windows, valid: Mask, chosen: Chosen, min_texture: float, min_correlation: float) -> Comparison | None:
    """Make short work of two pictures that show little in common; None where they do, or where little is to be seen."""
    residual = seen.typical(chosen)
    if residual < APART_RESIDUAL:
        return None
    ours, theirs = seen.source, seen.target
    weaker, stronger = np.maximum(np.minimum(ours, theirs), 0), np.maximum(ours, theirs)
    textured = valid & (stronger > min_texture**2)
    windows, count = int(np.count_nonzero(valid)), int(np.count_nonzero(textured))
    if count < TOO_FLAT * windows:
        return None
    agreement = float((seen.common > min_correlation * np.sqrt(weaker * stronger))[textured].mean())
    if agreement > APART:
        return None
    share = count / windows
    return Comparison(
        windows, share, agreement, share, windows, spot_windows=windows, residual=residual, drift_pixels=np.inf
    )


def _match_sharpness(s: Float, t: Float, seen: Windows, cells: Cells, chosen: Chosen) -> Windows:
    """Blur the sharper picture as far as that makes them more alike: lost detail is no local difference."""
    best = seen
    sharper = median((seen.source.ravel()[chosen] + 1) / (seen.target.ravel()[chosen] + 1))
    if 1 / 1.15 < sharper < 1.15:
        return best
    least = seen.typical(chosen)
    for sigma in (0.4, 0.65, 1.0, 1.5, 2.3):
        tried = (
            measure_windows(blurred(s, sigma), t, cells)
            if sharper > 1
            else measure_windows(s, blurred(t, sigma), cells)
        )
        typical = tried.typical(chosen)
        if typical >= least:
            break
        best, least = tried, typical
    return best


def _noise(left: Float, slope: Float, chosen: Chosen) -> float:
    """Measure what noise and compression leave in a calm window, grey levels squared."""
    slope, left = slope.ravel()[chosen], left.ravel()[chosen]
    return quantile(left[slope <= median(slope)], 0.75) + 0.25


def _largest_group(odd: Mask) -> tuple[int, Box | None]:
    if not odd.any():
        return 0, None
    _, _, boxes, _ = cv2.connectedComponentsWithStats(odd.view(np.uint8), connectivity=8)
    left, top, wide, high, area = (int(x) for x in boxes[1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())])
    # The window at a cell reaches two cells back and one on; its middle half is where the difference lies.
    x0, y0 = (left - 1) * CELL_PIXELS, (top - 1) * CELL_PIXELS
    return area, (x0, y0, x0 + (wide + 1) * CELL_PIXELS, y0 + (high + 1) * CELL_PIXELS)
