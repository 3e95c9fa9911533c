"""Memory and descriptors of a service over time, and whether they stay flat."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import psutil

_EVERY_SECONDS = 2.0
_MOST_POINTS = 300  # the slopes of all their pairs are looked at


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a service and its decoding processes."""

    at: float  # seconds, monotonic
    pid: int
    service_mib: float
    worker_mib: float  # of the decoding process that takes most; 0 when there is none
    descriptors: int


def look_at(pid: int, at: float) -> Sample | None:
    """Measure a service; None when it is gone."""
    try:
        process = psutil.Process(pid)
        workers = [_mib(child) for child in process.children()]
        return Sample(at, pid, _mib(process), max(workers, default=0.0), process.num_fds())
    except psutil.NoSuchProcess:
        return None


def _mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / (1 << 20)
    except psutil.NoSuchProcess:
        return 0.0


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes of all pairs, per hour; x is in seconds (Theil and Sen).

    A single burst, however high, does not tilt it. 0 for fewer than two points.
    """
    step = max(1, len(points) // _MOST_POINTS)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points[::step], 2) if b[0] > a[0]]
    return statistics.median(slopes) * 3600 if slopes else 0.0


class Gauges:
    """Look at a service every two seconds, in a thread of its own, from the start to the end of a block."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def __enter__(self) -> "Gauges":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            pid = self._pid()
            sample = None if pid is None else look_at(pid, time.monotonic())
            if sample is not None:
                self.samples.append(sample)

    def of(self, pid: int, since: float) -> list[Sample]:
        """Return the samples of one process from a time on."""
        return [sample for sample in list(self.samples) if sample.pid == pid and sample.at >= since]
