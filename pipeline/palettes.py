"""What a picture looks like in the few colours of another.

Whoever brings a picture to 256 colours gives each place the nearest of them. So of a picture and a copy in few colours,
the colours of one, each replaced by the nearest that the other has, are those of the other. A place that was painted
over has another colour all the same: what lay there before is nearer to the colours of the rest.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.tones import Tones

_BITS = 3  # of each channel that do not matter
_SIDE = 256 >> _BITS
_LEAST = 4  # pixels at half the size of a preview: what fewer show lies on the edge between two colours


def in_colours_of(many: Tones, few: Tones) -> Tones:
    """Replace the chroma of each place by that of the nearest colour, grey included, that another picture has."""
    bins, colours, counts = _binned(many)
    _, palette, counts_of_few = _binned(few)
    known = counts_of_few >= _LEAST
    if not known.any():
        return many
    chosen = palette[known]
    here = counts > 0
    apart = (colours[here] ** 2).sum(axis=1)[:, None] - 2 * colours[here] @ chosen.T + (chosen**2).sum(axis=1)
    nearest = np.zeros((len(counts), 2), np.uint8)
    nearest[here] = np.rint(chosen[apart.argmin(axis=1), 1:])
    return replace(many, chroma=nearest[bins])


def _binned(tones: Tones) -> tuple[NDArray[np.intp], Float, NDArray[np.intp]]:
    """Return the bin of each place [h, w], and of each bin its mean colour [bins, 3] and how many places it has."""
    high, wide = tones.chroma.shape[:2]
    grey = cv2.resize(tones.grey, (wide, high), interpolation=cv2.INTER_AREA)
    pixels = np.dstack([np.asarray(grey)[..., None], tones.chroma])
    red, blue, light = (np.right_shift(pixels[..., channel], _BITS).astype(np.intp) for channel in (1, 2, 0))
    bins = (light * _SIDE + red) * _SIDE + blue
    flat = bins.ravel()
    counts = np.bincount(flat, minlength=_SIDE**3)
    sums = np.stack([np.bincount(flat, pixels[..., channel].ravel(), _SIDE**3) for channel in range(3)], axis=1)
    return bins, np.asarray(sums / np.maximum(counts, 1)[:, None], np.float32), counts
