"""F29: kill -9 at every line and every write-type system call of ingest, move, undo, snapshot and migration."""

from pathlib import Path

import pytest

from store.database import open_database
from tests.faults.conftest import FULL, Record
from tests.faults.holding import hold_all, hold_house, hold_moves, told, undisturbed_house
from tests.faults.moving import lay_out_moves
from tests.faults.stories import lay_out_house, lay_out_migration
from tests.faults.strike import strike

FIGURE = "lost 0; half states after recovery 0; integrity_check ok 100 %"
MOVE_CALLS = ("renameat2", "unlinkat", "mkdirat", "unlink", "write", "pwrite64", "fsync", "fchmod", "utimensat")
HOUSE_CALLS = (*MOVE_CALLS, "ftruncate", "rename", "mkdir")


@pytest.mark.fault("F29", injected="SIGKILL at every line of Python in move, copy and undo", figure=FIGURE)
@pytest.mark.timeout(3600)
def test_a_kill_at_any_line_loses_nothing(tmp_path: Path, far: Path, record: Record) -> None:
    # The many synchronised writes go to memory, the few of the far quarantine to the disk.
    lay_out_moves(far / "template")
    points = strike("moves", far, tmp_path, [f"line:{1 if FULL else 197}"])
    assert hold_all(far, tmp_path, hold_moves) == points["line"] + 1
    assert points["line"] > 10
    record(points["line"], 0, told(points))


@pytest.mark.fault("F29", injected="SIGKILL at every write-type system call of move, copy and undo", figure=FIGURE)
@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("exclusive", [True, False], ids=["renameat2", "link and unlink"])
def test_a_kill_at_any_call_of_a_move_loses_nothing(
    tmp_path: Path, far: Path, record: Record, *, exclusive: bool
) -> None:
    lay_out_moves(far / "template")
    calls = MOVE_CALLS if exclusive else ("linkat", "unlinkat")
    quick = ["renameat2:1", "unlinkat:5", "fsync:20"] if exclusive else ["linkat:3"]
    also = () if exclusive else ("inject=renameat2:error=EINVAL",)
    points = strike("moves", far, tmp_path, [f"{call}:1" for call in calls] if FULL else quick, also=also)
    assert hold_all(far, tmp_path, hold_moves) == sum(points.values()) + len(points)
    assert min(points.values()) >= 2
    record(sum(points.values()), 0, told(points))


@pytest.mark.fault("F29", injected="SIGKILL at every write-type system call of a day of ingest", figure=FIGURE)
@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("stand_in")
def test_a_kill_at_any_call_of_an_ingest_ends_like_an_undisturbed_one(
    tmp_path: Path, far: Path, record: Record
) -> None:
    lay_out_house(far / "template")
    ending = undisturbed_house(far / "undisturbed", tmp_path / "undisturbed")
    points = strike("house", far, tmp_path, [f"{c}:1" for c in HOUSE_CALLS] if FULL else ["renameat2:2", "fsync:30"])
    reached = hold_all(far, tmp_path, lambda base, away: hold_house(base, away, ending))
    assert reached == sum(points.values()) + len(points) + 1
    record(sum(points.values()), 0, told(points))


def _hold_migration(base: Path, _far: Path) -> None:
    for _ in range(2):
        database = open_database(base / "catalog.sqlite3")
        assert database.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [bytes(row["path"]) for row in database["folders"].rows] == [b"/hot"]
        database.close()


@pytest.mark.fault("F29", injected="SIGKILL at every write-type system call of a migration", figure=FIGURE)
@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
def test_a_kill_in_a_migration_leaves_a_catalog_that_opens(tmp_path: Path, far: Path, record: Record) -> None:
    (far / "template").mkdir()
    lay_out_migration(far / "template")
    points = strike("migrate", far, tmp_path, [f"{call}:{1 if FULL else 15}" for call in ("pwrite64", "fsync")])
    assert hold_all(far, tmp_path, _hold_migration) == sum(points.values()) + len(points)
    assert min(points.values()) >= 1
    record(sum(points.values()), 0, told(points))
