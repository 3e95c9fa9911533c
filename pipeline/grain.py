"""What the finest detail of two aligned pictures has in common, and whether each has grain of its own.

A copy takes its grain from the original: compression, blur and resampling remove some of it, noise adds to it, and
either way one of the two has less, all of which the other has too. Compression errs most where there is
most to see. Two exposures of a scene that stands still each have grain of their own: as strong in both, nowhere shared,
and as strong in the calm parts of the picture as in the busy ones. All three together are asked for, because
a copy may look like any one of them.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey
from pipeline.typical import quantile

_CELL = 4  # half-pixels of a preview: a cell of 8 pixels
_SCALES: Final = (0.7, 1.4)  # half-pixels: two octaves of detail; what is finer is lost in the preview's compression
# Shares of white noise that lie in each octave, and in all that a blur of one pixel takes away.
_OCTAVE_SHARES: Final = (0.51, 0.073)
_DETAIL_SHARE = 0.76
# Squared grey levels that storing adds to the fine detail of a preview: two of one hazy picture differ by twice that,
# two exposures of the haziest by four times as much.
_ROUNDED = 0.17
_HAZY = 1.0  # squared grey levels of detail up to which that is asked; from twice as many on it is not
_MIN_CELLS = 30
_BLACK, _WHITE = 12.0, 243.0  # grey levels: where a cell is cut off, its grain is too
_NOTHING = 0.3  # squared grey levels: the energy of a cell without detail
_MAX_UNLIKE = 0.1  # natural logarithm of the energies of both: an exposure is like the next
_MIN_OWN = 0.05  # squared grey levels that each has alone in calm cells: less, and compression explains it
_MAX_SHARED = 0.99  # of the detail of the poorer one


def shared_detail(s: Float, t: Float, valid: NDArray[np.bool_], noise: float = 0.0) -> tuple[float, float, float]:
    """Tell how much of the fine detail of the picture that has less of it is found in the other.

    Compression, blur and noise take detail away or add some in one of the two; what is left is the other's.
    Two exposures, or two pieces of the same carpet, each have detail of their own. `noise`, in grey levels of a pixel,
    is known to be that of compression: in the second figure it is taken off, as white, but for half of all detail. In
    the third what storing adds to the previews of hazy pictures is.
    """
    kept = cv2.resize(valid.astype(np.float32), (s.shape[1], s.shape[0]), interpolation=cv2.INTER_NEAREST)
    fine_s = (s - cv2.GaussianBlur(s, (0, 0), 1.0)) * kept
    fine_t = (t - cv2.GaussianBlur(t, (0, 0), 1.0)) * kept
    least = min(float((fine_s * fine_s).sum()), float((fine_t * fine_t).sum()))
    seen = float(kept.sum()) + 1e-3
    shared = float((fine_s * fine_t).sum())
    hazy = min(max(2 - least / (_HAZY * seen), 0.0), 1.0)
    taken = 0.0, _DETAIL_SHARE * noise**2 * seen, hazy * _ROUNDED * seen
    detail, known, without_haze = (shared / (max(least - part, least / 2) + 1e-3) for part in taken)
    return detail, known, without_haze


def own_grain(s: Float, t: Float, inside: Grey, noise: float = 0.0) -> float:
    """Tell how much like grain that each has for itself is what sets two greys apart: 0 is not at all, 2 is altogether.

    `s` and `t` [h, w] are the aligned pictures at half the size of their previews, their tones made the same; `inside`
    [h, w] is 1 where both lie. The figure adds up, for two octaves, the energy of the difference in the calmest quarter
    of the picture against that in the busiest one. It is 0 where one has more detail than the other, or next to
    nothing of its own. `noise`, in grey levels of a pixel, is known to be that of compression and taken off.
    """
    size = (max(s.shape[1] // _CELL, 1), max(s.shape[0] // _CELL, 1))
    middle_s, middle_t = _mean(s, size), _mean(t, size)
    low, high = np.minimum(middle_s, middle_t), np.maximum(middle_s, middle_t)
    seen = (_mean(inside.astype(np.float32), size) > 0.999) & (low > _BLACK) & (high < _WHITE)
    if np.count_nonzero(seen) < _MIN_CELLS:
        return 0.0
    first_s, first_t = (cv2.GaussianBlur(picture, (0, 0), _SCALES[0]) for picture in (s, t))
    fine = _energies(s - first_s, t - first_t, size, seen)
    even: Float = np.reciprocal(
        fine[0] + fine[1] + np.float32(_NOTHING)
    )  # a cell of much texture counts no more than another
    shares_all = (even * fine[2]).sum() >= _MAX_SHARED * (even * np.minimum(fine[0], fine[1])).sum()
    if shares_all or not _as_strong(fine, (even, np.ones_like(even))):
        return 0.0
    second_s, second_t = (cv2.GaussianBlur(picture, (0, 0), _SCALES[1]) for picture in (s, t))
    coarse = _energies(first_s - second_s, first_t - second_t, size, seen)
    texture = coarse[0] + coarse[1]
    calm, half, busy = (quantile(texture, share) for share in (0.25, 0.5, 0.75))
    calmer = (texture <= half).astype(np.float32)
    own = np.maximum(np.minimum(fine[0], fine[1]) - fine[2], 0)[texture <= calm].mean()
    if own <= _MIN_OWN or not _as_strong(fine, (even * calmer, calmer)):
        return 0.0
    evenness = 0.0
    for (ours, theirs, shared), share in ((fine, _OCTAVE_SHARES[0]), (coarse, _OCTAVE_SHARES[1])):
        apart = np.maximum(ours + theirs - 2 * shared - np.float32(share * noise**2), 0)
        evenness += min(float(apart[texture <= calm].mean() / (apart[texture >= busy].mean() + 1e-3)), 1.0)
    return evenness


def _mean(picture: Float, size: tuple[int, int]) -> Float:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _energies(s: Float, t: Float, size: tuple[int, int], seen: NDArray[np.bool_]) -> tuple[Float, Float, Float]:
    """Measure the detail of each, and what they share, in every cell seen: three of [n], squared grey levels."""
    return _mean(s * s, size)[seen], _mean(t * t, size)[seen], _mean(s * t, size)[seen]


def _as_strong(detail: tuple[Float, Float, Float], weights: tuple[Float, ...]) -> bool:
    """Tell whether both have as much detail, however its cells are weighed."""
    ours, theirs, _ = detail
    ratios = (((weight * ours).sum() + 1e-6) / ((weight * theirs).sum() + 1e-6) for weight in weights)
    return all(abs(math.log(ratio)) <= _MAX_UNLIKE for ratio in ratios)
