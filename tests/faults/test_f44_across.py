"""F44: the quarantine lies on another file system, or behind another mount of the same one."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.actions import undo
from pipeline.syscalls import copy_bytes
from tests.faults.conftest import Record
from tests.faults.disks import Disk
from tests.faults.holding import files
from tests.unit.pipeline.room import Room, is_as_before

SIZES = (0, 1, 4095, 4096, 65_537, 1_048_576, 3_000_001)  # bytes


def there_and_back(room: Room, number: int) -> None:
    """Move a picture out and home, and hold that it is there once and whole at each end."""
    content = os.urandom(SIZES[number % len(SIZES)])
    path = room.file(f"{number}.jpg", content)
    entry = room.move(path)
    assert (not path.exists(), is_as_before(Path(entry.target), content)) == (True, True)
    undo(entry, room.ledger, 2_000)
    assert is_as_before(path, content)
    path.unlink()
    assert files(room.home, room.quarantine) == []


@pytest.mark.fault("F44", injected="move and undo across file systems, 0 bytes to 3 MB", figure="lost 0; 0-byte 0")
def test_there_and_back_across_file_systems(
    tmp_path: Path, far: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    room, count = Room(tmp_path, far / "quarantine"), times(500, 14)
    for number in range(count):
        there_and_back(room, number)
    record(2 * count)


@pytest.mark.fault("F44", injected="EXDEV between two mounts of one file system", figure="lost 0; 0-byte 0")
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
def test_two_mounts_of_one_file_system(tmp_path: Path, record: Record) -> None:
    (tmp_path / "real").mkdir()
    quarantine = tmp_path / "quarantine"
    quarantine.mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "real", quarantine], check=True)
    try:
        room = Room(tmp_path, quarantine)
        assert room.home.stat().st_dev == quarantine.stat().st_dev
        with pytest.raises(OSError, match="cross-device"):
            room.file("probe").rename(quarantine / "probe")
        (room.home / "probe").unlink()
        for number in range(len(SIZES)):
            there_and_back(room, number)
    finally:
        subprocess.run(["umount", quarantine], check=True)
    record(2 * len(SIZES))


@pytest.mark.fault("F44", injected="copy on xfs, which can share extents", figure="reflink where possible")
@pytest.mark.privileged("mkfs.xfs")
@pytest.mark.usefixtures("private_mounts")
def test_a_copy_shares_extents_where_the_file_system_can(tmp_path: Path, record: Record) -> None:
    disk = Disk(tmp_path / "xfs", "xfs")
    try:
        original, copy = disk.path / "a.jpg", disk.path / "b.jpg"
        original.write_bytes(os.urandom(40_000_000))
        os.sync()
        before = os.statvfs(disk.path).f_bfree
        with original.open("rb") as source, copy.open("xb") as target:
            copy_bytes(source.fileno(), target.fileno())
        os.sync()
        used = (before - os.statvfs(disk.path).f_bfree) * os.statvfs(disk.path).f_frsize
        assert copy.read_bytes() == original.read_bytes()
        assert used < 1_000_000
    finally:
        disk.unmount()
    record(1, 0, f"copy of 40 MB took {used / 1e6:.1f} MB")
