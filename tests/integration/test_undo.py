"""Kill a move or an undo at any point: recovery leaves one intact copy, and everything can be brought home."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.actions import recover, undo_many
from store.ledger import EntryState
from tests.integration.kill_driver import LIMIT, STORY, SYSTEM_CALLS, content, open_ledger

ROOT = Path(__file__).parents[2]
MTIME_NS = 1_600_000_000_123_456_789
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
    points = _sweep(far, tmp_path, [f"line:{1 if FULL else 89}"], [])
    assert _check_all(far, tmp_path) == points["line"] + 1
    assert points["line"] > 30


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_kill_at_any_write_type_system_call_loses_nothing(tmp_path: Path, far: Path) -> None:
    specs = [f"{call}:1" for call in SYSTEM_CALLS] if FULL else ["renameat2:1", "unlinkat:3", "fsync:9"]
    names = [spec.split(":")[0] for spec in specs]
    inject = [item for name in names for item in ("-e", f"inject={name}:signal=KILL:when={LIMIT}")]
    tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={','.join(names)}", *inject]
    points = _sweep(far, tmp_path, specs, tracer)
    assert _check_all(far, tmp_path) == sum(points.values()) + len(specs)
    assert min(points.values()) >= 2
