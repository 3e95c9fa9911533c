"""Made-up contents: all that decoding would tell, as pure functions of a few numbers."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from store.records import FileStat, Hashes, Lineage, MatchKind, Measurement, Picture, Quality, Relation

DIMENSION = 8
CANDIDATE, SIMILAR = 0.9, 0.95
NOW_NS = 1_800_000_000 * 10**9
ROOTS = ("/hot", "/cam", "/archive")
PROTECTED = "/archive"


@dataclass(frozen=True, slots=True)
class Content:
    """All that decoding would tell about some bytes."""

    number: int
    phash: int = 0
    dhash: int = 0
    hashable: bool = True
    pixels: int = 0  # equal numbers: equal pixels
    direction: int = 0  # of the vector: an axis, and degrees towards the next one
    degrees: int = 0
    scene: int = 0  # equal and not 0: the second look sees a copy
    dark: bool = False
    holds_more: bool = False  # than is looked at
    corrupt: bool = False  # on a made-up disk: bytes that cannot be decoded
    sharpness: float = 200.0
    detail: float = 1.0
    width: int = 640
    byte_size: int = 1000

    @property
    def data(self) -> bytes:
        """The bytes of a file with this content, for those who write one."""
        return str(self.number).encode()

    @property
    def sha256(self) -> bytes:
        """The content hash."""
        return hashlib.sha256(self.data).digest()

    @property
    def preview(self) -> bytes:
        """A JPEG by its markers, which carries what the stand-ins need."""
        return b"\xff\xd8" + bytes((self.direction, self.degrees, self.scene)) + self.sha256 + b"\xff\xd9"

    def measured(self, path: str, mtime_ns: int) -> Measurement:
        """Return what a worker would."""
        inode = crc32(path.encode())
        form = "JPEG, several pictures" if self.holds_more else "JPEG"  # one encoding: none is anyone's original
        return Measurement(
            FileStat(path, 1, inode, self.byte_size, mtime_ns, mtime_ns),
            Picture(self.width, 480, form, hashlib.sha256(b"%d" % self.pixels).digest(), 3),
            Quality(self.sharpness, 1.0 if self.dark else 120.0, 50.0, self.detail, 7.0, self.sharpness, 0.5, 200.0),
            Hashes(self.sha256, self.phash, self.dhash, self.hashable),
            self.preview,
            square_of(self.preview, 1),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where content lies, and since when."""

    content: Content
    mtime_ns: int


Files = Mapping[str, Place]


def vector_of(direction: int, degrees: int) -> NDArray[np.float32]:
    """Return the unit vector [8] of a direction."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[direction] = math.cos(math.radians(degrees))
    vector[direction + 1] = math.sin(math.radians(degrees))
    return vector


def square_of(preview: bytes, size: int) -> NDArray[np.uint8]:
    """Return the made-up input of the network [s, s, 3]."""
    return np.frombuffer(preview[2:5], np.uint8).reshape(size, size, 3)


def second_look(ours: bytes, theirs: bytes) -> MatchKind | None:
    """Say what two previews show: a copy in one scene, else whatever the hash of the ordered pair says."""
    if ours[4] and ours[4] == theirs[4]:
        return MatchKind.COPY
    kinds = (MatchKind.COPY, MatchKind.COPY, MatchKind.EDITED, None, None)
    return kinds[crc32(ours[5:37] + theirs[5:37]) % len(kinds)]


def lineage_of(ours: bytes, theirs: bytes) -> Lineage:
    """Say which of two is whole: whatever the hash of the ordered pair says, so that no order by rank is in it."""
    if ours[4] and ours[4] == theirs[4]:
        return Lineage()
    return Lineage(Relation.PART, crc32(theirs[5:37] + ours[5:37]) % 3)
