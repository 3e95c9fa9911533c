"""One picture given the tones and colours of another, to see whether one change of them all sets the two apart.

Light, contrast, gamma, white balance and saturation take each primary along a curve of its own, and mix the three, or
turn all hues by as much: that is fitted robustly to all places, from the picture that kept its tones to the one that
lost some, whose clipped places only tell on which side they lie. Curves are splines with a penalty on their bends
(Eilers and Marx 1996, "Flexible smoothing with B-splines and penalties"). What changed in one place by itself is no
such change, and stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey, Matrix
from pipeline.framing import Placement
from pipeline.palettes import colours_of
from pipeline.tones import Colours, Tones, halves_onto, to_primaries
from pipeline.typical import median, variance

_SPLINES, _BEND = 15, 10.0  # of each curve; weight of its bends
_ROUNDS = 4
_SAMPLES, _ENOUGH = 1000, 300
_DARK, _BRIGHT = 4.0, 251.0  # beyond, a level may be clipped
_MEAN = (3, 3)  # places, two pixels of a preview each: over so many, what storing adds is little
_AS_WELL = 1.6  # times what another leaves (squared), that a simpler change may leave
# Of what sets most places apart, and of what varies, what one change may leave (squared); how many places most are.
_LEFT, _PLACES = 0.25, 0.9
_HALF = 0.5  # of all places
# A turn of all hues: degrees at most, by how many half of the coloured places may miss it, levels between the highest
# and the lowest primary of what is coloured, and how many samples must be; then the steps in degrees and times by which
# it and the saturation are looked for, on one sample in three.
_MOST_TURN, _UNEVEN, _COLOURED, _MIN_COLOURED = 30.0, 8.0, 16.0, 50
_STEPS = (1.0, 0.5, 0.25)
_WAYS = ((6.0, 1.0), (-6.0, 1.0), (0.0, 1.15), (0.0, 1 / 1.15))
_LEAST_SATURATION, _MOST_SATURATION = 0.2, 2.0
_HOPELESS = 6.0  # times what is enough, that no better turn mends
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_RIM = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """What takes each colour to another."""

    curves: Float  # [3, 256] levels: of the red, green and blue that come out, by their own level
    mixed: Matrix  # [3, 3]: by the two others, times (level / 128 - 1)
    turn: float = 0.0  # degrees, by which all hues are turned first
    saturation: float = 1.0  # times, before that

    def applied(self, rgb: Float) -> Float:
        """Give colours [..., 3] in levels what the change makes of them."""
        if self.turn:
            rgb = _turned(rgb, self.turn, self.saturation)
        known = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
        own = cv2.LUT(known.reshape(-1, 1, 3), np.ascontiguousarray(self.curves.T[None])).reshape(rgb.shape)
        if self.mixed.any():
            own = own + (rgb / 128 - 1) @ self.mixed.T.astype(np.float32)
        return np.asarray(np.clip(own, 0, 255), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Toned:
    """One of two pictures in the tones of the other."""

    which: int  # of the two, 0 or 1
    colours: Colours  # its grey, Cr and Cb [h, w, 3]
    mixed: bool  # curves of the primaries, and a turn of all hues, do not explain it
    turned: bool  # curves of the primaries alone do not explain it, and that with a turn of all hues does


def tone_as(ours: Tones, theirs: Tones, place: Placement) -> Toned | None:
    """Give one of two pictures the tones of the other.

    None where no single change explains most of what sets the two apart in most places.
    """
    first, second, lies = _lay(ours, theirs, place)
    places = np.flatnonzero(cv2.erode(lies, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0))
    if len(places) < _ENOUGH:
        return None
    some = places[:: max(len(places) // _SAMPLES, 1)]
    pair = [
        to_primaries(np.asarray(cv2.blur(each, _MEAN), np.float32).reshape(-1, 3)[some]) for each in (first, second)
    ]
    mixed = [_mixed(*pair), _mixed(*pair[::-1])]
    left = [_apart(change.applied(pair[n]), pair[1 - n], share=_PLACES) for n, change in enumerate(mixed)]
    # The one that lost tones is a function of the other, and not the other way round; but it varies less, so that what
    # is left is held against that (and against a level, where one is flat).
    source = int(left[1] * (variance(pair[1]) + 1) < left[0] * (variance(pair[0]) + 1))
    if left[source] > _LEFT * min(_apart(*pair, share=_PLACES), variance(pair[1 - source])):
        return None
    change = _simplest(pair[source], pair[1 - source], mixed[source])
    which = source ^ int(place.swapped)
    rgb = cv2.cvtColor(colours_of((ours, theirs)[which]), cv2.COLOR_YCrCb2RGB).astype(np.float32)
    toned = np.rint(change.applied(rgb)).astype(np.uint8)
    colours = np.asarray(cv2.cvtColor(toned, cv2.COLOR_RGB2YCrCb), np.uint8)
    return Toned(which, colours, bool(change.mixed.any()), change.turn != 0)


def _apart(one: Float, other: Float, *, share: float) -> float:
    """Measure what sets apart the colours [n, 3] of the share of places that differ least, squared."""
    off = one - other
    squared = np.einsum("nc,nc->n", off, off)
    most = max(int(share * len(squared)), 1)
    return float(np.partition(squared, most - 1)[:most].mean()) + 1  # a level is what rounding leaves


def _simplest(known: Float, wanted: Float, mixed: _Change) -> _Change:
    """Return the simplest change of colours [n, 3] that explains half of the places as well as a mixed one.

    The simplest is one curve for all primaries, as of light and gamma; then a curve each; then such after a turn of all
    hues; then such that are mixed. What is simple can hardly give one thing another hue and leave all else alone; and
    what only a lesser part of the picture asks for may have been done to a thing.
    """
    enough = _AS_WELL * _apart(mixed.applied(known), wanted, share=_HALF)
    for change in _simpler(known, wanted, enough):
        if change is not None and _apart(change.applied(known), wanted, share=_HALF) <= enough:
            return change
    return mixed


def _simpler(known: Float, wanted: Float, enough: float) -> Iterator[_Change | None]:
    third = np.arange(len(known)), np.arange(len(known)) % 3  # of all primaries that is enough
    one = _curve(_fit(_splines(known[third]), wanted[third]))
    yield _Change(np.stack([one] * 3), np.zeros((3, 3)))
    yield _by_curves(known, wanted)
    yield _by_hue(known, wanted, enough)


def _by_curves(known: Float, wanted: Float, turn: float = 0.0, saturation: float = 1.0) -> _Change:
    """Fit a curve for each primary, after a turn of all hues and another saturation."""
    reached = _turned(known, turn, saturation) if turn else known
    curves = [_curve(_fit(_splines(reached[:, channel]), wanted[:, channel])) for channel in range(3)]
    return _Change(np.stack(curves), np.zeros((3, 3)), turn, saturation)


def _by_hue(known: Float, wanted: Float, enough: float) -> _Change | None:
    """Fit a turn of all hues by as much, a saturation, and curves, where that may leave as little as is `enough`.

    None where hues turned by much, or unevenly.
    """
    hues = [_hsv(colours)[:, 0] for colours in (known, wanted)]
    spreads = [np.ptp(colours, axis=1) for colours in (known, wanted)]
    coloured = np.minimum(*spreads) > _COLOURED
    if coloured.sum() < _MIN_COLOURED:
        return None
    off = (hues[1][coloured] - hues[0][coloured] + 180) % 360 - 180
    turn = median(off)
    if abs(turn) > _MOST_TURN or median(np.abs(off - turn)) > _UNEVEN:
        return None
    saturation = median(spreads[1][coloured] / spreads[0][coloured])
    best = turn, min(max(saturation, _LEAST_SATURATION), _MOST_SATURATION)
    some = known[::3], wanted[::3]

    def left(at: tuple[float, float]) -> float:
        return _apart(_by_curves(*some, *at).applied(some[0]), some[1], share=_HALF)

    least = left(best)
    if least > _HOPELESS * enough:
        return None
    for step in _STEPS:
        for degrees, times in _WAYS:
            there = best[0] + degrees * step, best[1] * times**step
            found = left(there)
            if found < least:
                best, least = there, found
    return _by_curves(known, wanted, *best) if abs(best[0]) <= _MOST_TURN else None


def _turned(rgb: Float, turn: float, saturation: float) -> Float:
    """Change the saturation of colours [..., 3] in levels, and turn their hues by degrees, as programs do it in HSV."""
    grey = (rgb @ _GREY)[..., None]
    hsv = _hsv(np.asarray(np.clip(grey + saturation * (rgb - grey), 0, 255).reshape(-1, 3), np.float32))
    hsv[:, 0] = (hsv[:, 0] + turn) % 360
    return np.asarray(cv2.cvtColor(hsv[:, None], cv2.COLOR_HSV2RGB).reshape(rgb.shape) * 255, np.float32)


def _hsv(rgb: Float) -> Float:
    """Give colours [n, 3] in levels as hue in degrees, saturation and value, up to 1."""
    return np.asarray(cv2.cvtColor((rgb / 255).astype(np.float32)[:, None], cv2.COLOR_RGB2HSV)[:, 0], np.float32)


def _mixed(known: Float, wanted: Float) -> _Change:
    """Fit what takes colours [n, 3] to others: a curve for each primary, and how much of the others goes with it."""
    curves, mixed = [], np.zeros((3, 3))
    for channel in range(3):
        others = [other for other in range(3) if other != channel]
        fit = _fit(np.vstack([_splines(known[:, channel]), known[:, others].T / 128 - 1]), wanted[:, channel])
        curves.append(_curve(fit))
        mixed[channel, others] = fit[_SPLINES:]
    return _Change(np.stack(curves), mixed)


def _curve(fit: NDArray[np.floating]) -> Float:
    """Give a fitted curve as a table [256]."""
    return np.asarray(fit[:_SPLINES] @ _table(), np.float32)


def _fit(terms: Matrix, wanted: Float) -> NDArray[np.floating]:
    """Fit weights of the terms [k, n] robustly. Clipped levels count where the fit does not reach that far."""
    dark, bright = wanted < _DARK, wanted > _BRIGHT
    open_ended = dark | bright
    used = ~open_ended if (~open_ended).sum() >= _ENOUGH // 3 else np.ones(len(wanted), np.bool_)
    weight = used.astype(np.float64)
    fit: NDArray[np.floating] = np.zeros(len(terms))
    for _ in range(_ROUNDS):
        weighted = terms * weight
        fit = np.linalg.solve(weighted @ terms.T + _bends(len(terms)), weighted @ wanted)
        reached = fit @ terms
        used = ~open_ended | (dark & (reached > _DARK)) | (bright & (reached < _BRIGHT))
        off = np.abs(reached - wanted)
        typical = median(off[used]) if used.any() else 0.0
        weight = used / (1 + (off / (1.5 * typical + 1)) ** 2)
    return np.asarray(fit)


@cache
def _bends(terms: int) -> Matrix:
    """Return what bends of the curve cost, and a little for the rest: [terms, terms]."""
    second = np.diff(np.eye(_SPLINES), 2, axis=0)
    cost = 1e-3 * np.eye(terms)
    cost[:_SPLINES, :_SPLINES] += _BEND * second.T @ second
    return cost


def _splines(levels: Float) -> Matrix:
    """Give the cubic B-splines of levels [n], to the nearest: [15, n]."""
    return _table()[:, np.rint(levels).astype(np.intp)]


@cache
def _table() -> Matrix:
    """Give the splines of all levels: [15, 256]."""
    at = np.arange(256) / 255 * (_SPLINES - 3)
    first = np.minimum(at.astype(np.intp), _SPLINES - 4)
    part = at - first
    terms = np.zeros((_SPLINES, 256))
    parts = (1 - part) ** 3, 3 * part**3 - 6 * part**2 + 4, -3 * part**3 + 3 * part**2 + 3 * part + 1, part**3
    for place, weight in enumerate(parts):
        terms[first + place, np.arange(256)] = weight / 6
    return terms


def _lay(ours: Tones, theirs: Tones, place: Placement) -> tuple[Float, Float, Grey]:
    """Draw the finer of two pictures where it lies on the other, at half the size.

    Returns grey, Cr and Cb of both, float32 [h, w, 3] in levels, and where both lie, uint8 [h, w].
    """
    source, target, onto = halves_onto(ours, theirs, place)
    first, second = map(_halved, (source, target))
    drawn = cv2.warpPerspective(first, onto, (second.shape[1], second.shape[0]))
    lies = (drawn[..., 1] > 0).view(np.uint8)  # no colour has a Cr of 0: that lies outside
    return drawn.astype(np.float32), second.astype(np.float32), lies


def _halved(tones: Tones) -> NDArray[np.uint8]:
    size = tones.chroma.shape[1], tones.chroma.shape[0]
    return np.dstack([cv2.resize(tones.grey, size, interpolation=cv2.INTER_AREA), tones.chroma])
