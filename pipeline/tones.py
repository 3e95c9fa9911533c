"""What a recoloured picture and its original have in common: the tone of one as a function of the other's."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.framing import Placement
from pipeline.typical import Real, median, quantile, variance

Colours = NDArray[np.uint8]

AROUND = np.ones((3, 3), np.uint8)  # places: blur and misplacement
SAMPLES = 1000  # places that are enough to learn a change of colours from
CHANGED_SHARE = 0.75  # of the picture: what moves in a part of it is no change of tone
MAX_TONE_DRIFT = 8.0  # grey levels; less is no change of tone
MAX_COLOUR_DRIFT = 5.0  # the same for Cr and Cb
# Of what sets colours apart, what one map of them all explains: of 500 pairs of frames, one of whom moved, 1 in 100 has
# as much, of mild turns of hue all have but the mildest. And squared levels that rounding leaves of a colour.
MAPPED_SHARE, COLOUR_ROUNDING = 0.55, 0.25
_ENOUGH = 8  # cells to learn from
_MANY = 32  # pixels, of one in four
_MOST_SLOPE = 0.5  # by which contrast or light may change beyond the levels that a curve was learnt from
_MAX_DRIFTS = np.array([[MAX_TONE_DRIFT], [MAX_COLOUR_DRIFT], [MAX_COLOUR_DRIFT]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Tones:
    """One picture's tones, at three sizes."""

    grey: Grey  # [h, w]
    chroma: Colours  # [h // 2, w // 2, 2] Cr and Cb
    small: Colours  # [h // 4, w // 4, 3] grey, Cr and Cb


def has_other_colours(a: Tones, b: Tones) -> bool:
    """Tell whether one change of all colours explains most of what sets the colours of two pictures of one size apart.

    A change of hue, saturation or white balance is an affine map of Cr and Cb; what moves, and noise, is none.
    """
    if a.small.shape != b.small.shape:
        return False
    ours, theirs = (each.small[..., 1:].reshape(-1, 2).astype(np.float64) for each in (a, b))
    least = COLOUR_ROUNDING * len(ours)
    for source, target in ((ours, theirs), (theirs, ours)):
        known = np.column_stack((source, np.ones(len(source))))
        weights = np.linalg.lstsq(known.T @ known, known.T @ target, rcond=None)[0]
        left = float(np.square(known @ weights - target).sum())
        if left + least < (1 - MAPPED_SHARE) * (float(np.square(source - target).sum()) + least):
            return True
    return False


def mix_colours(source: Tones, target: Tones, onto: Matrix) -> tuple[Grey, Grey, float]:
    """Add colour to the grey of the more colourful picture, as much as makes it most like the other's grey.

    Saturation, white balance, hue and the way to grey change the grey of a recoloured picture by colour; `onto` maps
    pixels of the source to the target. Returns both greys, and how much colours or tones changed: from 1 on clearly.
    """
    if min(*target.small.shape[:2], *source.small.shape[:2]) < 4:
        return source.grey, target.grey, 0.0
    drawn = draw_small(source, target, onto)
    reached = np.flatnonzero(drawn[..., 1])  # no colour has a Cr of 0, so that stands for outside
    if len(reached) < 64:
        return source.grey, target.grey, 0.0
    reached = reached[:: max(len(reached) // SAMPLES, 1)]
    pair = np.stack([drawn.reshape(-1, 3)[reached], target.small.reshape(-1, 3)[reached]]).astype(np.float32)
    off = np.abs(pair[0] - pair[1]).T / _MAX_DRIFTS
    changed = max(quantile(part, CHANGED_SHARE) for part in off)
    if changed < 1:
        return source.grey, target.grey, changed
    ours, theirs = pair.astype(np.float64) - [0, 128, 128]
    if variance(ours[:, 1:]) >= variance(theirs[:, 1:]):
        return _mixed(source, ours, theirs[:, 0]), target.grey, changed
    return source.grey, _mixed(target, theirs, ours[:, 0]), changed


def rescaling(across: float, down: float) -> Matrix:
    """Return the map of pixel centres from a picture to one so many times as wide and high: float64 [3, 3].

    The centre of the first pixel lies half a pixel from the edge in both; turned or mirrored, an error would show.
    """
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]], np.float64)


