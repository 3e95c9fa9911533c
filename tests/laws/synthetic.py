"""Made-up contents and files, the flow over them, and the laws written down a second time as the oracle.

What only pixels could tell (the vector, the second look, the quality gate) comes from pure functions of the made-up
facts; catalog, indexes, standings and verdicts are the real ones.
"""

import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

import pipeline.flow
import pipeline.matching
import pipeline.serving
from pipeline.flow import Flow, FlowSettings, Seen
from pipeline.grouping import full_walk
from store.catalog import Catalog
from store.records import (
    FileStat,
    Hashes,
    Level,
    MatchKind,
    Measurement,
    Picture,
    Quality,
    Rank,
    Verdict,
    VerdictKind,
)

DIMENSION = 8
CANDIDATE, SIMILAR = 0.9, 0.95
MAX_PHASH_BITS, MAX_DHASH_BITS = 10, 6  # the defaults of MatchingSettings
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
    sharpness: float = 200.0
    detail: float = 1.0
    width: int = 640
    byte_size: int = 1000

    @property
    def sha256(self) -> bytes:
        """The made-up content hash."""
        return hashlib.sha256(str(self.number).encode()).digest()

    @property
    def preview(self) -> bytes:
        """A JPEG by its markers, which carries what the stand-ins need."""
        return b"\xff\xd8" + bytes((self.direction, self.degrees, self.scene)) + self.sha256 + b"\xff\xd9"

    def measured(self, path: str, mtime_ns: int) -> Measurement:
        """Return what a worker would."""
        inode = crc32(path.encode())
        return Measurement(
            FileStat(path, 1, inode, self.byte_size, mtime_ns, mtime_ns),
            Picture(self.width, 480, "JPEG", hashlib.sha256(b"%d" % self.pixels).digest(), 3),
            Quality(self.sharpness, 1.0 if self.dark else 120.0, 50.0, self.detail, 7.0, self.sharpness, 0.5, 200.0),
            Hashes(self.sha256, self.phash, self.dhash, self.hashable),
            self.preview,
            _square(self.preview, 1),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where content lies, and since when."""

    content: Content
    mtime_ns: int


Files = Mapping[str, Place]


# -- the stand-ins ----------------------------------------------------------------------------------------------------


class FakeEmbedder:
    """Read the vector out of the made-up square."""

    name, model_id, dimension, input_size = "made-up", "made-up-1", DIMENSION, 1
    candidate_similarity, similar_similarity = CANDIDATE, SIMILAR

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn `[n, 1, 1, 3]` into unit vectors `[n, 8]`."""
        return np.stack([_vector(int(row[0]), int(row[1])) for row in batch.reshape(len(batch), 3)])


def _vector(direction: int, degrees: int) -> NDArray[np.float32]:
    vector = np.zeros(DIMENSION, np.float32)
    vector[direction] = math.cos(math.radians(degrees))
    vector[direction + 1] = math.sin(math.radians(degrees))
    return vector


def _square(preview: bytes, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(preview[2:5], np.uint8).reshape(size, size, 3)


def second_look(ours: bytes, theirs: bytes) -> MatchKind | None:
    """Say what two previews show: a copy in one scene, else whatever the hash of the ordered pair says."""
    if ours[4] and ours[4] == theirs[4]:
        return MatchKind.COPY
    kinds = (MatchKind.COPY, MatchKind.COPY, MatchKind.EDITED, None, None)
    return kinds[crc32(ours[5:37] + theirs[5:37]) % len(kinds)]


class Looks:
    """Count the second looks."""

    taken = 0

    def verify(self, ours: bytes, theirs: bytes, _settings: object) -> Any:
        """Stand in for `pipeline.verify.verify`."""
        self.taken += 1
        kind = second_look(ours, theirs)
        return SimpleNamespace(kind=kind, explanation=str(kind))


def _judge_quality(quality: Quality, _settings: object) -> tuple[VerdictKind, str]:
    dark = quality.brightness < 10
    return (VerdictKind.DARK, "too dark") if dark else (VerdictKind.KEEP, "good enough")


@contextmanager
def stand_ins() -> Iterator[Looks]:
    """Replace what needs pixels or torch, at the names where the flow uses it."""
    looks = Looks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.serving, "model_facts", lambda settings: FakeEmbedder)
        patch.setattr(pipeline.serving, "load_embedder", lambda settings: FakeEmbedder())
        patch.setattr(pipeline.serving, "remodel", _square)
        patch.setattr(pipeline.flow, "remodel", _square)
        patch.setattr(pipeline.flow, "judge_quality", _judge_quality)
        patch.setattr(pipeline.matching, "decode_preview", lambda preview: preview)
        patch.setattr(pipeline.matching, "prepare", lambda preview: preview)
        patch.setattr(pipeline.matching, "verify", looks.verify)
        yield looks


# -- the world: a catalog with its flow -------------------------------------------------------------------------------


@dataclass(slots=True)
class World:
    """A state folder, its flow, and the files that lie on the made-up disk."""

    state: Path
    settings: FlowSettings = FlowSettings()
    files: dict[str, Place] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset({PROTECTED})

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True)
        self.catalog = Catalog(self.state / "catalog.sqlite3")
        self.folders = {root: self.catalog.put_folder(root, protected=root == PROTECTED).id for root in ROOTS}
        self.flow = Flow(self.catalog, self.state, self.settings)

    catalog: Catalog = field(init=False)
    folders: dict[str, int] = field(init=False)
    flow: Flow = field(init=False)

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    def restart(self) -> None:
        """End without warning and begin again on the same state."""
        self.catalog.close()
        self.catalog = Catalog(self.state / "catalog.sqlite3")
        self.flow = Flow(self.catalog, self.state, self.settings)

    def lose_indexes(self) -> None:
        """Lose the snapshot, then begin again."""
        shutil.rmtree(self.state / "vectors", ignore_errors=True)
        self.restart()

    def admit(self, files: Files) -> None:
        """Admit files in one batch, in the order given."""
        batch = [self.seen(path, place) for path, place in files.items()]
        self.flow.admit(batch, NOW_NS)
        self.files.update(files)

    def seen(self, path: str, place: Place) -> Seen:
        """Return what the ingest hands over for a file."""
        return Seen(self.folder_of(path), place.content.measured(path, place.mtime_ns))

    def forget(self, paths: Iterable[str]) -> None:
        """Let go of deleted files."""
        gone = list(paths)
        self.flow.forget_files([file for path in gone if (file := self.catalog.file(path))], NOW_NS)
        for path in gone:
            del self.files[path]

    def rename(self, old: str, new: str) -> None:
        """Follow a file to another name; what lay there is overwritten."""
        file = self.catalog.file(old)
        assert file is not None
        place = self.files.pop(old)
        stat = place.content.measured(new, place.mtime_ns).stat
        self.flow.rename_file(file, stat, self.folder_of(new), NOW_NS)
        self.files[new] = place

    def folder_of(self, path: str) -> int:
        """Return the id of the folder a path lies in."""
        return self.folders[_root(path)]

    def protect(self, root: str, *, protected: bool) -> None:
        """Change whether a folder is protected."""
        self.catalog.put_folder(root, protected=protected)
        assert self.flow.needs_rejudging
        self.flow.rejudge(NOW_NS)
        self.guarded = self.guarded | {root} if protected else self.guarded - {root}

    def verdicts(self) -> dict[str, Verdict]:
        """Derive the verdict on every file."""
        return {verdict.path: verdict for _, _, verdict in self.flow.judge.verdicts(self.catalog.image_ids())}

    def stored(self) -> dict[str, VerdictKind]:
        """Return the verdicts that the catalog stores."""
        return {
            file.stat.path: file.verdict
            for folder in self.catalog.folders()
            for file in self.catalog.files_in(folder.id)
        }

    def standings(self) -> dict[Level, dict[bytes, bytes]]:
        """Return image → keeper by content, as stored."""
        found: dict[Level, dict[bytes, bytes]] = {}
        for level in Level:
            rows = self.catalog.relations.standings(level).tolist()
            sha = {image: self.catalog.image(image).sha256 for row in rows for image in row}
            found[level] = {sha[image]: sha[keeper] for image, keeper in rows}
        return found


