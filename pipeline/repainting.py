"""Were parts of a drawing painted in other colours? The flags of Belgium and Chad, a chart whose boxes were filled.

In a picture of few colours a free curve or map of colours explains any change: each colour has its own place on it, and
nothing contradicts. So what is asked here is whether one of the changes that people make to whole pictures does: gain,
contrast and gamma, white balance, saturation, a turn of hue, or grey and one tint for all, each within bounds. Pictures
of many colours prove their curve themselves and are not asked.

The limits were set on 280 pairs of other drawings that were called copies, and on 6,400 pairs of true copies.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.framing import Placement
from pipeline.tones import Tones, halves_onto, outside, to_primaries

_MEAN = (3, 3)  # places, two pixels of a preview each
_RIM = np.ones((5, 5), np.uint8)
_PATCH = np.ones((2, 2), np.uint8)  # the least that counts
_ENOUGH = 64  # places
_MIDDLE = np.array([0, 128, 128], np.float32)
_BITS = 5, 4, 4  # of a level of grey, Cr and Cb that are not asked for
# Shares of the places that make a colour count, and that are most; colours.
_COMMON, _MOST_PLACES, _MANY = 0.005, 0.8, 10
_LEVELS, _SHARE = 24.0, 0.01  # by which a place may miss what the change makes of it; share of the places that may
_CELL, _CELLS = np.array([24, 12, 12], np.float32), 60  # levels of a group of pairs of colours; groups to fit
_SOFT, _CALLS, _STEP = 0.05, 25, 1e-4
_LUMA = np.array([0.299, 0.587, 0.114])
# What is done to whole pictures: logarithms of gain and gamma; what is added; saturation; radians of hue; logarithms of
# the gains of red and blue; levels of a tint, which only a grey picture has.
_NOTHING = np.array([0, 0, 0, 1, 0, 0, 0, 0, 0], np.float64)
_NIL = 1e-9  # the solver wants room between its bounds
_COLOURED = np.array([
    [-0.5, -0.6, -0.1, 0.0, -0.61, -0.2, -0.2, -_NIL, -_NIL],
    [0.5, 0.6, 0.1, 2.2, 0.61, 0.2, 0.2, _NIL, _NIL],
])  # fmt: skip
_GREY = np.array([
    [-0.5, -0.6, -0.1, -_NIL, -_NIL, -0.2, -0.2, -0.2, -0.2],
    [0.5, 0.6, 0.1, _NIL, _NIL, 0.2, 0.2, 0.2, 0.2],
])  # fmt: skip

Vector = NDArray[np.float64]


def is_repainted(ours: Tones, theirs: Tones, place: Placement) -> bool:
    """Tell whether, in two pictures of few colours, no change of the whole takes the colours of one to the other's."""
    if not have_few_colours(ours, theirs):
        return False
    laid = _lay(ours, theirs, place)
    if laid is None:
        return False
    one, other, inside = laid
    shown = _shown(one), _shown(other)
    if _left(*shown, inside) <= _SHARE:
        return False
    groups = _groups(one[inside], other[inside])
    for bounds in (_COLOURED, _GREY):
        for turned in (False, True):
            (source, target), (known, wanted) = (
                (pair[::-1] if turned else pair) for pair in (shown, (groups[0], groups[1]))
            )
            change = _fit(known, wanted, groups[2], bounds)
            if _left(np.asarray(_changed(change, source), np.float32), target, inside) <= _SHARE:
                return False
    return True


def have_few_colours(ours: Tones, theirs: Tones) -> bool:
    """Tell whether two pictures have so few colours that a curve fits any change of them."""
    return max(_variety(tones) for tones in (ours, theirs)) <= _MANY


def _changed(change: Vector, colours: Float) -> Vector:
    """Do a change [9] to colours [..., 3], primaries from 0 to 1; or each of several, [9, k, 1], to colours [n, 3]."""
    gain, gamma, added, saturation, hue, of_red, of_blue, red_tint, blue_tint = change
    lit = colours * np.exp(np.stack([gain + of_red, gain, gain + of_blue], axis=-1)) + added[..., None]
    lit = np.clip(lit, 1e-4, 1) ** np.exp(gamma)[..., None]
    grey = lit @ _LUMA
    red, blue = (lit[..., 0] - grey) / 1.402, (lit[..., 2] - grey) / 1.772
    along, across = np.cos(hue) * saturation, np.sin(hue) * saturation
    tinted = 4 * grey * (1 - grey)  # neither black nor white has a tint
    red, blue = along * red - across * blue + red_tint * tinted, across * red + along * blue + blue_tint * tinted
    primaries = [grey + 1.402 * red, grey - 0.714 * red - 0.344 * blue, grey + 1.772 * blue]
    return np.asarray(np.clip(np.stack(primaries, axis=-1), 0, 1), np.float64)


