"""How a file changes its place: never over another file, never through a swapped folder, never half.

The low level of `pipeline.actions`. A file travels by an exclusive rename; between file systems, or to be
copied, it is written under a temporary name, synchronised, read back, placed by an exclusive rename, and only
then leaves its origin. `settle` finds out, after an interruption at any point, on which side of the line it
is: while the origin stands, nothing happened.

`os.rename` replaces silently, and `shutil.move` loses files to a power failure (it synchronises nothing
before it removes the source); neither appears here.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pipeline.places import Place, has_name, if_there, names, open_folder, open_regular
from pipeline.syscalls import (
    copy_bytes,
    copy_metadata,
    drop_cache,
    hash_file,
    is_being_written,
    rename_exclusive,
    set_times_and_mode,
    sync,
)
from store.errors import ActionError
from store.text import printable

TEMPORARY_PREFIX = ".dedupd-"  # watchers ignore such names
_AGAIN = "it will be looked at again"
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

Announce = Callable[[str, int], None]  # takes path and inode, durably, before a name is tried


class Identity(NamedTuple):
    """What tells a file from any other, and from its own later versions."""

    device: int
    inode: int
    size: int  # bytes
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """Take it from a stat that followed no symlink."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Whereabouts(StrEnum):
    """Where an interrupted journey left its file."""

    ORIGIN = "origin"
    DESTINATION = "destination"
    NOWHERE = "nowhere"  # a third party took or changed it


@dataclass(frozen=True, slots=True)
class Journey:
    """One file's way from an origin to a destination, with all that must be true on arrival."""

    origin: Place
    destination: Place
    sha256: bytes
    mtime_ns: int
    mode: int  # permission bits
    tag: str  # makes temporary names unique, and findable after a crash
    word: str = ""  # how a taken name is varied: "name (2)", or "name (word)"
    leave: bool = False  # True for a copy: the origin stays
    min_free_bytes: int = 0  # what must be left on the destination's volume after a copy


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a file lies after its journey, and what could not come along."""

    path: str
    not_kept: str


def travel(journey: Journey, expected: Identity, announce: Announce) -> Arrival:
    """Take a file to its destination under the first free name.

    Raises ActionError or OSError; the caller then calls `settle`, which says where the file is.
    """
    with (
        open_folder(journey.origin) as from_fd,
        open_folder(journey.destination, create=True) as to_fd,
        open_regular(from_fd, journey.origin.name) as fd,
    ):
        _require(fd, expected, "the file changed after it was judged")
        if not journey.leave:
            lost = set_times_and_mode(fd, journey.mtime_ns, journey.mode)
            expected = Identity.of(os.fstat(fd))
            try:
                if os.fstat(from_fd).st_dev == os.fstat(to_fd).st_dev:
                    return Arrival(_rename(journey, from_fd, to_fd, expected, announce), ", ".join(lost))
            except OSError as error:
                if error.errno != errno.EXDEV:  # two mounts of one file system
                    raise
        return _copy(journey, fd, from_fd, to_fd, expected, announce)


def refuse_writers(fd: int) -> None:
    """Raise ActionError while any process has an open file open for writing, as far as the system tells."""
    if is_being_written(fd):
        raise ActionError("it is still being written", _AGAIN)


def _require(fd: int, expected: Identity, otherwise: str) -> None:
    """Raise ActionError unless an open file is the expected one, and is at rest.

    Writers first: one that ends in between has left its mark on the identity.
    """
    refuse_writers(fd)
    if Identity.of(os.fstat(fd)) != expected:
        raise ActionError(otherwise, _AGAIN)


def _rename(journey: Journey, from_fd: int, to_fd: int, expected: Identity, announce: Announce) -> str:
    origin = journey.origin.name
    changed = "the file changed while it was being moved"
    name = _place(journey, from_fd, origin, to_fd, expected.inode, announce)
    try:
        # The name, or the content, may have become another's after the last look: then that one goes back.
        with open_regular(to_fd, name) as fd:
            _require(fd, expected, changed)  # no new writer finds it under its old name any more
            if hash_file(fd) != journey.sha256:
                raise ActionError(changed, _AGAIN)
        sync(to_fd)
        sync(from_fd)
    except (OSError, ActionError):
        _rename_to_free_name(to_fd, name, from_fd, origin, journey.tag)
        sync(from_fd)  # before the ledger says that nothing happened
        raise
    return journey.destination.sibling(name)


def _place(journey: Journey, from_fd: int, source: str, to_fd: int, inode: int, announce: Announce) -> str:
    """Rename a file to the first free variation of the destination's name, announcing each before the try."""
    limit_bytes = os.fpathconf(to_fd, "PC_NAME_MAX")
    for name in names(journey.destination.name, journey.word, journey.tag, limit_bytes):
        if not has_name(to_fd, name):
            announce(journey.destination.sibling(name), inode)
            with suppress(FileExistsError):  # taken in between
                rename_exclusive(from_fd, source, to_fd, name)
                return name
    raise AssertionError("names never end")


