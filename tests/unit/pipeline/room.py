"""What the tests of actions work with: a hot folder, a quarantine, a ledger, and things that happen to files."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from pipeline.actions import Action, KeeperCheck, apply, quarantine_target
from store.database import sqlite3
from store.ledger import Ledger, LedgerEntry, Verb
from store.records import FileStat, VerdictKind

MIGRATION = Path(__file__).parents[3] / "store/migrations/0002_ledger.sql"
MTIME_NS = 1_600_000_000_123_456_789
MANIFEST = ".dedupd-manifest.jsonl"


class Room:
    """A hot folder, a quarantine and a ledger."""

    def __init__(self, base: Path, quarantine: Path | None = None) -> None:
        self.home, self.quarantine = base / "home", quarantine or base / "quarantine"
        self.home.mkdir()
        connection = sqlite3.connect(base / "ledger.db", isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")  # power failures are not tested here, and this is quick
        database = Database(connection)
        database.executescript(MIGRATION.read_text())
        self.ledger = Ledger(database)

    def file(self, name: str, content: bytes = b"a picture") -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o640)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
        return path

    def action(self, path: Path, keeper: Path | None = None, verb: Verb = Verb.MOVE) -> Action:
        return Action(
            verb=verb,
            source=FileStat.of(str(path), path.lstat()),
            sha256=hashlib.sha256(path.read_bytes()).digest(),
            target=quarantine_target(str(self.quarantine), "duplicates", str(path.relative_to(self.home))),
            verdict=VerdictKind.DUPLICATE if keeper else VerdictKind.BLUR,
            reason="the same bytes" if keeper else "too soft",
            keeper=KeeperCheck(*judged(keeper)) if keeper else None,
            folder_root=str(self.home),
            quarantine_root=str(self.quarantine),
        )

    def move(self, path: Path, **options: Any) -> LedgerEntry:
        return apply(self.action(path), self.ledger, 1_000, **options)

    def lost_property(self) -> list[Path]:
        """Temporary files that nobody took away."""
        found = [path for root in (self.home, self.quarantine) for path in root.rglob(".dedupd-*")]
        return [path for path in found if path.name != MANIFEST]


def judged(path: Path) -> tuple[FileStat, bytes]:
    return FileStat.of(str(path), path.lstat()), hashlib.sha256(path.read_bytes()).digest()


def is_as_before(path: Path, content: bytes = b"a picture") -> bool:
    status = path.lstat()
    return (path.read_bytes(), status.st_mtime_ns, stat.S_IMODE(status.st_mode)) == (content, MTIME_NS, 0o640)


def replace_with_same_size(path: Path) -> None:
    path.write_bytes(b"A PICTURE")
    os.utime(path, ns=(MTIME_NS, MTIME_NS))


def swap(path: Path) -> None:
    other = path.with_name("newcomer")
    other.write_bytes(b"a newcomer")
    other.replace(path)


def become_symlink(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [replace_with_same_size, swap, become_symlink, become_fifo, Path.unlink, Path.touch]


class Meddled(Ledger):
    """A ledger beside which something happens right after an intention is on record."""

    def __init__(self, ledger: Ledger, meddle: Callable[[], object]) -> None:
        super().__init__(ledger._database)
        self._meddle = meddle

    def plan(self, *arguments: Any) -> LedgerEntry:
        entry = super().plan(*arguments)
        self._meddle()
        return entry
