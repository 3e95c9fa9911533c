"""What the tests of watching share: a stand-in for the service, and cases that need a process of their own.

python -m tests.integration.watched CASE FOLDER
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from daemon.walking import walk
from daemon.watcher import Mode, Watcher
from tests.patience import PATIENCE_SECONDS


class Service:
    """Collects what a watcher says."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.hints: list[str] = []
        self.rescans: list[str] = []
        self.scanned: set[str] = set()
        self.now = 0.0
        self.watcher = Watcher(self.hints.append, self._scan)

    def watch(self, root: Path) -> None:
        self.watcher.watch(str(root), self.mode, poll_seconds=0.05)
        if self.mode == "polling" and root.is_dir():  # its first walk ends with a rescan
            self.until(lambda: bool(self.rescans))
        self.forget()

    def forget(self) -> None:
        self.hints.clear()
        self.rescans.clear()
        self.scanned.clear()

    def until(self, condition: Callable[[], bool]) -> None:
        """Loop like the service until something is so. Its clock runs fast: pauses are soon over."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.hints, self.rescans, self.watcher.problems())
            self.now += 10.0
            self.watcher.check(self.now)
            time.sleep(0.01)

    def until_hinted(self, *paths: Path) -> None:
        wanted = {str(path) for path in paths}
        self.until(lambda: wanted <= set(self.hints))

    def until_known(self, *paths: Path) -> None:
        """Wait until paths are known either way: by a hint or by a scan that was asked for."""
        wanted = {str(path) for path in paths}
        self.until(lambda: wanted <= {*self.hints, *self.scanned})

    def _scan(self, root: str, reason: str) -> None:
        self.rescans.append(reason)
        self.scanned |= {stat.path for stat in walk(root)}


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def set_limit(name: str, most: int) -> None:
    Path(f"/proc/sys/user/max_inotify_{name}").write_text(str(most))  # of this user namespace only


def watches_too_few(hot: Path) -> None:
    set_limit("watches", 20)
    paths = [hot / f"{number}/a.jpg" for number in range(60)]
    for path in paths:
        path.parent.mkdir()
    service = Service("native")
    service.watch(hot)
    (problem,) = service.watcher.problems()
    assert "sudo sysctl -w fs.inotify.max_user_watches=" in problem
    service.until_known(*map(put, paths))
    set_limit("watches", 1_000)
    service.now += 600
    service.until(lambda: service.watcher.problems() == [])
    service.forget()
    service.until_hinted(*(put(path.with_name("b.jpg")) for path in paths))
    service.watcher.close()


def watches_run_out(hot: Path) -> None:
    set_limit("watches", 20)
    service = Service("native")
    service.watch(hot)
    service.until_known(*(put(hot / f"{number}/a.jpg") for number in range(60)))
    service.until(lambda: len(service.watcher.problems()) == 1)
    service.until_known(*(put(hot / f"{number}/b.jpg") for number in range(60)))
    service.watcher.close()


def instances_run_out(hot: Path) -> None:
    set_limit("instances", 0)
    service = Service("native")
    service.watch(hot)
    (problem,) = service.watcher.problems()
    assert "sudo sysctl -w fs.inotify.max_user_instances=" in problem
    service.until_known(put(hot / "a.jpg"))
    service.watcher.close()


def mounted_over(hot: Path) -> None:
    service = Service("native")
    service.watch(hot)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", hot], check=True)
    service.until_known(put(hot / "a.jpg"))
    service.forget()
    service.until_hinted(put(hot / "b.jpg"))
    subprocess.run(["umount", "--lazy", hot], check=True)
    service.until_known(put(hot / "c.jpg"))
    service.forget()
    service.until_hinted(put(hot / "d.jpg"))
    service.watcher.close()


def folders_become_readable(hot: Path) -> None:
    if os.geteuid() == 0:  # whom permissions do not stop
        os.setgid(65534)
        os.setuid(65534)
    for name in ("shut", "also shut"):
        (hot / name).mkdir(mode=0)
    service = Service("native")
    service.watch(hot)
    service.watcher.check(1.0)
    assert service.rescans == []
    for name in ("shut", "also shut"):
        (hot / name).chmod(0o755)
    service.until(lambda: service.rescans == ["folders can be read again"])
    service.until_hinted(put(hot / "shut/a.jpg"), put(hot / "also shut/b.jpg"))
    service.watcher.close()


CASES = (watches_too_few, watches_run_out, instances_run_out, mounted_over, folders_become_readable)

if __name__ == "__main__":
    {case.__name__: case for case in CASES}[sys.argv[1]](Path(sys.argv[2]))
