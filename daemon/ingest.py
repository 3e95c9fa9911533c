"""Files → workers → flow: the loop that `scan` and the service share.

It keeps the workers busy, admits what they measured in batches, and remembers what could not be read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from daemon.workers import WorkerPool
from pipeline.flow import Flow, Seen
from pipeline.measuring import MeasureTask
from store.arrivals import Arrivals
from store.catalog import Catalog
from store.records import CatalogFile, Failure, FailureKind, Measurement

_BATCH = 8  # small: while a batch is admitted, the workers live on what waits in their pipes
_MOST_STORED = 64  # measured files that wait for admission, 100 KB each: the workers run ahead, but not out of sight
_WAIT_SECONDS = 0.2
_RETRY_FIRST_SECONDS = 30.0
_RETRY_LONGEST_SECONDS = 3600.0

Job = tuple[int, str]  # folder id, path


@dataclass(slots=True)
class Ingest:
    """Carry files through measuring and admission. Used by one thread."""

    flow: Flow
    catalog: Catalog
    arrivals: Arrivals
    pool: WorkerPool
    clock_ns: Callable[[], int]
    changed: list[CatalogFile] = field(default_factory=list)  # files whose verdict changed since last taken
    last_failure: Failure | None = None
    measured: int = 0  # results that came back from the workers, ever
    torn_settle_seconds: float = 0.0  # how long a file that cannot be decoded must have been at rest to be believed
    _folders: dict[str, int] = field(default_factory=dict)  # of the paths the workers have
    _again: deque[Job] = field(default_factory=deque)  # changed while the workers had them
    _batch: list[Seen] = field(default_factory=list)

    @property
    def busy(self) -> int:
        """Count the files between submission and admission."""
        return self.pool.pending + len(self._batch) + len(self._again)

    def run(self, jobs: Iterable[Job]) -> Iterator[int]:
        """Take all jobs through; yield, whenever some are done, how many."""
        waiting = iter(jobs)
        more = True
        while more or self.busy:
            more = (more or bool(self._again)) and self.feed(waiting)
            yield self.turn(_WAIT_SECONDS, flush=not more)

    def feed(self, waiting: Iterator[Job]) -> bool:
        """Hand jobs to idle workers; tell whether there may be more jobs."""
        while self.pool.free and len(self._batch) < _MOST_STORED:
            job = self._next_again() or next(waiting, None)
            if job is None:
                return False
            folder_id, path = job
            if path in self._folders:
                self._again.append(job)
                continue
            self._folders[path] = folder_id
            self.pool.submit(MeasureTask(path, self.flow.input_size))
        return True

    def _next_again(self) -> Job | None:
        return self._again.popleft() if self._again and self._again[0][1] not in self._folders else None

    def turn(self, wait_seconds: float, *, flush: bool) -> int:
        """Collect results and admit a full batch (or, with `flush`, whatever is there once the workers are idle).

        While the network is being loaded, which takes seconds, what the workers measure is stored up.
        """
        ready = len(self._batch) >= _BATCH and not self.flow.warming
        for task, result in self.pool.results(0.0 if ready else wait_seconds):
            self.measured += 1
            seen = Seen(self._folders.pop(task.path), result)
            if not self._put_off(seen):
                self._batch.append(seen)
        if self.flow.warming and self.pool.pending:
            return 0
        if len(self._batch) < _BATCH and not (flush and not self.pool.pending):
            return 0
        return self._admit()

    def withdraw(self, root: str, reason: str) -> None:
        """Take back what the workers have of a folder that does not answer; it is tried again later."""
        beginning = root.rstrip("/") + "/"
        for task in self.pool.withdraw(lambda path: path.startswith(beginning)):
            folder_id = self._folders.pop(task.path)
            self.arrivals.fail(task.path, folder_id, reason, self.clock_ns(), _retry_seconds)

    def _put_off(self, seen: Seen) -> bool:
        """Put off a torn file that changed a moment ago: a writer may close it, pause, and go on.

        Moved away in such a pause, it would be found in two halves.
        """
        torn = seen.result
        if not isinstance(torn, Failure) or torn.kind is not FailureKind.CORRUPT or torn.stat is None:
            return False
        now_ns = self.clock_ns()
        rest_seconds = self.torn_settle_seconds - (now_ns - torn.stat.ctime_ns) / 1e9
        if not 0 < rest_seconds <= self.torn_settle_seconds:  # more than that: the clock of a server is ahead
            return False
        reason = f"perhaps unfinished: {torn.reason}"
        self.arrivals.fail(torn.path, seen.folder_id, reason, now_ns, lambda _: rest_seconds)
        return True

    def _admit(self) -> int:
        batch, self._batch = self._batch[:_BATCH], self._batch[_BATCH:]
        if not batch:
            return 0
        try:
            self.changed += self.flow.admit(batch, self.clock_ns())
        except Exception as error:  # noqa: BLE001 - per arrival: one that cannot be admitted must not stop the others
            batch = self._admit_one_by_one(batch, error)
        self.arrivals.remove([_path(seen.result) for seen in batch if not self._failed(seen)])
        return len(batch)

    def _admit_one_by_one(self, batch: Sequence[Seen], error: Exception) -> list[Seen]:
        """Admit what can be admitted after a batch failed; return that. The rest is tried again later."""
        admitted = []
        for seen in batch:
            try:
                self.changed += self.flow.admit([seen], self.clock_ns())
                admitted.append(seen)
            except Exception as cause:  # noqa: BLE001 - per arrival, as above
                error = cause
                reason = f"could not be judged: {cause}"
                self.arrivals.fail(_path(seen.result), seen.folder_id, reason, self.clock_ns(), _retry_seconds)
        if not admitted:
            raise error  # nothing goes through: this is not about one file
        return admitted

    def _failed(self, seen: Seen) -> bool:
        """Keep an arrival that is worth another try."""
        result = seen.result
        if not isinstance(result, Failure):
            return False
        self.last_failure = result
        if result.kind is FailureKind.VANISHED or (result.kind.of_content and result.sha256 is not None):
            return False
        reason = f"{result.kind}: {result.reason}"
        self.arrivals.fail(result.path, seen.folder_id, reason, self.clock_ns(), _retry_seconds)
        return True


def _path(result: Measurement | Failure) -> str:
    return result.path if isinstance(result, Failure) else result.stat.path


def _retry_seconds(attempts: int) -> float:
    """Wait twice as long after each failed attempt, up to an hour."""
    return float(min(_RETRY_FIRST_SECONDS * 2 ** min(attempts, 20), _RETRY_LONGEST_SECONDS))
