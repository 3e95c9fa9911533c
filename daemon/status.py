"""One frozen Status: made by whoever holds the lock, read by everyone. Terminal and JSON render it.

Kept in a small file in the state folder, so that `dedupd status` needs neither the catalog nor any heavy library and
answers whether the service runs or not.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from daemon.mounts import free_bytes
from daemon.state import StateFolder, is_locked

State = Literal["starting", "scanning", "ok", "degraded", "paused", "stopped"]
_DATABASE_BEGINS = b"SQLite format 3\0"  # sqlite.org/fileformat.html
LEAST_BYTES = 2 << 20  # with less free under the state folder nothing can go on
VERDICTS = ("keep", "blur", "dark", "bright", "corrupt", "duplicate", "similar")


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """One hot folder."""

    path: str
    state: str
    files: int
    reason: str = ""
    action: str = "report"
    protected: bool = False


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The vector index."""

    model: str = ""
    vectors: int = 0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `dedupd status` shows."""

    state: State
    pid: int | None
    updated_ns: int
    reasons: Sequence[str] = ()
    folders: Sequence[FolderStatus] = ()
    files: int = 0
    images: int = 0
    groups: int = 0
    queue: int = 0
    verdicts: Mapping[str, int] = field(default_factory=dict)
    rulings: int = 0
    images_per_second: float = 0.0
    index: IndexStatus = IndexStatus()
    last_error: str = ""
    report: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object of the command line's contract."""
        facts = asdict(self)
        facts["verdicts"] = {kind: self.verdicts.get(kind, 0) for kind in VERDICTS}
        return {"schema": 1, **facts}


def write_status(state: StateFolder, status: Status) -> None:
    """Replace the status file in one step. It is a hint for people and needs no fsync.

    On a full disk it is written over what stands there, which takes no new block; nothing else could say so.
    """
    temporary = state.status.with_suffix(".part")
    try:
        temporary.write_text(json.dumps(status.as_json()), "ascii")
        os.replace(temporary, state.status)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with suppress(OSError):
            temporary.unlink()
        with suppress(OSError):
            _write_over(state.status, status)


def _write_over(path: Path, status: Status) -> None:
    """Write a status into the blocks that the file has; without its folders where it would not fit."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        room = os.fstat(descriptor).st_blocks * 512
        whole, short = (json.dumps(s.as_json()).encode("ascii") for s in (status, replace(status, folders=())))
        content = whole if len(whole) <= room else short
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, content.ljust(size), 0)  # spaces after the object are JSON too
    finally:
        os.close(descriptor)


def read_status(state: StateFolder) -> Status:
    """Read the last status; "stopped" when nobody holds the lock, whatever was written before."""
    try:
        facts = json.loads(state.status.read_text("ascii"))
        facts.pop("schema")
        folders = tuple(FolderStatus(**folder) for folder in facts.pop("folders"))
        status = Status(folders=folders, index=IndexStatus(**facts.pop("index")), **facts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        status = Status("stopped", None, 0)
    if is_locked(state):
        if status.state != "stopped":
            return status
        free = free_bytes(state.path)  # perhaps too few for a status, too
        short = (in_words(free, LEAST_BYTES),) if free < LEAST_BYTES else ()
        return replace(status, state="paused" if short else "starting", reasons=short)
    reasons = ("it ended without saying so",) if status.state not in ("stopped",) else ()
    return replace(status, state="stopped", pid=None, queue=status.queue, images_per_second=0.0, reasons=reasons)


def in_words(free: int, least: int) -> str:
    """Say that the disk under the state folder is full: so many bytes are free, and so many needed."""
    return (
        f"disk full: {free >> 20:,} MB are left for the state folder, {least >> 20:,} MB are needed; "
        "it goes on by itself when there is room"
    )


def holds_no_database(state: StateFolder) -> bool:
    """Tell whether what lies in the catalog's place is no database, from its first bytes; an empty file may become one.

    Whether the rest of it is whole only SQLite can tell (`dedupd check`).
    """
    try:
        with state.catalog.open("rb") as stream:
            begins = stream.read(len(_DATABASE_BEGINS))
    except OSError:
        return False
    return begins not in (b"", _DATABASE_BEGINS)
