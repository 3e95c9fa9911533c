"""Files through real decoding processes, as the service sends them."""

import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from daemon.workers import Result, Task, WorkerPool, WorkerSettings
from pipeline.measuring import MeasureTask
from pipeline.settings import DecodeSettings, QualitySettings

MEASURE = "pipeline.measuring:measure"


class Watched:
    """A pool that also notes how much memory its processes took and how long each file needed."""

    def __init__(self, settings: WorkerSettings, target: str = MEASURE) -> None:
        self.pool = WorkerPool(settings, DecodeSettings(), QualitySettings(), target=target)
        self.results: dict[str, Result] = {}
        self.seconds: dict[str, float] = {}
        self.peak_bytes = 0
        self.workers: set[int] = set()

    def measure(self, paths: Iterable[Path]) -> dict[str, Result]:
        """Measure files one after the other; return name → result."""
        with self.pool:
            for path in paths:
                started = time.monotonic()
                self.pool.submit(MeasureTask(str(path), 64))
                while self.pool.pending:
                    self._take(self.pool.results(0.02))
                self.seconds[path.name] = time.monotonic() - started
        return self.results

    def measure_together(self, paths: Iterable[Path]) -> dict[str, Result]:
        """Measure files as many at a time as the pool takes."""
        with self.pool:
            for path in paths:
                while not self.pool.free:
                    self._take(self.pool.results(1.0))
                self.pool.submit(MeasureTask(str(path), 64))
            while self.pool.pending:
                self._take(self.pool.results(1.0))
        return self.results

    def _take(self, done: list[tuple[Task, Result]]) -> None:
        for process in psutil.Process().children():
            try:
                self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)
                self.workers.add(process.pid)
            except psutil.NoSuchProcess:
                continue
        for task, result in done:
            self.results[Path(task.path).name] = result
