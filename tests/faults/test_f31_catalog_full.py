"""F31: the disk under the catalog is full. The service pauses, says so, and goes on by itself."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.folders import HotFolder
from daemon.service import Service
from daemon.space import StateSpace
from tests.e2e.command import dedupd, running
from tests.faults.conftest import Record
from tests.faults.disks import mount_memory
from tests.faults.living import Place, fill, says
from tests.patience import PATIENCE_SECONDS
from tests.unit.daemon.opened import opened

FIGURE = "lost 0; seconds to resume"
PAIRS = 4


@pytest.mark.fault(
    "F31", injected="tmpfs under the state folder filled to the last byte, at rest and at work", figure=FIGURE
)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
@pytest.mark.parametrize("least_mb", [8, 0], ids=["with a reserve", "without"])
def test_a_full_disk_pauses_and_room_resumes(tmp_path: Path, record: Record, least_mb: int) -> None:
    mount_memory(tmp_path / "small", 64 << 20)
    place = Place(tmp_path, state=tmp_path / "small" / "state")
    config = place.config(upkeep={"min_free_state_mb": least_mb, "keep_backups": 0})
    filler, resumed = tmp_path / "small" / "filler", []
    with running(config, place.state) as daemon:
        place.put_pairs(0, PAIRS)
        daemon.wait(2 * PAIRS)
        assert place.moved() == PAIRS
        for at_work in (False, True):
            first = PAIRS * (1 + at_work)
            if at_work:
                place.put_pairs(first, PAIRS)
                time.sleep(0.5)  # settled, not yet all judged
            fill(filler)
            if not at_work:
                daemon.wait_for(says(daemon.status, "paused", "disk full"), "the pause")
                place.put_pairs(first, PAIRS)
                time.sleep(2)
                assert place.moved() == PAIRS, "no move starts"
            daemon.wait_for(says(daemon.status, "paused", "disk full"), "the pause")
            shown = dedupd("status", "--state", place.state)
            assert "disk full" in shown.out
            filler.unlink()
            started = time.monotonic()
            daemon.wait_for(lambda: daemon.status()["state"] != "paused", "the end of the pause")
            resumed.append(time.monotonic() - started)
            daemon.wait(2 * (first + PAIRS))
        assert place.moved() == 3 * PAIRS
        assert place.left_over() == []
        assert daemon.stop()[0] == 0
    assert place.lost() == 0
    checked = dedupd("check", "--state", place.state, "--config", config)
    assert checked.code == 0, checked.out
    record(2, place.lost(), f"resumed after {max(resumed):.1f} s at most")


@pytest.mark.fault("F31", injected="a start on a full disk", figure=FIGURE)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
def test_a_start_on_a_full_disk_waits(tmp_path: Path, record: Record) -> None:
    mount_memory(tmp_path / "small", 64 << 20)
    place = Place(tmp_path, state=tmp_path / "small" / "state")
    config = place.config(upkeep={"min_free_state_mb": 8})
    filler = tmp_path / "small" / "filler"
    fill(filler)
    place.put_pairs(0, PAIRS)
    with running(config, place.state) as daemon:
        time.sleep(5)
        assert daemon.process.poll() is None, daemon.log.read_text()
        shown = dedupd("status", "--state", place.state)
        assert "disk full" in shown.out
        assert "paused" in shown.out
        code, seconds = daemon.stop()
        assert code == 0
        assert seconds < 5, "it waits for room and for this"
    with running(config, place.state) as daemon:
        time.sleep(5)
        assert daemon.process.poll() is None, daemon.log.read_text()
        filler.unlink()
        daemon.wait(2 * PAIRS)
        assert daemon.stop()[0] == 0
    record(2, place.lost())


@pytest.mark.fault("F31", injected="the disk of state and log filled at any moment of a start", figure=FIGURE)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
def test_a_disk_that_fills_during_a_start_is_waited_for(
    tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    mount_memory(tmp_path / "small", 64 << 20)
    place = Place(tmp_path, state=tmp_path / "small" / "state")  # the log lies beside it, on the same disk
    config = place.config(upkeep={"min_free_state_mb": 0, "keep_backups": 0, "check_seconds": 0.3})
    filler, rounds, chance, paused = tmp_path / "small" / "filler", times(30, 4), random.Random(31), 0
    fill(filler)
    for turn in range(rounds):
        place.put_pairs(turn, 1)
        with running(config, place.state) as daemon:
            if turn:  # the first one finds the disk full, and no state folder
                time.sleep(2.5 * turn / rounds)  # a start takes about two seconds
                fill(filler)
            if turn % 3 == 2:
                time.sleep(chance.uniform(0, 1))
                os.kill(daemon.process.pid, signal.SIGHUP)  # a reload on a full disk
            time.sleep(chance.uniform(1, 4))
            assert daemon.process.poll() is None, daemon.log.read_text()
            paused += daemon.status()["state"] == "paused"
            filler.unlink()
            daemon.wait(2 * (turn + 1))
            fill(filler)  # an end on a full disk
            assert daemon.stop()[0] == 0, daemon.log.read_text()
        filler.unlink()
    assert place.moved() == rounds
    assert place.left_over() == []
    assert place.lost() == 0
    assert "Traceback" not in daemon.log.read_text()
    assert dedupd("check", "--deep", "--state", place.state, "--config", config).code == 0
    assert paused > rounds // 2
    record(rounds, place.lost(), f"{rounds} starts, none ended by itself; paused in {paused} when looked at")


@pytest.mark.fault("F31", injected="a disk that says it is full, at every turn of the loop", figure=FIGURE)
def test_a_paused_service_writes_nothing_and_takes_everything_up_again(tmp_path: Path, record: Record) -> None:
    hot = tmp_path / "hot"
    hot.mkdir()
    free = 1 << 40
    with opened(tmp_path, HotFolder(str(hot), "move")) as session:
        service = Service(session, None)
        service._set_up()
        try:
            service._space = StateSpace(session.state.path, 64 << 20, lambda _: free)
            until(service, lambda: not service._roots.scanning)
            free = 0
            service._looked_for_space = -1e9
            (hot / "new.jpg").write_bytes(b"x")
            changes = session.catalog.database.conn.total_changes
            for _ in range(3):
                service._put("path", str(hot / "new.jpg"))
                service._put("job", "reconcile")
                service._turn()
            assert session.catalog.database.conn.total_changes == changes
            assert says(lambda: status(session.state.status), "paused", "disk full")()
            assert list(service._missed) == ["reconcile"]
            free = 1 << 40
            service._looked_for_space = -1e9
            until(service, lambda: len(service._reception) > 0)  # the walk found what the dropped hint had named
            assert not service._missed
        finally:
            service._tear_down()
    record(1)


def until(service: Service, condition: "object") -> None:
    """Let the loop turn until something is so."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        service._turn()


def status(path: Path) -> dict[str, "object"]:
    """Read the status file."""
    import json

    found: dict[str, object] = json.loads(path.read_text("ascii"))
    return found
