"""Made-up contents and files, and the real flow over them.

What only pixels could tell (the vector, the second look, the quality gate) comes from pure functions of the made-up
facts (`made_up`); catalog, indexes, standings and verdicts are the real ones, held against `oracle`.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

import pipeline.flow
import pipeline.serving
import pipeline.tasks
from pipeline.flow import Flow, FlowSettings, Seen
from pipeline.tasks import look
from store.catalog import Catalog
from store.records import Level, Quality, Ruling, RulingKind, Verdict, VerdictKind
from tests.laws.made_up import (
    CANDIDATE,
    DIMENSION,
    NOW_NS,
    PROTECTED,
    ROOTS,
    SIMILAR,
    Content,
    Files,
    Place,
    lineage_of,
    second_look,
    square_of,
    vector_of,
)
from tests.laws.oracle import Rules, match_kind, oracle

__all__ = [
    "DIMENSION",
    "NOW_NS",
    "PATHS",
    "ROOTS",
    "Content",
    "Files",
    "Looks",
    "Place",
    "World",
    "contents",
    "folders_of_files",
    "match_kind",
    "oracle",
    "stand_ins",
]

# -- the stand-ins ----------------------------------------------------------------------------------------------------


class FakeEmbedder:
    """Read the vector out of the made-up square."""

    name, model_id, dimension, input_size = "made-up", "made-up-1", DIMENSION, 1
    candidate_similarity, similar_similarity = CANDIDATE, SIMILAR

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn `[n, 1, 1, 3]` into unit vectors `[n, 8]`."""
        return np.stack([vector_of(int(row[0]), int(row[1])) for row in batch.reshape(len(batch), 3)])


class Looks:
    """Count the second looks."""

    taken = 0

    def verify(self, ours: bytes, theirs: bytes, _settings: object, _noise: float = 0.0) -> Any:
        """Stand in for `pipeline.verify.verify`."""
        self.taken += 1
        kind = second_look(ours, theirs)
        return SimpleNamespace(kind=kind, explanation=str(kind), lineage=lineage_of(ours, theirs))


def _judge_quality(quality: Quality, _settings: object, _picture: object) -> tuple[VerdictKind, str]:
    dark = quality.brightness < 10
    return (VerdictKind.DARK, "too dark") if dark else (VerdictKind.KEEP, "good enough")


@contextmanager
def stand_ins() -> Iterator[Looks]:
    """Replace what needs pixels or torch, at the names where the flow uses it."""
    looks = Looks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.serving, "model_facts", lambda settings: FakeEmbedder)
        patch.setattr(pipeline.serving, "load_embedder", lambda settings: FakeEmbedder())
        patch.setattr(pipeline.serving, "remodel", square_of)
        patch.setattr(pipeline.flow, "remodel", square_of)
        patch.setattr(pipeline.flow, "judge_quality", _judge_quality)
        patch.setattr(pipeline.tasks, "decode_preview", lambda preview: preview)
        patch.setattr(pipeline.tasks, "prepare", lambda preview, page: preview)
        patch.setattr(pipeline.tasks, "verify", looks.verify)
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
        self.state.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.state / "catalog.sqlite3")
        self.folders = {root: self.catalog.put_folder(root, protected=root == PROTECTED).id for root in ROOTS}
        self._begin()

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
        self._begin()

    def _begin(self) -> None:
        self.flow = Flow(self.catalog, self.state, self.settings)
        self.flow.ask = lambda tasks: [look(task) for task in tasks]  # what worker processes would answer

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
        return self.folders[os.path.dirname(path)]

    def protect(self, root: str, *, protected: bool) -> None:
        """Change whether a folder is protected."""
        self.catalog.put_folder(root, protected=protected)
        assert self.flow.needs_rejudging
        self.flow.rejudge(NOW_NS)
        self.guarded = self.guarded | {root} if protected else self.guarded - {root}

    def rule(self, kind: RulingKind, *contents: Content) -> None:
        """Rule on contents as a person would."""
        named = [(content.sha256, str(content.number)) for content in contents]
        rulings = self.catalog.rulings
        self.flow.rule([sha256 for sha256, _ in named], lambda: rulings.add(kind, named, NOW_NS), NOW_NS)

    def unrule(self, ruling: Ruling) -> None:
        """Take a ruling back."""
        self.flow.rule(ruling.hashes, lambda: self.catalog.rulings.remove([ruling.id]), NOW_NS)

    @property
    def rules(self) -> Rules:
        """What the oracle goes by."""
        return Rules(self.guarded, tuple(self.catalog.rulings.all()), self.settings.matching)

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
                holds_more=draw(st.sampled_from((False, False, False, False, True))),
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
