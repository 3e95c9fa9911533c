"""The way back: undo on request, recovery after a crash, and restoring from the manifest without a ledger."""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from pipeline.manifest import UNDONE, ManifestLine, append_line, read_lines
from pipeline.places import Place, exists, if_there, open_folder, open_regular, prune
from pipeline.placing import Identity, Journey, Whereabouts, discard, find, return_aside, settle, travel
from pipeline.syscalls import hash_file
from store.errors import ActionError
from store.ledger import EntryState, Ledger, LedgerEntry, Verb
from store.text import printable

_INTERRUPTED = "interrupted and rolled back"
_GREW = "it had grown in quarantine; brought home as it is"
_LOST = "look for it in your own backups"
_REASONS = {
    errno.ENOENT: "it is gone",
    errno.ENOTDIR: "a folder on the way is gone or a symlink",
    errno.ELOOP: "it, or a folder on the way, is a symlink",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the disk quota is used up",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action in a recovery or an undo."""

    entry_id: int
    source: str
    path: str | None  # where the file lies now; None when its copy was removed or nobody knows
    error: str  # "" when all went well
    hint: str = ""  # about the way out


def undo(entry: LedgerEntry, ledger: Ledger, now_ns: int) -> str | None:
    """Bring a moved file home, or remove a copy, and return where the file lies now (None: its copy is gone).

    A taken name gives "name (restored).ext". Undoing twice changes nothing. A moved file that has only grown, for
    its writer went on, comes home as it is. Raises ActionError when there is nothing to undo, or the file in
    quarantine was otherwise altered, is being written or was taken; everything stays as it is then.
    """
    return _undo(entry, ledger, now_ns).path


def _undo(entry: LedgerEntry, ledger: Ledger, now_ns: int) -> Outcome:
    entry = ledger.entry(entry.id)
    path, remark = None, ""
    try:
        if entry.state is EntryState.UNDOING:
            entry = conclude(entry, ledger, now_ns, None)
        if entry.state is EntryState.UNDONE:
            path = entry.restored
        elif entry.state is not EntryState.DONE:
            raise ActionError(f"action {entry.id} is {entry.state}: there is nothing to undo")
        elif entry.verb is Verb.COPY:
            _remove_copy(entry, ledger, now_ns)
        else:
            way = _way_back(entry)
            remark = "" if way.sha256 == entry.sha256 else _GREW
            path = _bring_back(entry, way, ledger, now_ns)
    except OSError as error:
        raise refusal(entry.target, error) from error
    return Outcome(entry.id, entry.source, path, remark)


def undo_many(entries: Iterable[LedgerEntry], ledger: Ledger, now_ns: int) -> list[Outcome]:
    """Undo entries, newest first, and report on each; one that cannot be undone stops no other.

    Where a file had grown, its outcome has the path at home and an error that says so.
    """
    outcomes = []
    for entry in sorted(entries, key=lambda entry: entry.id, reverse=True):
        try:
            outcomes.append(_undo(entry, ledger, now_ns))
        except ActionError as error:
            outcomes.append(Outcome(entry.id, entry.source, entry.target, error.message, error.hint))
    return outcomes


def recover(ledger: Ledger, now_ns: int, answers: Callable[[str], bool] = lambda root: True) -> list[Outcome]:
    """Finish or roll back what a crash left half way; call at start, before any other action. Repeatable.

    An entry whose disk is offline, or by `answers` does not answer, stays as it is, and its outcome says so.
    """
    outcomes = []
    for entry in ledger.unfinished():
        try:
            for root in (entry.folder_root, entry.quarantine_root):
                if not answers(root):
                    raise ActionError(f"{printable(root)}: its disk does not answer", "is its server there?")
            concluded = conclude(entry, ledger, now_ns, None)
        except (OSError, ActionError) as error:
            message = refusal(entry.source, error).message
            outcomes.append(Outcome(entry.id, entry.source, None, message))
        else:
            outcomes.append(Outcome(entry.id, entry.source, _lies_at(concluded), concluded.error))
    return outcomes


def restore_from_manifest(quarantine_root: str) -> list[Outcome]:
    """Undo everything in a quarantine, newest first, when the catalog is lost. Repeatable."""
    return [restore(quarantine_root, line) for line in read_lines(quarantine_root) if line.event != UNDONE]


def restore(quarantine_root: str, line: ManifestLine) -> Outcome:
    """Undo what one line of the manifest tells, without a ledger. Repeatable."""
    try:
        path = _restore(quarantine_root, line)
        append_line(quarantine_root, replace(line, event=UNDONE))
    except (OSError, ActionError) as error:
        refused = refusal(line.source, error)
        return Outcome(line.id, line.source, None, refused.message, refused.hint)
    return Outcome(line.id, line.source, path, "")


# -- shared with apply ------------------------------------------------------------------------------


def way_out(entry: LedgerEntry, min_free_bytes: int = 0) -> Journey:
    """Return the journey of an action: from its folder into the quarantine."""
    return Journey(
        origin=Place(entry.folder_root, entry.source),
        destination=Place(entry.quarantine_root, entry.target),
        sha256=entry.sha256,
        mtime_ns=entry.mtime_ns,
        mode=entry.mode,
        tag=_tag(entry),
        leave=entry.verb is Verb.COPY,
        min_free_bytes=min_free_bytes,
    )


def conclude(entry: LedgerEntry, ledger: Ledger, now_ns: int, refused: str | None) -> LedgerEntry:
    """Bring an unfinished entry to the state that the disk shows.

    `refused` says why an action that runs now could not be carried out; None stands for a crash.
    """
    entry = ledger.entry(entry.id)
    if entry.state is EntryState.UNDOING:
        return _conclude_undo(entry, ledger, now_ns, refused or _INTERRUPTED)
    whereabouts = settle(way_out(entry), entry.inode)
    if whereabouts is Whereabouts.DESTINATION:
        return ledger.finish(entry.id, now_ns)
    prune(Place(entry.quarantine_root, entry.target))
    if whereabouts is Whereabouts.NOWHERE:
        reason = refused or "the file vanished or changed before it was moved"
        return ledger.fail(entry.id, reason, now_ns)
    if refused is not None:
        return ledger.fail(entry.id, refused, now_ns)
    return ledger.abandon(entry.id, _INTERRUPTED, now_ns)


def conclude_or_wait(entry: LedgerEntry, ledger: Ledger, now_ns: int, refused: str) -> LedgerEntry:
    """Conclude after a failure; when the disk will not even say where the file is, leave it to `recover`."""
    with suppress(OSError, ActionError):
        return conclude(entry, ledger, now_ns, refused)
    return ledger.entry(entry.id)


def refusal(path: str, error: OSError | ActionError) -> ActionError:
    """Say in a person's words why the system would not."""
    if isinstance(error, ActionError):
        return error
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    hint = "see to the disk or its permissions, then try again"
    # A folder on either way names itself: a symlink in the quarantine is not the picture's fault.
    named = isinstance(error.filename, str) and error.filename.startswith("/")
    return ActionError(f"{printable(error.filename if named else path)}: {reason}", hint)


# -- inside -----------------------------------------------------------------------------------------


def _tag(action: LedgerEntry | ManifestLine) -> str:
    return f"{action.id}-{action.planned_ns:x}"


def _way_back(entry: LedgerEntry) -> Journey:
    way = Journey(
        origin=Place(entry.quarantine_root, entry.target),
        destination=Place(entry.folder_root, entry.restored or entry.source),
        sha256=entry.sha256,
        mtime_ns=entry.mtime_ns,
        mode=entry.mode,
        tag=_tag(entry),
        word="restored",
    )
    return _as_grown(way.origin, entry, way) or _as_grown(way.destination, entry, way) or way


def _as_grown(place: Place, entry: LedgerEntry, way: Journey) -> Journey | None:
    """Return the way of the file as it is now, if the very one that was placed only had more written to its end."""
    with if_there(), open_folder(place) as folder_fd, open_regular(folder_fd, place.name) as fd:
        status = os.fstat(fd)
        ours = (status.st_dev, status.st_ino) == (os.fstat(folder_fd).st_dev, entry.inode)
        if ours and status.st_size > entry.size and hash_file(fd, entry.size) == entry.sha256:
            return replace(way, sha256=hash_file(fd), mtime_ns=status.st_mtime_ns)
    return None


def _conclude_undo(entry: LedgerEntry, ledger: Ledger, now_ns: int, reason: str) -> LedgerEntry:
    if entry.verb is Verb.COPY:
        place = Place(entry.quarantine_root, entry.target)
        return_aside(place, _tag(entry))
        if exists(place):
            return ledger.cancel_undo(entry.id, reason)
        return _undone(entry, ledger, None, now_ns)
    way = _way_back(entry)
    whereabouts = settle(way, entry.inode)
    if whereabouts is Whereabouts.DESTINATION:
        return _undone(entry, ledger, way.destination.path, now_ns)
    if whereabouts is Whereabouts.NOWHERE:
        reason = "the quarantined file vanished or changed"
    return ledger.cancel_undo(entry.id, reason)


def _bring_back(entry: LedgerEntry, way: Journey, ledger: Ledger, now_ns: int) -> str:
    found = _quarantined(way.origin, way.sha256)
    if found is None:
        if find(way.destination, way.sha256) is None:
            raise ActionError(f"{printable(entry.target)}: it is no longer in quarantine", _LOST)
        _undone(entry, ledger, entry.source, now_ns)  # someone brought it home by hand
        return entry.source

    exists(way.destination)  # raises when the folder is offline: refused before anything is written down
    planned = ledger.plan_undo(entry.id, entry.source, found.inode)

    def announce(path: str, inode: int) -> None:
        if (path, inode) != (planned.restored, planned.inode):
            ledger.plan_undo(entry.id, path, inode)

    try:
        path = travel(way, found, announce).path
    except (OSError, ActionError) as error:
        refused = refusal(entry.target, error)
        concluded = conclude_or_wait(entry, ledger, now_ns, refused.message)
        if concluded.state is not EntryState.UNDONE or concluded.restored is None:
            raise refused from error
        return concluded.restored
    _undone(entry, ledger, path, now_ns)
    return path


def _remove_copy(entry: LedgerEntry, ledger: Ledger, now_ns: int) -> None:
    copy = Place(entry.quarantine_root, entry.target)
    found = _quarantined(copy, entry.sha256)
    if found is not None:
        home = Place(entry.folder_root, entry.source)
        _require_original(home, entry.sha256)
        ledger.plan_undo(entry.id, None, None)
        with open_folder(copy) as fd:
            discard(fd, copy.name, found, _tag(entry))
    _undone(entry, ledger, None, now_ns)


def _quarantined(place: Place, sha256: bytes) -> Identity | None:
    """Find a file as it was quarantined; None when it is gone, ActionError when it was altered."""
    found = find(place, sha256)
    if found is None and exists(place):
        message = f"{printable(place.path)}: it was altered in quarantine"
        raise ActionError(message, "take it out by hand if you want it")
    return found


def _require_original(home: Place, sha256: bytes) -> None:
    if find(home, sha256) is None:
        message = f"{printable(home.path)}: the original is gone or changed, so the copy stays"
        raise ActionError(message, "it may be the last one; take it out by hand")


def _undone(entry: LedgerEntry, ledger: Ledger, restored: str | None, now_ns: int) -> LedgerEntry:
    undone = ledger.mark_undone(entry.id, restored, now_ns)
    with suppress(OSError):  # on a full disk the manifest goes on naming a file that is not there: harmless
        line = ManifestLine.of(entry, UNDONE, entry.target)
        append_line(entry.quarantine_root, line, durable=False)  # the way home can be seen without it
    prune(Place(entry.quarantine_root, entry.target))
    return undone


def _lies_at(entry: LedgerEntry) -> str | None:
    if entry.state is EntryState.DONE:
        return entry.target
    return entry.restored if entry.state is EntryState.UNDONE else entry.source


def _restore(quarantine_root: str, line: ManifestLine) -> str | None:
    place = Place(quarantine_root, f"{quarantine_root.rstrip('/')}/{line.target}")
    home = Place(line.folder_root, line.source)
    sha256 = bytes.fromhex(line.sha256)
    return_aside(place, _tag(line))
    found = _quarantined(place, sha256)
    if found is None:
        if find(home, sha256) is None:
            raise ActionError(f"{printable(home.path)}: neither in quarantine nor at home", _LOST)
        return home.path
    path = None
    if line.event == Verb.COPY:
        _require_original(home, sha256)
        with open_folder(place) as fd:
            discard(fd, place.name, found, _tag(line))
    else:
        way = Journey(place, home, sha256, line.mtime_ns, line.mode, _tag(line), "restored")
        path = travel(way, found, lambda _path, _inode: None).path
    prune(place)
    return path
