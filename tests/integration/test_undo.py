"""Kill a move or an undo at any point: recovery leaves one intact copy, and everything can be brought home."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.actions import Action, ActionSettings, apply, quarantine_target, recover, undo, undo_many
from store.ledger import EntryState, Verb
from store.records import FileStat, VerdictKind
from tests.integration.kill_driver import LIMIT, STORY, SYSTEM_CALLS, content, open_ledger

ROOT = Path(__file__).parents[2]
MTIME_NS = 1_600_000_000_123_456_789
EXT4_SHUTDOWN, WITHOUT_FLUSHING = 0x8004587D, 2  # linux: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
FULL = os.environ.get("DEDUPD_FULL_SWEEP") == "1"  # every point of every call: minutes


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system than `tmp_path`; both are needed for the way across."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another device than the temporary folder")
    folder = memory / f"dedupd-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def _template(folder: Path) -> None:
    (folder / "home/a").mkdir(parents=True)
    ledger = open_ledger(folder / "ledger.db")
    ledger._database.executescript((ROOT / "store/migrations/0002_ledger.sql").read_text())
    ledger._database.conn.close()
    for _, _, name in STORY:
        path = folder / "home" / name
        path.write_bytes(content(name))
        path.chmod(0o640)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))


def _sweep(bases: Path, fars: Path, specs: list[str], tracer: list[str]) -> dict[str, int]:
    """Run the driver; return the number of kill points of every call, checked to have reached the story's end."""
    _template(bases / "template")
    driver = [sys.executable, "-m", "tests.integration.kill_driver", str(bases), str(fars), *specs]
    done = subprocess.run([*tracer, *driver], cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stderr.splitlines()]
    assert [code for _, _, code in rows] == ["0"] * len(specs), done.stderr
    return {call: int(points) for call, points, _ in rows}


def _files(*folders: Path) -> list[Path]:
    found = (path for folder in folders for path in folder.rglob("*"))
    return [path for path in found if path.is_file() and path.name != ".dedupd-manifest.jsonl"]


def _check(base: Path, far: Path) -> None:
    """Recover, then hold the laws: one intact copy of every file, nothing else, and all of it can come home."""
    ledger = open_ledger(base / "ledger.db")
    recover(ledger, 3_000)
    assert recover(ledger, 4_000) == []
    assert ledger._database.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    home, quarantine = base / "home", base / "quarantine"
    at_home = {str(path.relative_to(home)) for path in _files(home)}
    away = {Path(entry.target) for entry in ledger.entries(state=EntryState.DONE)}
    assert set(_files(quarantine, far)) == away, base
    left = {entry.source for entry in ledger.entries(state=EntryState.DONE) if entry.verb == "move"}
    assert at_home == {name for _, _, name in STORY if str(home / name) not in left}, base
    assert [outcome.error for outcome in undo_many(ledger.entries(state=EntryState.DONE), ledger, 5_000)] == [""] * len(
        away
    )
    for _, _, name in STORY:
        path = home / name
        assert path.read_bytes() == content(name), base
        assert (path.stat().st_mtime_ns, path.stat().st_mode & 0o7777) == (MTIME_NS, 0o640), base
    assert len(_files(home, quarantine, far)) == len(STORY), base


def _check_all(bases: Path, fars: Path) -> int:
    folders = [folder for folder in bases.iterdir() if folder.name != "template"]
    for base in folders:
        _check(base, fars / base.name)
    return len(folders)


def test_a_kill_at_any_line_loses_nothing(tmp_path: Path, far: Path) -> None:
    # The many synchronised writes go to memory, the few of the far quarantine to the disk.
    points = _sweep(far, tmp_path, [f"line:{1 if FULL else 131}"], [])
    assert _check_all(far, tmp_path) == points["line"] + 1
    assert points["line"] > 15


def _tracer(specs: list[str], *faults: str) -> list[str]:
    names = [spec.split(":")[0] for spec in specs]
    rules = [*(f"inject={name}:signal=KILL:when={LIMIT}" for name in names), *faults]
    options = [item for rule in rules for item in ("-e", rule)]
    # Without a filter by `trace=`: one that leaves a call out switches its fault off.
    return ["strace", "-f", "-qq", "-o", "/dev/null", *options]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_kill_where_exclusive_rename_is_missing_loses_nothing(tmp_path: Path, far: Path) -> None:
    specs = ["linkat:1", "unlinkat:1"] if FULL else ["linkat:3"]
    points = _sweep(far, tmp_path, specs, _tracer(specs, "inject=renameat2:error=EINVAL"))
    assert _check_all(far, tmp_path) == sum(points.values()) + len(specs)
    assert min(points.values()) >= 2


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_kill_at_any_write_type_system_call_loses_nothing(tmp_path: Path, far: Path) -> None:
    specs = [f"{call}:1" for call in SYSTEM_CALLS] if FULL else ["renameat2:1", "unlinkat:5", "fsync:20"]
    points = _sweep(far, tmp_path, specs, _tracer(specs))
    assert _check_all(far, tmp_path) == sum(points.values()) + len(specs)
    assert min(points.values()) >= 2


class Disk:
    """An ext4 disk in a file, whose power can be cut: what was not synchronised is gone then."""

    def __init__(self, base: Path) -> None:
        self.image, self.path = base / "image", base / "disk"
        self.path.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)

    def cut_power(self) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_SHUTDOWN, WITHOUT_FLUSHING.to_bytes(4, sys.byteorder))
        os.close(fd)
        self.unmount()
        # A copy, because another process's mount namespace may keep the dead disk alive.
        self.image = Path(shutil.copy(self.image, self.image.with_name("image after")))
        self.mount()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if not FULL or os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounts a disk: needs DEDUPD_FULL_SWEEP=1, root and mkfs.ext4")
    disk = Disk(tmp_path)
    yield disk
    disk.unmount()


@pytest.mark.parametrize("homeward", [False, True], ids=["move", "undo"])
@pytest.mark.parametrize("where", ["quarantine", "home", "both"])
def test_what_is_called_done_outlives_a_power_failure(disk: Disk, tmp_path: Path, where: str, homeward: bool) -> None:
    home = (disk.path if where != "quarantine" else tmp_path) / "home"
    quarantine = (disk.path if where != "home" else tmp_path) / "quarantine"
    path, picture = home / "sub/a.jpg", os.urandom(100_000)
    path.parent.mkdir(parents=True)
    path.write_bytes(picture)
    ledger = open_ledger(tmp_path / "ledger.db")  # elsewhere: its commits would flush the disk's journal as well
    ledger._database.executescript((ROOT / "store/migrations/0002_ledger.sql").read_text())
    os.sync()
    action = Action(
        verb=Verb.MOVE,
        source=FileStat.of(str(path), path.lstat()),
        sha256=hashlib.sha256(picture).digest(),
        target=quarantine_target(str(quarantine), "blur", "sub/a.jpg"),
        verdict=VerdictKind.BLUR,
        reason="too soft",
        keeper=None,
        folder_root=str(home),
        quarantine_root=str(quarantine),
    )
    entry = apply(action, ledger, 1_000, settings=ActionSettings(min_free_bytes=0))
    if homeward:
        undo(entry, ledger, 2_000)
    disk.cut_power()
    state, place = (EntryState.UNDONE, path) if homeward else (EntryState.DONE, Path(entry.target))
    assert [item.state for item in ledger.entries()] == [state]
    assert place.read_bytes() == picture
    assert _files(home, quarantine) == [place]
