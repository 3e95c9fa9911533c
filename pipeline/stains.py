"""Whether one place changed and not the whole: a sticker, a word on a sky, a red shirt and a blue one.

The windows of a second look compare structure, and forgive each of them a gain, an offset and its colour. What was
laid over a calm place, or coloured anew, shows in the means of small places: compression keeps those, and what is
done to the whole picture moves all of them alike. What is left beyond that, and beyond all levels near by in the other
picture, was changed by itself.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey
from pipeline.comparison import Comparison
from pipeline.framing import Placement
from pipeline.tones import AROUND, SAMPLES, Tones, halves_onto, outside
from pipeline.typical import median, quantile, variance

_MOST_GAIN = 1.2  # from the more colourful picture to the other
_ROUNDS = 4
_USUAL = 6.0  # levels of chroma by which colours differ between a picture and its copy
# Levels that no compression adds: of grey; of chroma, with a share of it for what loses or gains saturation.
_GREY, _CHROMA, _SHARE = 7.0, 10.0, 0.25
_GREY_OF_FEW, _CHROMA_OF_FEW = 11.0, 14.0  # the same where one was brought to few colours
# Levels on top where tones or colours were changed as a whole, for no curve fits every place: up to a clear change,
# and for each as much again.
_CHANGING, _CHANGED, _AT_CHANGE, _BEYOND_CHANGE, _MOST = 0.75, 1.5, 6.0, 0.5, 10.0
_ANYWHERE = 22.0  # levels of chroma that no change of the whole leaves, however much of the picture has changed
_BLURRED = 10.0  # levels of grey on top where one has detail that the other lost, or twice of it
_USUAL_GREY, _USUAL_CHROMA = (3.0, 0.95), (0.7, 0.9)  # times what so many places stay below, on top
_RIM = np.ones((5, 5), np.uint8)
_TONED = 6.0  # levels of chroma that compression leaves in a grey or toned picture
_COLOURFUL = 0.1  # share of a picture in other colours: less is a stain on a grey one
_MEAN = (3, 3)  # places
_LIGHT = (41, 41)  # places: uneven light and vignettes change as slowly
_THIN = 0.85  # of the limit, for points of a stroke
_PATCH = np.ones((2, 2), np.uint8)  # the least that counts: single places are noise


def is_stained(
    ours: Tones, theirs: Tones, place: Placement, seen: Comparison, recoloured: float, *, few_colours: bool
) -> bool:
    """Tell whether some place changed otherwise than the whole did, where one picture lies on the other.

    `seen` is what a comparison made of their greys there. `recoloured` tells how much tones or colours changed, from 1
    on clearly; `few_colours` where one was brought to a few.
    """
    of_grey, of_chroma = (_GREY_OF_FEW, _CHROMA_OF_FEW) if few_colours else (_GREY, _CHROMA)
    more = _AT_CHANGE * min(max(recoloured - _CHANGING, 0.0) / (_CHANGED - _CHANGING), 1.0)
    more += _BEYOND_CHANGE * max(min(recoloured, _MOST) - _CHANGED, 0.0)
    blurred = _BLURRED * min(max(abs(seen.detail - 1) - 0.05, 0.0), 1.0)
    limits = of_grey + more + blurred, of_chroma + more
    if seen.fine is not None and _greys_changed(*seen.fine, limits[0], thin=more == 0 and not few_colours):
        return True
    return _hues_changed(ours, theirs, place, limits[1])


def _greys_changed(first: Float, second: Float, inside: Grey, least: float, *, thin: bool) -> bool:
    """Tell whether places changed their grey; where nothing was recoloured, `thin` strokes are looked for, too."""
    size = (first.shape[1], first.shape[0])
    within = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    reached = np.asarray(cv2.erode(within, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=1), np.uint8)
    if not cv2.countNonZero(reached):
        return False
    ours, theirs = (np.asarray(cv2.blur(picture, _MEAN), np.float32) for picture in (first, second))
    off = (theirs - ours) * reached
    share = cv2.blur(reached.astype(np.float32), _LIGHT)
    ours = np.asarray(ours + cv2.blur(off, _LIGHT) / np.maximum(share, np.float32(0.1)), np.float32)
    beyond = np.minimum(outside(theirs, ours), outside(ours, theirs))
    return _has_patch(beyond, reached, least, _USUAL_GREY, thin=thin)


def _hues_changed(ours: Tones, theirs: Tones, place: Placement, least: float) -> bool:
    """Tell whether places changed their colour otherwise than most did."""
    source, target, onto = halves_onto(ours, theirs, place)
    high, wide = target.chroma.shape[:2]
    if min(high, wide, *source.chroma.shape[:2]) < _RIM.shape[0]:
        return False
    drawn = cv2.warpPerspective(source.chroma, onto, (wide, high))
    lies = (drawn[..., 0] > 0).view(np.uint8)  # no colour has a Cr of 0: that lies outside
    reached = np.asarray(cv2.erode(lies, _RIM), np.uint8)
    if cv2.countNonZero(reached) < 64:
        return False
    first, second = (cv2.blur(chroma, _MEAN).astype(np.float32) - 128 for chroma in (drawn, target.chroma))
    inside = np.flatnonzero(reached)
    inside = inside[:: max(len(inside) // SAMPLES, 1)]
    samples = [picture.reshape(-1, 2)[inside] for picture in (first, second)]
    if variance(samples[0]) < variance(samples[1]):
        first, second = second, first
        samples.reverse()
    gain, shift = _fit(*samples)
    expected = (gain * first + shift).astype(np.float32)
    share = np.float32(_SHARE) * np.maximum(_length(expected), _length(second))

    def beyond(around: Grey) -> Float:
        there, back = _length(outside(second, expected, around)), _length(outside(expected, second, around))
        return np.asarray(np.minimum(there, back) - share, np.float32)

    near = beyond(AROUND)
    if near[reached > 0].max() <= min(least, _ANYWHERE):  # beyond all levels around, nothing lies further off
        return False
    found = _has_patch(near, reached, least, _USUAL_CHROMA)
    found = found or _has_patch(beyond(_RIM), reached, _ANYWHERE, (0.0, 0.5))
    return found and not _was_toned(*map(_off_tone, (ours, theirs)))


def _was_toned(ours: Float, theirs: Float) -> bool:
    """Tell whether one of two is grey or sepia and the other, by more than a few places, is not."""
    return any(
        one.max() <= _TONED and float((other > _TONED).mean()) > _COLOURFUL
        for one, other in ((ours, theirs), (theirs, ours))
    )


def _off_tone(tones: Tones) -> Float:
    """Measure how far the colour of each place [n] is from what its grey leads to expect, in levels."""
    grey, chroma = tones.small[..., 0].ravel() / 128.0, tones.small[..., 1:].reshape(-1, 2) - 128.0
    terms = np.stack([np.ones_like(grey), grey, grey * grey])
    fit = np.linalg.solve(terms @ terms.T + np.eye(3), terms @ chroma)
    return np.asarray(np.abs(fit.T @ terms - chroma.T).max(axis=0), np.float32)


def _fit(ours: Float, theirs: Float) -> tuple[float, NDArray[np.float64]]:
    """Fit one gain and a shift of chroma [n, 2] robustly: what most places go by."""
    known, wanted = (np.ascontiguousarray(colours.T, np.float64) for colours in (ours, theirs))
    gain, shift = 1.0, np.array([[median(off)] for off in wanted - known])
    for _ in range(_ROUNDS):
        off = wanted - gain * known - shift
        weight = 1 / (1 + (off[0] * off[0] + off[1] * off[1]) / _USUAL**2)
        total = float(weight.sum())
        middle, reached = ((part @ weight / total)[:, None] for part in (known, wanted))
        apart = known - middle
        weighted = weight * apart
        spread = float((weighted * apart).sum()) + total  # as if all colours were a level apart
        shared = float((weighted * (wanted - reached)).sum()) + gain * total
        gain = min(max(shared / spread, 0.0), _MOST_GAIN)
        shift = reached - gain * middle
    return gain, shift[:, 0]


def _length(chroma: Float) -> NDArray[np.float32]:
    return np.asarray(cv2.magnitude(np.ascontiguousarray(chroma[..., 0]), np.ascontiguousarray(chroma[..., 1])))


def _has_patch(beyond: Float, reached: Grey, least: float, usual: tuple[float, float], *, thin: bool = False) -> bool:
    """Tell whether places, and no single points, changed by more than `least` and what is usual in the picture.

    Of a `thin` stroke two points that touch, or nearly, are enough, and a little less.
    """
    inside = reached > 0
    least *= _THIN if thin else 1.0
    if not (beyond[inside] > least).any():
        return False
    times, share = usual
    limit = least + times * max(quantile(beyond[inside], share), 0.0)
    changed = np.asarray(((beyond > limit) & inside).view(np.uint8))
    if thin:
        _, labels = cv2.connectedComponents(cv2.dilate(changed, AROUND))
        return bool(np.bincount(labels[changed > 0]).max(initial=0) > 1)
    return bool(cv2.erode(changed, _PATCH, borderType=cv2.BORDER_CONSTANT, borderValue=0).any())
