"""The discrete cosine transform of JPEG's blocks of eight by eight pixels."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

SIDE = 8  # pixels of a block


@cache
def block_basis() -> NDArray[np.float64]:
    """Return the orthonormal DCT as one product: [64, 64], pixels row by row down, coefficients row by row across.

    The mean coefficient is the first.
    """
    place = np.arange(SIDE)
    cosines = np.cos((2 * place[None] + 1) * place[:, None] * np.pi / (2 * SIDE)) * np.sqrt(2 / SIDE)
    cosines[0] /= np.sqrt(2)
    return np.asarray(np.kron(cosines, cosines).T)
