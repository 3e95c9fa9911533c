"""Two shots of one scene that are two pictures: made for training, since sets hold few of them.

Something large lies elsewhere in the second, and the camera may have moved a little. All else (crop, colour, mirror)
happened to both alike, as to the frames of one clip; so only what moved tells them apart.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.training.augment import Pixels, reworked

# Of the short side: how large the moved thing is, and how far it goes. Less is an edit, more another scene.
THING_SIDES = (0.3, 0.7)
MOVES = (0.07, 0.35)
_MOST_TURN_DEGREES, _MOST_SCALE, _MOST_PAN = 14.0, 0.1, 0.05
_PAN_SHARE = 0.4


def moved(image: Pixels, donor: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Lay a piece of `donor` on two copies of `image`, at two places: a thing that was moved between two shots."""
    height, width = image.shape[:2]
    short = min(height, width)
    side = short * float(rng.uniform(*THING_SIDES))
    thing, outline = _cut(donor, rng), _outline(rng)
    centre = rng.uniform(0.2, 0.8, 2) * (width, height)
    stretch = np.exp(rng.uniform(-0.3, 0.3, 2)) * side
    angle = float(rng.uniform(-30, 30))
    way = rng.uniform(0, 2 * np.pi)
    step = short * float(np.exp(rng.uniform(*np.log(MOVES)))) * np.array((np.cos(way), np.sin(way)))
    turn, growth = rng.uniform(-1, 1, 2) * (_MOST_TURN_DEGREES, _MOST_SCALE)
    first = _laid(image, thing, outline, centre - step / 2, stretch, angle)
    second = _laid(image, thing, outline, centre + step / 2, stretch * np.exp(growth), angle + float(turn))
    if rng.random() < _PAN_SHARE:
        first, second = _panned(first, rng), _panned(second, rng)
    return first, second


def rival_bases(images: tuple[Pixels, Pixels], donor: Pixels, rng: Generator, *, move: bool) -> tuple[Pixels, Pixels]:
    """Make two new originals out of two shots of one scene, or with `move` out of one picture given twice."""
    seed = int(rng.integers(0, 2**63))
    first, second = (reworked(image, donor, np.random.default_rng(seed)) for image in images)
    # Afterwards, or else a crop could cut away all that tells them apart.
    return moved(first, donor, rng) if move else (first, second)


def _cut(donor: Pixels, rng: Generator) -> Pixels:
    """Cut a window of half to all of the sides."""
    height, width = donor.shape[:2]
    part_h, part_w = (max(8, int(side * rng.uniform(0.5, 1.0))) for side in (height, width))
    top, left = int(rng.integers(0, height - part_h + 1)), int(rng.integers(0, width - part_w + 1))
    return donor[top : top + part_h, left : left + part_w]


def _outline(rng: Generator) -> NDArray[np.float32]:
    """Draw the outline of a thing as a mask 0–1 `[64, 64]`: a sheet, a disc or a lump."""
    mask = np.zeros((64, 64), np.float32)
    draw = rng.random()
    if draw < 0.4:
        mask[2:-2, 2:-2] = 1.0
    elif draw < 0.6:
        cv2.ellipse(mask, (32, 32), (30, 30), 0, 0, 360, 1.0, -1)
    else:
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 12))))
        corners = 32 + rng.uniform(18, 31, len(turns))[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 1.5))), np.float32)


def _laid(
    image: Pixels,
    thing: Pixels,
    outline: NDArray[np.float32],
    centre: NDArray[np.float64],
    sides: NDArray[np.float64],
    degrees: float,
) -> Pixels:
    """Lay a thing of `sides` pixels on the image, turned about `centre`."""
    size = (image.shape[1], image.shape[0])
    inner = (max(4, round(float(sides[0]))), max(4, round(float(sides[1]))))
    small = cv2.resize(thing, inner, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(outline, inner, interpolation=cv2.INTER_LINEAR)
    matrix = np.asarray(cv2.getRotationMatrix2D((inner[0] / 2, inner[1] / 2), degrees, 1.0), np.float64)
    matrix[:, 2] += centre - (inner[0] / 2, inner[1] / 2)
    over = cv2.warpAffine(small, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    laid: Pixels = (image * (1 - share) + over * share).astype(np.uint8)
    return laid


def _panned(image: Pixels, rng: Generator) -> Pixels:
    """Cut away up to `_MOST_PAN` at every side: the camera did not stand still."""
    height, width = image.shape[:2]
    top, bottom = (int(height * cut) for cut in rng.uniform(0, _MOST_PAN, 2))
    left, right = (int(width * cut) for cut in rng.uniform(0, _MOST_PAN, 2))
    return image[top : height - bottom, left : width - right]
