"""Steps from pixel to pixel that no blur leaves, in the file as it is, whatever its size.

Spread over 1/200 of the long side and 1.5 pixels at least, the edge between black and white rises by 68 grey levels a
pixel at most (a Gaussian; a disc by 54): a steeper one was not blurred. The gate looks at 256 pixels, where the words
of a large screenshot or of a scanned page have run together; here they are seen as they are. One speck proves
nothing, so a step counts where it goes on to the next pixel along the edge, and neither does noise, so it must stand
out of what is usual in the picture. A straight shake leaves edges along its course: steps are asked for both ways.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels

_STEP = 80  # grey levels
_USUAL = 0.2  # quantile of the steps: print, halftone and leaves are rough, but calm between their edges
_OUT_OF_NOISE = 21  # times that: seven deviations of noise
_SAMPLE = 500_000  # pixels are enough to count by
_SPARSE = 4  # every so many pixels tell what is usual
_GREEN = 1  # the channel closest to what the eye calls light


def steep_share(rgb: Pixels) -> float:
    """Return which share of the pixels of a picture, uint8 [h, w, 3], steps are as steep as no blur leaves them at.

    The lesser of the shares along rows and along columns; 0 where the picture is narrower than three pixels.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < 3:
        return 0.0
    apart = max(2, round(height * width / _SAMPLE))
    pairs = len(range(1, height, apart))
    rows, below = (np.ascontiguousarray(rgb[first::apart, :, _GREEN][:pairs]) for first in (0, 1))
    along, along_below = (cv2.absdiff(part[:, 1:], part[:, :-1]) for part in (rows, below))
    across = cv2.absdiff(rows, below)
    limit = max(_STEP, _OUT_OF_NOISE * float(np.quantile(along[::_SPARSE, ::_SPARSE], _USUAL)))
    steep = _both(along, along_below, limit), _both(across[:, 1:], across[:, :-1], limit)
    return min(float(part.mean()) for part in steep)


def _both(first: NDArray[np.generic], second: NDArray[np.generic], limit: float) -> NDArray[np.bool_]:
    return np.asarray(np.minimum(first, second) > limit, np.bool_)