def halves_onto(ours: Tones, theirs: Tones, place: Placement) -> tuple[Tones, Tones, Matrix]:
    """Return the finer of two pictures, the other, and what maps pixels of the first to it, both at half their size."""
    source, target = (theirs, ours) if place.swapped else (ours, theirs)
    of_source, of_target = (
        rescaling(tones.grey.shape[1] / tones.chroma.shape[1], tones.grey.shape[0] / tones.chroma.shape[0])
        for tones in (source, target)
    )
    return source, target, np.asarray(np.linalg.inv(of_target) @ place.onto @ of_source)


def draw_small(source: Tones, target: Tones, onto: Matrix) -> Colours:
    """Draw a picture where it lies on another, at a quarter of the size: grey, Cr and Cb [h, w, 3], Cr of 0 outside.

    `onto` maps pixels of the source to the target.
    """
    high, wide = target.small.shape[:2]
    cell = rescaling(wide / target.grey.shape[1], high / target.grey.shape[0])
    small, size = source.small, source.grey.shape
    of_small = rescaling(size[1] / small.shape[1], size[0] / small.shape[0])
    shrunk = np.asarray(cell @ onto @ of_small)
    scale = float(np.sqrt(abs(np.linalg.det(shrunk[:2, :2]))))
    if scale < 0.75:
        small = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1)), np.uint8)
    return np.asarray(cv2.warpPerspective(small, shrunk, (wide, high)), np.uint8)


def outside(levels: Float, other: Float, around: Colours = AROUND) -> Float:
    """Measure how far each place of one [h, w, …] lies from all that the other has around it, in levels."""
    least, most = cv2.erode(other, around), cv2.dilate(other, around)
    return np.asarray(np.maximum(np.maximum(least - levels, levels - most), 0), np.float32)


def to_primaries(tones: Float) -> Float:
    """Give red, green and blue of grey, Cr and Cb [n, 3], all in levels."""
    grey, red, blue = (tones - np.array([0, 128, 128], np.float32)).T
    rgb = [grey + 1.403 * red, grey - 0.714 * red - 0.344 * blue, grey + 1.773 * blue]
    return np.asarray(np.clip(np.stack(rgb, axis=1), 0, 255), np.float32)


