"""What over-exposure does to a picture, and white paper does not.

Where light has run over, colours bleach: one channel after the other stops at its highest value, and the way from white
to what is left of a thing is gradual. A page, a product on white or snow keeps its colours up to a sharp edge.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels

FEATURES = 18
MIN_WHITE = 0.3  # share of the picture: with less white than that, exposure has not destroyed it
_SAMPLE = 128  # pixels a side are enough to count shares
_WHITE = 250  # a pixel with all channels from here on is paper, or lost
_CLIPPED = 252  # a channel
_PASTEL = 140  # lowest channel of a bleached pixel: below, a colour is merely pure
_PALE = 225  # lowest channel
_BORDER = 0.04  # of the short side
_LEAST = 0.01  # share of the picture
_PAPER = 0.9  # share of white around the border that makes the white a background
_INK = 90.0  # grey: the darkest hundredth of the picture, where a dark thing lies on paper
_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def exposure_features(rgb: Pixels) -> NDArray[np.float32] | None:
    """Describe the bright end of an oriented picture, uint8 [h, w, 3].

    None where less than 30 % of it is white, or where white paper surrounds dark things: exposure lifts those too.
    float32 [18]: shares, grey levels of the whole and of what is not white, and how sharply white ends.
    """
    size = min(rgb.shape[1], _SAMPLE), min(rgb.shape[0], _SAMPLE)
    sample = cast(Pixels, cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST))
    red, green, blue = cv2.split(sample)
    lowest = cast(Pixels, cv2.min(cv2.min(red, green), blue))
    white = lowest >= _WHITE
    if white.mean() < MIN_WHITE:
        return None
    highest = cast(Pixels, cv2.max(cv2.max(red, green), blue))
    rest = ~white
    left = max(float(rest.mean()), _LEAST)
    grey = sample @ _GREY
    border, quantiles = _at_border(white), np.percentile(grey, (0.2, 1, 5, 25))
    if border >= _PAPER and quantiles[1] < _INK:
        return None
    kept = grey[rest] if rest.any() else np.array([255.0])
    clipped = (highest >= _CLIPPED) & rest
    pale = float(((lowest >= _PALE) & rest).mean())
    near = cv2.dilate(white.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_) & rest
    spread = (highest - lowest)[rest]
    return np.array([
        grey.mean(), white.mean(), border,
        clipped.mean() / left, (clipped & (lowest >= _PASTEL)).mean() / left, pale / left,
        min(pale / (float(white.mean()) + 0.01), 3.0),
        np.percentile(kept, 5), np.median(kept), kept.std(),
        *quantiles,
        lowest[near].mean() if near.any() else 255.0, near.mean(),
        spread.mean() if spread.size else 0.0, grey.std(),
    ], np.float32)  # fmt: skip


def _at_border(white: NDArray[np.bool_]) -> float:
    band = max(1, round(_BORDER * min(white.shape)))
    sides = white[:band], white[-band:], white[:, :band], white[:, -band:]
    return float(np.concatenate([side.ravel() for side in sides]).mean())
