"""The ledger: what dedupd did to files, written down before it is done.

planned ──► done ──► undoing ──► undone   a row never leaves
   │          ▲         │
   │          └─────────┘   an undo that could not be carried out
   ├──► failed              refused or impossible; the source stands
   └──► abandoned           interrupted and rolled back; the source stands

Each transition is one statement and one durable commit (`synchronous=FULL`), because the next step on
the disk relies on it. The ledger therefore refuses to work inside an open transaction.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from store.database import Database, is_full, sqlite3
from store.errors import CatalogError, DiskFullError
from store.records import VerdictKind


class Verb(StrEnum):
    """What an action does with its file."""

    MOVE = "move"
    COPY = "copy"


class EntryState(StrEnum):
    """How far an action has come."""

    PLANNED = "planned"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be done to one file, and why."""

    batch: int
    verb: Verb
    source: str
    target: str
    sha256: bytes
    size: int  # bytes
    mtime_ns: int
    mode: int  # permission bits
    verdict: VerdictKind
    reason: str
    keeper: str | None
    folder_root: str
    quarantine_root: str


@dataclass(frozen=True, slots=True)
class LedgerEntry(Plan):
    """One action on record. `target` is where the file went, under the name that was free."""

    id: int
    state: EntryState
    inode: int | None  # of the file being placed; None before that
    restored: str | None  # where an undo put it, or is about to
    error: str
    not_kept: str  # metadata the target could not take, "" for none
    planned_ns: int
    finished_ns: int | None
    undone_ns: int | None

    @property
    def unfinished(self) -> bool:
        """Whether a crash left this entry half way."""
        return self.state in (EntryState.PLANNED, EntryState.UNDOING)


_PATHS = frozenset({"source", "target", "keeper", "folder_root", "quarantine_root", "restored"})
_COLUMNS = tuple(field.name for field in fields(LedgerEntry))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM ledger"


