"""How a file changes its place: never over another file, never through a swapped folder, never half.

The low level of `pipeline.actions`. A file travels by an exclusive rename; between file systems, or to be
copied, it is written under a temporary name, synchronised, read back, placed by an exclusive rename, and only
then leaves its origin. `settle` finds out, after an interruption at any point, on which side of the line it
is: while the origin stands, nothing happened.

Folders are walked from a trusted root by descriptors without following symlinks, so a parent swapped for a
symlink is refused. `os.rename` replaces silently and `shutil.move` loses files to a power failure; neither
appears here.
"""

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.syscalls import (
    copy_bytes,
    copy_metadata,
    drop_cache,
    hash_file,
    rename_exclusive,
    set_times_and_mode,
    sync,
)
from store.errors import ActionError
from store.text import printable

TEMPORARY_PREFIX = ".dedupd-"  # watchers ignore such names
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO that took the file's place must not hang us
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_LONGEST_EXTENSION_BYTES = 32  # anything longer is a name with dots in it

Identity = tuple[int, int, int, int]  # device, inode, size in bytes, mtime_ns
Announce = Callable[[str, int], None]  # takes path and inode, durably, before a name is tried


class Whereabouts(StrEnum):
    """Where an interrupted journey left its file."""

    ORIGIN = "origin"
    DESTINATION = "destination"
    NOWHERE = "nowhere"  # a third party took or changed it


@dataclass(frozen=True, slots=True)
class Place:
    """A file name below a root folder. The root is trusted; everything below it is walked with care."""

    root: str
    path: str

    def __post_init__(self) -> None:
        inside = self.path.startswith(self._prefix)
        if not inside or {"", ".", ".."} & set(self.parts):
            raise ActionError("the path does not lie below its folder", "give absolute, normalised paths")

    @property
    def _prefix(self) -> str:
        return self.root.rstrip("/") + "/"

    @property
    def parts(self) -> list[str]:
        """The names from the root down to the file."""
        return self.path.removeprefix(self._prefix).split("/")

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.parts[-1]

    def sibling(self, name: str) -> str:
        """Return the path of another name in the same folder."""
        return self.path.removesuffix(self.name) + name


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


def identity(status: os.stat_result) -> Identity:
    """Take from a stat what tells a file from any other and from its own later versions."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def make_root(path: str) -> None:
    """Create a root folder and those above it, durably: what lies in an unsynchronised folder is not safe."""
    if Path(path).is_dir():
        return
    above = str(Path(path).parent)
    make_root(above)
    with suppress(FileExistsError):
        Path(path).mkdir()
    fd = os.open(above, _FOLDER)
    try:
        sync(fd)
    finally:
        os.close(fd)


@contextmanager
def open_folder(place: Place, *, create: bool = False) -> Iterator[int]:
    """Yield a descriptor of the folder that holds a place, walked from its root without following symlinks.

    Raises ActionError when the root is not there: it is offline, and creating it would fill the mount point.
    """
    try:
        fd = os.open(place.root, _FOLDER)
    except FileNotFoundError as error:
        message = f"the folder {printable(place.root)} is not there"
        raise ActionError(message, "connect its disk, or create the folder") from error
    try:
        for part in place.parts[:-1]:
            below = _step(fd, part, create)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, part: str, create: bool) -> int:
    with suppress(FileNotFoundError):
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    if create:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=fd)
        sync(fd)
    return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)


@contextmanager
def open_regular(folder_fd: int | None, name: str) -> Iterator[int]:
    """Yield a descriptor of a regular file; anything else counts as not there (FileNotFoundError)."""
    fd = os.open(name, _FILE, dir_fd=folder_fd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is no regular file", name)
        yield fd
    finally:
        os.close(fd)


def names(name: str, word: str, limit_bytes: int) -> Iterator[str]:
    """Yield a name and its variations: "a (2).jpg", "a (3).jpg"; with a word "a (word).jpg", …

    Each is at most `limit_bytes` long; what is cut off comes from the end of the stem, whole characters only.
    """
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - a name, not a path: pathlib would normalise it
    if len(os.fsencode(extension)) > _LONGEST_EXTENSION_BYTES:
        stem, extension = name, ""
    yield _fitted(stem, extension, limit_bytes)
    for number in itertools.count(2):
        mark = str(number) if not word else word if number == 2 else f"{word} {number - 1}"
        yield _fitted(stem, f" ({mark}){extension}", limit_bytes)


def _fitted(stem: str, tail: str, limit_bytes: int) -> str:
    while len(os.fsencode(stem + tail)) > limit_bytes:
        stem = stem[:-1]
    return stem + tail


def travel(journey: Journey, expected: Identity, announce: Announce) -> Arrival:
    """Take a file to its destination under the first free name.

    Raises ActionError or OSError; the caller then calls `settle`, which says where the file is.
    """
    with (
        open_folder(journey.origin) as from_fd,
        open_folder(journey.destination, create=True) as to_fd,
        open_regular(from_fd, journey.origin.name) as fd,
    ):
        if identity(os.fstat(fd)) != expected:
            raise ActionError("the file changed after it was judged", "it will be looked at again")
        if not journey.leave:
            lost = set_times_and_mode(fd, journey.mtime_ns, journey.mode)
            expected = identity(os.fstat(fd))
            try:
                if os.fstat(from_fd).st_dev == os.fstat(to_fd).st_dev:
                    return Arrival(_rename(journey, from_fd, to_fd, expected, announce), ", ".join(lost))
            except OSError as error:
                if error.errno != errno.EXDEV:  # two mounts of one file system
                    raise
        return _copy(journey, fd, from_fd, to_fd, expected, announce)


def _rename(journey: Journey, from_fd: int, to_fd: int, expected: Identity, announce: Announce) -> str:
    origin = journey.origin.name
    name = _place(journey, from_fd, origin, to_fd, expected[1], announce)
    try:
        # The name may have been given to another file after the last look: then that one goes back.
        if identity(os.stat(name, dir_fd=to_fd, follow_symlinks=False)) != expected:
            raise ActionError("the file was replaced while it was being moved", "it will be looked at again")
        sync(to_fd)
        sync(from_fd)
    except (OSError, ActionError):
        _rename_to_free_name(to_fd, name, from_fd, origin)
        raise
    return journey.destination.sibling(name)


def _place(journey: Journey, from_fd: int, source: str, to_fd: int, inode: int, announce: Announce) -> str:
    """Rename a file to the first free variation of the destination's name, announcing each before the try."""
    for name in names(journey.destination.name, journey.word, os.fpathconf(to_fd, "PC_NAME_MAX")):
        if not _exists(to_fd, name):
            announce(journey.destination.sibling(name), inode)
            with suppress(FileExistsError):  # taken in between
                rename_exclusive(from_fd, source, to_fd, name)
                return name
    raise AssertionError("names never end")


