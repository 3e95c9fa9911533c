"""What a picture looks like in the few colours of another.

Whoever brings a picture to 256 colours gives each place the nearest of them. So of a picture and a copy in few colours,
the colours of one, each replaced by the nearest that the other has, are those of the other. A place that was painted
over has another colour all the same: what lay there before is nearer to the colours of the rest.

Whoever chooses few colours spends none on what is rare, and a place may lose its own. That is told by a trial: the same
colours are lost where the other picture is brought to as few.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.alignment import Float
from pipeline.tones import Colours, Tones

_BITS = 3  # of each channel that do not matter
_SIDE = 256 >> _BITS
_PLACE, _LOST = (9, 9), 19.0  # pixels of half a preview; levels of chroma
_COUNTS = 256, 128, 64  # of colours that are tried
_NEAR = 1.4  # levels on average: of 506 copies in 64 or 256 colours nineteen in twenty have less
_SEEN = (3, 3)  # pixels: what is dithered is seen as its mean
_LEAST = 16  # pixels of a preview: what fewer show lies on the edge between two colours


def in_colours_of(many: Tones, few: Tones) -> Colours:
    """Give each place of one picture, [h, w, 3] grey, Cr and Cb, the nearest colour that another picture has."""
    pixels = colours_of(many)
    bins, colours, here = _binned(pixels)
    _, palette, counts = _binned(colours_of(few))
    chosen = palette[counts >= _LEAST]
    if not len(chosen):
        return pixels
    used = here > 0
    apart = (chosen**2).sum(axis=1) - 2 * colours[used] @ chosen.T
    nearest = np.zeros((len(here), 3), np.uint8)
    nearest[used] = np.rint(chosen[apart.argmin(axis=1)])
    return nearest[bins]


def lost_a_colour(many: Tones, few: Colours) -> bool:
    """Tell whether a place lost its colour in the few of another picture: whoever chose them did not see it.

    `few` is what `in_colours_of` gave, [h, w, 3]. Of the tinted places that made 12 such pairs all but 2 were lost by
    more, of true copies 6 of 158, most of them in 64 colours.
    """
    high, wide = many.chroma.shape[:2]
    if min(high, wide) < _PLACE[0]:
        return False
    nearest = cv2.resize(few[..., 1:], (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    off = cv2.blur(many.chroma.astype(np.float32) - nearest, _PLACE)
    return float(np.hypot(off[..., 0], off[..., 1]).max()) > _LOST


def brought_to_few(many: Tones, few: Tones) -> Colours | None:
    """Bring one picture to few colours as was done to another of its size: [h, w, 3]; None where that cannot be told.

    The colours are chosen by median cut (Heckbert 1982, "Color image quantization for frame buffer display"), and as
    many as come nearest to those of the other; over the whole picture hardly anything may be left then.
    """
    pair = colours_of(many), colours_of(few)
    size = max(pair[0].shape[1] // 2, 1), max(pair[0].shape[0] // 2, 1)
    halved = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in pair]
    count = min(_COUNTS, key=lambda count: _apart(_in_as_many(halved[0], count), halved[1]))
    tried = _in_as_many(pair[0], count)
    return tried if _apart(tried, pair[1]) < _NEAR else None


def _in_as_many(colours: Colours, count: int) -> Colours:
    """Bring a picture to so many colours by median cut: grey, Cr and Cb [h, w, 3]."""
    picture = Image.fromarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2RGB))
    rgb = np.asarray(picture.quantize(count, Image.Quantize.MEDIANCUT).convert("RGB"))
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), np.uint8)


def _apart(ours: Colours, theirs: Colours) -> float:
    """Measure what sets two pictures apart on average, in levels."""
    return cv2.norm(cv2.blur(ours, _SEEN), cv2.blur(theirs, _SEEN), cv2.NORM_L1) / ours.size


def colours_of(tones: Tones) -> Colours:
    """Give grey, Cr and Cb of each pixel, [h, w, 3]."""
    high, wide = tones.grey.shape
    chroma = cv2.resize(tones.chroma, (wide, high), interpolation=cv2.INTER_LINEAR)
    return np.dstack([tones.grey[..., None], np.asarray(chroma, np.uint8)])


def _binned(pixels: Colours) -> tuple[NDArray[np.intp], Float, NDArray[np.intp]]:
    """Return the bin of each place [h, w], and of each bin its mean colour [bins, 3] and how many places it has."""
    grey, red, blue = (np.right_shift(pixels[..., channel], _BITS).astype(np.intp) for channel in range(3))
    bins = (grey * _SIDE + red) * _SIDE + blue
    flat = bins.ravel()
    counts = np.bincount(flat, minlength=_SIDE**3)
    sums = np.stack([np.bincount(flat, pixels[..., channel].ravel(), _SIDE**3) for channel in range(3)], axis=1)
    return bins, np.asarray(sums / np.maximum(counts, 1)[:, None], np.float32), counts
