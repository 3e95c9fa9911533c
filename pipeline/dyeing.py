"""Was one thing given another colour, and the rest left alone? A dress in pink and in teal before the same white wall.

Light, white balance, saturation and hue change all of a picture, and one curve or map of colours explains them. But
where a thing alone has its colour, that map explains a dyed one as well: nothing else contradicts it. So what is asked
here is which maps nobody applies to a whole picture: such as turn one colour a long way and leave most others, and such
as leave what is coloured as it is and change other colours by much.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float
from pipeline.framing import Placement
from pipeline.tones import Tones, smalls_onto, to_primaries

_MEAN = (3, 3)  # places, four pixels of a preview each: over so many, what storing adds is little
_RIM = np.ones((5, 5), np.uint8)
_ENOUGH = 64  # places
_SAME, _SAME_GREY = 3.0, 5.0  # levels of chroma and of grey: what storing leaves
# Where one was brought to few colours, nearest ones stand for others, and more is asked for: the second of each pair.
# A turn: levels of chroma beside all shades of the colour there was, degrees, and the share of the places that turned;
# and that of the places whose chroma stayed, as no turn of all colours leaves them.
_BESIDE, _TURN, _TURNED, _UNTURNED = (8.0, 12.0), 35.0, 0.02, 0.3
# What is coloured by so many levels and stayed as it is, in what share of the places; and by how many levels of chroma
# how many others changed.
_COLOURED, _STAYED, _CHANGED, _CHANGED_SHARE = 7.0, (0.3, 0.35), (15.0, 18.0), 0.06
# The same where all that stayed may be grey: then both the colours and the grey of the others changed.
_STAYED_GREY, _CHANGED_GREY, _CHANGED_BOTH = 0.4, 15.0, 0.1
# Levels by which one light for all misses, in the mean; and from where a level may be clipped.
_ONE_LIGHT, _CLIPPED = 8.0, 250.0
_MIDDLE = np.array([0, 128, 128], np.float32)


def is_dyed(ours: Tones, theirs: Tones, place: Placement, *, few_colours: bool) -> bool:
    """Tell whether a thing has another colour in one of two pictures that are alike otherwise.

    `few_colours` where one was brought to a few.
    """
    laid = _lay(ours, theirs, place)
    if laid is None:
        return False
    one, other = laid
    grey = np.abs(one[:, 0] - other[:, 0])
    chroma = _length(one[:, 1:] - other[:, 1:])
    stays = chroma < _SAME
    if stays.mean() > _UNTURNED and _turned(one, other, _BESIDE[few_colours]).mean() > _TURNED:
        return True
    same = stays & (grey < _SAME_GREY)
    coloured = same & (_length(one[:, 1:]) > _COLOURED)
    changed = chroma > _CHANGED[few_colours]
    if coloured.mean() > _STAYED[few_colours] and changed.mean() > _CHANGED_SHARE:
        return True
    both = changed & (grey > _CHANGED_GREY)
    return bool(same.mean() > _STAYED_GREY and both.mean() > _CHANGED_BOTH) and not _one_light(one[both], other[both])


def _one_light(one: Float, other: Float) -> bool:
    """Tell whether one gain, contrast or gamma for all primaries takes some colours [n, 3] to others.

    White paper stays white in brighter light, and black stays black.
    """
    known, wanted = (np.clip(to_primaries(colours + _MIDDLE), 1, 255).ravel() for colours in (one, other))
    seen = (known < _CLIPPED) & (wanted < _CLIPPED)
    if seen.sum() < _ENOUGH:
        return True
    lines = np.polyfit(known[seen], wanted[seen], 1), np.polyfit(np.log(known[seen]), np.log(wanted[seen]), 1)
    reached = np.polyval(lines[0], known[seen]), np.exp(np.polyval(lines[1], np.log(known[seen])))
    return any(float(np.abs(levels - wanted[seen]).mean()) < _ONE_LIGHT for levels in reached)


def _turned(one: Float, other: Float, least: float) -> NDArray[np.bool_]:
    """Tell where one colour became another by a long turn, and by more than `least` levels of chroma, [n]."""
    lengths = _length(one[:, 1:]), _length(other[:, 1:])
    across = np.abs(one[:, 1] * other[:, 2] - one[:, 2] * other[:, 1])
    along = one[:, 1] * other[:, 1] + one[:, 2] * other[:, 2]
    beside = np.where(along < 0, np.minimum(*lengths), across / np.maximum(np.maximum(*lengths), 1))
    return np.asarray((beside > least) & (np.degrees(np.arctan2(across, along)) > _TURN))


def _lay(ours: Tones, theirs: Tones, place: Placement) -> tuple[Float, Float] | None:
    """Give grey and chroma of both at the same places, float32 [n, 3], chroma about 0; None where they are too few."""
    source, target, onto = smalls_onto(ours, theirs, place)
    high, wide = target.small.shape[:2]
    if min(high, wide, *source.small.shape[:2]) < _RIM.shape[0]:
        return None
    drawn = cv2.warpPerspective(source.small, onto, (wide, high))
    lies = (drawn[..., 1] > 0).view(np.uint8)  # no colour has a Cr of 0: that lies outside
    inside = cv2.erode(lies, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if inside.sum() < _ENOUGH:
        return None
    one, other = (cv2.blur(picture, _MEAN).astype(np.float32)[inside] - _MIDDLE for picture in (drawn, target.small))
    return one, other


def _length(chroma: Float) -> Float:
    return np.asarray(np.linalg.norm(chroma, axis=-1), np.float32)
