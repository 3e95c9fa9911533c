"""Run one story of moves and undos again and again, each time killed a little later.

Started by `test_undo.py`, with SPEC items CALL:STRIDE. For a system call the driver runs under
`strace -f -e inject=CALL:signal=KILL:when=LIMIT`. strace counts per process, so a child that first makes
LIMIT - n harmless calls is killed at the n-th one of its story. For the pseudo call "line" a child kills itself
at the n-th line that it runs of the code under test. After the last point of a call the story ran to its end.
"""

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from sqlite_utils import Database

from pipeline.actions import Action, apply, quarantine_target, undo
from pipeline.syscalls import rename_exclusive
from store.database import sqlite3
from store.ledger import Ledger, Verb
from store.records import FileStat, VerdictKind

LIMIT = 300  # more than any call is made in the story
STORY = ((Verb.MOVE, "near", "a/near.jpg"), (Verb.MOVE, "far", "a/far.jpg"), (Verb.COPY, "near", "a/copy.jpg"))
_NO_FD = 999
_HARMLESS: dict[str, Callable[[], Any]] = {
    "renameat2": lambda: rename_exclusive(_NO_FD, "a", _NO_FD, "b"),
    "unlinkat": lambda: os.unlink("a", dir_fd=_NO_FD),
    "linkat": lambda: os.link("a", "b", src_dir_fd=_NO_FD, dst_dir_fd=_NO_FD),
    "mkdirat": lambda: os.mkdir("a", dir_fd=_NO_FD),
    "unlink": lambda: os.unlink("/nowhere/at/all"),
    "write": lambda: os.write(_NO_FD, b""),
    "pwrite64": lambda: os.pwrite(_NO_FD, b"", 0),
    "fsync": lambda: os.fsync(_NO_FD),
    "fchmod": lambda: os.fchmod(_NO_FD, 0o600),
    "utimensat": lambda: os.utime(_NO_FD, ns=(0, 0)),
}
SYSTEM_CALLS = tuple(call for call in _HARMLESS if call != "linkat")  # made only without an exclusive rename
_UNDER_TEST = ("placing.py", "places.py", "syscalls.py", "manifest.py", "actions.py", "undoing.py", "ledger.py")


def open_ledger(path: Path) -> Ledger:
    """Open a ledger the way the catalog opens its database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return Ledger(Database(connection))


def content(name: str) -> bytes:
    """Return what the story's file of that name holds."""
    return name.encode() * 1000


def _story(base: Path, far: Path) -> None:
    import hashlib

    ledger = open_ledger(base / "ledger.db")
    for verb, where, name in STORY:
        path = base / "home" / name
        quarantine = str(far if where == "far" else base / "quarantine")
        action = Action(
            verb=verb,
            source=FileStat.of(str(path), path.lstat()),
            sha256=hashlib.sha256(content(name)).digest(),
            target=quarantine_target(quarantine, "blur", name),
            verdict=VerdictKind.BLUR,
            reason="too soft",
            keeper=None,
            folder_root=str(base / "home"),
            quarantine_root=quarantine,
        )
        undo(apply(action, ledger, 1_000), ledger, 2_000)


def _kill_at_line(point: int) -> None:
    lines = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.endswith(_UNDER_TEST):
            return None
        if event == "line":
            lines += 1
            if lines == point:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def _in_child(work: Callable[[], object]) -> int:
    """Return the exit code of a forked child, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _story_killed_at(call: str, point: int, base: Path, far: Path) -> None:
    if call == "line":
        _kill_at_line(point)
    for _ in range(LIMIT - point if call != "line" else 0):
        with suppress(OSError):
            _HARMLESS[call]()
    _story(base, far)


def main() -> None:
    """Fork one child per kill point until one survives; print how many points there were."""
    bases, fars = Path(sys.argv[1]), Path(sys.argv[2])
    for spec in sys.argv[3:]:
        call, stride = spec.split(":")
        for number in itertools.count():
            base = bases / f"{call}-{number}"
            # In a child of its own: the driver's own calls count as well.
            _in_child(partial(shutil.copytree, bases / "template", base))
            point, far = 1 + number * int(stride), fars / base.name
            code = _in_child(partial(_story_killed_at, call, point, base, far))
            if code != -signal.SIGKILL or (call != "line" and point == LIMIT):
                break
        sys.stderr.write(f"{call} {number} {code}\n")


if __name__ == "__main__":
    main()
