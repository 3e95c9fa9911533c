"""A made-up disk: real folders and real files whose bytes name a made-up content, and the real daemon over them.

Only decoding, network and second look are stood in for. What a person does to files is done to the disk alone; the
catalog learns of it as it does in life, by a scan.
"""

import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.commands.scan import Scan
from daemon.config import ActionPolicy, Settings
from daemon.folders import HotFolder
from daemon.session import Session
from daemon.state import StateFolder
from pipeline import actions, placing, undoing
from pipeline.keeper import primary_file
from pipeline.matching import MatchingSettings
from pipeline.measuring import MeasureTask
from pipeline.tasks import LookTask, Seen, look
from store.catalog import Catalog
from store.ledger import EntryState, Ledger
from store.records import CatalogFile, Failure, FailureKind, FileStat, Measurement, VerdictKind
from store.relations import Relations
from tests.laws.made_up import NOW_NS, Content, Place
from tests.laws.oracle import Rules, home_of, oracle

NAMES = ("a.jpg", "bb.jpg", "c.jpg", "ö.jpg")
_LEAVING = (VerdictKind.DARK, VerdictKind.CORRUPT, VerdictKind.DUPLICATE)
_CRASH_SPOTS: tuple[tuple[Any, str], ...] = (
    (Ledger, "_write"),
    (Catalog, "set_away"),
    (Catalog, "set_home"),
    (Catalog, "set_verdict"),
    (Catalog, "put_file"),
    (Relations, "put_standing"),
    (actions, "append_line"),
    (undoing, "append_line"),
    (placing, "rename_exclusive"),
    (placing, "sync"),
)


class Crash(BaseException):
    """What a power cut looks like from inside."""


class MadeUpPool:
    """Stand in for the decoding processes: at once, and by what the bytes name."""

    known: Mapping[bytes, Content] = {}

    def __init__(self, *_: object, **__: object) -> None:
        self._waiting = deque[MeasureTask]()

    @property
    def pending(self) -> int:
        """Count the tasks whose results have not been handed out."""
        return len(self._waiting)

    @property
    def free(self) -> int:
        """Count how many more tasks are welcome."""
        return 4 - len(self._waiting)

    def ask(self, tasks: Sequence[LookTask]) -> list[Seen]:
        """Look at pairs."""
        return [look(task) for task in tasks]

    def submit(self, task: MeasureTask) -> None:
        """Take a task."""
        self._waiting.append(task)

    def results(self, _wait_seconds: float) -> Iterator[tuple[MeasureTask, Measurement | Failure]]:
        """Hand out what was measured."""
        while self._waiting:
            task = self._waiting.popleft()
            yield task, self._measured(task.path)

    def close(self) -> None:
        """End: nothing is running."""

    def _measured(self, path: str) -> Measurement | Failure:
        content = self.known[Path(path).read_bytes()]
        stat = FileStat.of(path, os.lstat(path))
        if content.corrupt:
            return Failure(path, FailureKind.CORRUPT, "cut off", stat, content.sha256)
        return replace(content.measured(path, stat.mtime_ns), stat=stat)


