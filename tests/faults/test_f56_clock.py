"""F56: the wall clock is set back or ahead, or the machine sleeps. Jobs go on; what was missed runs once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.folders import HotFolder
from daemon.service import Service
from tests.e2e.command import running
from tests.faults.beating import EVERY
from tests.faults.clocks import FakeClock
from tests.faults.conftest import Record
from tests.faults.living import Place
from tests.faults.moving import ROOT
from tests.faults.test_f31_catalog_full import until
from tests.patience import wait_until
from tests.unit.daemon.opened import opened

FIGURE = "overdue jobs after 60 s 0; double runs 0"


class Beating:
    """A schedule in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self) -> dict[str, Any]:
        """Ask what ran so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def since(self, before: dict[str, int]) -> dict[str, int]:
        """Let the frequent job run three more times from now on; count what ran since then."""
        often = self.ask()["ran"]["often"]
        wait_until(lambda: self.ask()["ran"]["often"] >= often + 3, "it waits until the clock has caught up")
        now = self.ask()["ran"]
        return {name: now.get(name, 0) - before.get(name, 0) for name in EVERY}


@contextmanager
def beating(clock: FakeClock) -> Iterator[Beating]:
    """Run a schedule under a fake clock."""
    command = [*clock.words, sys.executable, "-m", "tests.faults.beating"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        made = Beating(process)
        try:
            while not made.ask()["ran"].get("often"):
                time.sleep(0.1)
            yield made
        finally:
            process.kill()


@pytest.mark.fault("F56", injected="-1 h, -1 day, +1 day, +400 days, DST-like +1 h and back", figure=FIGURE)
@pytest.mark.parametrize(
    ("offset", "missed"), [("-1h", ()), ("-1d", ()), ("+1h", ("hourly",)), ("+1d", ("hourly", "daily")),
                           ("+400d", ("hourly", "daily"))]
)  # fmt: skip
def test_jobs_go_on_after_a_jump(tmp_path: Path, record: Record, offset: str, missed: tuple[str, ...]) -> None:
    clock = FakeClock(tmp_path / "clock")
    with beating(clock) as schedule:
        before = schedule.ask()["ran"]
        clock.jump(offset)
        started = time.monotonic()
        ran = schedule.since(before)
        seconds = time.monotonic() - started
        rare = {name: ran[name] for name in ("hourly", "daily")}
        assert rare == {name: int(name in missed) for name in rare}, "what was missed runs once"
        before = schedule.ask()["ran"]
        clock.jump("+0")
        back = schedule.since(before)
        wait_until(lambda: len(schedule.ask()["jumps"]) >= 2)
        assert len(schedule.ask()["jumps"]) == 2
        if offset.startswith("+"):
            assert (back["hourly"], back["daily"]) == (0, 0), "nothing twice"
    record(2, 0, f"{offset}: three runs within {seconds:.1f} s of it")


@pytest.mark.fault("F56", injected="SIGSTOP for a while, as a sleep", figure=FIGURE)
def test_what_a_sleep_missed_runs_once(tmp_path: Path, record: Record) -> None:
    with beating(FakeClock(tmp_path / "clock")) as schedule:
        started = time.monotonic()
        before = schedule.ask()["ran"]["often"]
        schedule.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(3.0)
        asleep = time.monotonic() - stopped
        schedule.process.send_signal(signal.SIGCONT)
        woken = schedule.ask()["ran"]["often"] - before
        awake = time.monotonic() - started - asleep  # a slow machine takes its time to ask
        assert woken <= 3 + awake / EVERY["often"], "12 were missed"
        schedule.since(schedule.ask()["ran"])
    record(1, 0, f"{woken} runs at once after a sleep of 12 times the interval")


@pytest.mark.fault("F56", injected="a clock that was ahead while an arrival failed is set right", figure=FIGURE)
def test_what_was_put_off_by_a_wrong_clock_does_not_wait_for_it(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot, day_ns = tmp_path / "hot", 86_400 * 10**9
    late = hot / "sub/late.jpg"  # where no walk comes: nobody knows of it but whoever failed
    late.parent.mkdir(parents=True)
    late.write_bytes(b"x")
    with opened(tmp_path, HotFolder(str(hot), recursive=False)) as session:
        service = Service(session, None)
        service._set_up()
        try:
            until(service, lambda: not service._roots.scanning)
            folder = session.catalog.folders()[0]
            session.arrivals.fail(str(late), folder.id, "locked", session.clock_ns() + day_ns, lambda _: 30.0)
            service._check()
            service._turn()
            assert len(service._reception) == 0, "its time is a day away"
            monkeypatch.setattr(service._schedule, "heartbeat", lambda *_: -86_400.0)
            service._turn()
            assert len(service._reception) == 1
        finally:
            service._tear_down()
    record(1)


@pytest.mark.fault("F56", injected="-1 h under a running service", figure=FIGURE)
@pytest.mark.slow
def test_the_service_reconciles_after_a_jump_back(tmp_path: Path, record: Record) -> None:
    place, clock = Place(tmp_path), FakeClock(tmp_path / "clock")
    config = place.config(upkeep={"reconcile_minutes": 0.05})
    with running(config, place.state, clock.words) as daemon:
        daemon.wait(0)
        clock.jump("-1h")
        place.put_pairs(0, 2)
        daemon.wait(4)
        started = time.monotonic()
        place.put_pairs(2, 2)
        daemon.wait(8)
        seconds = time.monotonic() - started
        assert "the clock jumped" in daemon.log.read_text()
        assert place.moved() == 4
        assert daemon.stop()[0] == 0
    record(1, place.lost(), f"new pictures judged within {seconds:.0f} s of a jump back")
