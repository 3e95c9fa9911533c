"""What enlarging leaves behind: a rhythm.

A pixel between others is made from them, so it bends less than they do; enlarged by a ratio, a picture is smooth and
rough in turns, with just that period (Gallagher 2005). If the smaller picture was a JPEG, the rims of its blocks return
as well, every eight of its pixels. Nothing but resampling does that. Of two files that show the same picture in two
sizes the ratio is known, so only one period has to be looked at; of two of one size, one may have a rhythm that the
other lacks.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels
from pipeline.detail import Floats

LENGTH = 256  # frequencies stored, from 0 to half a cycle per pixel
_WINDOW = 2 * LENGTH  # pixels
_STRIPS, _STRIP = 3, 80  # looked at in each direction, and how many lines each has
_MOST = 2 * _WINDOW  # pixels along each
_THREE = slice(0, -2), slice(1, -1), slice(2, None)
_LIMIT = 24  # grey levels: edges bend more and drown the rest
_TREND = 15  # pixels
_OCTAVE = 8.0  # units per doubling of power
_FLOOR = 96.0  # units at a power of 1
_LEAST = 12  # lower frequencies belong to the scene
_NEAR, _GAP, _AROUND = 2, 4, 24  # frequencies beside a peak that belong to it; not looked at; compared with
_SLOWEST = 40  # frequencies: nobody enlarges by more than 12
_STRONG = 3.2  # octaves: no chance peak
_BLOCK = 8
_LOUD_BLOCKS = 6.0  # octaves
UNTOLD = 2.0  # octaves: a peak that speaks neither for enlarging nor against


def measure_rhythm(rgb: Pixels) -> bytes:
    """Measure an oriented picture, uint8 [h, w, 3]: power by frequency of how much pixels bend, uint8 [256]."""
    power = _power(_bend(rgb, 1)) + _power(_bend(rgb, 0))
    units = _FLOOR + _OCTAVE * np.log2(np.maximum(power, 1e-6))
    return np.clip(np.rint(units), 0, 255).astype(np.uint8)[:LENGTH].tobytes()


def _bend(rgb: Pixels, along: int) -> NDArray[np.float32]:
    """Return how much pixels bend along an axis, the mean over a few strips across the picture: float32 [length]."""
    length, breadth = rgb.shape[along], rgb.shape[1 - along]
    start = max(0, length - _MOST) // 2
    width = min(breadth, _STRIP)
    total = np.zeros(min(length, _MOST), np.float32)
    for number in range(_STRIPS):
        first = (breadth - width) * (2 * number + 1) // (2 * _STRIPS)
        places = slice(start, start + _MOST), slice(first, first + width)
        grey = cv2.cvtColor(rgb[places if along == 0 else places[::-1]], cv2.COLOR_RGB2GRAY)
        before, middle, after = (grey[at] if along == 0 else grey[:, at] for at in _THREE)
        mean = cv2.addWeighted(before, 0.5, after, 0.5, 0)
        _, off = cv2.threshold(cv2.absdiff(middle, mean), _LIMIT, 0, cv2.THRESH_TRUNC)
        total[1:-1] += cv2.reduce(off, 1 - along, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    return total[1:-1]


def _power(along: NDArray[np.float32]) -> Floats:
    """Return the power of a row of numbers by frequency: float64 [257]."""
    along = along - cv2.blur(along[None], (_TREND, 1))[0]
    size = min(_WINDOW, len(along))
    count = 1 + max(0, -(-(len(along) - size) // (size // 2)))
    starts = np.linspace(0, len(along) - size, count).astype(np.intp)
    windows = along[starts[:, None] + np.arange(size)] * _window(size)
    return np.asarray((np.abs(np.fft.rfft(windows, _WINDOW, axis=1)) ** 2).mean(axis=0), np.float64)


@cache
def _window(size: int) -> Floats:
    return np.hanning(size)


def find_rhythm(rhythm: bytes, ratio: float) -> tuple[float, float]:
    """Measure, in octaves of power, how a picture enlarged by `ratio` would show it: by its pixels, and by old blocks.

    What falls on a frequency that the picture's own blocks have counts by how far it stands out from their others.
    """
    levels = np.frombuffer(rhythm, np.uint8) / _OCTAVE
    own = [_peak(levels, number / _BLOCK) for number in range(1, _BLOCK // 2)]
    pixels = _peak(levels, 1 / ratio)
    beat = _own_number(1 / ratio)
    if beat:
        others = max(peak for number, peak in enumerate(own, 1) if number != beat)
        pixels = max(pixels - max(others, 0.0), min(pixels, UNTOLD))
    places = [number / (_BLOCK * ratio) for number in range(1, _BLOCK // 2 + 1)]
    blocks = [_peak(levels, place) for place in places if not _own_number(place)]
    return pixels, float(np.mean(blocks)) if blocks else 0.0


def find_old_blocks(rhythm: bytes, ratio: float) -> float:
    """Measure, in octaves of power, how much a picture shows the blocks of a larger one that it was reduced from."""
    levels = np.frombuffer(rhythm, np.uint8) / _OCTAVE
    places = [number * ratio / _BLOCK for number in range(1, _BLOCK // 2)]
    peaks = [_peak(levels, place) for place in places if not _own_number(place)]
    return float(np.clip(np.mean(peaks), 0.0, _LOUD_BLOCKS)) if peaks else 0.0


def compare_rhythms(ours: bytes, theirs: bytes) -> float:
    """Measure, in octaves of power, how much stronger a rhythm one picture has that the other lacks; antisymmetric.

    For two of one size, where the ratio by which one may have been enlarged again is unknown.
    """
    first, second = (_peaks(np.frombuffer(each, np.uint8) / _OCTAVE) for each in (ours, theirs))
    strongest = [float((one - np.maximum(other, 0)).max()) for one, other in ((first, second), (second, first))]
    if max(strongest) < _STRONG:
        return 0.0
    return strongest[0] - strongest[1]


def measure_fours(rhythm: bytes) -> float:
    """Measure, in octaves of power, how much a picture shows blocks of four pixels beyond those of eight.

    WebP and its like transform four by four, JPEG eight by eight. Blocks of eight repeat at an eighth of a cycle per
    pixel and at all multiples of that, blocks of four at a quarter alone.
    """
    levels = np.frombuffer(rhythm, np.uint8) / _OCTAVE
    first, second, third = (_peak(levels, number / _BLOCK) for number in (1, 2, 3))
    return second - max((first + third) / 2, 0.0)


def _peaks(levels: Floats) -> Floats:
    """Return by how much each frequency stands out, without those of blocks and of the scene."""
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(levels, _AROUND, mode="reflect"), 2 * _AROUND + 1)
    peaks = levels - np.median(wide, axis=1)
    place = np.arange(len(levels))
    own = np.abs(place * _BLOCK / _WINDOW - np.rint(place * _BLOCK / _WINDOW)) * _WINDOW / _BLOCK <= _GAP
    peaks[own | (place < _SLOWEST)] = 0
    return np.asarray(peaks)


def _own_number(frequency: float) -> int:
    """Return which multiple of the frequency of blocks this is, folded; 0 for none."""
    folded = min(frequency % 1, -frequency % 1)
    number = round(folded * _BLOCK)
    return number if abs(folded - number / _BLOCK) * _WINDOW <= _GAP else 0


def _peak(levels: Floats, frequency: float) -> float:
    """Return how far a frequency stands out from those around it; 0 where the scene itself is too strong."""
    place = round(min(frequency % 1, -frequency % 1) * _WINDOW)
    if place < _LEAST:
        return 0.0
    around = np.r_[levels[max(_GAP, place - _AROUND) : place - _GAP], levels[place + _GAP + 1 : place + _AROUND + 1]]
    return float(levels[max(0, place - _NEAR) : place + _NEAR + 1].max() - np.median(around))