def _mixed(tones: Tones, seen: Matrix, wanted: Matrix) -> Grey:
    """Predict `wanted` [n] from `seen` [n, 3] (grey, Cr, Cb) and apply that to a grey, where colour helps much."""
    grey, chroma = tones.grey, tones.chroma
    terms = _terms(*seen.T)
    fit, error = _fit(terms, wanted)
    if error > 0.75 * _fit(terms[:3], wanted)[1]:
        return grey
    high, wide = chroma.shape[:2]
    y = cv2.resize(grey, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32) / 128
    red, blue = np.asarray(np.moveaxis(chroma, -1, 0), np.float32) / 128 - 1
    r, b, yr, yb, rr, rb, bb = fit[3:].astype(np.float32)
    by_colour = red * (r + yr * y + rr * red + rb * blue) + blue * (b + yb * y + bb * blue)
    spread = cv2.resize(by_colour, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    by_grey = fit[:3] @ _terms(*np.array([np.arange(256), np.zeros(256), np.zeros(256)]))[:3]
    mixed = np.asarray(cv2.LUT(grey, by_grey.astype(np.float32)))
    return np.asarray(cv2.convertScaleAbs(np.maximum(mixed + spread, 0)), np.uint8)


def _terms(grey: NDArray[Real], red: NDArray[Real], blue: NDArray[Real]) -> NDArray[Real]:
    """All products of grey, Cr and Cb up to the second degree, those of grey alone first: [10, n]."""
    y, r, b = grey / 128, red / 128, blue / 128
    return np.stack([np.ones_like(y), y, y * y, r, b, y * r, y * b, r * r, r * b, b * b])


def _fit(terms: Matrix, wanted: Matrix) -> tuple[Matrix, float]:
    """Fit weights of the terms [k, n] robustly; return them with the median error."""
    weight = np.ones(len(wanted))
    for _ in range(2):
        weighted = terms * weight
        fit = np.linalg.solve(weighted @ terms.T + 1e-3 * np.eye(len(terms)), weighted @ wanted)
        error = np.abs(fit @ terms - wanted)
        typical = median(error)
        weight = 1 / (1 + (error / (1.5 * typical + 1)) ** 2)
    return np.asarray(fit), typical


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What brings two pictures to the same tones: a table [256] for one of them, none for the other."""

    source: Float | None
    target: Float | None
    doubt: Float  # [256]: by how many levels that table may err

    def applied(self, source: Grey, target: Grey) -> tuple[Float, Float]:
        """Give both pictures as levels with their tones made the same."""
        return _levels(source, self.source), _levels(target, self.target)

    def doubts(self, source: Grey, target: Grey) -> Grey:
        """Tell by how many levels each place may err that was brought to other tones."""
        table = np.minimum(self.doubt, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(target if self.source is None else source, table), np.uint8)


def _levels(grey: Grey, curve: Float | None) -> Float:
    return grey.astype(np.float32) if curve is None else np.asarray(cv2.LUT(grey, curve), np.float32)


def learn_curves(source: Grey, target: Grey, cells: tuple[int, int], whole: NDArray[np.bool_]) -> Curves:
    """Learn how to bring the picture with more tones to the tones of the other.

    Brightening burns out, darkening drowns: of two pictures that differ by a tone curve, the one that lost tones is
    a function of the other, and not the other way round. The curve is read off the means of `cells` where `whole`.
    """
    ours = np.asarray(cv2.resize(source, cells, interpolation=cv2.INTER_AREA), np.uint8)[whole]
    theirs = np.asarray(cv2.resize(target, cells, interpolation=cv2.INTER_AREA), np.uint8)[whole]
    there, back = _tone_curve(ours, theirs), _tone_curve(theirs, ours)
    left_there = np.abs(there[ours] - theirs).mean() / (_deviation(theirs) + 2)
    left_back = np.abs(back[theirs] - ours).mean() / (_deviation(ours) + 2)
    if left_there <= left_back:
        return Curves(there, None, _doubt(source, ours))
    return Curves(None, back, _doubt(target, theirs))


def _doubt(grey: Grey, means: Grey) -> Float:
    """Tell by how much a curve learnt from means may err at levels that hardly any place of a picture has: [256].

    Elsewhere it errs in many places, and what is usual shows that. What was written over a picture in a level that it
    has not differs from what was there by more than it is doubted.
    """
    seen, learnt = (np.bincount(levels.ravel() >> 3, minlength=32) for levels in (grey[::2, ::2], means))
    known = np.flatnonzero(np.repeat((seen >= _MANY) | (learnt >= min(_ENOUGH, learnt.max())), 8))
    everywhere = np.arange(256)
    above = known[np.minimum(np.searchsorted(known, everywhere), len(known) - 1)]
    below = known[np.maximum(np.searchsorted(known, everywhere, side="right") - 1, 0)]
    apart = np.minimum(np.abs(above - everywhere), np.abs(everywhere - below))
    return np.asarray(_MOST_SLOPE * apart, np.float32)


def _deviation(levels: Grey) -> float:
    return float(cv2.meanStdDev(levels)[1][0, 0])


def _tone_curve(source: Grey, target: Grey) -> Float:
    """Map the source's grey levels onto what the target mostly shows in their place: a table [256].

    The median of the shifts of levels, not the shift of their median: drawings have few levels, unevenly spread, and
    what did not change must stay as it is.
    """
    coarse = (source >> 3).astype(np.intp)
    shifts = target.astype(np.intp) - source + 255
    counts = np.bincount((coarse << 9) + shifts, minlength=32 * 512).reshape(32, 512)
    below = counts.cumsum(axis=1)
    total = below[:, -1]
    medians = (2 * below >= total[:, None]).argmax(axis=1) - 255
    known = np.flatnonzero(total >= min(_ENOUGH, total.max()))
    weight = total[known].astype(np.float64)
    levels = np.bincount(coarse, weights=source, minlength=32)[known] / weight
    shift = np.convolve(weight * medians[known], [1, 2, 1])[1:-1] / np.convolve(weight, [1, 2, 1])[1:-1]
    everywhere = np.arange(256)
    return np.asarray(np.clip(everywhere + np.interp(everywhere, levels, shift), 0, 255), np.float32)
