"""Was one thing given another colour, and the rest left alone? A dress in pink and in teal before the same white wall.

Light, white balance, saturation and hue change all of a picture, and one curve or map of colours explains them. But
where a thing alone has its colour, that map explains a dyed one as well: nothing else contradicts it. So what is asked
here is which maps nobody applies to a whole picture: such as turn one colour a long way and leave most others, and such
as leave what is coloured as it is and change other colours by much. Black tells nothing: whatever is done to all
colours leaves it.

The limits were set on 490 pairs with a thing in another colour that were called copies, and on 9,000 true copies.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.framing import Placement
from pipeline.repainting import have_few_colours
from pipeline.tones import Tones, draw_small, outside, to_primaries
from pipeline.typical import median, variance

_MEAN = (3, 3)  # places, four pixels of a preview each: over so many, what storing adds is little
_RIM = np.ones((5, 5), np.uint8)
_ENOUGH = 64  # places
_MIDDLE = np.array([0, 128, 128], np.float32)
_BLACK = 16.0  # levels of grey: below, all colours are black
_DARK = 48.0  # below, other light changes colours by less than storing
_SAME = 3.0  # levels of chroma: what storing leaves
_SAME_GREY = 5.0  # the same of grey
_LEVELS, _FEW_PLACES = 16, 8  # of grey that share their light, and places that are enough to tell it
_TURN = 35.0  # degrees: no hue is turned by more to mend a picture
_TURNED, _UNTURNED = 0.02, 0.3  # shares of the places, that turned and whose chroma stays
_COLOURED, _CLEARLY = 7.0, 12.0  # levels of chroma; so that less saturation shows
_CHANGED_SHARE = 0.06  # of the places
_GREY_STAYS, _CHANGED_GREY, _CHANGED_BOTH = 0.4, 15.0, 0.1  # share of the places; levels of grey; share
# Of what stays to the level and is coloured, and of what lies beyond all that the other has around there: shares of the
# places, their product, levels of grey and of chroma. Of 3,280 copies three have as much of both.
_STAYS_AT_LEAST, _BOTH, _GREY_BEYOND, _CHROMA_BEYOND = 0.15, 0.03, 20.0, 8.0
_CLIPPED = 250.0  # levels: from here on a primary may be
_ONE_LIGHT = 8.0  # levels that one light for all misses, in the mean
_ONE_TURN = 10.0  # levels by which a turn in HSV moves the highest and the lowest primary at most, in the mean


@dataclass(frozen=True, slots=True)
class _Limits:
    beside: float  # levels of chroma: how far a colour lies from all shades of the one it was
    changed: float  # levels of chroma: from here on a place has another colour
    stays: float  # share of the places that are coloured and stay as they are


_USUAL = _Limits(8.0, 15.0, 0.3)
_FEW_COLOURS = _Limits(12.0, 18.0, 0.35)  # the nearest of a few stands for another


def is_dyed(ours: Tones, theirs: Tones, place: Placement, *, few_colours: bool) -> bool:
    """Tell whether a thing has another colour in one of two pictures that are alike otherwise.

    `few_colours` where one was brought to a few.
    """
    laid = _lay(ours, theirs, place)
    if laid is None:
        return False
    # Of few colours, each of which may stay by itself, `pipeline.repainting` asks.
    if _is_partly_changed(*laid) and not have_few_colours(ours, theirs):
        return True
    one, other = (picture[laid[2]] for picture in laid[:2])
    limits = _FEW_COLOURS if few_colours else _USUAL
    chroma = _length(one[:, 1:] - other[:, 1:])
    stays = (chroma < _SAME) & (np.maximum(one[:, 0], other[:, 0]) >= _BLACK)
    # Whatever turned, or has another colour, lies at least as far from what it was: most copies are done here.
    if stays.mean() <= _UNTURNED or (chroma > limits.beside).mean() <= min(_TURNED, _CHANGED_SHARE):
        return False
    if _turned(one, other, limits.beside).mean() > _TURNED:
        return True
    changed = chroma > limits.changed
    if changed.mean() <= _CHANGED_SHARE:
        return False
    coloured = stays & (np.minimum(_length(one[:, 1:]), _length(other[:, 1:])) > _COLOURED)
    if (coloured & (np.abs(one[:, 0] - other[:, 0]) < _SAME_GREY)).mean() > limits.stays:
        return True
    grey = _relit(one[:, 0], other[:, 0], stays)
    same, both = stays & (grey < _SAME_GREY), changed & (grey > _CHANGED_GREY)
    if (coloured & same).mean() > limits.stays and not _explained(one[changed], other[changed]):
        return True
    in_both = same.mean() > _GREY_STAYS and both.mean() > _CHANGED_BOTH
    return bool(in_both) and not _explained(one[both], other[both])


def _is_partly_changed(one: Float, other: Float, inside: NDArray[np.bool_]) -> bool:
    """Tell whether much of what is coloured stays to the level while other parts are not what they were.

    `one` and `other` [h, w, 3] lie on each other `inside`. What is dark, white or grey stays under many changes of the
    whole.
    """
    apart = other - one
    stays = (_length(apart[..., 1:]) < _SAME) & (np.abs(apart[..., 0]) < _SAME_GREY) & inside
    stays &= np.minimum(_length(one[..., 1:]), _length(other[..., 1:])) > _CLEARLY
    stays &= np.maximum(one[..., 0], other[..., 0]) > _DARK
    share = float(stays.sum() / inside.sum())
    if share <= _STAYS_AT_LEAST:
        return False
    beyond = np.minimum(outside(one, other), outside(other, one))
    parts = (beyond[..., 0] > _GREY_BEYOND, _length(beyond[..., 1:]) > _CHROMA_BEYOND)
    changed = max(float((part & inside).sum() / inside.sum()) for part in parts)
    return changed > _CHANGED_SHARE and share * changed > _BOTH


def _explained(one: Float, other: Float) -> bool:
    """Tell whether what is done to whole pictures takes colours [n, 3] to others: another light, or a turn of hue."""
    colours = [to_primaries(picture + _MIDDLE) for picture in (one, other)]
    return _one_turn(*colours) or _one_light(*colours) or _one_light(*reversed(colours))


def _turned(one: Float, other: Float, least: float) -> NDArray[np.bool_]:
    """Tell where one colour became another by a long turn, [n].

    `least` is how many levels of chroma the less colourful one lies from all shades of the other.
    """
    lengths = _length(one[:, 1:]), _length(other[:, 1:])
    across = np.abs(one[:, 1] * other[:, 2] - one[:, 2] * other[:, 1])
    along = one[:, 1] * other[:, 1] + one[:, 2] * other[:, 2]
    # Beyond a right angle the nearest shade is grey.
    beside = np.where(along < 0, np.minimum(*lengths), across / np.maximum(np.maximum(*lengths), 1))
    return np.asarray((beside > least) & (np.degrees(np.arctan2(across, along)) > _TURN))


def _relit(one: Float, other: Float, stays: NDArray[np.bool_]) -> Float:
    """Measure how far the grey of each place lies from what the light of those that stay makes of it: levels [n]."""
    level = np.clip(one, 0, 255).astype(np.intp) // _LEVELS
    known = [number for number in range(256 // _LEVELS) if (stays & (level == number)).sum() >= _FEW_PLACES]
    if not known:
        return np.asarray(np.abs(one - other), np.float32)
    lighter = [median(other[at] - one[at]) for at in (stays & (level == number) for number in known)]
    return np.asarray(np.abs(other - one - np.interp(level, known, lighter)), np.float32)


def _one_turn(one: Float, other: Float) -> bool:
    """Tell whether a turn of hue takes colours [n, 3] to others: by HSV it keeps the highest and lowest primary."""
    return all(
        float(np.abs(extreme(one, axis=1) - extreme(other, axis=1)).mean()) < _ONE_TURN for extreme in (np.max, np.min)
    )


def _one_light(one: Float, other: Float) -> bool:
    """Tell whether one gain, contrast or gamma for all primaries takes colours [n, 3] to others, or too few tell.

    White paper stays white in brighter light, and black stays black.
    """
    known, wanted = (np.clip(colours, 1, 255).ravel() for colours in (one, other))
    seen = (known < _CLIPPED) & (wanted < _CLIPPED)
    if seen.sum() < _ENOUGH:
        return True
    lines = np.polyfit(known[seen], wanted[seen], 1), np.polyfit(np.log(known[seen]), np.log(wanted[seen]), 1)
    reached = np.polyval(lines[0], known[seen]), np.exp(np.polyval(lines[1], np.log(known[seen])))
    return any(float(np.abs(levels - wanted[seen]).mean()) < _ONE_LIGHT for levels in reached)


def _lay(ours: Tones, theirs: Tones, place: Placement) -> tuple[Float, Float, NDArray[np.bool_]] | None:
    """Give grey and chroma of both at the same places, float32 [h, w, 3], chroma about 0, and where both lie.

    The more colourful one comes first. None where the places are too few.
    """
    source, target = (theirs, ours) if place.swapped else (ours, theirs)
    if min(*target.small.shape[:2], *source.small.shape[:2]) < _RIM.shape[0]:
        return None
    drawn = draw_small(source, target, place.onto)
    lies = (drawn[..., 1] > 0).view(np.uint8)
    inside = np.asarray(cv2.erode(lies, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0)
    if inside.sum() < _ENOUGH:
        return None
    one, other = (np.asarray(cv2.blur(picture, _MEAN), np.float32) - _MIDDLE for picture in (drawn, target.small))
    first = variance(one[inside][:, 1:]) >= variance(other[inside][:, 1:])
    return (one, other, inside) if first else (other, one, inside)


def _length(chroma: Float) -> Float:
    return np.asarray(np.linalg.norm(chroma, axis=-1), np.float32)
