"""The vocabulary as types: frozen facts that are made once, whole, and never changed.

A path is a `str` as `os.fsdecode` gives it (bytes that are no UTF-8 survive as surrogates); `os.fsencode` is its
exact way back. A hash of 64 bits is an `int` in 0..2**64-1. Times are nanoseconds since the epoch.
"""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # facts are also read by verbs that must start fast
    import numpy as np
    from numpy.typing import NDArray


class VerdictKind(StrEnum):
    """What was decided about a file."""

    KEEP = "keep"
    BLUR = "blur"
    DARK = "dark"
    BRIGHT = "bright"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    SIMILAR = "similar"

    @property
    def quarantine(self) -> str | None:
        """The quarantine folder for this verdict; None for a file that stays."""
        return {"keep": None, "duplicate": "duplicates"}.get(self.value, self.value)


REJECTS = (VerdictKind.BLUR, VerdictKind.DARK, VerdictKind.BRIGHT, VerdictKind.CORRUPT)


class Level(StrEnum):
    """The two walks: the same picture, and related pictures."""

    DUPLICATES = "duplicates"
    SIMILAR = "similar"


class MatchKind(StrEnum):
    """What two images are to each other, strongest first."""

    EXACT = "exact"  # same bytes
    PIXELS = "pixels"  # same decoded pixels
    COPY = "copy"  # same picture; the differences are explained as a whole
    EDITED = "edited"  # aligns, differs in places
    SIMILAR = "similar"  # same scene or subject

    @property
    def level(self) -> Level:
        """The walk in which a pair of this kind counts."""
        return Level.SIMILAR if self in (MatchKind.EDITED, MatchKind.SIMILAR) else Level.DUPLICATES


class FailureKind(StrEnum):
    """Why a file could not be observed."""

    CORRUPT = "corrupt"  # the bytes are no whole picture: a verdict on the content
    TOO_LARGE = "too large"  # beyond the limits on pixels, bytes or memory: a verdict on the content
    CRASHED = "crashed"  # the decoder died on it twice: a verdict on the content
    TIMEOUT = "timeout"  # the decoder did not end in time: a verdict on the content
    UNREADABLE = "unreadable"  # the system would not hand out the bytes: tried again later
    VANISHED = "vanished"  # gone or replaced before it was read: dropped quietly

    @property
    def of_content(self) -> bool:
        """Whether the same bytes would fail again."""
        return self not in (FailureKind.UNREADABLE, FailureKind.VANISHED)


@dataclass(frozen=True, slots=True)
class FileStat:
    """One place where content lies, as the file system describes it."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str, stat: os.stat_result) -> "FileStat":
        """Take what matters from an `os.lstat` result."""
        return cls(path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


# Notes that follow the encoding in `Picture.format`.
SEVERAL_PICTURES = "several pictures"  # an animation, pages, a gain map, a film: only the first was looked at
TRANSPARENT = "transparent"  # some pixel is not opaque
CUT_SHORT = "cut short"  # the last bytes are missing, and with them blocks of the last corner


@dataclass(frozen=True, slots=True)
class Picture:
    """What decoding tells about an image. Sizes are those of the oriented picture, in pixels."""

    width: int
    height: int
    format: str  # "JPEG", "PNG", "WEBP", …, and notes: "GIF, several pictures"
    pixels_sha256: bytes  # of the oriented RGB pixels, their shape, and what else the file holds
    metadata_fields: int  # number of EXIF tags, at most 65535: richer metadata wins a tie

    @property
    def encoding(self) -> str:
        """The format without its notes."""
        return self.format.partition(",")[0]

    @property
    def holds_more(self) -> bool:
        """Whether the file holds more than was looked at: what matches it may not hold that."""
        return self.holds_several or TRANSPARENT in self.format

    @property
    def holds_several(self) -> bool:
        """Whether the file is an animation, holds pages, or anything else besides its first picture."""
        return SEVERAL_PICTURES in self.format

    @property
    def cut_short(self) -> bool:
        """Whether a corner of the picture is missing."""
        return CUT_SHORT in self.format


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on the canonical working picture (grey, 0–255)."""

    sharpness: float  # variance of the Laplacian at the working size
    brightness: float  # mean grey
    contrast: float  # standard deviation of grey
    detail: float  # effective resolution in megapixels: what upscaling cannot add
    entropy: float  # of the grey histogram, bits
    sharpest: float  # 0 to 100, of the sharpest region: bokeh has one, a shake none; 50: as likely blurred as sharp
    highlights: float  # share of pixels that are not black: night shots have lights, black frames none
    tones: float  # spread of grey levels: fog and snow keep some; 0 where over-exposure has destroyed the picture