def _rename_to_free_name(from_fd: int, source: str, to_fd: int, target: str, tag: str) -> None:
    for name in names(target, "restored", tag, os.fpathconf(to_fd, "PC_NAME_MAX")):
        with suppress(FileExistsError):
            rename_exclusive(from_fd, source, to_fd, name)
            break


def _copy(journey: Journey, fd: int, from_fd: int, to_fd: int, expected: Identity, announce: Announce) -> Arrival:
    volume = os.fstatvfs(to_fd)
    if volume.f_bavail * volume.f_frsize - expected.size < journey.min_free_bytes:
        where = printable(journey.destination.root)
        raise ActionError(f"too little space is left on the disk of {where}", "free some, then try again")
    copy, lost = _write_part(journey, fd, to_fd)
    name = _place(journey, to_fd, _part(journey), to_fd, copy.inode, announce)
    sync(to_fd)
    if not journey.leave:
        try:
            discard(from_fd, journey.origin.name, expected, journey.tag)
        except ActionError:
            if _has_inode(from_fd, journey.origin.name, expected.inode):  # it stands, perhaps grown: the copy is old
                discard(to_fd, name, copy, journey.tag)
            raise
    return Arrival(journey.destination.sibling(name), ", ".join(lost))


def _write_part(journey: Journey, fd: int, to_fd: int) -> tuple[Identity, list[str]]:
    with suppress(FileNotFoundError):
        os.unlink(_part(journey), dir_fd=to_fd)  # of an interrupted run with this tag; the origin stands
    part_fd = os.open(_part(journey), _NEW_FILE, 0o600, dir_fd=to_fd)
    try:
        copy_bytes(fd, part_fd)
        lost = copy_metadata(fd, part_fd, journey.mtime_ns, journey.mode)
        sync(part_fd)
        drop_cache(part_fd)
        if hash_file(part_fd) != journey.sha256:
            raise ActionError("the copy differs from the file as it was judged", _AGAIN)
        return Identity.of(os.fstat(part_fd)), lost
    finally:
        os.close(part_fd)


def discard(folder_fd: int, name: str, expected: Identity, tag: str) -> None:
    """Unlink one expected file and no other: the only place where dedupd removes a file.

    It is set aside under a private name first and looked at there, so nothing can take its place in between.
    Raises ActionError when it is not the one expected, or has a writer; it is put back then.
    """
    aside = _aside(tag)
    rename_exclusive(folder_fd, name, folder_fd, aside)
    try:
        with open_regular(folder_fd, aside) as fd:
            _require(fd, expected, "the file was replaced or changed meanwhile")
    except (OSError, ActionError):
        _rename_to_free_name(folder_fd, aside, folder_fd, name, tag)
        sync(folder_fd)
        raise
    os.unlink(aside, dir_fd=folder_fd)
    sync(folder_fd)


