"""Run one story of moves and undos again and again, each time killed one system call later.

Started by `test_undo.py` under `strace -f -e inject=CALL:signal=KILL:when=LIMIT`. strace counts per process: a
child that first makes LIMIT - n harmless calls is killed at the n-th one of its story. Prints the number of
points at which a child was killed; the story after that ran to its end.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from sqlite_utils import Database

from pipeline.actions import Action, apply, quarantine_target, undo
from pipeline.syscalls import rename_exclusive
from store.database import sqlite3
from store.ledger import Ledger, Verb
from store.records import FileStat, VerdictKind

NO_FD = 999
HARMLESS = {
    "renameat2": lambda: rename_exclusive(NO_FD, "a", NO_FD, "b"),
    "unlinkat": lambda: os.unlink("a", dir_fd=NO_FD),
    "mkdirat": lambda: os.mkdir("a", dir_fd=NO_FD),
    "unlink": lambda: os.unlink("/nowhere/at/all"),
    "write": lambda: os.write(NO_FD, b""),
    "pwrite64": lambda: os.pwrite(NO_FD, b"", 0),
    "fsync": lambda: os.fsync(NO_FD),
    "fdatasync": lambda: os.fdatasync(NO_FD),
    "fchmod": lambda: os.fchmod(NO_FD, 0o600),
    "utimensat": lambda: os.utime(NO_FD, ns=(0, 0)),
}


def open_ledger(path: Path) -> Ledger:
    """Open a ledger the way the catalog opens its database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return Ledger(Database(connection))


def action(verb: Verb, home: Path, quarantine: Path, name: str, sha256: bytes) -> Action:
    """Return an action on a file below `home`, as it lies there now."""
    path = home / name
    return Action(
        verb=verb,
        source=FileStat.of(str(path), path.lstat()),
        sha256=sha256,
        target=quarantine_target(str(quarantine), "blur", name),
        verdict=VerdictKind.BLUR,
        reason="too soft",
        keeper=None,
        folder_root=str(home),
        quarantine_root=str(quarantine),
    )


def story(base: Path, far: Path, digests: dict[str, bytes]) -> None:
    """Move and bring back within one file system and across two, copy and remove the copy."""
    ledger = open_ledger(base / "ledger.db")
    near, home = base / "quarantine", base / "home"
    steps = (
        (Verb.MOVE, near, "a/near.jpg"),
        (Verb.MOVE, far, "a/far.jpg"),
        (Verb.COPY, near, "a/copy.jpg"),
    )
    for verb, quarantine, name in steps:
        entry = apply(action(verb, home, quarantine, name, digests[name]), ledger, 1_000)
        undo(entry, ledger, 2_000)


def main() -> None:
    """Fork one child per kill point until one survives."""
    call, limit, base, far = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    digests = {name: bytes.fromhex(digest) for name, digest in (item.split("=") for item in sys.argv[5:])}
    for point in range(1, limit + 1):
        child = os.fork()
        if child == 0:
            for _ in range(limit - point):
                with suppress(OSError):
                    HARMLESS[call]()
            story(base / str(point), far / str(point), digests)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"{point - 1} {os.waitstatus_to_exitcode(status)}")
    sys.exit(f"the limit of {limit} points is too low for {call}")


if __name__ == "__main__":
    main()
