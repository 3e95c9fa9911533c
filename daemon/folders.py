"""Hot folders: their settings, how one is recognised again, and why "offline" is not "deleted"."""

import errno
import json
import os
import re
import stat as stat_mode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Gt, Len

from daemon.walking import (
    PICTURE_EXTENSIONS,
    Excluded,
    WalkProblem,
    is_candidate,
    is_picture_name,
    look,
    walk,
)
from store.records import FileStat

__all__ = [
    "MARKER_NAME",
    "PICTURE_EXTENSIONS",
    "Changes",
    "Excluded",
    "FolderState",
    "HotFolder",
    "RootCheck",
    "RootIdentity",
    "WalkProblem",
    "check_root",
    "identify",
    "is_below",
    "is_candidate",
    "is_picture_name",
    "look",
    "read_marker",
    "scan_changes",
    "unchanged",
    "vanish_brake",
    "walk",
    "write_marker",
]

MARKER_NAME = ".dedupd-folder"
_MARKER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HotFolder:
    """One `[[hot_folder]]` of the configuration."""

    path: Annotated[str, Len(1)]
    action: Literal["report", "copy", "move"] = "report"
    output: str | None = None  # quarantine; None: beside the state
    protected: bool = False  # consulted, never touched
    watch: Literal["auto", "native", "polling"] = "auto"
    recursive: bool = True
    # Shell patterns: without "/" for names of files and folders, with "/" for paths below the hot folder.
    ignore: tuple[str, ...] = ()
    poll_seconds: Annotated[float, Gt(0)] = 5.0


class FolderState(StrEnum):
    """How a hot folder is."""

    WAITING = "waiting"  # has never been there yet
    OK = "ok"
    OFFLINE = "offline"  # gone, unmounted or replaced: everything known about it is kept
    PAUSED = "paused"  # there, but a person must say how to go on
    DEGRADED = "degraded"  # worked on, with a problem that a person should know


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """What the file system says a root folder is."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class RootCheck:
    """Whether a root can be trusted, why not, and what was found there (None: nothing)."""

    state: FolderState
    reason: str
    identity: RootIdentity | None = None
    marker_id: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between what is known and what a walk saw."""

    new: list[FileStat] = field(default_factory=list)
    changed: list[FileStat] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    renamed: list[tuple[str, FileStat]] = field(default_factory=list)  # (old path, new stat)


def identify(root: str) -> RootIdentity:
    """Return what the file system says this folder is. Raises OSError (NotADirectoryError for a file)."""
    found = os.stat(root)
    if not stat_mode.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), root)
    return RootIdentity(found.st_dev, found.st_ino)


def read_marker(root: str) -> str | None:
    """Return the folder id in the marker file; None when there is no marker or it makes no sense."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(os.path.join(root, MARKER_NAME), flags)
    except OSError:
        return None
    try:
        content = os.read(descriptor, _MARKER_BYTES)
        folder_id = json.loads(content).get("folder")
    except (OSError, ValueError, AttributeError, RecursionError):  # somebody else may have written it
        return None
    finally:
        os.close(descriptor)
    return folder_id if isinstance(folder_id, str) and re.fullmatch(r"[\w-]{1,64}", folder_id) else None


def write_marker(root: str, folder_id: str) -> bool:
    """Put the marker into a folder, replacing one that is there; False when the folder cannot be written to.

    Call it once, when the folder is accepted: a marker found later without being written is what proves
    that this is the same folder. A copied tree brings its marker along: give the second folder with one id
    a new one.
    """
    final = os.path.join(root, MARKER_NAME)
    note = "dedupd recognises this folder by this file. Without it the folder counts as offline."
    content = json.dumps({"folder": folder_id, "note": note}).encode() + b"\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(final + ".new", flags, 0o644)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(final + ".new", final)
    except OSError:
        return False
    return True


def check_root(root: str, known: RootIdentity | None, marker_id: str | None) -> RootCheck:
    """Compare a root with what is known of it (None: nothing yet).

    The marker is the proof: device numbers change when a share is mounted again. Without a marker the same
    device counts as the same folder, emptied or made anew by a person (`vanish_brake` guards what was in
    it); another device is an unmounted or foreign disk. When `identity` differs from `known` or `marker_id`
    is missing although the state is OK, store the new identity and write the marker again.
    """
    try:
        found = identify(root)
    except OSError as error:
        if known is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return RootCheck(FolderState.WAITING, _strerror(error))
        return RootCheck(FolderState.OFFLINE, _strerror(error))
    marker = read_marker(root)
    if marker_id is not None and marker is not None and marker != marker_id:
        return RootCheck(FolderState.OFFLINE, "another folder's marker lies here", found, marker)
    if known is None or found == known or (marker_id is not None and marker == marker_id):
        return RootCheck(FolderState.OK, "", found, marker)
    if found.device == known.device or (marker_id is None and found.inode == known.inode):
        return RootCheck(FolderState.OK, "", found, marker)
    reason = f"another disk, or none, is mounted here and the marker {MARKER_NAME} is missing"
    return RootCheck(FolderState.OFFLINE, reason, found, marker)


def unchanged(before: FileStat, after: FileStat) -> bool:
    """Say whether two stats of one path mean the same bytes.

    Device and inode do not count: shares get another device with every mount, FAT makes inodes up as it
    goes, and what replaces a file has another ctime anyway.
    """
    return before.size == after.size and before.mtime_ns == after.mtime_ns and before.ctime_ns == after.ctime_ns


def scan_changes(previous: Mapping[str, FileStat], walked: Iterable[FileStat], unseen: Collection[str] = ()) -> Changes:
    """Compare what is known of a root with what a walk saw.

    `unseen` holds the paths of the walk's problems: known files at or below them are neither seen nor
    vanished. The walk is used up before `unseen` is read, so the list that `on_problem` fills can be
    passed. A rename is a new path with device, inode, size and mtime of a vanished one.
    """
    changes = Changes()
    seen: set[str] = set()
    arrived: list[FileStat] = []
    for stat in walked:
        seen.add(stat.path)
        before = previous.get(stat.path)
        if before is None:
            arrived.append(stat)
        elif not unchanged(before, stat):
            changes.changed.append(stat)
    gone = {path for path in previous.keys() - seen if not is_below(path, unseen)}
    by_inode = {_body(previous[path]): path for path in gone}
    for stat in arrived:
        old = by_inode.pop(_body(stat), None)
        if old is None:
            changes.new.append(stat)
        else:
            gone.discard(old)
            changes.renamed.append((old, stat))
    changes.vanished.extend(sorted(gone))
    return changes


def vanish_brake(known_count: int, vanished_count: int, max_share: float = 0.2, min_files: int = 10) -> bool:
    """Say whether so much of a folder vanished at once that a person must confirm it.

    Fewer than `min_files` never brake: a hand did that.
    """
    return vanished_count >= min_files and vanished_count > max_share * known_count


def _strerror(error: OSError) -> str:
    return error.strerror or type(error).__name__


def is_below(path: str, folders: Collection[str]) -> bool:
    """Say whether a path is one of these folders or lies in one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _body(stat: FileStat) -> tuple[int, int, int, int]:
    return stat.device, stat.inode, stat.size, stat.mtime_ns
