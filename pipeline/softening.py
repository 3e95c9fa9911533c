"""One picture made as soft as another, to see whether the loss of sharpness is all that sets the two apart.

A blur, and a picture that was reduced and enlarged again, is a filter that is the same everywhere and moves nothing:
in the cosine transform, whose mirrored edges such filters keep, it multiplies every frequency by a number of its own
(Martucci 1994, "Symmetric convolution and the discrete sine and cosine transforms"). These numbers are fitted by least
squares in few bands, so that nothing which changed in one place can hide in them, and no shift either.
"""

import cv2
import numpy as np

from pipeline.alignment import Float, Grey

BANDS = 16  # of frequencies, across and down
SHARPER = 1.69  # energy above half the highest frequency, at least: 1.3 times the levels
EXPLAINED = 0.45  # of the squared difference, what may be left: two thirds of the levels
APART = 0.1  # of the softer one's own contrast, what may be left: a blur of another picture leaves all


def soften_as(ours: Grey, theirs: Grey) -> tuple[int, Grey] | None:
    """Make the sharper of two greys [h, w] uint8 as soft as the other: which of the two that is, and its new grey.

    None where their sizes differ, where neither is clearly the sharper one, or where that does not explain most of
    what sets the two apart.
    """
    if ours.shape != theirs.shape or min(ours.shape) < 2 * BANDS:
        return None
    two = [_transformed(grey) for grey in (ours, theirs)]
    energies = [_per_band(spectrum * spectrum) for spectrum in two]
    fine = [float(energy.sum() - energy[: BANDS // 2, : BANDS // 2].sum()) for energy in energies]
    sharp = int(fine[1] > fine[0])
    if fine[sharp] < SHARPER * (fine[1 - sharp] + 1.0):
        return None
    source, target = two[sharp], two[1 - sharp]
    gain = _per_band(source * target) / (energies[sharp] + 1.0)
    size = source.shape[1], source.shape[0]
    softened = source * cv2.resize(np.maximum(gain, 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    left, before = (_energy(part - target) for part in (softened, source))
    if left > min(EXPLAINED * before, APART * _energy(target)):
        return None
    softened[0, 0] = target[0, 0]
    drawn = cv2.idct(softened)[: ours.shape[0], : ours.shape[1]]
    return sharp, np.clip(np.rint(drawn), 0, 255).astype(np.uint8)


def _energy(spectrum: Float) -> float:
    """Give the energy of what varies: all but the mean."""
    flat = spectrum.ravel()[1:]
    return float(flat @ flat)


def _transformed(grey: Grey) -> Float:
    """Give the cosine transform of a grey, whose sides are made even by repeating the last line."""
    high, wide = grey.shape
    even = cv2.copyMakeBorder(grey, 0, high % 2, 0, wide % 2, cv2.BORDER_REFLECT)
    return np.asarray(cv2.dct(even.astype(np.float32)), np.float32)


def _per_band(spectrum: Float) -> Float:
    """Sum the coefficients [h, w] of each band [BANDS, BANDS]."""
    down, across = (np.arange(BANDS) * length // BANDS for length in spectrum.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(spectrum, down, axis=0), across, axis=1), np.float32)