def _exists(folder_fd: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        return True
    return False


def _rename_to_free_name(from_fd: int, source: str, to_fd: int, target: str) -> None:
    for name in names(target, "restored", os.fpathconf(to_fd, "PC_NAME_MAX")):
        with suppress(FileExistsError):
            rename_exclusive(from_fd, source, to_fd, name)
            break


def _copy(
    journey: Journey, fd: int, from_fd: int, to_fd: int, expected: Identity, announce: Announce
) -> Arrival:
    volume = os.fstatvfs(to_fd)
    if volume.f_bavail * volume.f_frsize - expected[2] < journey.min_free_bytes:
        raise ActionError("too little space is left on the quarantine's volume", "free some, then try again")
    inode, lost = _write_part(journey, fd, to_fd)
    name = _place(journey, to_fd, _part(journey), to_fd, inode, announce)
    sync(to_fd)
    if not journey.leave:
        discard(from_fd, journey.origin.name, expected, journey.tag)
    return Arrival(journey.destination.sibling(name), ", ".join(lost))


def _write_part(journey: Journey, fd: int, to_fd: int) -> tuple[int, list[str]]:
    with suppress(FileNotFoundError):
        os.unlink(_part(journey), dir_fd=to_fd)  # of an interrupted run with this tag; the origin stands
    part_fd = os.open(_part(journey), _NEW_FILE, 0o600, dir_fd=to_fd)
    try:
        copy_bytes(fd, part_fd)
        lost = copy_metadata(fd, part_fd, journey.mtime_ns, journey.mode)
        sync(part_fd)
        drop_cache(part_fd)
        if hash_file(part_fd) != journey.sha256:
            raise ActionError("the copy differs from the file as it was judged", "it will be looked at again")
        return os.fstat(part_fd).st_ino, lost
    finally:
        os.close(part_fd)


def discard(folder_fd: int, name: str, expected: Identity, tag: str) -> None:
    """Unlink one expected file and no other: the only place where dedupd removes a file.

    It is set aside under a private name first and looked at there, so nothing can take its place in between.
    Raises ActionError when it is not the one expected; it is put back then.
    """
    aside = _aside(tag)
    rename_exclusive(folder_fd, name, folder_fd, aside)
    if identity(os.stat(aside, dir_fd=folder_fd, follow_symlinks=False)) != expected:
        _rename_to_free_name(folder_fd, aside, folder_fd, name)
        raise ActionError("the file was replaced or changed meanwhile", "it will be looked at again")
    os.unlink(aside, dir_fd=folder_fd)
    sync(folder_fd)


def return_aside(place: Place, tag: str) -> None:
    """Take back the first half of an interrupted `discard`."""
    with _if_there(), open_folder(place) as fd:
        if _exists(fd, _aside(tag)):
            _rename_to_free_name(fd, _aside(tag), fd, place.name)
            sync(fd)


def find(place: Place, sha256: bytes) -> Identity | None:
    """Return the identity of the file at a place if it holds the content; None for anything else.

    Raises ActionError when the root is not there (offline), OSError when the disk will not tell.
    """
    with _if_there(), open_folder(place) as folder_fd, open_regular(folder_fd, place.name) as fd:
        return identity(os.fstat(fd)) if hash_file(fd) == sha256 else None
    return None


def exists(place: Place) -> bool:
    """Tell whether anything at all has a place's name."""
    with _if_there(), open_folder(place) as fd:
        return _exists(fd, place.name)
    return False


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
    ours = arrived if arrived is not None and arrived[1] == inode else None
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
    with _if_there(), open_folder(journey.destination) as fd:
        os.unlink(_part(journey), dir_fd=fd)


def _sync_folders(journey: Journey) -> None:
    for place in (journey.destination, journey.origin):
        with _if_there(), open_folder(place) as fd:
            sync(fd)


@contextmanager
def _if_there() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise


def prune(place: Place) -> None:
    """Remove the empty folders above a place, up to its root, which stays."""
    parts = place.parts[:-1]
    while parts:
        try:
            with open_folder(Place(place.root, "/".join([place.root.rstrip("/"), *parts]))) as fd:
                os.rmdir(parts.pop(), dir_fd=fd)
        except OSError:
            return  # not empty, or not ours to remove


def _part(journey: Journey) -> str:
    return f"{TEMPORARY_PREFIX}{journey.tag}.part"


def _aside(tag: str) -> str:
    return f"{TEMPORARY_PREFIX}{tag}.aside"
