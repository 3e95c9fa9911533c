"""The small copy of a picture that is kept of every file: made, read, and turned into the embedder's input.

Two files of one picture are compared on their previews, frame on frame. So a preview shows the whole frame, to a
fraction of a pixel, whatever the size of the file: an odd row that halving left out would move all that lies above it.
Nor is a line moved by being drawn on coarser pixels: the weight of a pixel falls off evenly with its distance, and so
the middle of what it shows stays where it was. The mean of whole pixels misplaces thin lines by up to half a pixel,
in each size of a picture by another part of one.
"""

import cv2
import numpy as np
from PIL import Image

from pipeline.decode import Pixels
from pipeline.settings import DecodeSettings
from store.errors import DecodeError

_HALVED = 4  # times the long side of a preview, from which on halving is near enough and costs a fifth

Extent = tuple[float, float]  # how far a picture reaches to the right and down; the last pixel may lie there in part


def extent_of(pixels: Pixels) -> Extent:
    """Return the extent of a picture that fills its pixels."""
    return float(pixels.shape[1]), float(pixels.shape[0])


def halve_whole(pixels: Pixels, extent: Extent, long_side: int) -> tuple[Pixels, Extent]:
    """Halve while the long side is at least `long_side` pixels; of an odd last row or column half a one is kept.

    Its pixel shows what is there, but the picture ends within it, as the extent tells. The pixels before it are those
    of `halve_above`.
    """
    while max(extent) >= long_side and min(extent) >= 2:
        high, wide = pixels.shape[:2]
        if high % 2 or wide % 2:
            pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, high % 2, 0, wide % 2, cv2.BORDER_REPLICATE), np.uint8)
        size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        extent = extent[0] / 2, extent[1] / 2
    return pixels, extent


def preview(rgb: Pixels, settings: DecodeSettings, extent: Extent | None = None) -> bytes:
    """Encode a small JPEG copy, long side at most `preview_pixels`, never enlarged.

    `extent` is that of a picture that was halved before (`halve_whole`). Raise DecodeError where it cannot be encoded.
    """
    long_side = settings.preview_pixels
    pixels, (wide, high) = halve_whole(rgb, extent or extent_of(rgb), _HALVED * long_side)
    scale = min(long_side / max(wide, high), 1.0)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    if size != (wide, high):
        whole = Image.fromarray(pixels)
        pixels = np.asarray(whole.resize(size, Image.Resampling.BILINEAR, box=(0, 0, wide, high)), np.uint8)
    small = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, settings.preview_quality])
    if not done:
        raise DecodeError("the preview could not be encoded")
    return encoded.tobytes()


def decode_preview(jpeg: bytes) -> Pixels:
    """Decode a stored preview to RGB uint8 [h, w, 3]; raise DecodeError where it is damaged."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
    if pixels is None:
        raise DecodeError("a stored preview is damaged", "`dedupd reindex` makes the previews anew")
    return np.asarray(pixels, np.uint8)


def model_input(preview_rgb: Pixels, input_size: int) -> Pixels:
    """Squash a preview to uint8 [input_size, input_size, 3]: no crop, nothing at the border is lost."""
    height, width = preview_rgb.shape[:2]
    within = min(width, input_size), min(height, input_size)
    if within != (width, height):
        preview_rgb = cv2.resize(preview_rgb, within, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if within != (input_size, input_size):
        size = (input_size, input_size)
        preview_rgb = cv2.resize(preview_rgb, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return preview_rgb