def _fit(known: Float, wanted: Float, shares: Float, bounds: Vector) -> Vector:
    """Find the change within bounds [2, 9] that best takes colours [k, 3] to others, weighed by shares of places."""
    from scipy.optimize import least_squares  # takes 0.2 s, and hardly any pair asks

    weight = np.sqrt(shares)[:, None]

    def missed(change: Vector) -> Vector:
        return np.asarray(((_changed(change, known) - wanted) * weight).ravel(), np.float64)

    def slopes(change: Vector) -> Vector:
        near = _changed((change[:, None] + _STEP * np.eye(len(change)))[..., None], known)
        return np.asarray(((near - _changed(change, known)) * weight / _STEP).reshape(len(change), -1).T, np.float64)

    found = least_squares(
        missed, np.clip(_NOTHING, *bounds), slopes, tuple(bounds), loss="soft_l1", f_scale=_SOFT, max_nfev=_CALLS
    )
    return np.asarray(found.x, np.float64)


def _groups(one: Float, other: Float) -> tuple[Float, Float, Float]:
    """Group pairs of colours [n, 3] that are alike: mean primaries of both [k, 3], from 0 to 1, and shares [k]."""
    cells = np.floor(np.concatenate([one / _CELL, other / _CELL], axis=1)).astype(np.intp)
    _, group, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    largest = np.argsort(-count, kind="stable")[:_CELLS]
    means = (
        np.stack([np.bincount(group, part) / count for part in np.moveaxis(picture, -1, 0)], axis=1)[largest]
        for picture in (one, other)
    )
    known, wanted = (np.asarray(to_primaries(np.asarray(mean, np.float32)) / 255, np.float32) for mean in means)
    return known, wanted, np.asarray(count[largest] / len(one), np.float32)


def _variety(tones: Tones) -> int:
    """Count the clearly different colours that more than a few places of a picture have, or that most are made of."""
    grey, red, blue = (part.astype(np.intp) >> bits for part, bits in zip(cv2.split(tones.small), _BITS, strict=True))
    shares = np.sort(np.bincount(((grey << 4) + red << 4).ravel() + blue.ravel()) / grey.size)[::-1]
    return max(int((shares >= _COMMON).sum()), int(np.searchsorted(shares.cumsum(), _MOST_PLACES)) + 1)


def _left(one: Float, other: Float, inside: NDArray[np.bool_]) -> float:
    """Tell at what share of the places two pictures [h, w, 3] differ from all that the other has around there."""
    apart = np.minimum(outside(one, other).max(axis=-1), outside(other, one).max(axis=-1)) * 255
    off = ((apart > _LEVELS) & inside).view(np.uint8)
    patches = cv2.erode(off, _PATCH, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.countNonZero(patches) / int(inside.sum())


def _shown(colours: Float) -> Float:
    """Give primaries from 0 to 1 of a picture [h, w, 3] in grey, Cr and Cb."""
    return np.asarray(to_primaries(colours.reshape(-1, 3)).reshape(colours.shape) / 255, np.float32)


def _lay(ours: Tones, theirs: Tones, place: Placement) -> tuple[Float, Float, NDArray[np.bool_]] | None:
    """Draw one over the other at half the size: grey, Cr and Cb of both, float32 [h, w, 3], and where both lie.

    None where the places are too few.
    """
    source, target, onto = halves_onto(ours, theirs, place)
    high, wide = target.chroma.shape[:2]
    if min(high, wide, *source.chroma.shape[:2]) < len(_RIM):
        return None
    drawn = cv2.warpPerspective(_halved(source), onto, (wide, high))
    lies = (drawn[..., 1] > 0).view(np.uint8)  # no colour has a Cr of 0: that lies outside
    inside = cv2.erode(lies, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if inside.sum() < _ENOUGH:
        return None
    one, other = (np.asarray(cv2.blur(picture, _MEAN), np.float32) for picture in (drawn, _halved(target)))
    return one, other, np.asarray(inside)


def _halved(tones: Tones) -> NDArray[np.uint8]:
    high, wide = tones.chroma.shape[:2]
    grey = cv2.resize(tones.grey, (wide, high), interpolation=cv2.INTER_AREA)
    return np.dstack([grey, tones.chroma])
