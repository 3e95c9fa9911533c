"""F52: mode, times, owner and extended attributes across move and undo."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.actions import undo
from tests.faults.conftest import Record
from tests.unit.pipeline.room import Room

MODES = (0o644, 0o600, 0o444, 0o755, 0o640, 0o664)


def facts(path: Path) -> tuple[object, ...]:
    """Return all that is to survive a journey."""
    status = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return path.read_bytes(), status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid, attributes


@pytest.mark.fault(
    "F52",
    injected="modes, times from 1970 to 2100 to the nanosecond, owners, attributes; near and across file systems",
    figure="equal 100 %, or listed as not kept",
)
@pytest.mark.parametrize("across", [False, True], ids=["near", "across"])
def test_all_of_a_file_comes_along(
    tmp_path: Path, far: Path, record: Record, times: Callable[[int, int], int], *, across: bool
) -> None:
    if not hasattr(os, "listxattr"):
        pytest.skip("this system's Python has no extended attributes")
    room, chance, count = Room(tmp_path, far / "quarantine" if across else None), random.Random(52), times(300, 20)
    listed = 0
    for number in range(count):
        path = room.file(f"{number}.jpg", chance.randbytes(chance.randrange(1, 5000)))
        try:
            os.setxattr(path, "user.note", chance.randbytes(20))
        except OSError:
            pytest.skip("the temporary folder has no extended attributes")
        if os.geteuid() == 0:
            os.chown(path, chance.choice((0, 1000, 65534)), chance.choice((0, 1000, 65534)))
        path.chmod(chance.choice(MODES))
        os.utime(path, ns=(0, chance.randrange(0, 4_102_444_800 * 10**9)))
        before = facts(path)
        entry = room.move(path)
        away = facts(Path(entry.target))
        assert away[:5] == before[:5]
        assert away[5] == before[5] or entry.not_kept
        listed += bool(entry.not_kept)
        assert undo(entry, room.ledger, 2_000) == str(path)
        assert facts(path)[:5] == before[:5]
        assert facts(path)[5] == before[5] or entry.not_kept
    kept = f"equal {count - listed}/{count}" + (f", the other {listed} listed as not kept" if listed else "")
    record(2 * count, 0, f"{'across' if across else 'near'}: {kept}")