class Disk:
    """Three folders, one of them protected, a quarantine, a state folder, and the session over them."""

    def __init__(self, base: Path, choice: list[Content]) -> None:
        self.roots = [str(base / name) for name in ("hot", "cam", "archive")]
        for root in self.roots:
            os.makedirs(root)
        self.quarantine = str(base / "cleaned")
        self.state = StateFolder(base / "state")
        self.choice = [replace(content, byte_size=len(content.data)) for content in choice]
        self.by_hash = {content.sha256: content for content in self.choice}
        MadeUpPool.known = {content.data: content for content in self.choice}
        self.settings = Settings(
            hot_folder=(HotFolder(self.roots[2], protected=True),),
            actions=ActionPolicy(min_free_mb=0),
        )
        self.written = Counter[bytes]()  # what a person put on the disk and did not take away: content → files
        self._ticks = 0
        self._open()

    def _open(self) -> None:
        self.session = Session(self.state, self.settings, self.clock_ns)
        self.session.__enter__()

    def clock_ns(self) -> int:
        """Tell the time: later at each look."""
        self._ticks += 1
        return NOW_NS + self._ticks * 10**9

    def close(self) -> None:
        """End the session."""
        self.session.__exit__(None, None, None)

    def restart(self, *, without_indexes: bool = False) -> None:
        """End, and begin again on the same state."""
        self.close()
        if without_indexes:
            shutil.rmtree(self.state.path / "vectors", ignore_errors=True)
        self._open()

    def restart_after_loss(self) -> None:
        """Begin again, where the state folder is gone."""
        self._open()

    def configure(self, matching: MatchingSettings) -> None:
        """Change the thresholds; everything is judged again."""
        self.settings = replace(self.settings, matching=matching)
        self.restart()
        if self.session.flow.needs_rejudging:
            self.session.flow.rejudge(self.clock_ns())

    @contextmanager
    def crashing(self, after: int) -> Iterator[None]:
        """Run a block that dies at the n-th write, and begin again if it did."""
        left = [after]

        def deadly(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash  # and whatever would tidy up after it dies too
                return method(*args, **options)

            return call

        with pytest.MonkeyPatch.context() as patch, suppress(Crash):
            for owner, name in _CRASH_SPOTS:
                patch.setattr(owner, name, deadly(getattr(owner, name)))
            yield
        if left[0] < 0:
            self.restart()

    # -- what a person does to files ----------------------------------------------------------------------------------

    def path(self, number: int) -> str:
        """Return one of the twelve places."""
        return f"{self.roots[number % 3]}/{NAMES[number // 3 % len(NAMES)]}"

    def write(self, path: str, content: Content, seconds: int) -> None:
        """Put a file at a path, over what was there. No two are of the same time."""
        self.delete(path)
        self._ticks += 1
        temporary = path + ".part"
        Path(temporary).write_bytes(content.data)
        os.utime(temporary, ns=(0, seconds * 10**9 + self._ticks))
        os.rename(temporary, path)
        self.written[content.sha256] += 1

    def delete(self, path: str) -> None:
        """Take the file at a path away."""
        content = self.at(path)
        if content is not None:
            self.written[content.sha256] -= 1
            os.unlink(path)

    def rename(self, path: str, other: str) -> None:
        """Give a file another name, over what had it."""
        if self.at(path) is not None and path != other:
            self.delete(other)
            os.rename(path, other)

    def at(self, path: str) -> Content | None:
        """Return what lies at a path."""
        with suppress(OSError):
            return MadeUpPool.known[Path(path).read_bytes()]
        return None

    # -- what dedupd does ---------------------------------------------------------------------------------------------

    def scan(self, action: str, *, again: bool = False) -> list[str]:
        """Scan the folders; return what was refused, but not what a crash had left half way before."""
        os.makedirs(self.quarantine, exist_ok=True)
        scan = Scan(self.session, self.roots, self.quarantine, action, again, quiet=True)
        scan.run()
        recovered = {f"{outcome.source}: {outcome.error}" for outcome in self.session.recovered}
        return [problem for problem in scan.problems if problem not in recovered]

    # -- what there is ------------------------------------------------------------------------------------------------

    def at_home(self) -> dict[str, Content]:
        """Look at the folders."""
        return {entry.path: self._read(entry.path) for root in self.roots for entry in os.scandir(root)}

    def away(self) -> dict[str, Content]:
        """Look into the quarantine."""
        found = [Path(folder, name) for folder, _, names in os.walk(self.quarantine) for name in names]
        return {str(path): self._read(str(path)) for path in found if not path.name.startswith(".dedupd")}

    def _read(self, path: str) -> Content:
        found = self.at(path)
        assert found is not None, f"torn or foreign: {path}"
        return found

    def known(self) -> list[CatalogFile]:
        """List the files that the catalog knows."""
        return [file for folder in self.session.catalog.folders() for file in self.session.catalog.files_in(folder.id)]

    # -- the laws -----------------------------------------------------------------------------------------------------

    def assert_nothing_lost(self) -> None:
        """Every file that a person did not take away is there, once, whole."""
        there = Counter(content.sha256 for content in (*self.at_home().values(), *self.away().values()))
        assert there == +self.written, "law 1"

    def assert_verdicts(self) -> None:
        """What is stored is what the laws say about the files that the catalog knows."""
        files = {_key(file): Place(self._content(file), file.stat.mtime_ns) for file in self.known()}
        rules = Rules(frozenset({self.roots[2]}), tuple(self.session.catalog.rulings.all()), self.settings.matching)
        standings, expected = oracle(files, rules)
        stored = {_key(file): file.verdict for file in self.known()}
        wanted = {key: kind for key, (kind, _) in expected.items()}
        assert stored == wanted, {
            key: (kind, wanted.get(key)) for key, kind in stored.items() if kind != wanted.get(key)
        }
        derived = {
            _key(file): (verdict.kind, verdict.keeper)
            for file, _, verdict in self.session.flow.judge.verdicts(self.session.catalog.image_ids())
        }
        assert derived == expected, {k: (v, expected.get(k)) for k, v in derived.items() if v != expected.get(k)}
        assert self._standings() == standings
        self._assert_rulings(files, rules, expected)
        for image_id, its in self.session.catalog.files_of(self.session.catalog.image_ids()).items():
            assert self.session.catalog.primary_of(image_id) == primary_file(its), "one rule in Python and in SQL"

    def _assert_rulings(self, files: Mapping[str, Place], rules: Rules, verdicts: Mapping[str, Any]) -> None:
        """Hold the rulings against the verdicts by themselves, without the walk that both sides share."""
        keepers = {home_of(key): place.content for key, place in files.items()}
        group = {
            place.content: keepers[verdicts[key][1]] if verdicts[key][0] is VerdictKind.DUPLICATE else place.content
            for key, place in files.items()
            if not (verdicts[key][0] is VerdictKind.DUPLICATE and keepers[verdicts[key][1]] == place.content)
        }
        for key, place in files.items():
            kind, keeper = verdicts[key]
            newest = rules.kept(place.content)
            if kind is not VerdictKind.KEEP and newest and kind is not VerdictKind.DUPLICATE:
                raise AssertionError(f"ruled to stay, and {kind}: {key}")
            if kind is VerdictKind.DUPLICATE and newest and keepers[keeper] != place.content:
                assert rules.chosen(keepers[keeper]) > newest, "only a later choice outdoes a ruling to keep"
        for one, keeper in group.items():
            for other, its in group.items():
                assert not (one != other and rules.apart(one, other) and keeper == its), "law 6"

    def assert_in_place(self, refused: list[str]) -> None:
        """After a scan that moves, all is known and lies where its verdict wants it."""
        assert refused == [], self._told()
        known = self.known()
        assert {f.stat.path: self._content(f) for f in known if f.lies_at is None} == self.at_home()
        assert {f.lies_at: self._content(f) for f in known if f.lies_at is not None} == self.away()
        for file in known:
            if file.lies_at is not None:
                entry = self.session.ledger.entry(file.entry_id or 0)
                assert entry.verdict is file.verdict
                assert entry.state is EntryState.DONE
            else:
                assert file.protected or file.returned or file.verdict not in _LEAVING, file.stat.path

    def _told(self) -> str:
        """Say what is thought of every file, for a failed test."""
        judged = self.session.flow.judge.verdicts(self.session.catalog.image_ids())
        return "\n".join(f"{file.id}: {_key(file)!r} image {file.image_id} {verdict}" for file, _, verdict in judged)

    def _content(self, file: CatalogFile) -> Content:
        return self.by_hash[self.session.catalog.image(file.image_id).sha256]

    def _standings(self) -> dict[Any, dict[bytes, bytes]]:
        catalog = self.session.catalog
        found: dict[Any, dict[bytes, bytes]] = {}
        for level in self.session.flow.knowledge.standings:
            rows = catalog.relations.standings(level).tolist()
            sha = {image: catalog.image(image).sha256 for row in rows for image in row}
            found[level] = {sha[image]: sha[keeper] for image, keeper in rows}
        return found


def _key(file: CatalogFile) -> str:
    return file.stat.path if file.lies_at is None else f"{file.stat.path}\0{file.lies_at}"
