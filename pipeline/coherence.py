"""Whether something moved by itself, by less than shows in any one window.

What storing leaves of a picture goes with the gradients only by chance, and chance averages out over neighbouring
windows. A face that turned by a tenth of a pixel shifts all of them alike. So one shift is fitted to several windows
together (Lucas and Kanade 1981), and what is asked is which share of all that sets the two apart there it explains.
"""

import cv2
import numpy as np

from pipeline.alignment import Float, Grey
from pipeline.windows import (
    SHIFT_PRIOR,
    blurred,
    fit_drift,
    measure_shifts,
    measure_windows,
    some,
    whole_windows,
)

_CELL, _WINDOW = 4, 4  # pixels of a preview; cells
_POOL = 5  # windows across and down: a place of 32 pixels
_MOST = 0.6  # share of them that must lie in what both show
_FLOOR = 0.25  # squared grey levels of a window: rounding


def coherent_share(s: Float, t: Float, inside: Grey) -> float:
    """Tell which share of what sets two pictures apart one shift explains, 0 to 1, at the place where it explains most.

    `s` and `t` [h, w] are the aligned pictures at half the size of their previews, their tones made the same; `inside`
    [2 h, 2 w] is 1 where both lie. What moved as a whole is taken off first.
    """
    cells = s.shape[1] // 2, s.shape[0] // 2
    if min(cells) < _WINDOW + _POOL:
        return 0.0
    valid = whole_windows(inside, cells, _WINDOW)[1]
    chosen = some(valid)
    if not len(chosen):
        return 0.0
    shifts = measure_shifts(measure_windows(blurred(s, 0.4), blurred(t, 0.4), cells), cells)
    across, down = fit_drift(shifts, chosen, cells[1], cells[0]).smooth(cells[1], cells[0])
    across, down = shifts.across - across, shifts.down - down
    seen = valid.astype(np.float32)
    xx, xy, yy, by_x, by_y, all_of, count = (
        cv2.boxFilter(part * seen, -1, (_POOL, _POOL), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for part in (
            shifts.xx, shifts.xy, shifts.yy,
            shifts.xx * across + shifts.xy * down, shifts.xy * across + shifts.yy * down,
            shifts.left + shifts.energy(across, down) + np.float32(_FLOOR), np.ones_like(seen),
        )
    )  # fmt: skip
    xx, yy = xx + np.float32(SHIFT_PRIOR), yy + np.float32(SHIFT_PRIOR)
    determinant = np.maximum(xx * yy - xy * xy, np.float32(1e-3))
    explained = (yy * by_x * by_x - 2 * xy * by_x * by_y + xx * by_y * by_y) / determinant
    known = count > _MOST * _POOL**2
    return float((explained[known] / all_of[known]).max(initial=0.0))
