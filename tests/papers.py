"""A drawn page whose contents are known to the letter."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def statement(total: str, seed: int = 1, size: tuple[int, int] = (1600, 1130)) -> Pixels:
    """Print a bank statement: many rows that are the same for one seed, and one sum."""
    height, width = size
    rng, page = np.random.default_rng(seed), np.full((height, width, 3), 255, np.uint8)
    cv2.rectangle(page, (60, 60), (width - 60, 150), (150, 60, 30), -1)
    cv2.putText(page, "Account 4711 0815", (90, 120), 0, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    for row in range(24):
        y = 220 + row * 44
        words = "".join(map(chr, rng.integers(97, 123, 18)))
        cv2.putText(page, words, (80, y), 0, 0.7, (20, 20, 20), 1, cv2.LINE_AA)
        cv2.putText(page, f"{int(rng.integers(0, 99999)):,}", (880, y), 0, 0.7, (20, 20, 20), 1, cv2.LINE_AA)
        cv2.line(page, (70, y + 14), (width - 70, y + 14), (200, 200, 200), 1)
    cv2.putText(page, total, (880, 1340), 0, 0.7, (20, 20, 20), 1, cv2.LINE_AA)
    return page