# -- the oracle -------------------------------------------------------------------------------------------------------


def match_kind(a: Content, b: Content) -> MatchKind | None:
    """Say what two contents are to each other, from the words of the design."""
    a, b = sorted((a, b), key=lambda content: content.sha256)
    if a.pixels == b.pixels:
        return MatchKind.PIXELS
    near_phash = (a.phash ^ b.phash).bit_count() <= MAX_PHASH_BITS
    near_dhash = (a.dhash ^ b.dhash).bit_count() <= MAX_DHASH_BITS
    by_hash = a.hashable and b.hashable and (near_phash or near_dhash)
    ours, theirs = (_vector(c.direction, c.degrees).astype(np.float16).astype(np.float64) for c in (a, b))
    similarity = float(ours @ theirs)
    if not by_hash and similarity < CANDIDATE:
        return None
    seen = second_look(a.preview, b.preview)
    return MatchKind.SIMILAR if seen is None and similarity >= SIMILAR else seen


def oracle(
    files: Files, guarded: frozenset[str] = frozenset({PROTECTED})
) -> tuple[dict[Level, dict[bytes, bytes]], dict[str, tuple[VerdictKind, str | None]]]:
    """Walk all images down the ranks, at both levels: (standings by content, path → (verdict, keeper's path)).

    `guarded` are the protected roots.
    """
    by_content: dict[Content, list[str]] = {}
    for path, place in files.items():
        by_content.setdefault(place.content, []).append(path)
    contents = sorted(by_content, key=lambda content: content.number)
    playing = [c for c in contents if not c.dark or any(_root(path) in guarded for path in by_content[c])]
    primary = {c: min(by_content[c], key=lambda path: _seniority(files, path, guarded)) for c in contents}
    ranks = {c.number: _rank(c, primary[c], files[primary[c]].mtime_ns, guarded) for c in playing}
    known = {c.number: c for c in playing}
    walked: dict[Level, dict[int, int]] = {}
    entrants: Sequence[int] = list(ranks)
    for level in Level:

        def matches(a: int, b: int, level: Level = level) -> bool:
            kind = match_kind(known[a], known[b])
            return kind is not None and kind.level is level

        walked[level] = full_walk([ranks[number] for number in entrants], matches)
        entrants = [number for number, keeper in walked[level].items() if number == keeper]
    verdicts = {}
    for content, paths in by_content.items():
        for path in paths:
            safe = _root(path) in guarded
            verdicts[path] = (VerdictKind.KEEP, None) if safe else _verdict(content, path, primary, walked, known)
    standings = {level: {known[a].sha256: known[b].sha256 for a, b in rows.items()} for level, rows in walked.items()}
    return standings, verdicts


