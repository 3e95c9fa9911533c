"""Actions: what is done to files, as values that describe themselves, can be applied and undone.

With `pipeline.undoing` (the way back) and `pipeline.placing` (how a file changes its place) the only code
that moves files. Every step is written down before it is taken, in the ledger and in the quarantine's
manifest; nothing is ever overwritten; `recover` brings what a crash left half way to one side or the other.
"""

import stat
from dataclasses import dataclass
from os import fstat
from typing import Annotated

from annotated_types import Ge

from pipeline.manifest import ManifestLine, append_line
from pipeline.places import Place, make_root, open_folder, open_regular
from pipeline.placing import Identity, refuse_writers, travel
from pipeline.syscalls import hash_file
from pipeline.undoing import (
    Outcome,
    conclude_or_wait,
    recover,
    refusal,
    restore_from_manifest,
    undo,
    undo_many,
    way_out,
)
from store.errors import ActionError
from store.ledger import EntryState, Ledger, LedgerEntry, Plan, Verb
from store.records import FileStat, VerdictKind
from store.text import printable

__all__ = [
    "Action",
    "ActionSettings",
    "KeeperCheck",
    "Outcome",
    "apply",
    "quarantine_target",
    "recover",
    "restore_from_manifest",
    "undo",
    "undo_many",
]

_AGAIN = "it will be looked at again"


@dataclass(frozen=True, slots=True)
class ActionSettings:
    """When not to act."""

    min_free_bytes: Annotated[int, Ge(0)] = 1 << 29  # what a copy must leave free on the quarantine's volume


DEFAULT_SETTINGS = ActionSettings()


@dataclass(frozen=True, slots=True)
class KeeperCheck:
    """The keeper as it was judged; it is read again directly before its extra leaves."""

    stat: FileStat
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Action:
    """One file operation that has not happened yet."""

    verb: Verb
    source: FileStat
    sha256: bytes
    target: str  # absolute path in the quarantine; its name varies when it is taken
    verdict: VerdictKind
    reason: str
    keeper: KeeperCheck | None  # None for rejects
    folder_root: str
    quarantine_root: str

    @property
    def byte_size(self) -> int:
        """How many bytes leave the folder, or are copied."""
        return self.source.size

    def describe(self) -> str:
        """Say in one line, safe for terminals, what would be done and why."""
        keeper = f", keeper {printable(self.keeper.stat.path)}" if self.keeper else ""
        why = f"{self.verdict}: {printable(self.reason)}{keeper}"
        return f"{self.verb} {printable(self.source.path)} to {printable(self.target)} ({why})"


def quarantine_target(quarantine_root: str, folder: str, relative_path: str) -> str:
    """Return where a file goes: below the root and the verdict's folder, its relative path kept."""
    target = f"{quarantine_root.rstrip('/')}/{folder}/{relative_path}"
    return Place(quarantine_root, target).path


def apply(
    action: Action,
    ledger: Ledger,
    now_ns: int,
    *,
    batch: int | None = None,
    settings: ActionSettings = DEFAULT_SETTINGS,
) -> LedgerEntry:
    """Carry an action out and return its finished entry. Without a `batch` it is one of its own.

    Raises ActionError when file or keeper are not what was judged, or the system refuses; the source stands
    then, and nothing is left behind. Where not even that can be said, the entry waits for `recover`.
    """
    try:
        Place(action.quarantine_root, action.target)
        mode = _check_source(action)
        _check_keeper(action)
        make_root(action.quarantine_root)
    except OSError as error:
        raise refusal(action.source.path, error) from error
    source = action.source
    plan = _plan(action, ledger.next_batch() if batch is None else batch, mode)
    entry = ledger.plan(plan, now_ns, source.inode if action.verb is Verb.MOVE else None)

    def announce(path: str, inode: int) -> None:
        append_line(entry.quarantine_root, ManifestLine.of(entry, entry.verb, path))
        if (path, inode) != (entry.target, entry.inode):
            ledger.place(entry.id, path, inode)

    judged = Identity(source.device, source.inode, source.size, source.mtime_ns)
    try:
        arrival = travel(way_out(entry, settings.min_free_bytes), judged, announce)
    except (OSError, ActionError) as error:
        refused = refusal(source.path, error)
        concluded = conclude_or_wait(entry, ledger, now_ns, refused.message)
        if concluded.state is EntryState.DONE:
            return concluded
        raise refused from error
    return ledger.finish(entry.id, now_ns, arrival.not_kept)


def _check_source(action: Action) -> int:
    """Return the source's permission bits; raise ActionError unless it is, byte for byte, what was judged."""
    source = action.source
    judged = Identity(source.device, source.inode, source.size, source.mtime_ns)
    place = Place(action.folder_root, source.path)
    with open_folder(place) as folder_fd, open_regular(folder_fd, place.name) as fd:
        if Identity.of(fstat(fd)) != judged or hash_file(fd) != action.sha256:
            raise ActionError(f"{printable(source.path)}: it changed after it was judged", _AGAIN)
        refuse_writers(fd)
        return stat.S_IMODE(fstat(fd).st_mode)


def _check_keeper(action: Action) -> None:
    """Raise ActionError unless the keeper is there, another file, and holds the content that was judged."""
    keeper = action.keeper
    if keeper is None:
        return
    shown = printable(keeper.stat.path)
    try:
        with open_regular(None, keeper.stat.path) as fd:
            status = fstat(fd)
            if (status.st_dev, status.st_ino) == (action.source.device, action.source.inode):
                raise ActionError(f"{shown} is the same file under another name", "nothing needs to be moved")
            if status.st_size != keeper.stat.size or hash_file(fd) != keeper.sha256:
                raise ActionError(f"the keeper {shown} changed after it was judged", _AGAIN)
    except OSError as error:
        raise ActionError(f"the keeper cannot be read: {refusal(shown, error).message}", _AGAIN) from error


def _plan(action: Action, batch: int, mode: int) -> Plan:
    return Plan(
        batch=batch,
        verb=action.verb,
        source=action.source.path,
        target=action.target,
        sha256=action.sha256,
        size=action.source.size,
        mtime_ns=action.source.mtime_ns,
        mode=mode,
        verdict=action.verdict,
        reason=action.reason,
        keeper=action.keeper.stat.path if action.keeper else None,
        folder_root=action.folder_root,
        quarantine_root=action.quarantine_root,
    )