class Ledger:
    """Write and read the ledger through the catalog's own connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- transitions: each one durable when the call returns --------------------------------------------

    def plan(self, plan: Plan, now_ns: int, inode: int | None = None) -> LedgerEntry:
        """Write an intention down, with the inode that will answer to the target if that is known already.

        Raises CatalogError inside a transaction or when it cannot be stored.
        """
        values = {field.name: getattr(plan, field.name) for field in fields(Plan)}
        values |= {"state": EntryState.PLANNED, "planned_ns": now_ns, "inode": inode}
        marks = ", ".join("?" * len(values))
        cursor = self._write(f"INSERT INTO ledger ({', '.join(values)}) VALUES ({marks})", _stored(values))
        return self.entry(int(cursor.lastrowid or 0))

    def place(self, entry_id: int, target: str, inode: int) -> LedgerEntry:
        """Note the name about to be tried, and the inode that will answer to it."""
        return self._change(entry_id, (EntryState.PLANNED,), target=target, inode=inode)

    def finish(self, entry_id: int, now_ns: int, not_kept: str = "") -> LedgerEntry:
        """Note that the file lies at its target."""
        return self._change(
            entry_id, (EntryState.PLANNED,), state=EntryState.DONE, finished_ns=now_ns, not_kept=not_kept
        )

    def fail(self, entry_id: int, error: str, now_ns: int) -> LedgerEntry:
        """Note that the action was refused or impossible."""
        return self._change(entry_id, (EntryState.PLANNED,), state=EntryState.FAILED, error=error, finished_ns=now_ns)

    def abandon(self, entry_id: int, reason: str, now_ns: int) -> LedgerEntry:
        """Note that an interrupted action was rolled back."""
        return self._change(
            entry_id, (EntryState.PLANNED,), state=EntryState.ABANDONED, error=reason, finished_ns=now_ns
        )

    def plan_undo(self, entry_id: int, restored: str | None, inode: int | None) -> LedgerEntry:
        """Note that an undo is about to place `inode` at `restored` (both None for a copy that just goes)."""
        before = (EntryState.DONE, EntryState.UNDOING)
        return self._change(entry_id, before, state=EntryState.UNDOING, restored=restored, inode=inode)

    def cancel_undo(self, entry_id: int, error: str) -> LedgerEntry:
        """Note that an undo could not be carried out; the file still lies at its target."""
        before = (EntryState.DONE, EntryState.UNDOING)
        return self._change(entry_id, before, state=EntryState.DONE, restored=None, error=error)

    def mark_undone(self, entry_id: int, restored: str | None, now_ns: int) -> LedgerEntry:
        """Note that the file lies at `restored` again (None: its copy is gone)."""
        before = (EntryState.DONE, EntryState.UNDOING)
        return self._change(entry_id, before, state=EntryState.UNDONE, restored=restored, error="", undone_ns=now_ns)

    # -- questions --------------------------------------------------------------------------------------

    def entry(self, entry_id: int) -> LedgerEntry:
        """Return one entry. Raises CatalogError for an id that was never given out."""
        found = self._read(f"{_SELECT} WHERE id = ?", (entry_id,))
        if not found:
            hint = "`dedupd undo --list` shows those that can be taken back"
            raise CatalogError(f"the ledger has no action {entry_id}", hint)
        return found[0]

    def entries(
        self,
        *,
        state: EntryState | None = None,
        batch: int | None = None,
        verdict: VerdictKind | None = None,
        after_id: int = 0,
        limit: int = -1,
    ) -> list[LedgerEntry]:
        """List entries that meet every condition given, newest first (the order in which to undo them)."""
        wanted = {"state": state, "batch": batch, "verdict": verdict}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = "".join(f" AND {name} = ?" for name in given)
        sql = f"{_SELECT} WHERE id > ?{where} ORDER BY id DESC LIMIT ?"
        return self._read(sql, (after_id, *_stored(given), limit))

    def unfinished(self) -> list[LedgerEntry]:
        """List what a crash left half way, oldest first."""
        where = "state IN ('planned', 'undoing')"  # word for word as in the index, or SQLite cannot use it
        return self._read(f"{_SELECT} INDEXED BY ledger_unfinished WHERE {where} ORDER BY id", ())

    def by_source(self, path: str) -> list[LedgerEntry]:
        """List the actions on files that lay at `path`, newest first."""
        return self._read(f"{_SELECT} WHERE source = ? ORDER BY id DESC", (os.fsencode(path),))

    def by_target(self, path: str) -> list[LedgerEntry]:
        """List the actions that put a file at `path`, newest first."""
        return self._read(f"{_SELECT} WHERE target = ? ORDER BY id DESC", (os.fsencode(path),))

    def next_batch(self) -> int:
        """Return a batch number that no entry has."""
        sql = "SELECT coalesce(max(batch), 0) + 1 FROM ledger"
        return int(self._database.conn.execute(sql).fetchone()[0])

    def last_batch(self) -> int | None:
        """Return the newest batch with something left to undo; None when there is none."""
        sql = "SELECT max(batch) FROM ledger WHERE state = 'done'"
        newest: int | None = self._database.conn.execute(sql).fetchone()[0]
        return newest

    def counts(self) -> dict[EntryState, int]:
        """Count the entries of every state, zeros included."""
        rows = self._database.conn.execute("SELECT state, count(*) FROM ledger GROUP BY state").fetchall()
        return dict.fromkeys(EntryState, 0) | {EntryState(state): int(count) for state, count in rows}

    # -- inside -----------------------------------------------------------------------------------------

    def _change(self, entry_id: int, before: tuple[EntryState, ...], **values: object) -> LedgerEntry:
        """Change an entry that is in one of the states `before`; a wrong state is a bug and is refused."""
        changes = ", ".join(f"{name} = ?" for name in values)
        marks = ", ".join("?" * len(before))
        sql = f"UPDATE ledger SET {changes} WHERE id = ? AND state IN ({marks})"
        cursor = self._write(sql, (*_stored(values), entry_id, *before))
        if cursor.rowcount != 1:
            entry = self.entry(entry_id)
            expected = " or ".join(before)
            raise CatalogError(f"action {entry_id} is {entry.state}, not {expected}", "nothing was changed")
        return self.entry(entry_id)

    def _write(self, sql: str, values: Iterable[object]) -> "sqlite3.Cursor":
        if self._database.conn.in_transaction:
            message = "a ledger step inside a transaction would not be durable"
            raise CatalogError(message, "this is a bug: please report it")
        try:
            return self._database.execute(sql, tuple(values))
        except sqlite3.Error as error:
            message = f"the ledger cannot be written: {error}"
            kind = DiskFullError if is_full(error) else CatalogError
            raise kind(message, "check the disk that holds the state folder") from error

    def _read(self, sql: str, values: tuple[object, ...]) -> list[LedgerEntry]:
        return [_entry(row) for row in self._database.conn.execute(sql, values).fetchall()]


def _stored(values: dict[str, Any]) -> tuple[object, ...]:
    """Turn fields into column values: paths are bytes, because not every name is text."""
    return tuple(
        os.fsencode(value) if name in _PATHS and value is not None else value for name, value in values.items()
    )


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    values = dict(zip(_COLUMNS, row, strict=True))
    values |= {name: os.fsdecode(values[name]) for name in _PATHS if values[name] is not None}
    values["verb"] = Verb(values["verb"])
    values["verdict"] = VerdictKind(values["verdict"])
    values["state"] = EntryState(values["state"])
    return LedgerEntry(**values)
