"""Does one smooth change of all colours, learnt elsewhere in the picture, explain what changed in a place?

More light, more contrast, another hue or white balance and the clipping that comes with them take each colour to
another, wherever it lies. So the change is learnt as a polynomial of grey, Cr and Cb from all but the places in
question, and these are held against what it makes of them. What was painted there does not follow it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.framing import Placement
from pipeline.tones import Tones, rescaling
from pipeline.typical import median

_DEGREE = 3
_ROUNDS = 4
_SAMPLES = 2000
_ENOUGH = 200  # places to learn from
_AWAY = np.ones((13, 13), np.uint8)  # places, two pixels of a preview each: so near to one in question none is believed
_POWERS = [(i, j, k) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i) for k in range(_DEGREE + 1 - i - j)]


def halves_onto(ours: Tones, theirs: Tones, place: Placement) -> tuple[Tones, Tones, Matrix]:
    """Return the finer of two pictures, the other, and what maps pixels of the first to it, both at half their size."""
    source, target = (theirs, ours) if place.swapped else (ours, theirs)
    of_source, of_target = (
        rescaling(tones.grey.shape[1] / tones.chroma.shape[1], tones.grey.shape[0] / tones.chroma.shape[0])
        for tones in (source, target)
    )
    return source, target, np.asarray(np.linalg.inv(of_target) @ place.onto @ of_source)


def lay_tones(ours: Tones, theirs: Tones, place: Placement) -> tuple[Float, Float, Grey]:
    """Draw the finer of two pictures where it lies on the other, at half the size.

    Returns grey, Cr and Cb of both, float32 [h, w, 3] in levels, and where both lie, uint8 [h, w].
    """
    source, target, onto = halves_onto(ours, theirs, place)
    first, second = map(_halved, (source, target))
    drawn = cv2.warpPerspective(first, onto, (second.shape[1], second.shape[0]))
    lies = (drawn[..., 1] > 0).view(np.uint8)  # no colour has a Cr of 0: that lies outside
    return drawn.astype(np.float32), second.astype(np.float32), lies


def recolour(ours: Float, theirs: Float, lies: Grey, doubted: Grey) -> Float | None:
    """Give one picture the colours of the other, [h, w, 3], by a change learnt where nothing is `doubted`.

    Both are grey, Cr and Cb in levels [h, w, 3]; `lies` and `doubted` are masks [h, w]. None where too little is left
    to learn from.
    """
    places = np.flatnonzero((lies > 0) & (cv2.dilate(doubted, _AWAY) == 0))
    if len(places) < _ENOUGH:
        return None
    places = places[:: max(len(places) // _SAMPLES, 1)]
    known, wanted = (each.reshape(-1, 3)[places] for each in (ours, theirs))
    terms = _terms(known)
    weight = np.ones(len(known))
    fit: NDArray[np.floating] = np.zeros((len(terms), 3))
    for _ in range(_ROUNDS):  # what else was written over counts as little more than chance does
        weighted = terms * weight
        fit = np.linalg.solve(weighted @ terms.T + 1e-3 * np.eye(len(terms)), weighted @ wanted)
        off = np.linalg.norm(fit.T @ terms - wanted.T, axis=0)
        weight = 1 / (1 + (off / (1.5 * median(off) + 1)) ** 2)
    predicted = (fit.T @ _terms(ours.reshape(-1, 3))).T.reshape(ours.shape)
    return np.asarray(np.clip(predicted, 0, 255), np.float32)


def _halved(tones: Tones) -> NDArray[np.uint8]:
    size = tones.chroma.shape[1], tones.chroma.shape[0]
    return np.dstack([cv2.resize(tones.grey, size, interpolation=cv2.INTER_AREA), tones.chroma])


def _terms(colours: Float) -> NDArray[np.float64]:
    """All products of grey, Cr and Cb up to the third degree: [20, n]."""
    y, r, b = (colours.astype(np.float64) / 128 - 1).T
    return np.stack([y**i * r**j * b**k for i, j, k in _POWERS])
