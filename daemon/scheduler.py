"""What happens by the clock: APScheduler decides when, the service's own loop does it.

APScheduler lives by the wall clock: set back by an hour, it would do nothing for an hour. So the loop, which lives by
the monotonic clock, calls `heartbeat` at every turn; that notices a jump and shifts every plan along. After a jump
ahead, or a sleep, what was missed runs once.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

_DRIFT_SECONDS = 5.0


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """An interval that skips what was missed.

    APScheduler's own lists every time that was missed before it runs the last one: a year ahead, for a job of every few
    seconds, takes minutes of a core.
    """

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return when it is due after the last time."""
        due = (previous_fire_time or now) + self.interval
        return due if due > now else now + self.interval


class Schedule:
    """Call `due(name)` every so often for each named job, from a thread of its own."""

    def __init__(self, every_seconds: Mapping[str, float], due: Callable[[str], None]) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._offset: float | None = None
        for name, seconds in every_seconds.items():
            self._scheduler.add_job(
                due,
                _Every(seconds),
                args=[name],
                id=name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # however long it slept, a missed job runs once
            )

    def start(self) -> None:
        """Start the clock."""
        self._scheduler.start()

    def heartbeat(self, wall_seconds: float, monotonic_seconds: float) -> float:
        """Compare the clocks; return by how many seconds the wall clock jumped since the last call, mostly 0.

        After a jump back every plan is shifted with it. After one ahead the plans stay: what they name has passed,
        and runs now.
        """
        offset = wall_seconds - monotonic_seconds
        before, self._offset = self._offset, offset
        jump = 0.0 if before is None else offset - before
        jumped = abs(jump) > _DRIFT_SECONDS
        if jumped and jump < 0:
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=job.next_run_time + timedelta(seconds=jump))
        elif jumped:
            self._scheduler.wakeup()
        self._bring_near()
        return jump if jumped else 0.0

    def _bring_near(self) -> None:
        """Mend plans that lie further ahead than their interval: a jump may fall into the moment of planning."""
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            if job.next_run_time > now + job.trigger.interval + timedelta(seconds=_DRIFT_SECONDS):
                job.modify(next_run_time=now + job.trigger.interval)

    def close(self) -> None:
        """Stop the clock."""
        self._scheduler.shutdown(wait=False)


def lived_ns(started: tuple[int, int], now: tuple[int, int]) -> int:
    """Return the earlier of the wall clock and of what it would show had it only run, since `started`.

    Both are (wall, monotonic) in nanoseconds. What is let go of by age must be old by both: a clock that jumps ahead
    ages nothing.
    """
    (wall_then, ran_then), (wall_now, ran_now) = started, now
    return min(wall_now, wall_then + ran_now - ran_then)
