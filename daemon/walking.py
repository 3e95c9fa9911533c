"""Which files count: the rules by name and kind, and the walk over a folder.

A path counts by the same rules whether an event named it (`is_candidate`) or a scan met it (`walk`).
Nothing here opens a file: names and `lstat` decide, so FIFOs, sockets and devices called x.jpg stay
untouched.
"""

import errno
import fnmatch
import functools
import os
import re
import stat as stat_mode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from daemon.state import CATALOG_NAME, LOCK_NAME
from pipeline.manifest import MANIFEST_NAME
from store.records import FileStat

PICTURE_EXTENSIONS = frozenset(
    {
        *("jpg", "jpeg", "jpe", "jfif", "jif", "mpo", "png", "apng", "webp", "gif", "bmp", "dib", "tif"),
        *(
            "tiff",
            "avif",
            "avifs",
            "heic",
            "heics",
            "heif",
            "heifs",
            "hif",
            "jp2",
            "j2k",
            "j2c",
            "jpc",
            "jpf",
        ),
        *("jpx", "ppm", "pgm", "pbm", "pnm"),
    }
)
# Folders that systems, NAS boxes and sync programs keep for themselves; hidden ones need no entry.
_SYSTEM_FOLDERS = frozenset(
    {
        "cleaning_report_files",  # the previews of a report
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin"),
        *("system volume information", "lost+found", "network trash folder", "temporary items", "__macosx"),
    }
)

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Above = tuple[tuple[int, int], "_Above"] | None  # identities of the folders above, nearest first
Excluded = frozenset[tuple[int, int] | str]  # folders never entered: (device, inode) or real path


@dataclass(frozen=True, slots=True)
class WalkProblem:
    """A folder or file that could not be looked at: what lies below it is unseen, which is not vanished."""

    path: str
    errno: int
    reason: str


def walk(
    root: str,
    recursive: bool = True,
    ignore: tuple[str, ...] = (),
    exclude: Excluded = frozenset(),
    on_problem: Callable[[WalkProblem], None] | None = None,
) -> Iterator[FileStat]:
    """Yield the regular picture files below a root (a real path), in no particular order.

    Links are never followed; other file systems mounted below are entered. What cannot be read goes to
    `on_problem`, the root included; what vanishes meanwhile is passed over.
    """
    report = on_problem or _disregard
    ignored = _ignore_rule(ignore)
    cut = len(root.rstrip("/")) + 1
    pending: list[tuple[str, _Above]] = [(root, None)]
    while pending:
        folder, above = pending.pop()
        prefix = folder if folder.endswith("/") else folder + "/"
        descriptor = _open_folder(folder, above is not None, report)
        if descriptor is None:
            continue
        try:
            here = _identity(os.fstat(descriptor))
            if here in exclude or folder in exclude or _is_loop(here, above):
                continue
            if above is not None and _is_ours(descriptor):
                continue
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if ignored is not None and ignored(entry.name, path[cut:]):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if recursive and not _is_system_folder(entry.name):
                            pending.append((path, (here, above)))
                    elif is_picture_name(entry.name) and (seen := _stat_entry(entry, path, report)):
                        yield seen
        except OSError as error:
            _report(error, folder, report, quiet=False)
        finally:
            os.close(descriptor)


def is_picture_name(name: str) -> bool:
    """Say whether a file's name is that of a picture: a known extension, not hidden, no "~" in front.

    Unfinished downloads (x.jpg.part, x.jpg.crdownload) have another extension; AppleDouble and sync files
    are hidden.
    """
    stem, dot, extension = name.rpartition(".")
    return bool(dot and stem) and name[0] not in ".~" and extension.lower() in PICTURE_EXTENSIONS


