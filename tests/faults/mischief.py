"""What happens to hot folders: pictures arrive in every way, are edited, renamed, deleted, carried away and back.

Whatever is taken away goes to a grave beside the hot folder first, by one rename, and is read there: so the books know
what it was, however the service moves files at the same moment.
"""

import ctypes
import errno
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.faults.books import OWN_FILES, Books
from tests.faults.supply import Supply
from tests.faults.village import Home, Village

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_LIBC = ctypes.CDLL(None, use_errno=True)
_CAN_EXCHANGE = hasattr(_LIBC, "renameat2")
_NAMES = (
    "IMG_%d.jpg",
    "holiday %d.JPG",
    "scan-%d.jpeg",
    "Überblick %d.jpg",
    "%d (1).jpg",
    "a\nb %d.jpg",
    "\udcff%d.jpg",
)
_MOST_FILES = 450  # in all hot folders; beyond it more is deleted than arrives

Act = Callable[[random.Random], None]


class Mischief:
    """One person's doings in the hot folders of a village. Called by one thread; slow writers are threads of theirs."""

    def __init__(self, village: Village, supply: Supply, books: Books) -> None:
        self._village, self._supply, self._books = village, supply, books
        self._numbers = count(1)
        self._writers: list[threading.Thread] = []
        self._carried: list[tuple[Path, Path]] = []  # (where a folder was, where it is)
        self.done: Counter[str] = Counter()
        self.findings: list[str] = []
        self.may_close = True  # False: a slow writer keeps its file open, for the clock of the service is not ours
        self.fresh_share = 0.7  # of arrivals that were never seen before
        self._weights: dict[str, int] = {
            "arrive": 20, "arrive_renamed": 10, "arrive_slowly": 6, "burst": 4, "exact_copy": 10, "variant": 10,
            "broken": 5, "edit": 8, "replace": 4 if _CAN_EXCHANGE else 0, "delete": 12, "rename": 6, "move_folder": 2,
            "delete_folder": 1, "carry_away": 2, "empty_quarantine": 1,
        }  # fmt: skip

    def one(self, chance: random.Random) -> None:
        """Do one thing."""
        name = "delete_many" if self._crowded() else chance.choices(*zip(*self._weights.items(), strict=True))[0]
        try:
            getattr(self, f"_{name}")(chance)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._delete_many(chance)
        self.done[name] += 1

    def finish(self) -> None:
        """Bring back what was carried away, and let slow writers come to their end."""
        while self._carried:
            self._carry_back()
        for writer in self._writers:
            writer.join()
        self._writers.clear()

    def wait_for_writers(self) -> None:
        """Let slow writers come to their end."""
        for writer in self._writers:
            writer.join()
        self._writers.clear()

    # -- arrivals ---------------------------------------------------------------------------------------------------

    def _arrive(self, chance: random.Random) -> None:
        self._write(self._new_path(chance), self._content(chance))

    def _exact_copy(self, chance: random.Random) -> None:
        self._write(self._new_path(chance), self._supply.again(chance))

    def _variant(self, chance: random.Random) -> None:
        self._write(self._new_path(chance), self._fresh_or_known(chance, self._supply.variant))

    def _broken(self, chance: random.Random) -> None:
        self._write(self._new_path(chance), self._fresh_or_known(chance, self._supply.broken))

    def _burst(self, chance: random.Random) -> None:
        for _ in range(chance.randint(8, 20)):
            self._arrive(chance)

    def _arrive_renamed(self, chance: random.Random) -> None:
        path = self._new_path(chance)
        part = os.path.join(os.path.dirname(path), f".{next(self._numbers)}.part")
        self._write(part, self._content(chance))
        os.rename(part, path)

    def _arrive_slowly(self, chance: random.Random) -> None:
        home = self._home(chance)
        path = os.path.join(home.hot, "slow", f"{next(self._numbers)}.jpg")
        pauses = [chance.uniform(0.2, 2.0) for _ in range(chance.randint(3, 6))]
        content = self._content(chance)
        ends_at_its_end = content.endswith((b"\xff\xd9", b"IEND\xaeB`\x82"))  # else a part of it may be a whole picture
        keep_open = not self.may_close or not ends_at_its_end or chance.random() < 0.5
        writer = threading.Thread(target=self._write_slowly, args=(path, content, pauses, keep_open), daemon=True)
        writer.start()
        self._writers = [*(w for w in self._writers if w.is_alive()), writer]

    def _write_slowly(self, path: str, content: bytes, pauses: list[float], keep_open: bool) -> None:
        """Write in pieces; whenever the file is closed, the books know what it holds."""
        size = len(content) // len(pauses) + 1
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        for piece, pause in zip(pieces[:-1], pauses, strict=False):
            _write_whole(fd, piece)
            if keep_open:
                time.sleep(pause)
                continue
            self._close(fd, path)
            time.sleep(pause)
            try:
                fd = os.open(path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                self.findings.append(f"a file was moved in a pause of its writer: {path!r}")
                return
            self._books.taken(_read_whole(fd))
        _write_whole(fd, pieces[-1])
        self._close(fd, path)

    # -- changes ----------------------------------------------------------------------------------------------------

    def _edit(self, chance: random.Random) -> None:
        """Write other bytes into a file, sometimes keeping its mtime."""
        content, path = self._fresh_or_known(chance, self._supply.variant), self._any(chance)
        with suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            before, stat = _read_whole(fd), os.fstat(fd)
            try:
                os.lseek(fd, 0, os.SEEK_SET)
                _write_whole(fd, content)
                os.ftruncate(fd, len(content))
                if chance.random() < 0.3:
                    os.utime(fd, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            finally:
                if os.fstat(fd).st_nlink:
                    self._books.taken(before)
                self._close(fd, path)

    def _replace(self, chance: random.Random) -> None:
        """Put another file in place of one, in one step."""
        home = self._home(chance)
        path, new = self._any(chance, home), os.path.join(home.grave, f"{next(self._numbers)}")
        content = self._content(chance)
        self._write(new, content)
        if not path or _exchange(new, path):
            self._books.taken(content)
            os.unlink(new)
        else:
            self._bury(new)

    def _rename(self, chance: random.Random) -> None:
        home = self._home(chance)
        with suppress(FileNotFoundError):
            os.rename(self._any(chance, home), self._new_path(chance, home))

    def _move_folder(self, chance: random.Random) -> None:
        home = self._home(chance)
        folder = self._folder(chance, home)
        if folder is not None:
            os.rename(folder, home.hot / f"moved {next(self._numbers)}")

    def _carry_away(self, chance: random.Random) -> None:
        """Take a whole folder out of a hot folder; the next time it comes back."""
        if self._carried:
            self._carry_back()
            return
        home = self._home(chance)
        folder = self._folder(chance, home)
        if folder is not None:
            target = home.away / f"{next(self._numbers)}"
            os.rename(folder, target)
            self._carried.append((folder.with_name(f"back {next(self._numbers)}"), target))

    def _carry_back(self) -> None:
        was, now = self._carried.pop()
        os.rename(now, was)

    # -- deletions --------------------------------------------------------------------------------------------------

    def _delete(self, chance: random.Random) -> None:
        home = self._home(chance)
        self._take(self._any(chance, home), home)

    def _delete_many(self, chance: random.Random) -> None:
        for home in self._village.homes:
            files = list(self._files(home.hot))
            for path in chance.sample(files, len(files) // 8):
                self._take(path, home)

    def _delete_folder(self, chance: random.Random) -> None:
        home = self._home(chance)
        folder = self._folder(chance, home)
        if folder is None:
            return
        aside = home.grave / f"{next(self._numbers)}"
        os.rename(folder, aside)
        for path in [os.path.join(parent, name) for parent, _, names in os.walk(aside) for name in names]:
            self._take(path, home)

    def _empty_quarantine(self, chance: random.Random) -> None:
        """Delete a file for good out of a quarantine that can be renamed from."""
        home = self._home(chance)
        files = [] if home.quarantine.parent != home.hot.parent else list(self._files(home.quarantine))
        if files:
            self._take(chance.choice(files), home)
            self.done["deleted out of quarantine"] += 1

    def _take(self, path: str, home: Home) -> None:
        """Delete a file, and know which one it was."""
        if os.path.basename(path) in OWN_FILES:
            return
        aside = os.path.join(home.grave, f"{next(self._numbers)}")
        with suppress(FileNotFoundError):
            os.rename(path, aside)
            self._bury(aside)

    def _bury(self, aside: str) -> None:
        with open(aside, "rb") as stream:
            self._books.taken(stream.read())
        os.unlink(aside)

    # -- what there is ----------------------------------------------------------------------------------------------

    def files(self) -> list[str]:
        """List the files at home that no writer is busy with."""
        return [path for home in self._village.homes for path in self._files(home.hot)]

    @staticmethod
    def _files(root: Path) -> Iterator[str]:
        for parent, children, names in os.walk(root):
            children[:] = sorted(child for child in children if child != "slow")
            yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))

    def _crowded(self) -> bool:
        return len(self.files()) > _MOST_FILES

    def _any(self, chance: random.Random, home: Home | None = None) -> str:
        files = list(self._files(home.hot)) if home else self.files()
        return chance.choice(files) if files else ""

    def _home(self, chance: random.Random) -> Home:
        return chance.choice(self._village.homes)

    def _folder(self, chance: random.Random, home: Home) -> Path | None:
        folders = sorted(path for path in home.hot.iterdir() if path.is_dir() and path.name != "slow")
        return chance.choice(folders) if folders else None

    def _new_path(self, chance: random.Random, home: Home | None = None) -> str:
        root = (home or self._home(chance)).hot
        below = chance.choice(("", "", "camera", "phone", "phone/2026", f"day {chance.randint(1, 6)}"))
        os.makedirs(root / below, exist_ok=True)
        return os.path.join(root, below, chance.choice(_NAMES) % next(self._numbers))

    def _content(self, chance: random.Random) -> bytes:
        return self._fresh_or_known(chance, self._supply.fresh)

    def _fresh_or_known(self, chance: random.Random, fresh: Callable[[random.Random], bytes]) -> bytes:
        return fresh(chance) if chance.random() < self.fresh_share else self._supply.again(chance)

    def _write(self, path: str, content: bytes) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            _write_whole(fd, content)
        finally:  # a full disk leaves a part, and the books have that
            self._close(fd, path)

    def _close(self, fd: int, path: str) -> None:
        """Close a file that was written to; what it holds is in the books from now on."""
        content, links = _read_whole(fd), os.fstat(fd).st_nlink
        os.close(fd)
        if links:
            self._books.put(content)
        else:
            self.findings.append(f"a file was unlinked under its writer: {path!r}")


def _write_whole(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read_whole(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _exchange(one: str, other: str) -> int:
    """Let two files change their names in one step; return 0 or an errno."""
    names = os.fsencode(one), os.fsencode(other)
    failed = _LIBC.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return ctypes.get_errno() if failed else 0
