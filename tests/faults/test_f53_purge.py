"""F53: the clock jumps far ahead. Nothing is let go of because a clock says that it is old."""

import time
from pathlib import Path

import pytest

from daemon.errands import Errands
from daemon.folders import HotFolder
from daemon.scheduler import lived_ns
from tests.e2e.command import listing, running
from tests.faults.clocks import FakeClock
from tests.faults.conftest import Record
from tests.faults.living import Place
from tests.unit.daemon.opened import Clock, distinct, know, opened, put

# dedupd never empties a quarantine, by the clock or otherwise: there is no purge of files to come too early. What it
# does let go of are facts about images that no file holds.
FIGURE = "early purges 0"
_DAY_NS = 24 * 3600 * 10**9


@pytest.mark.fault("F53", injected="wall clock +400 days and back under a running service", figure=FIGURE)
@pytest.mark.slow
def test_a_year_that_never_was_empties_nothing(tmp_path: Path, record: Record) -> None:
    place, clock = Place(tmp_path), FakeClock(tmp_path / "clock")
    config = place.config()
    place.put_pairs(0, 4)
    with running(config, place.state, clock.words) as daemon:
        daemon.wait(8)
        before = listing(place.quarantine)
        images = daemon.status()["images"]
        for offset in ("+400d", "+0", "+4000d"):
            clock.jump(offset)
            daemon.wait_for(lambda: "the clock jumped" in daemon.log.read_text(), "the jump is noticed")
            time.sleep(3)  # every job that was missed has run
            daemon.wait(8)
        assert listing(place.quarantine) == before
        assert daemon.status()["images"] == images
        assert daemon.stop()[0] == 0
    assert "forgot" not in daemon.log.read_text()
    record(3, place.lost(), "files purged 0; dedupd never empties a quarantine")


@pytest.mark.fault("F53", injected="an image without a file, and clocks that agree and do not", figure=FIGURE)
@pytest.mark.parametrize(("wall_days", "ran_days", "forgotten"), [(31, 31, True), (400, 1, False), (1, 400, False)])
def test_facts_go_only_when_both_clocks_say_so(
    tmp_path: Path, record: Record, wall_days: int, ran_days: int, forgotten: bool
) -> None:
    clock = Clock()
    with opened(tmp_path, HotFolder(str(tmp_path / "hot"))) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        file = know(session, folder, put(tmp_path / "hot/a.jpg"), distinct(1))
        session.flow.forget_files([file], clock())
        errands = Errands(session, None, None)  # type: ignore[arg-type]  # neither is asked
        started = clock(), 5
        errands.forget_unseen(lived_ns(started, (clock() + wall_days * _DAY_NS, 5 + ran_days * _DAY_NS)))
        assert (session.catalog.database.table("images").count == 0) is forgotten
    record(1, 0, "facts let go of only when both clocks say so")
