"""Where a picture was cut from: sought where the sizes of the files allow a plain cut.

A cut keeps the pixels and loses some at the rim, so of its place only two numbers are unknown. Two numbers are found
where corners, and a fit of eight, have nothing to hold on to: in fog, in skies, out of focus.
"""

import cv2
import numpy as np

from pipeline.alignment import Float, Grey, Matrix
from pipeline.framing import Grids, plain_cut

LEAST_SIDE = 0.45  # of the whole: what is smaller is found by its corners, or was no mild cut
MIN_ALIKE = 0.8  # correlation of the part with its place
COARSE = 2  # times smaller: where the place is sought first
_STEPS = 3
_MARGIN = 2  # pixels along the rim that do not count


def find_cut(a: Grey, b: Grey, grids: Grids) -> Matrix | None:
    """Find where one of two previews was cut from the other; map pixels of the first to the second: [3, 3].

    `grids` are how many pixels of each preview lie in one of its file, across and down. None where nothing fits.
    """
    # Pixels of the files, across and down: whole numbers, but for the rounding of two divisions.
    ours, theirs = (np.rint(np.array(grey.shape[::-1]) / grid) for grey, grid in zip((a, b), grids, strict=True))
    if ours.prod() < theirs.prod():
        found = _find_part(b, a, theirs, ours, (grids[1], grids[0]))
        return None if found is None else np.asarray(np.linalg.inv(found))
    return _find_part(a, b, ours, theirs, grids)


def _find_part(a: Grey, b: Grey, ours: Matrix, theirs: Matrix, grids: Grids) -> Matrix | None:
    """Find where the second was cut from the first; `ours` and `theirs` are the sizes of their files."""
    if (theirs > ours).any() or (theirs < LEAST_SIDE * ours).any():
        return None
    first = np.asarray(grids[0])
    exact = theirs * first  # size of the part, in pixels of the whole
    size = np.maximum(np.rint(exact), 1).astype(int)
    part = np.asarray(cv2.resize(b, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8)
    place = _seek(a, part)
    if place is None:
        return None
    # Drawn to whole pixels, the part is a little stretched: its middle lies right.
    corner = _settled(a, part, place) + (size - exact) / 2
    return plain_cut(-corner / first, grids)


def _seek(whole: Grey, part: Grey) -> Float | None:
    """Find the place of a part to a pixel: first at half the size, then near by."""
    if min(part.shape) < 2 * COARSE * _MARGIN:
        return None
    small, cut = (
        cv2.resize(grey, (grey.shape[1] // COARSE, grey.shape[0] // COARSE), interpolation=cv2.INTER_AREA)
        for grey in (whole, part)
    )
    if (np.array(cut.shape) > small.shape).any():
        return None
    _, alike, _, found = cv2.minMaxLoc(cv2.matchTemplate(small, cut, cv2.TM_CCOEFF_NORMED))
    if alike < MIN_ALIKE:
        return None
    most = np.array(whole.shape[::-1]) - part.shape[::-1]
    x0, y0 = np.clip(COARSE * np.array(found) - COARSE, 0, np.maximum(most, 0))
    near = whole[y0 : y0 + part.shape[0] + 2 * COARSE + 1, x0 : x0 + part.shape[1] + 2 * COARSE + 1]
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(near, part, cv2.TM_CCOEFF_NORMED))
    return np.array([x0 + x, y0 + y], np.float32)


def _settled(whole: Grey, part: Grey, place: Float) -> Float:
    """Move the place by fractions of a pixel, as the gradients ask for, each picture's tones made alike."""
    wanted = part[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].astype(np.float32)
    wanted = (wanted - wanted.mean()) / (wanted.std() + 1)
    for _ in range(_STEPS):
        onto = np.array([[1, 0, -place[0]], [0, 1, -place[1]]], np.float32)
        drawn = cv2.warpAffine(
            whole, onto, (part.shape[1], part.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        drawn = (drawn - drawn.mean()) / (drawn.std() + 1)
        across, down = (
            cv2.Sobel(drawn, cv2.CV_32F, *order, scale=1 / 8)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].ravel()
            for order in ((1, 0), (0, 1))
        )
        off = (wanted - drawn[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]).ravel()
        gradients = np.stack([across, down])
        step = np.linalg.solve(gradients @ gradients.T + 1e-3 * np.eye(2, dtype=np.float32), gradients @ off)
        place = (place + np.clip(step, -1, 1)).astype(np.float32)
    return place
