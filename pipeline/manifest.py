"""The manifest in the quarantine: one line per action, so that files find home without the catalog.

JSON lines, appended and synchronised before a file is placed. The last line of an action holds. Names that
are no text survive as escaped surrogates. Targets are relative: the quarantine may be mounted elsewhere then.
"""

import errno
import json
import os
import stat
from dataclasses import asdict, dataclass

from pipeline.syscalls import sync
from store.errors import ActionError
from store.ledger import LedgerEntry
from store.text import printable

MANIFEST_NAME = ".dedupd-manifest.jsonl"
UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What it takes to undo one action."""

    event: str  # "move", "copy" or "undone"
    id: int
    planned_ns: int  # with the id it names the action, even after the catalog was begun anew
    folder_root: str
    source: str
    target: str  # relative to the quarantine
    sha256: str  # hexadecimal
    mtime_ns: int
    mode: int
    verdict: str
    reason: str
    keeper: str | None

    @classmethod
    def of(cls, entry: LedgerEntry, event: str, target: str) -> "ManifestLine":
        """Take from a ledger entry what an undo needs; `target` is the absolute path about to be used."""
        return cls(
            event=event,
            id=entry.id,
            planned_ns=entry.planned_ns,
            folder_root=entry.folder_root,
            source=entry.source,
            target=target.removeprefix(entry.quarantine_root.rstrip("/") + "/"),
            sha256=entry.sha256.hex(),
            mtime_ns=entry.mtime_ns,
            mode=entry.mode,
            verdict=entry.verdict.value,
            reason=entry.reason,
            keeper=entry.keeper,
        )


def append_line(quarantine_root: str, line: ManifestLine, *, durable: bool = True) -> None:
    """Append a line and force it to disk. Raises OSError; a torn line is then left behind and harmless."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    root_fd = os.open(quarantine_root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fd = os.open(MANIFEST_NAME, flags, 0o600, dir_fd=root_fd)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            data = b"\n" * torn + json.dumps(asdict(line)).encode("ascii") + b"\n"
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), MANIFEST_NAME)
            if durable:
                sync(fd)
        finally:
            os.close(fd)
        if size == 0:
            sync(root_fd)
    finally:
        os.close(root_fd)


def read_lines(quarantine_root: str) -> list[ManifestLine]:
    """Return the last line of every action, newest action first; torn lines are left out.

    Raises ActionError when there is no manifest or when others could have written it: it says where files go.
    """
    path = os.path.join(quarantine_root, MANIFEST_NAME)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        message = f"no manifest can be read in {printable(quarantine_root)}: {error.strerror}"
        raise ActionError(message, "name the folder that holds blur/, duplicates/ and so on") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ActionError("the manifest can be written by other users", "check it, then chown and chmod 600")
        lines = [_parsed(raw) for raw in file]
    newest = {(line.id, line.planned_ns): line for line in lines if line is not None}
    return sorted(newest.values(), key=lambda line: (line.planned_ns, line.id), reverse=True)


def _parsed(raw: bytes) -> ManifestLine | None:
    try:
        line = ManifestLine(**json.loads(raw))
        bytes.fromhex(line.sha256)
    except (ValueError, TypeError):
        return None
    return line
