"""What happens by the clock."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from daemon.scheduler import Schedule, lived_ns
from tests.patience import PATIENCE_SECONDS


@contextmanager
def running(schedule: Schedule) -> Iterator[Schedule]:
    schedule.start()
    try:
        yield schedule
    finally:
        schedule.close()


def test_each_job_comes_again_and_again_under_its_name() -> None:
    due: queue.Queue[str] = queue.Queue()
    with running(Schedule({"check": 0.05, "rarely": 3600.0}, due.put)):
        assert [due.get(timeout=PATIENCE_SECONDS) for _ in range(3)] == ["check"] * 3


def test_nothing_is_due_before_the_start_or_after_the_end() -> None:
    due: queue.Queue[str] = queue.Queue()
    schedule = Schedule({"check": 0.02}, due.put)
    with pytest.raises(queue.Empty):
        due.get(timeout=0.1)
    with running(schedule):
        due.get(timeout=PATIENCE_SECONDS)
    while not due.empty():
        due.get()
    late = list[str]()
    with suppress(queue.Empty):
        while len(late) < 2:
            late.append(due.get(timeout=0.2))
    assert len(late) < 2, "nothing but what had begun already"


@pytest.mark.parametrize(("jump_seconds", "noticed"), [(0.0, False), (2.0, False), (-3600.0, True), (3600.0, True)])
def test_a_jump_of_the_wall_clock_is_noticed_once(jump_seconds: float, noticed: bool) -> None:
    with running(Schedule({"rarely": 3600.0}, lambda name: None)) as schedule:
        assert not schedule.heartbeat(1000.0, 10.0)
        assert not schedule.heartbeat(1005.0, 15.0)
        assert schedule.heartbeat(1010.0 + jump_seconds, 20.0) == (jump_seconds if noticed else 0.0)
        assert not schedule.heartbeat(1015.0 + jump_seconds, 25.0)


def test_a_clock_that_drifts_slowly_is_no_jump() -> None:
    with running(Schedule({"rarely": 3600.0}, lambda name: None)) as schedule:
        assert not any(schedule.heartbeat(1000.0 + 6 * n, 10.0 + 5 * n) for n in range(10))


def test_a_plan_that_a_jump_left_too_far_ahead_is_mended_without_another_jump() -> None:
    due: queue.Queue[str] = queue.Queue()
    with running(Schedule({"check": 0.3}, due.put)) as schedule:
        schedule.heartbeat(1000.0, 10.0)
        schedule._scheduler.modify_job("check", next_run_time=datetime.now(UTC) + timedelta(hours=1))
        while not due.empty():
            due.get()
        assert not schedule.heartbeat(1001.0, 11.0)
        assert due.get(timeout=PATIENCE_SECONDS) == "check"


def _planned(schedule: Schedule, name: str) -> datetime:
    planned: datetime = schedule._scheduler.get_job(name).next_run_time
    return planned


def test_after_a_jump_back_every_plan_keeps_its_distance() -> None:
    with running(Schedule({"hourly": 3600.0, "daily": 86400.0}, lambda name: None)) as schedule:
        before = {name: _planned(schedule, name) for name in ("hourly", "daily")}
        schedule.heartbeat(10_000.0, 10.0)
        schedule.heartbeat(10_001.0 - 7200.0, 11.0)
        assert {name: _planned(schedule, name) - before[name] for name in before} == dict.fromkeys(
            before, timedelta(seconds=-7200)
        )


@pytest.mark.parametrize("late", [timedelta(minutes=1), timedelta(hours=5), timedelta(days=3)])
def test_after_a_sleep_a_missed_job_runs_once(late: timedelta) -> None:
    due: queue.Queue[str] = queue.Queue()
    schedule = Schedule({"often": 30.0, "daily": 86400.0}, due.put)
    schedule._scheduler.start(paused=True)
    for name in ("often", "daily"):  # what a sleep leaves behind: plans that have passed
        schedule._scheduler.modify_job(name, next_run_time=datetime.now(UTC) - late)
    schedule._scheduler.resume()
    schedule.heartbeat(1000.0, 10.0)
    schedule.heartbeat(1001.0 + late.total_seconds(), 11.0)
    try:
        assert {due.get(timeout=PATIENCE_SECONDS), due.get(timeout=PATIENCE_SECONDS)} == {"often", "daily"}
        with pytest.raises(queue.Empty):
            due.get(timeout=0.3)
    finally:
        schedule.close()


@pytest.mark.parametrize(
    ("wall", "ran", "lived"), [(50, 50, 150), (5000, 50, 150), (-5000, 50, -4900), (50, 5, 105)],
    ids=["both ran", "the clock jumped ahead", "the clock was set back", "it slept"],
)  # fmt: skip
def test_age_is_what_both_clocks_agree_on(wall: int, ran: int, lived: int) -> None:
    assert lived_ns((100, 7), (100 + wall, 7 + ran)) == lived


def test_after_a_jump_jobs_do_not_wait_until_the_clock_has_caught_up() -> None:
    due: queue.Queue[str] = queue.Queue()
    with running(Schedule({"check": 600.0}, due.put)) as schedule:  # it never comes by itself, however slow this is
        schedule.heartbeat(1000.0, 10.0)
        # What a clock set back by an hour leaves behind: the next run lies an hour ahead.
        schedule._scheduler.modify_job("check", next_run_time=datetime.now(UTC) + timedelta(hours=1))
        with pytest.raises(queue.Empty):
            due.get(timeout=0.1)
        assert schedule.heartbeat(1001.0 - 3600.0, 11.0)
        assert due.get(timeout=PATIENCE_SECONDS) == "check"