def _verdict(
    content: Content,
    path: str,
    primary: Mapping[Content, str],
    walked: Mapping[Level, Mapping[int, int]],
    known: Mapping[int, Content],
) -> tuple[VerdictKind, str | None]:
    if content.number not in walked[Level.DUPLICATES]:
        return VerdictKind.DARK, None
    keeper = known[walked[Level.DUPLICATES][content.number]]
    if keeper != content:
        return VerdictKind.DUPLICATE, primary[keeper]
    if path != primary[content]:
        return VerdictKind.DUPLICATE, primary[content]
    related = known[walked[Level.SIMILAR][content.number]]
    return (VerdictKind.KEEP, None) if related == content else (VerdictKind.SIMILAR, primary[related])


def _root(path: str) -> str:
    return "/" + path.split("/")[1]


def _seniority(files: Files, path: str, guarded: frozenset[str]) -> tuple[bool, int, int, bytes]:
    return _root(path) not in guarded, files[path].mtime_ns, len(path.encode()), path.encode()


def _rank(content: Content, path: str, mtime_ns: int, guarded: frozenset[str]) -> Rank:
    shorter = -len(path.encode()), bytes(255 - byte for byte in path.encode()) + b"\xff"
    size = content.width * 480, content.byte_size
    key = (content.sharpness >= 50, content.detail, *size, -mtime_ns, shorter, content.sha256)
    safe = _root(path) in guarded
    return Rank(content.number, (safe, *key), safe)


# -- strategies -------------------------------------------------------------------------------------------------------

_WORDS = (0, (1 << 64) - 1, 0xF0F0_F0F0_0F0F_0F0F)  # far from each other, and one with the top bit set


def _word(base: int, bits: int) -> int:
    return _WORDS[base] ^ ((1 << bits) - 1)


@st.composite
def contents(draw: st.DrawFn, largest: int = 9) -> list[Content]:
    """Draw different contents, most of which are near to some of the others."""
    count = draw(st.integers(2, largest))
    first = draw(st.integers(0, 1 << 32))
    made = []
    for number in range(first, first + count):
        made.append(
            Content(
                number=number,
                phash=_word(draw(st.sampled_from((0, 0, 1, 2))), draw(st.integers(0, 14))),
                dhash=_word(draw(st.sampled_from((0, 1, 2))), draw(st.integers(0, 9))),
                hashable=draw(st.sampled_from((True, True, False))),
                pixels=draw(st.sampled_from((number, number, number, first - 1))),
                direction=draw(st.integers(0, 2)),
                degrees=draw(st.sampled_from((0, 10, 20, 30, 60))),
                dark=draw(st.sampled_from((False, False, False, True))),
                sharpness=draw(st.sampled_from((40.0, 200.0))),
                detail=draw(st.sampled_from((1.0, 2.0))),
                width=draw(st.sampled_from((640, 800))),
                byte_size=draw(st.sampled_from((1000, 2000))),
            )
        )
    return made


PATHS = tuple(f"{root}/{name}" for root in ROOTS for name in ("a.jpg", "bb.jpg", "c.jpg", "ö.jpg"))


@st.composite
def folders_of_files(draw: st.DrawFn) -> dict[str, Place]:
    """Draw a made-up disk: some paths, what lies there and since when."""
    choice = draw(contents())
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=2, unique=True))
    return {path: Place(draw(st.sampled_from(choice)), draw(st.integers(1, 3))) for path in paths}
