"""Watching without events: where it is needed (network shares, exhausted limits), and the polling itself."""

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from daemon.folders import RootIdentity, identify, is_below, vanish_brake
from daemon.walking import Excluded, WalkProblem, walk

# Changes made by other machines, or on the host of this virtual one, give no events here. FUSE may be
# anything;
# only fuseblk (NTFS, exFAT on a local disk) is known to be local.
_REMOTE = frozenset(
    {
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "ncpfs",
            "afs",
            "coda",
            "9p",
            "virtiofs",
            "vboxsf",
            "prl_fs",
        ),
        *("vmhgfs", "ceph", "lustre", "beegfs", "gfs2", "ocfs2", "glusterfs", "davfs", "fuse", "drvfs"),
    }
)
_INOTIFY = Path("/proc/sys/fs/inotify")
_JOIN_SECONDS = 2.0  # a thread that hangs in a dead mount is left behind: it is a daemon thread


def needs_polling(root: str, mounts: Iterable[tuple[str, str]] | None = None) -> bool:
    """Say whether events about a folder would be incomplete: it or a part of it is on a network file system.

    `mounts` are (mount point, type) in mount order; default: those of this system, none where it does not
    tell (macOS). Never touches the file system in question.
    """
    holder, below = "", False
    for point, kind in mounted() if mounts is None else mounts:
        remote = kind in _REMOTE or kind.startswith("fuse.")
        if root == point or root.startswith(point.rstrip("/") + "/"):
            holder = "remote" if remote else "local"  # a later mount lies over an earlier or nests in it
        elif point.startswith(root.rstrip("/") + "/"):
            below = below or remote
    return below or holder == "remote"


def mounted() -> list[tuple[str, str]]:
    """Return (mount point, file system type) of all mounts, in order; empty where there is no such list."""
    return parse_mounts(Path("/proc/self/mounts").read_bytes()) if sys.platform == "linux" else []


def parse_mounts(table: bytes) -> list[tuple[str, str]]:
    r"""Read (mount point, type) from a table like /proc/mounts, where a space in a name is \040."""
    lines = [line.split(b" ") for line in table.splitlines()]
    return [(_unescape(fields[1]), os.fsdecode(fields[2])) for fields in lines if len(fields) > 2]


def inotify_limit(name: str) -> int:
    """Return a kernel limit on inotify, such as "max_user_watches"; 0 where there is none."""
    try:
        return int((_INOTIFY / name).read_text())
    except (OSError, ValueError):
        return 0


def sysctl_line(name: str, wanted: int) -> str:
    """Return the command that raises an inotify limit to the next power of two."""
    return f"sudo sysctl -w fs.inotify.{name}={1 << max(wanted - 1, 1).bit_length()}"


def count_folders(root: str) -> int:
    """Count a root and the folders below it: each needs one inotify watch."""
    return sum(1 for _ in os.walk(root))


class PollingWatch:
    """A thread that walks a folder again and again and gives hints about what is different.

    After its first walk, and whenever the root turns out to be another folder, it asks for a rescan
    instead: what happened before is unknown to it. So it does when a large share vanishes at once, because
    one hint per file would pass by the brake. It rests at least four times as long as a walk takes: network
    shares are slow.
    """

    def __init__(
        self,
        root: str,
        recursive: bool,
        exclude: Excluded,
        poll_seconds: float,
        on_path: Callable[[str], object],
        on_rescan: Callable[[str], object],
    ) -> None:
        self._root, self._recursive, self._exclude = root, recursive, exclude
        self._poll_seconds = poll_seconds
        self._on_path, self._on_rescan = on_path, on_rescan
        self._identity: RootIdentity | None = None
        self._seen: dict[str, int] = {}  # path -> fingerprint of its stat: a third of the memory of stats
        self._busy_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dedupd-polling", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """End the polling; a thread that hangs in a dead mount is left to itself."""
        self._stopped.set()
        self._thread.join(_JOIN_SECONDS)

    def is_alive(self) -> bool:
        """Say whether it still polls."""
        return self._thread.is_alive()

    def busy_seconds(self) -> float:
        """Return for how long the present walk has been under way, 0 between walks."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def look(self) -> None:
        """Walk the folder once and give hints about the differences to the walk before."""
        try:
            identity = identify(self._root)
        except OSError:
            return  # away; what was seen is kept for its return
        problems: list[WalkProblem] = []
        now_seen = {
            stat.path: hash((stat.inode, stat.size, stat.mtime_ns, stat.ctime_ns))
            for stat in walk(self._root, self._recursive, exclude=self._exclude, on_problem=problems.append)
        }
        unseen = [problem.path for problem in problems]
        if self._root in unseen or self._stopped.is_set():
            return
        before, reason = self._seen, ""
        if self._identity is None:
            reason = "polling has started"
        elif identity != self._identity:
            reason = "the folder is another one"
        gone = before.keys() - now_seen.keys()
        kept = {path: before[path] for path in gone if is_below(path, unseen)} if not reason else {}
        vanished = gone - kept.keys()
        self._identity, self._seen = identity, now_seen | kept
        if not reason and vanish_brake(len(before), len(vanished)):
            reason = "many files vanished at once"
        if reason:
            self._on_rescan(reason)
        else:
            for path in [*vanished, *(path for path, body in now_seen.items() if before.get(path) != body)]:
                self._on_path(path)

    def _run(self) -> None:
        while not self._stopped.is_set():
            started = self._busy_since = time.monotonic()
            self.look()
            self._busy_since = None
            self._stopped.wait(max(self._poll_seconds, 4 * (time.monotonic() - started)))


def _unescape(field: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field))
