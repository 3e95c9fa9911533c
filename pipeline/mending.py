"""Damage that hides nothing of a picture: a JPEG without its last bytes, a PNG with a damaged note.

Every viewer shows such files whole; calling them corrupt would send a good picture away. A file that breaks off
halfway is not among them: what is given back here is shown to reach the end.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_BEFORE = b"\r\n "  # what a careless sender puts before a picture
_MOST_BEFORE = 16  # bytes of it
# Inside a scan a 0xFF byte is followed by 0, or by the number of a restart.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xda-\xfe])")
_SCAN, _TABLES = 0xDA, frozenset({0xC4, 0xC8, 0xCC})
_COEFFICIENTS = 64
# Bits that no encoder meant, also behind every number of a restart: whichever comes next, it is there. Whatever they
# change was not in the file.
_RESTARTS = [bytes((0xFF, 0xD0 + number)) for number in range(8)]
_FILLS = tuple(b"".join(start + 32 * byte for start in (b"", *_RESTARTS)) for byte in (b"\0", b"\x55", b"\xaa"))
_LAST_ROWS = 18  # pixels: the tallest usual row of blocks, and what smoothing of colour spreads upwards
_BLOCK_ROWS = 16  # counted as lost even where the picture ends within its last blocks
_MOST_LOST = 0.0025  # of the picture: a block or two in the corner
_FILLED, _CORNER = 128, 8  # grey level that stands for what is missing; pixels of the last block
_SHOWN = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})  # ancillary chunks without which a PNG looks different
_MOST_CHUNKS = 10_000  # in a file that is damaged: no more are walked through


def from_signature(data: bytes) -> bytes:
    """Leave out line ends and blanks before the signature of a JPEG or PNG."""
    start = data[:_MOST_BEFORE].lstrip(_BEFORE)
    at = min(len(data), _MOST_BEFORE) - len(start)
    return data[at:] if at and data.startswith((_JPEG_START, _PNG_START), at) else data


def without_damaged_notes(png: bytes) -> bytes | None:
    """Leave out ancillary chunks whose checksum is wrong; None where there are none, or the picture needs them."""
    kept, at, changed = [png[: len(_PNG_START)]], len(_PNG_START), False
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(png):
            break
        end = at + 12 + struct.unpack_from(">I", png, at)[0]
        kind = png[at + 4 : at + 8]
        if end > len(png):
            break
        note = kind[0] & 0x20 and kind not in _SHOWN
        if note and zlib.crc32(png[at + 4 : end - 4]) != struct.unpack_from(">I", png, end - 4)[0]:
            changed = True
        else:
            kept.append(png[at:end])
        at = end
    return b"".join([*kept, png[at:]]) if changed else None


def with_end(jpeg: bytes) -> tuple[bytes, bool] | None:
    """Put an end to a JPEG that has none, and tell whether blocks of its last corner are lost.

    None where more than that is lost. A decoder fills in what is missing without a word, so each of some arbitrary
    bytes is put behind the data: where the data is complete they change nothing, elsewhere they change the first
    blocks that are missing. Raises what Pillow raises on damaged input.
    """
    body = jpeg.rstrip(b"\xff")
    if not _announces_all(body):
        return None
    whole = _pixels(body + _JPEG_END)
    height, width = whole.shape[:2]
    top, left = height, width
    for fill in _FILLS:
        rows, columns = np.nonzero((_pixels(body + fill + _JPEG_END) != whole).reshape(height, width, -1).any(2))
        if len(rows):
            top, left = min(top, int(rows[0])), min(left, int(columns.min()))
    lost = max(height - top, _BLOCK_ROWS) * (width - left)
    if top < height - _LAST_ROWS or lost > _MOST_LOST * height * width:
        return None
    return body + _JPEG_END, lost > 0


def breaks_off(jpeg: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Tell whether the data of a JPEG ends before its picture does, although the file has an end.

    A decoder fills the rest with middle grey, without a word. `pixels` are what it made of the file, uint8 [h, w, 3],
    not turned; only where their last block is that grey it is found out whether it was meant. Raises what Pillow
    raises on damaged input.
    """
    if (pixels[-_CORNER:, -_CORNER:] != _FILLED).any():
        return False
    end = jpeg.rfind(_JPEG_END)
    return end > 0 and _announces_all(jpeg) and with_end(jpeg[:end]) is None


def _pixels(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]))


def _announces_all(jpeg: bytes) -> bool:
    """Tell whether the scans bring every coefficient of every component in full (ITU-T T.81, B.2.3 and G.1).

    A progressive JPEG that breaks off between two scans would pass for whole: nothing of the last one is missing.
    """
    components: dict[int, set[int]] = {}
    for marker, segment in _segments(jpeg):
        if 0xC0 <= marker <= 0xCF and marker not in _TABLES:
            components = {number: set() for number in segment[6::3]}
        elif marker == _SCAN and segment and len(segment) >= 4 + 2 * segment[0]:
            first, last, bits = segment[1 + 2 * segment[0] :][:3]
            if not bits & 0x0F:  # later scans add no more bits
                for number in segment[1 : 1 + 2 * segment[0] : 2]:
                    components.get(number, set()).update(range(first, min(last + 1, _COEFFICIENTS)))
    return bool(components) and all(len(seen) == _COEFFICIENTS for seen in components.values())


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through the markers and their segments, past the data of scans."""
    at = 2
    while (found := _MARKER.search(jpeg, at)) is not None and found.end() + 2 <= len(jpeg):
        length = struct.unpack_from(">H", jpeg, found.end())[0]
        yield found[1][0], jpeg[found.end() + 2 : found.end() + length]
        at = found.end() + max(length, 2)
