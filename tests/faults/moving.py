"""Moves, copies and their undos on the ledger alone: the story of `tests.faults.stories` that needs no pictures."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from sqlite_utils import Database

from pipeline.actions import Action, apply, quarantine_target, undo
from store.database import sqlite3
from store.errors import DedupdError
from store.ledger import Ledger, Verb
from store.records import FileStat, VerdictKind

ROOT = Path(__file__).parents[2]
MTIME_NS = 1_600_000_000_123_456_789
MOVES = ((Verb.MOVE, "near", "a/near.jpg"), (Verb.MOVE, "far", "a/far.jpg"), (Verb.COPY, "near", "a/copy.jpg"))


def open_ledger(path: Path) -> Ledger:
    """Open a ledger the way the catalog opens its database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return Ledger(Database(connection))


def make_ledger(path: Path) -> Ledger:
    """Open a new one."""
    ledger = open_ledger(path)
    ledger._database.executescript((ROOT / "store/migrations/0002_ledger.sql").read_text())
    return ledger


def content(name: str) -> bytes:
    """Return what the story's file of that name holds."""
    return name.encode() * 1000


def lay_out_moves(template: Path) -> None:
    """Put the files of `moves` down."""
    (template / "home/a").mkdir(parents=True)
    make_ledger(template / "ledger.db")._database.conn.close()
    for _, _, name in MOVES:
        path = template / "home" / name
        path.write_bytes(content(name))
        path.chmod(0o640)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))


def move_action(path: Path, home: Path, quarantine: Path, verb: Verb = Verb.MOVE) -> Action:
    """Return the action on a file as it is now."""
    return Action(
        verb=verb,
        source=FileStat.of(str(path), path.lstat()),
        sha256=hashlib.sha256(path.read_bytes()).digest(),
        target=quarantine_target(str(quarantine), "blur", str(path.relative_to(home))),
        verdict=VerdictKind.BLUR,
        reason="too soft",
        keeper=None,
        folder_root=str(home),
        quarantine_root=str(quarantine),
    )


def moves(base: Path, far: Path) -> None:
    """Move out and back, across file systems, copy and remove the copy."""
    ledger = open_ledger(base / "ledger.db")
    for verb, where, name in MOVES:
        quarantine = far if where == "far" else base / "quarantine"
        action = move_action(base / "home" / name, base / "home", quarantine, verb)
        undo(apply(action, ledger, 1_000), ledger, 2_000)


def moves_in_spite(base: Path, far: Path) -> None:
    """The same by someone who goes on after an error, as the service does."""
    try:
        ledger = open_ledger(base / "ledger.db")
    except sqlite3.Error:
        return  # it does not start
    for verb, where, name in MOVES:
        quarantine = far if where == "far" else base / "quarantine"
        with suppress(DedupdError):
            action = move_action(base / "home" / name, base / "home", quarantine, verb)
            undo(apply(action, ledger, 1_000), ledger, 2_000)
