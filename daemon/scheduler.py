"""What happens by the clock: APScheduler decides when, the service's own loop does it.

After the wall clock is set back, APScheduler would wait until it has caught up; `heartbeat` notices the jump by the
monotonic clock and plans everything anew.
"""

from collections.abc import Callable, Mapping

from apscheduler.schedulers.background import BackgroundScheduler

_MISFIRE_GRACE_SECONDS = 6 * 3600  # a laptop that slept runs a missed job once, when it wakes
_DRIFT_SECONDS = 5.0


class Schedule:
    """Call `due(name)` every so often for each named job, from a thread of its own."""

    def __init__(self, every_seconds: Mapping[str, float], due: Callable[[str], None]) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._every = dict(every_seconds)
        self._offset: float | None = None
        for name, seconds in self._every.items():
            self._scheduler.add_job(
                due,
                "interval",
                args=[name],
                id=name,
                seconds=seconds,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_MISFIRE_GRACE_SECONDS,
            )

    def start(self) -> None:
        """Start the clock."""
        self._scheduler.start()

    def heartbeat(self, wall_seconds: float, monotonic_seconds: float) -> bool:
        """Compare the clocks; plan all jobs anew after a jump of the wall clock, and tell that it jumped."""
        offset = wall_seconds - monotonic_seconds
        jumped = self._offset is not None and abs(offset - self._offset) > _DRIFT_SECONDS
        self._offset = offset
        if jumped:
            for name, seconds in self._every.items():
                self._scheduler.reschedule_job(name, trigger="interval", seconds=seconds)
        return jumped

    def close(self) -> None:
        """Stop the clock."""
        self._scheduler.shutdown(wait=False)