def return_aside(place: Place, tag: str) -> None:
    """Take back the first half of an interrupted `discard`."""
    aside = _aside(tag)
    with if_there(), open_folder(place) as fd:
        if not has_name(fd, aside):
            return
        if _are_one_file(fd, aside, place.name):  # between link and unlink
            os.unlink(aside, dir_fd=fd)
        else:
            _rename_to_free_name(fd, aside, fd, place.name, tag)
        sync(fd)


def _are_one_file(folder_fd: int, name: str, other: str) -> bool:
    with suppress(FileNotFoundError):
        one, two = (os.stat(item, dir_fd=folder_fd, follow_symlinks=False) for item in (name, other))
        return os.path.samestat(one, two)
    return False


def _has_inode(folder_fd: int, name: str, inode: int) -> bool:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_ino == inode
    return False


def find(place: Place, sha256: bytes) -> Identity | None:
    """Return the identity of the file at a place if it holds the content; None for anything else.

    Raises ActionError when the root is not there (offline), OSError when the disk will not tell.
    """
    with if_there(), open_folder(place) as folder_fd, open_regular(folder_fd, place.name) as fd:
        return Identity.of(os.fstat(fd)) if hash_file(fd) == sha256 else None
    return None


def settle(journey: Journey, inode: int | None) -> Whereabouts:
    """Tell where an interrupted journey left its file, and tidy up; repeatable.

    While the origin stands nothing happened: our own file at the destination, known by the inode that was
    announced (None: nothing was), is withdrawn. A copy has arrived when it is whole and ours. Raises
    ActionError when a root is offline and OSError when the disk will not tell; then nothing is known yet.
    """
    for place in (journey.origin, journey.destination):
        return_aside(place, journey.tag)
    standing = find(journey.origin, journey.sha256)
    arrived = None if inode is None else find(journey.destination, journey.sha256)
    if standing is None and arrived is None:
        return _rescue_part(journey)
    _drop_part(journey)
    ours = arrived if arrived is not None and arrived.inode == inode else None
    if journey.leave:
        return Whereabouts.DESTINATION if ours else Whereabouts.ORIGIN
    if standing is None:
        _sync_folders(journey)
        return Whereabouts.DESTINATION
    if ours is not None:
        with open_folder(journey.origin) as folder_fd, open_regular(folder_fd, journey.origin.name) as fd:
            sync(fd)
            sync(folder_fd)
        with open_folder(journey.destination) as folder_fd:
            discard(folder_fd, journey.destination.name, ours, journey.tag)
    return Whereabouts.ORIGIN


def _rescue_part(journey: Journey) -> Whereabouts:
    """Both ends lost the content to someone else; a whole temporary copy may be the last there is."""
    part = Place(journey.destination.root, journey.destination.sibling(_part(journey)))
    if find(part, journey.sha256) is None:
        _drop_part(journey)
        return Whereabouts.NOWHERE
    with open_folder(journey.destination) as fd:
        try:
            rename_exclusive(fd, part.name, fd, journey.destination.name)
        except FileExistsError:
            return Whereabouts.NOWHERE  # the part stays: it is an intact file and the only one
        sync(fd)
    return Whereabouts.DESTINATION


def _drop_part(journey: Journey) -> None:
    with if_there(), open_folder(journey.destination) as fd:
        os.unlink(_part(journey), dir_fd=fd)
        sync(fd)  # the ledger is about to forget it: it must not come back after a power failure


def _sync_folders(journey: Journey) -> None:
    for place in (journey.destination, journey.origin):
        with if_there(), open_folder(place) as fd:
            sync(fd)


def _part(journey: Journey) -> str:
    return f"{TEMPORARY_PREFIX}{journey.tag}.part"


def _aside(tag: str) -> str:
    return f"{TEMPORARY_PREFIX}{tag}.aside"