@dataclass(frozen=True, slots=True)
class Traces:
    """What a picture's history left in its pixels: of two that show the same, it tells which came from the other."""

    spectrum: bytes  # energy by frequency, finest first, in quarter octaves; empty for a tiny picture
    overshoot: float  # of edges, share of their height: rims that sharpening leaves
    noise: float  # grey levels, in the calmest places
    clipped: float  # share of pixels that are black or white
    stored_step: float  # the file's own mean quantisation step of luma; 0 where it has or tells none
    seen_step: float  # the step that the pixels show, from this compression or an earlier one; 0 for none
    colour: float  # mean spread between the channels: 0 for grey
    margin: float  # share of the picture in a margin of one colour
    rhythm: bytes = b""  # power by frequency of what resampling leaves; empty where nobody looked
    blocks: bytes = b""  # the file's quantisation steps, and DCT coefficients of blocks at fixed places
    # The share, in 255ths, of grey levels that no pixel has and their neighbours do; how far the channels differ beyond
    # what a tint explains, in eighths of a level; how many neighbours are equal, and how many of the others differ by a
    # few levels, in 255ths. One byte each; an earlier dedupd had only the first, or two.
    levels: bytes = b""
    patches: bytes = b""  # the file's quantisation table, and the grey of patches at fixed places


@dataclass(frozen=True, slots=True)
class Hashes:
    """Fingerprints of an image. The perceptual ones come from oriented pixels."""

    sha256: bytes
    phash: int
    dhash: int
    hashable: bool  # False for flat pictures: their perceptual hashes say nothing


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """All that one read and one decode give, made in a worker process."""

    stat: FileStat
    picture: Picture
    quality: Quality
    hashes: Hashes
    preview: bytes  # JPEG, long side at most PREVIEW_PIXELS, oriented
    model_input: "NDArray[np.uint8]"  # [s, s, 3] RGB, made from the decoded preview
    traces: Traces | None = None  # None where nobody looked
    page: bytes = b""  # grey JPEG of a picture with print, larger than its preview; empty of any other


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that gave no measurement."""

    path: str
    kind: FailureKind
    reason: str
    stat: FileStat | None  # None when not even that could be had
    sha256: bytes | None  # None when the bytes could not be read


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything measured on one image, without its pixels."""

    byte_size: int
    picture: Picture
    quality: Quality
    hashes: Hashes
    traces: Traces | None = None  # None for images measured before there were any


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two images match. Distances are bits (lower is closer), similarity is cosine (higher is closer)."""

    kind: MatchKind
    phash_distance: int
    dhash_distance: int
    similarity: float | None  # None where an embedding is missing
    verified: bool  # True when bytes or pixels proved it
    explanation: str = ""  # "re-encoded, 212 points agree, 97 % of the overlap is the same"


@dataclass(frozen=True, slots=True)
class Rank:
    """An image's place in the total order of keepers: compare `key`, greater outranks."""

    image_id: int
    key: tuple[object, ...]
    protected: bool
    kept: int = 0  # the newest ruling that this image stays; 0 for none
    chosen: int = 0  # the newest ruling that it is the one to keep; 0 for none


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one file, with its reasons."""

    path: str
    kind: VerdictKind
    reason: str
    keeper: str | None  # path of the image that a duplicate or similar file matches
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A root that dedupd has been shown."""

    id: int
    path: str
    protected: bool


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One file as the catalog knows it. Its path is its home, wherever it lies now."""

    id: int
    folder_id: int
    protected: bool
    stat: FileStat
    image_id: int
    verdict: VerdictKind
    lies_at: str | None  # where dedupd put it; None while it is at home
    entry_id: int | None  # the ledger entry behind that (or behind a copy)
    returned: bool  # a person took it back; dedupd leaves it alone


@dataclass(frozen=True, slots=True)
class ImageState:
    """One image's content facts and whether quality let it pass."""

    id: int
    sha256: bytes
    byte_size: int
    reject: VerdictKind | None
    reject_reason: str
    observation: Observation | None  # None for bytes that cannot be decoded


class RulingKind(StrEnum):
    """What a person can rule."""

    NOT_DUPLICATES = "not-duplicates"  # of each other: every pair of the contents named
    KEEP_ALL = "keep-all"  # each of the contents stays, every file of it
    KEEP_THIS = "keep-this"  # of what matches it, this content is the one to keep


@dataclass(frozen=True, slots=True)
class Ruling:
    """A person's answer about contents. It outranks the machine, and an older ruling that says otherwise."""

    id: int  # a newer ruling has a higher one
    kind: RulingKind
    contents: tuple[tuple[bytes, str], ...]  # (SHA-256, the name under which it was ruled on)
    ruled_ns: int

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The contents' SHA-256 alone."""
        return tuple(sha256 for sha256, _ in self.contents)


class Relation(StrEnum):
    """How one picture could have been made from the other, by what lies where."""

    SAME = "same"  # both frames hold the same
    PART = "part"  # one was cut out of the other
    FRAMED = "framed"  # one lies in the other, with flat fill around it
    INSET = "inset"  # one lies in the other, on other content
    MARKED = "marked"  # something was put over one of them
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a second look tells about which of two pictures came from the other. Ordered by content hash."""

    relation: Relation = Relation.UNKNOWN
    whole: int = 0  # which one nothing was cut from or put on: 1 the first, 2 the second, 0 neither or unknown
    first_covered: float = 1.0  # share of the first that the second shows
    second_covered: float = 1.0


@dataclass(frozen=True, slots=True)
class StoredLook:
    """What the second look saw on a pair of images."""

    kind: MatchKind | None  # None: not shown to be the same picture
    explanation: str
    lineage: Lineage = Lineage()
