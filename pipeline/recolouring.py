"""Does one change of all colours, learnt elsewhere in the picture, explain what changed in a place?

More light, more contrast, another hue or white balance and the clipping that comes with them take each colour to
another, wherever it lies. So the change is learnt from all but the place in question, as a sum of curves of red, green
and blue, and that place is held against what it makes of it. Products of primaries are left out on purpose: they could
give one thing another hue and leave all else alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.framing import Placement
from pipeline.tones import Tones, rescaling
from pipeline.typical import median, quantile

_ROUNDS = 4
_SAMPLES = 2000
_ENOUGH = 200  # places to learn from
_ASKED, _MOST, _KNOWN = 200, 0.75, 16.0  # places asked; share of them whose colours are known, to so many levels
_MOST_ASKED = 0.01  # of the picture: a thing of another colour is larger, and teaches what takes it to that
_AWAY = np.ones((13, 13), np.uint8)  # places, two pixels of a preview each: so near to one in question none is believed


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


def recolour(first: Float, second: Float, lies: Grey, doubted: Grey) -> tuple[Float, Float] | None:
    """Give one of two pictures the colours of the other, by a change learnt where nothing is `doubted`.

    Both are grey, Cr and Cb in levels [h, w, 3]; `lies` and `doubted` are masks [h, w]. Which of the two kept colours
    that the other lost is told elsewhere, too: a place painted over has colours of its own, which any change could be
    given. Returns that picture, recoloured, and the other. None where too little is left to learn from, too much is
    doubted, or the colours of that are hardly known.
    """
    away = (lies > 0) & (cv2.dilate(doubted, _AWAY) == 0)
    places = np.flatnonzero(away)
    asked = np.flatnonzero((lies > 0) & (doubted > 0))
    if len(places) < _ENOUGH or not 0 < len(asked) <= _MOST_ASKED * lies.size:
        return None
    places = places[:: max(len(places) // _SAMPLES, 1)]
    pair = [each.reshape(-1, 3) for each in (first, second)]
    asked = asked[:: max(len(asked) // _ASKED, 1)]
    if any(_distance(each[asked], each[places]) > _KNOWN for each in pair):
        return None
    forth, back = _learn(pair[0][places], pair[1][places]), _learn(pair[1][places], pair[0][places])
    change, source, target = (forth[0], first, second) if forth[1] <= back[1] else (back[0], second, first)
    predicted = (change.T @ _terms(source.reshape(-1, 3))).T.reshape(source.shape)
    return np.asarray(np.clip(predicted, 0, 255), np.float32), target


def _learn(known: Float, wanted: Float) -> tuple[NDArray[np.floating], float]:
    """Fit a change to colours [n, 3] robustly; return it [10, 3], and what it leaves of what sets the wanted apart."""
    terms = _terms(known)
    weight = np.ones(len(known))
    fit: NDArray[np.floating] = np.zeros((len(terms), 3))
    off = np.zeros(len(known))
    for _ in range(_ROUNDS):  # what else was written over counts as little more than chance does
        weighted = terms * weight
        fit = np.linalg.solve(weighted @ terms.T + 1e-3 * np.eye(len(terms)), weighted @ wanted)
        off = np.linalg.norm(fit.T @ terms - wanted.T, axis=0)
        weight = 1 / (1 + (off / (1.5 * median(off) + 1)) ** 2)
    spread = float(np.linalg.norm(wanted - wanted.mean(axis=0), axis=1).mean())
    return np.asarray(fit), float(off.mean()) / (spread + 1)


def _distance(asked: Float, known: Float) -> float:
    """Measure how far most of some colours [m, 3] lie from the nearest of others [n, 3]: levels."""
    apart = (asked**2).sum(axis=1)[:, None] - 2 * asked @ known.T + (known**2).sum(axis=1)
    return float(np.sqrt(np.maximum(quantile(apart.min(axis=1), _MOST), 0)))


def _halved(tones: Tones) -> NDArray[np.uint8]:
    size = tones.chroma.shape[1], tones.chroma.shape[0]
    return np.dstack([cv2.resize(tones.grey, size, interpolation=cv2.INTER_AREA), tones.chroma])


def _terms(colours: Float) -> NDArray[np.float64]:
    """Give the first three powers of red, green and blue, and one: [10, n]."""
    y, r, b = (colours.astype(np.float64) / 128 - 1).T
    primaries = np.stack([y + 1.402 * r, y - 0.714136 * r - 0.344136 * b, y + 1.772 * b])
    return np.concatenate([np.ones((1, len(y))), primaries, primaries**2, primaries**3])