def is_candidate(
    path: str,
    root: str,
    recursive: bool = True,
    ignore: tuple[str, ...] = (),
    exclude: Excluded = frozenset(),
) -> bool:
    """Say whether `walk` with the same rules would look at this path, judging by its name alone.

    Whether a regular file lies there is a question for `look`, and whether that is dedupd's own for `is_set_aside`.
    """
    prefix = root if root.endswith("/") else root + "/"
    relative = path.removeprefix(prefix)
    *folders, name = relative.split("/")
    if relative == path or not is_picture_name(name) or (folders and not recursive):
        return False
    if any(_is_system_folder(folder) for folder in folders) or ".." in folders or "" in folders:
        return False
    below = ["/".join(folders[: depth + 1]) for depth in range(len(folders))]
    ignored = _ignore_rule(ignore)
    if ignored is not None and any(ignored(one.rpartition("/")[2], one) for one in (*below, relative)):
        return False
    return not any(_is_excluded(above, exclude) for above in (root, *(prefix + one for one in below)))


def look(path: str) -> FileStat | None:
    """Return the stat of a regular file; None when it is gone, out of reach or something else."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    return FileStat.of(path, found) if stat_mode.S_ISREG(found.st_mode) else None


def is_set_aside(path: str, root: str) -> bool:
    """Say whether a file below a root lies in a quarantine or state folder of any dedupd, which `walk` passes over."""
    folder = os.path.dirname(path)
    while len(folder) > len(root.rstrip("/")):
        if _is_ours(folder):
            return True
        folder = os.path.dirname(folder) if folder != "/" else ""
    return False


def _is_ours(folder: int | str) -> bool:
    """Say whether a folder (its descriptor or path) is a quarantine of dedupd, or one in which it keeps its state."""
    return _holds(folder, MANIFEST_NAME) or (_holds(folder, CATALOG_NAME) and _holds(folder, LOCK_NAME))


def _holds(folder: int | str, name: str) -> bool:
    try:
        if isinstance(folder, str):
            os.lstat(os.path.join(folder, name))
        else:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return False
    return True


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_loop(here: tuple[int, int], above: _Above) -> bool:
    """Say whether a folder lies in itself (FUSE can). Inode 0: the file system has no inodes to compare."""
    while above is not None and here[1] != 0:
        if above[0] == here:
            return True
        above = above[1]
    return False


def _open_folder(folder: str, nested: bool, report: Callable[[WalkProblem], None]) -> int | None:
    try:
        return os.open(folder, _FOLDER_FLAGS)
    except OSError as error:
        _report(error, folder, report, quiet=nested)
        return None


def _stat_entry(entry: os.DirEntry[str], path: str, report: Callable[[WalkProblem], None]) -> FileStat | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError as error:
        _report(error, path, report, quiet=True)
        return None
    return FileStat.of(path, found) if stat_mode.S_ISREG(found.st_mode) else None


def _report(error: OSError, path: str, report: Callable[[WalkProblem], None], quiet: bool) -> None:
    """Pass a problem on; with `quiet` not that something vanished or became a link between two looks."""
    if quiet and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return
    report(WalkProblem(path, error.errno or 0, error.strerror or type(error).__name__))


def _disregard(_problem: WalkProblem) -> None:
    pass


def _is_system_folder(name: str) -> bool:
    return name.startswith((".", "~")) or name.casefold() in _SYSTEM_FOLDERS


@functools.lru_cache(maxsize=64)
def _ignore_rule(ignore: tuple[str, ...]) -> Callable[[str, str], bool] | None:
    """Compile patterns to a rule on (name, path below the root); None for no patterns."""
    if not ignore:
        return None
    names = [fnmatch.translate(pattern.rstrip("/")) for pattern in ignore if "/" not in pattern.rstrip("/")]
    paths = [fnmatch.translate(pattern.strip("/")) for pattern in ignore if "/" in pattern.rstrip("/")]
    name_rule, path_rule = (re.compile("|".join(rules) or r"(?!)") for rules in (names, paths))
    return lambda name, below: bool(name_rule.match(name) or path_rule.match(below))


def _is_excluded(folder: str, exclude: Excluded) -> bool:
    if folder in exclude:
        return True
    if not any(isinstance(one, tuple) for one in exclude):
        return False
    try:
        return _identity(os.lstat(folder)) in exclude
    except OSError:
        return False
