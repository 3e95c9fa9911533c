"""F33: the disk says EIO to a write or an fsync, once or from then on."""

from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import FULL, Record
from tests.faults.holding import hold_all, hold_house, hold_moves, told, undisturbed_house
from tests.faults.moving import lay_out_moves
from tests.faults.stories import lay_out_house
from tests.faults.strike import strike

CALLS = {"fsync": 75, "pwrite64": 80, "write": 20, "unlinkat": 15, "renameat2": 8, "mkdirat": 3}


@pytest.mark.fault(
    "F33",
    injected="EIO from each write-type system call of move, copy and undo, once and lasting",
    figure="sources unlinked after an error 0",
)
@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_an_io_error_costs_no_picture(tmp_path: Path, far: Path, record: Record, *, lasting: bool) -> None:
    lay_out_moves(far / "template")
    specs = [f"{call}:1:{points}" for call, points in CALLS.items()] if FULL else ["fsync:12:4", "renameat2:2:2"]
    points = strike("moves_in_spite", far, tmp_path, specs, fault="error=EIO", lasting=lasting)
    assert hold_all(far, tmp_path, hold_moves) == sum(points.values()) + len(points)
    record(sum(points.values()), 0, told(points))


@pytest.mark.fault(
    "F33",
    injected="EIO from each write-type system call of a session that lives on",
    figure="goes on without a restart, ends like an undisturbed one",
)
@pytest.mark.needs("strace")
@pytest.mark.usefixtures("stand_in")
@pytest.mark.timeout(3600)
def test_a_session_outlives_an_io_error(tmp_path: Path, far: Path, record: Record) -> None:
    lay_out_house(far / "template")
    ending = undisturbed_house(far / "undisturbed", tmp_path / "undisturbed")
    calls = {"fsync": 120, "pwrite64": 300, "write": 60, "renameat2": 8, "rename": 4, "unlinkat": 8}
    specs = [f"{call}:1:{points}" for call, points in calls.items()] if FULL else ["fsync:25:4"]
    points = strike("service_in_spite", far, tmp_path, specs, fault="error=EIO")
    lived_on = sum((base / "lived on").exists() for base in far.iterdir())
    reached = hold_all(far, tmp_path, partial(hold_house, ending=ending))
    assert reached == sum(points.values()) + len(points) + 1
    assert lived_on > reached / 2
    record(sum(points.values()), 0, f"{told(points)}; {lived_on} of {reached} lived on, the others refused to start")
