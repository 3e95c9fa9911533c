"""The parts of watching that need no events: polling, pauses, limits, hints."""

import os
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from daemon import polling, watcher
from daemon.folders import RootIdentity, identify
from daemon.hints import Hints
from daemon.polling import (
    PollingWatch,
    count_folders,
    inotify_limit,
    mounted,
    needs_polling,
    parse_mounts,
    sysctl_line,
)
from daemon.watcher import Watcher
from tests.patience import wait_until

MOUNTS = [
    *(
        ("/", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/local", "xfs"),
        ("/media/card", "vfat"),
        ("/gone", "cifs"),
    ),
    *(("/home/a/sshfs", "fuse.sshfs"), ("/media/usb", "fuseblk"), ("/gone", "ext4"), ("/vm", "9p")),
]


@pytest.mark.parametrize(
    ("root", "needed"),
    [
        *(("/srv/hot", False), ("/mnt/nas", True), ("/mnt/nas/hot", True), ("/mnt/nas/local/hot", False)),
        *(("/mnt/nasty", False), ("/media/card/DCIM", False), ("/media/usb/hot", False), ("/vm/share", True)),
        *(("/home/a/sshfs/x", True), ("/gone/x", False)),  # mounted over: the last mount counts
        *(("/home/a", True), ("/", True), ("/media", False)),  # a part of it is remote
    ],
)
def test_network_file_systems_need_polling(root: str, needed: bool) -> None:
    assert needs_polling(root, MOUNTS) is needed
    assert needs_polling("/anywhere", []) is False


def test_mount_tables_are_read_byte_by_byte() -> None:
    table = b"//nas/pictures /mnt/my\\040nas\\134x cifs rw 0 0\nbroken\n\xff /mnt/\xff nfs rw 0 0\n"
    assert parse_mounts(table) == [("/mnt/my nas\\x", "cifs"), ("/mnt/\udcff", "nfs")]
    if Path("/proc/self/mounts").exists():
        assert "/" in dict(mounted())


def test_the_remedy_is_a_line_to_paste() -> None:
    assert sysctl_line("max_user_watches", 524_288) == "sudo sysctl -w fs.inotify.max_user_watches=524288"
    assert sysctl_line("max_user_watches", 524_289).endswith("=1048576")
    assert inotify_limit("no_such_limit") == 0


def test_every_folder_needs_a_watch(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    assert count_folders(str(tmp_path)) == 4


class Polled:
    """A polling watch without its thread."""

    def __init__(self, root: Path) -> None:
        self.hints: list[str] = []
        self.rescans: list[str] = []
        self.watch = PollingWatch(
            str(root), True, frozenset(), 1.0, on_path=self.hints.append, on_rescan=self.rescans.append
        )

    def look(self) -> tuple[list[str], list[str]]:
        self.hints.clear()
        self.rescans.clear()
        self.watch.look()
        return sorted(Path(path).name for path in self.hints), list(self.rescans)


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A folder of 20 pictures."""
    folder = tmp_path / "hot"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.jpg").write_bytes(b"x")
    return folder


def test_polling_begins_with_a_scan_and_then_gives_hints(hot: Path) -> None:
    polled = Polled(hot)
    assert polled.look() == ([], ["polling has started"])
    assert polled.look() == ([], [])
    (hot / "new.jpg").touch()
    (hot / "00.jpg").write_bytes(b"changed")
    (hot / "01.jpg").unlink()
    (hot / "02.jpg").rename(hot / "renamed.jpg")
    (hot / "note.txt").touch()
    assert polled.look() == (["00.jpg", "01.jpg", "02.jpg", "new.jpg", "renamed.jpg"], [])


def test_many_vanished_files_are_left_to_the_scan_and_its_brake(hot: Path) -> None:
    polled = Polled(hot)
    polled.look()
    for path in list(hot.iterdir())[:15]:
        path.unlink()
    assert polled.look() == ([], ["many files vanished at once"])
    assert polled.look() == ([], [])


def test_a_polled_root_that_is_away_has_lost_nothing(hot: Path, tmp_path: Path) -> None:
    polled = Polled(hot)
    polled.look()
    hot.rename(tmp_path / "away")
    assert polled.look() == ([], [])
    hot.mkdir()
    assert polled.look() == ([], ["the folder is another one"])
    hot.rmdir()
    (tmp_path / "away").rename(hot)
    assert polled.look() == ([], ["the folder is another one"])
    (hot / "new.jpg").touch()
    assert polled.look() == (["new.jpg"], [])


def test_what_cannot_be_read_for_a_while_has_not_vanished(hot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hot / "shut").mkdir()
    (hot / "shut/a.jpg").touch()
    polled = Polled(hot)
    polled.look()
    scandir = os.scandir

    def refuse(descriptor: int) -> Iterator[os.DirEntry[str]]:
        if os.fstat(descriptor).st_ino == (hot / "shut").stat().st_ino:
            raise PermissionError(13, "Permission denied")
        return scandir(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("daemon.walking.os.scandir", refuse)
        assert polled.look() == ([], [])
    assert polled.look() == ([], [])
    (hot / "shut/a.jpg").unlink()
    assert polled.look() == (["a.jpg"], [])


def test_a_mount_that_hangs_stops_nobody(hot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def hang(root: str) -> RootIdentity:
        answer.wait()
        return identify(root)

    monkeypatch.setattr(polling, "identify", hang)
    monkeypatch.setattr(polling, "_JOIN_SECONDS", 0.05)
    monkeypatch.setattr(watcher, "_HANGING_SECONDS", 0.01)
    watching = Watcher(lambda _: None, lambda *_: None)
    watching.watch(str(hot), "polling")
    watching.check(1.0)
    wait_until(watching.problems)
    (problem,) = watching.problems()
    watching.close()  # all of this comes back, though the mount does not
    assert f"{hot}: has not answered for" in problem
    answer.set()


def test_rescans_pause_longer_and_longer_and_recover(hot: Path) -> None:
    asked: list[float] = []
    watching = Watcher(lambda _: None, lambda *_: asked.append(now))
    watching.watch(str(hot), "native")
    (root,) = watching._roots.values()
    now = 0.0
    for now in map(float, range(600)):
        root.want_rescan("events were lost")
        watching.check(now)
    gaps = [after - before for before, after in pairwise(asked)]
    assert asked[0] == 0.0
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2.0, 60.0)
    asked.clear()
    for now in (2000.0, 2001.0, 2002.0):
        root.want_rescan("events were lost")
        watching.check(now)
    assert asked == [2000.0, 2002.0]
    watching.check(5000.0)
    assert len(asked) == 2
    watching.close()


def test_a_path_with_control_characters_is_shown_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "\x1b[31m"
    folder.mkdir()
    monkeypatch.setattr(watcher, "_HANGING_SECONDS", -1.0)
    watching = Watcher(lambda _: None, lambda *_: None)
    watching.watch(str(folder), "polling")
    assert r"\x1b[31m" in watching.problems()[0]
    watching.close()


def test_hints_are_coalesced_bounded_and_in_order() -> None:
    gate, taken, started = threading.Event(), list[str](), threading.Event()

    def take(path: str) -> None:
        started.set()
        gate.wait()
        taken.append(path)

    hints = Hints(take, max_pending=3)
    assert hints.add_path("first")
    started.wait()
    added = [hints.add_path(path) for path in ("b", "a", "b", "a", "c", "d", "a", "e")]
    assert added == [True, True, True, True, True, False, True, False]
    gate.set()
    wait_until(lambda: len(taken) >= 4)
    assert taken == ["first", "b", "a", "c"]
    hints.close()


def test_closing_drops_what_is_left() -> None:
    gate, taken, started = threading.Event(), list[str](), threading.Event()

    def take(path: str) -> None:
        started.set()
        gate.wait()
        taken.append(path)

    hints = Hints(take, max_pending=1_000)
    for number in range(1_000):
        hints.add_path(str(number))
    started.wait()
    closing = threading.Thread(target=hints.close)
    closing.start()
    wait_until(lambda: hints._closed)
    gate.set()
    closing.join()
    wait_until(lambda: not hints._thread.is_alive())
    assert taken == ["0"]
