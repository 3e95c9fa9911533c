"""Places: file names below a trusted root, reached by walking, never through a symlink.

A path is opened folder by folder from its root's descriptor (`dir_fd`, `O_NOFOLLOW`), so a parent swapped for
a symlink is refused, also in the middle of the work: descriptors stay with the folder that was opened.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.syscalls import sync
from store.errors import ActionError
from store.text import printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO that took the file's place must not hang us
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_LONGEST_EXTENSION_BYTES = 32  # anything longer is a name with dots in it


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
        hint = "connect its disk, give it its old name back where it was renamed, or create the folder"
        raise ActionError(message, hint) from error
    walked = place.root.rstrip("/")
    try:
        for part in place.parts[:-1]:
            below = _step(fd, part, create, f"{walked}/{part}")
            walked += f"/{part}"
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, part: str, create: bool, path: str) -> int:
    """Open a folder in an open one; `path` is the name under which an error tells of it."""
    try:
        with suppress(FileNotFoundError):
            return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        if create:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=fd)
            sync(fd)
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        error.filename = path
        raise


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


def names(name: str, word: str, tag: str, limit_bytes: int) -> Iterator[str]:
    """Yield a name and its variations: "a (2).jpg", "a (3).jpg"; with a word "a (word).jpg", "a (word 2).jpg".

    After a hundred the tag takes over, "a (tag).jpg": where a camera writes one name for ever, no move shall have
    to look at all the names before it. Each is at most `limit_bytes` long; what is cut off comes from the end of
    the stem, whole characters only.
    """
    stem, extension = os.path.splitext(name)
    if len(os.fsencode(extension)) > _LONGEST_EXTENSION_BYTES:
        stem, extension = name, ""
    yield _fitted(stem, extension, limit_bytes)
    plain = [word, *(f"{word} {number}" for number in range(2, 100))] if word else map(str, range(2, 100))
    tagged = (f"{tag} {number}" for number in itertools.count(2))
    for mark in itertools.chain(plain, [tag], tagged):
        yield _fitted(stem, f" ({mark}){extension}", limit_bytes)


def _fitted(stem: str, tail: str, limit_bytes: int) -> str:
    while len(os.fsencode(stem + tail)) > limit_bytes:
        stem = stem[:-1]
    return stem + tail


@contextmanager
def if_there() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise


def exists(place: Place) -> bool:
    """Tell whether anything at all has a place's name."""
    with if_there(), open_folder(place) as fd:
        return has_name(fd, place.name)
    return False


def has_name(folder_fd: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        return True
    return False


def prune(place: Place) -> None:
    """Remove the empty folders above a place, up to its root, which stays."""
    parts = place.parts[:-1]
    while parts:
        try:
            with open_folder(Place(place.root, "/".join([place.root.rstrip("/"), *parts]))) as fd:
                os.rmdir(parts.pop(), dir_fd=fd)
        except OSError:
            return  # not empty, or not ours to remove
