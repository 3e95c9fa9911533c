"""What a codec would leave of a picture: saved again, at the quality at which it does as much as was done.

What WebP and AVIF do to a block is told by no table, and saving a preview again does not bring back their noise either,
for the least change of a pixel makes them choose otherwise. But it tells how much of everything that a second look
measures they leave by themselves, in this picture and at this strength: what a copy differs by is as much, and what
was written over it, or moved, is more (`pipeline.proof.would_as_well`). A parametric bootstrap (Efron 1979).
"""

from math import log

import cv2
import numpy as np

from pipeline.palettes import colours_of
from pipeline.tones import Colours, Tones

_SAVED_BY = {
    "JPEG": (".jpg", cv2.IMWRITE_JPEG_QUALITY),
    "WEBP": (".webp", cv2.IMWRITE_WEBP_QUALITY),
    "AVIF": (".avif", cv2.IMWRITE_AVIF_QUALITY),
}
WITHOUT_STEPS = frozenset(("WEBP", "AVIF"))
_QUALITIES = (3, 6, 10, 16, 24, 34, 46, 60, 75, 88, 96)
_LARGEST_SIDE = 800  # pixels: what a larger picture lost is averaged out in its preview, which is saved itself then
_NEAR = 1.8  # times the difference, which some quality must come near to
_ROUNDING = 0.1  # squared grey levels
_PLACE = (5, 5)  # pixels of half a preview
_MORE, _LEVELS = 1.3, 3.0  # times what a codec does to the colours of a place at most, and levels of chroma


def save_again(colours: Colours, encoding: str, quality: int, size: tuple[int, int]) -> Colours:
    """Save and read a picture [h, w, 3], grey, Cr and Cb, at a size (width, height), and bring it back to its own."""
    high, wide = colours.shape[:2]
    pixels = cv2.cvtColor(colours, cv2.COLOR_YCrCb2BGR)
    if size != (wide, high):
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    suffix, flag = _SAVED_BY[encoding]
    _, encoded = cv2.imencode(suffix, pixels, [flag, quality])
    saved = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    if size != (wide, high):
        saved = np.asarray(cv2.resize(saved, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(saved, cv2.COLOR_BGR2YCrCb), np.uint8)


def differs_more(ours: Tones, theirs: Tones, would: Tones) -> bool:
    """Tell whether the colours of two pictures differ in a place by more than a codec `would` leave of the first."""
    first, second, tried = (each.chroma.astype(np.float32) for each in (ours, theirs, would))
    apart, by_codec = (cv2.blur(first - each, _PLACE) for each in (second, tried))
    most, usual = (float(np.hypot(off[..., 0], off[..., 1]).max()) for off in (apart, by_codec))
    return most > _MORE * usual + _LEVELS


def recoded(other: Tones, coded: Tones, encoding: str, size: tuple[int, int]) -> Colours | None:
    """Save the other picture by the codec of the coded one until that does as much; [h, w, 3] grey, Cr and Cb.

    Both lie over each other as they are; `size` (width, height) is that of the coded file. None where no quality does
    about as much as sets the two apart.
    """
    colours = colours_of(other)
    high, wide = other.grey.shape
    size = size if max(size) <= _LARGEST_SIDE else (wide, high)
    levels = other.grey.astype(np.float32)
    wanted = log(float(np.square(levels - coded.grey).mean()) + _ROUNDING)
    found: list[tuple[float, Colours]] = []
    least, most = 0, len(_QUALITIES) - 1
    while least <= most:
        middle = (least + most) // 2
        saved = save_again(colours, encoding, _QUALITIES[middle], size)
        beyond = log(float(np.square(levels - saved[..., 0]).mean()) + _ROUNDING) - wanted
        found.append((abs(beyond), saved))
        least, most = (middle + 1, most) if beyond > 0 else (least, middle - 1)
    nearest, saved = min(found, key=lambda each: each[0])
    return saved if nearest < log(_NEAR) else None
