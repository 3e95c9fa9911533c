"""SHA-256 of the bytes, pHash and dHash of the picture, and the guard against pictures that say nothing."""

import hashlib

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode import Pixels, shrink

_LONG_SIDE = 256  # imagehash reduces to 32 by 32 with LANCZOS: from here 0.5 ms, from 24 megapixels 200 ms


# Grey levels. Empty pages, gradients and split frames stay below 0.44, 99 % of photos lie above 0.44.
_MIN_COEFFICIENT = 0.45


def content_sha256(data: bytes) -> bytes:
    """Hash the bytes of a file: the identity of an image."""
    return hashlib.sha256(data).digest()


def perceptual_hashes(pixels: Pixels) -> tuple[int, int]:
    """Return pHash and dHash (64 bits each) of an oriented picture, uint8 [h, w, 3] or [h, w].

    Bits and their order are those of the library imagehash (`phash`, `dhash` with hash_size 8). Reducing first
    moves 2 bits in one picture of seven, against LANCZOS from full size.
    """
    small = Image.fromarray(shrink(pixels, _LONG_SIDE)).convert("L")
    return _bits(imagehash.phash(small).hash), _bits(imagehash.dhash(small).hash)


def _bits(flags: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


def distance_bits(a: int, b: int) -> int:
    """Count the bits in which two hashes differ."""
    return (a ^ b).bit_count()


def is_hashable(grey: Pixels) -> bool:
    """Whether a picture (grey uint8 [h, w]) has enough in it for its perceptual hashes to mean something.

    A bit of a pHash says on which side of the median a coefficient lies. Where half of the coefficients are next to
    nothing (one colour, a soft gradient, two halves, a line on an empty page) the bits are noise, or the same for
    all pictures of the kind.
    """
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    coefficients = np.abs(cv2.dct(small)[:8, :8]).ravel()[1:] / 32
    return bool(np.median(coefficients) >= _MIN_COEFFICIENT)
