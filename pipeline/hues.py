"""Whether colours changed in one place and not all over: a red shirt and a blue one, another region on a map.

A second look compares greys, and a colour may change while its grey stays. What is done to the colours of a whole
picture, on the way to grey or sepia, by saturation or white balance, scales and shifts all of them alike. What is left
beyond that, and beyond all colours near by in the other picture, was changed by itself.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.framing import Placement
from pipeline.tones import SAMPLES, Tones, rescaling
from pipeline.typical import median

_MOST_GAIN = 1.2  # from the more colourful picture to the other
_ROUNDS = 4
_USUAL = 6.0  # levels of chroma by which colours differ between a picture and its copy
_LEAST, _SHARE = 22.0, 0.25  # levels, and share of the colour, that no compression and no change of hue adds
_AROUND = np.ones((5, 5), np.uint8)  # places of chroma, two pixels of a preview each: blur and misplacement
_PATCH = np.ones((2, 2), np.uint8)  # the least that counts: single places are noise


def has_changed_hues(ours: Tones, theirs: Tones, place: Placement) -> bool:
    """Tell whether some place changed its colour otherwise than the whole did, where one lies on the other."""
    source, target = (theirs, ours) if place.swapped else (ours, theirs)
    high, wide = target.chroma.shape[:2]
    if min(high, wide, *source.chroma.shape[:2]) < _AROUND.shape[0]:
        return False
    of_source, of_target = (
        rescaling(tones.grey.shape[1] / tones.chroma.shape[1], tones.grey.shape[0] / tones.chroma.shape[0])
        for tones in (source, target)
    )
    drawn = cv2.warpPerspective(source.chroma, np.linalg.inv(of_target) @ place.onto @ of_source, (wide, high))
    reached = cv2.erode((drawn[..., 0] > 0).view(np.uint8), _AROUND)  # no colour has a Cr of 0: that lies outside
    if cv2.countNonZero(reached) < 64:
        return False
    first, second = (cv2.blur(chroma, (3, 3)).astype(np.float32) - 128 for chroma in (drawn, target.chroma))
    inside = np.flatnonzero(reached)
    inside = inside[:: max(len(inside) // SAMPLES, 1)]
    samples = [picture.reshape(-1, 2)[inside] for picture in (first, second)]
    if np.var(samples[0], axis=0).sum() < np.var(samples[1], axis=0).sum():
        first, second = second, first
        samples.reverse()
    gain, shift = _fit(*samples)
    expected = (gain * first + shift).astype(np.float32)
    beyond = np.minimum(_beyond(second, expected), _beyond(expected, second))
    limit = _LEAST + _SHARE * np.maximum(_length(expected), _length(second))
    changed = ((beyond > limit) & (reached > 0)).view(np.uint8)
    return bool(cv2.erode(changed, _PATCH, borderType=cv2.BORDER_CONSTANT, borderValue=0).any())


def _fit(ours: Float, theirs: Float) -> tuple[float, Float]:
    """Fit one gain and a shift of chroma [n, 2] robustly: what most places go by."""
    gain, shift = 1.0, np.array([median(theirs[:, channel] - ours[:, channel]) for channel in (0, 1)], np.float32)
    for _ in range(_ROUNDS):
        off = np.linalg.norm(theirs - gain * ours - shift, axis=1)
        weight = (1 / (1 + (off / _USUAL) ** 2))[:, None]
        total = float(weight.sum())
        middle, reached = (np.asarray((weight * part).sum(axis=0) / total) for part in (ours, theirs))
        spread = float((weight * (ours - middle) ** 2).sum()) + total  # as if all colours were a level apart
        shared = float((weight * (ours - middle) * (theirs - reached)).sum()) + gain * total
        gain = min(max(shared / spread, 0.0), _MOST_GAIN)
        shift = np.asarray(reached - gain * middle, np.float32)
    return gain, shift


def _beyond(chroma: Float, other: Float) -> NDArray[np.float32]:
    """Measure how far each place of one [h, w, 2] lies from all that the other has around it, in levels."""
    least, most = cv2.erode(other, _AROUND), cv2.dilate(other, _AROUND)
    return _length(np.maximum(np.maximum(least - chroma, chroma - most), 0))


def _length(chroma: Float) -> NDArray[np.float32]:
    return np.asarray(cv2.magnitude(np.ascontiguousarray(chroma[..., 0]), np.ascontiguousarray(chroma[..., 1])))
