"""The decoding processes: expendable, started when needed, replaced when they die.

Decoders are C code that meets hostile bytes. Each worker is a fresh interpreter (never a fork: no database, no
index, no lock comes along) which talks over one socket pair and holds nothing that must not be lost. A worker that
dies costs its file one of two attempts; a worker that hangs is killed. Not `concurrent.futures`, where one dead
process breaks the pool; not `multiprocessing.Process`, which runs the parent's main module once more.

The wire: the parent sends sys.path, then a `_Setup`, then tasks; the worker answers with `_READY`, then one result
for each task, in order. Decoders are imported before the setup is there, so that a first scan need not wait for both.
A few tasks wait in the pipe, so that a worker has work while the parent is busy embedding.
"""

import importlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Protocol, Self

from annotated_types import Ge, Gt

from daemon.confinement import believe, confine
from daemon.launching import Launched, launch, pipe_may_be_broken, usable_cores
from store.errors import StateError
from store.records import Failure, FailureKind, Measurement

if TYPE_CHECKING:  # these rooms bring OpenCV along, which the parent does not need
    from pipeline.settings import DecodeSettings, QualitySettings

_READY = "ready"
_ATTEMPTS = 2  # a file that kills two workers is to blame, not the worker
_QUEUE_LENGTH = 8  # tasks in a worker's pipe, the one it works on included: 100 ms of work
_NICENESS = 3  # the one writer goes first: workers that wait for it cost less than a writer that waits for them
_START_SECONDS = 120.0  # an interpreter on a very busy machine
_MAX_FAILED_STARTS = 3
Result = Measurement | Failure


class Task(Protocol):
    """What a worker is given: a `MeasureTask`, or a `LookTask`, whose path is empty."""

    @property
    def path(self) -> str:
        """The file to blame where the worker dies."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How many decoding processes, and how much each may take."""

    processes: Annotated[int, Ge(0)] = 0  # 0: one for each core this process may use
    timeout_seconds: Annotated[float, Gt(0)] = 60.0  # for one file
    memory_limit_mb: Annotated[int, Ge(256)] = 4096  # address space of one worker; Linux only
    recycle_after: Annotated[int, Ge(1)] = 5000  # files, then a fresh process: decoders leak


@dataclass(frozen=True, slots=True)
class _Setup:
    target: str
    decode_settings: "DecodeSettings"
    quality_settings: "QualitySettings"
    timeout_seconds: float
    memory_limit_mb: int


@dataclass(slots=True)
class _Attempt:
    task: Task
    number: int = 1


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: "Connection[object, object]"
    deadline: float
    ready: bool = False
    given: int = 0
    queue: deque[_Attempt] = field(default_factory=deque)


class WorkerPool:
    """Measure files in processes that may crash, hang or run out of memory, at the cost of that file alone.

    Not thread-safe: one thread submits and collects. Processes start with the first tasks.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        decode_settings: "DecodeSettings",
        quality_settings: "QualitySettings",
        *,
        target: str = "pipeline.tasks:work",
        launched: Sequence[Launched] = (),
    ) -> None:
        """Prepare a pool; `target` names the function (task, decode settings, quality settings) → result.

        It takes over the processes that are `launched` already.
        """
        self._settings = settings
        self._size = settings.processes or usable_cores()
        self._setup = _Setup(
            target, decode_settings, quality_settings, settings.timeout_seconds, settings.memory_limit_mb
        )
        self._launched = list(launched)
        self._waiting: deque[_Attempt] = deque()
        self._workers: list[_Worker] = []
        self._results: deque[tuple[Task, Result]] = deque()
        self._answers: list[tuple[Task, object]] = []
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Count the tasks whose results have not been handed out."""
        return len(self._waiting) + sum(len(worker.queue) for worker in self._workers) + len(self._results)

    @property
    def free(self) -> int:
        """Count how many more tasks keep every worker busy; more would only wait here."""
        return max(0, self._size * _QUEUE_LENGTH - self.pending)

    def submit(self, task: Task) -> None:
        """Take a task; its result comes from `results`, in any order."""
        self._waiting.append(_Attempt(task))
        self._dispatch()

    def results(self, timeout_seconds: float) -> list[tuple[Task, Result]]:
        """Collect finished tasks; wait at most `timeout_seconds` for the first one, 0 does not wait.

        Raises StateError where workers cannot be started at all.
        """
        until = time.monotonic() + timeout_seconds
        while True:
            self._turn(0.0 if self._results else max(0.0, until - time.monotonic()))
            if self._results or time.monotonic() >= until or not self.pending:
                done, self._results = list(self._results), deque()
                return done

    def ask(self, tasks: Sequence[Task]) -> list[object]:
        """Have tasks done before those that wait here, and wait for the answers; a Failure where workers died on one.

        Raises StateError where workers cannot be started at all.
        """
        self._waiting.extendleft(_Attempt(task) for task in reversed(tasks))
        wanted, found = {id(task) for task in tasks}, dict[int, object]()
        while len(found) < len(wanted):
            self._turn(self._settings.timeout_seconds)
            found |= {id(task): answer for task, answer in self._answers if id(task) in wanted}
            self._answers.clear()
        return [found[id(task)] for task in tasks]

    def _turn(self, timeout_seconds: float) -> None:
        self._dispatch()
        self._collect(min(timeout_seconds, self._seconds_to_deadline()))
        self._end_overdue()
        self._dispatch()

    def withdraw(self, unwanted: Callable[[str], bool]) -> list[Task]:
        """Take back the tasks whose path is unwanted; a process that is at work on one is ended. Return the tasks."""
        taken = [attempt.task for attempt in self._waiting if unwanted(attempt.task.path)]
        self._waiting = deque(attempt for attempt in self._waiting if not unwanted(attempt.task.path))
        for worker in [w for w in self._workers if any(unwanted(attempt.task.path) for attempt in w.queue)]:
            self._remove(worker)  # what waits in its pipe cannot be called back
            taken += [attempt.task for attempt in worker.queue if unwanted(attempt.task.path)]
            self._waiting.extendleft(a for a in reversed(worker.queue) if not unwanted(a.task.path))
        return taken

    def close(self) -> None:
        """End all workers at once; tasks not yet answered are forgotten."""
        everyone: list[_Worker | Launched] = [*self._workers, *self._launched]
        for each in everyone:
            each.process.kill()
        for each in everyone:
            each.pipe.close()
            each.process.wait()
        self._workers.clear()
        self._launched.clear()
        self._waiting.clear()
        self._results.clear()

    def _dispatch(self) -> None:
        while self._waiting:
            worker = self._least_busy()
            if worker is None:
                return
            attempt = self._waiting.popleft()
            if not worker.queue and worker.ready:
                worker.deadline = time.monotonic() + self._settings.timeout_seconds
            worker.queue.append(attempt)
            worker.given += 1
            with pipe_may_be_broken():
                worker.pipe.send(attempt.task)

    def _least_busy(self) -> _Worker | None:
        self._recycle()
        open_workers = [w for w in self._workers if w.given < self._settings.recycle_after]
        best = min(open_workers, key=lambda worker: len(worker.queue), default=None)
        if (best is None or best.queue) and len(self._workers) < self._size:
            best = self._started() or best
        return best if best is not None and len(best.queue) < _QUEUE_LENGTH else None

    def _recycle(self) -> None:
        for worker in list(self._workers):
            if worker.given >= self._settings.recycle_after and not worker.queue:
                self._remove(worker)

    def _started(self) -> _Worker | None:
        """Start a process; where the system has none left for us, go on with those that there are."""
        try:
            return self._start()
        except OSError as error:
            if not self._workers:
                hint = "raise its limits on open files and tasks: `ulimit -n`, `ulimit -u`, or the service's unit"
                raise StateError(f"no decoding process can be started: {error.strerror}", hint) from error
            self._size = len(self._workers)
            return None

    def _start(self) -> _Worker:
        launched = self._launched.pop() if self._launched else launch()
        worker = _Worker(launched.process, launched.pipe, time.monotonic() + _START_SECONDS)
        self._workers.append(worker)
        with pipe_may_be_broken():
            worker.pipe.send(self._setup)
        return worker

    def _collect(self, timeout_seconds: float) -> None:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe), timeout_seconds):
            worker = by_pipe[pipe]  # type: ignore[index]  # wait() returns the connections it was given
            try:
                while worker.pipe.poll():
                    self._receive(worker, believe(worker.pipe.recv_bytes()))
            except (EOFError, OSError, pickle.UnpicklingError):
                worker.process.kill()  # one that talks nonsense is still alive, and would be waited for for ever
                self._bury(worker, FailureKind.CRASHED, f"the decoder died on it twice ({_ending(worker.process)})")

    def _receive(self, worker: _Worker, message: object) -> None:
        worker.deadline = time.monotonic() + self._settings.timeout_seconds
        if message == _READY:
            worker.ready, self._failed_starts = True, 0
        elif isinstance(message, Measurement | Failure | tuple):
            self._finish(worker.queue.popleft().task, message)
        else:
            raise StateError(f"a decoding process sent {type(message).__name__}", "please report this")

    def _finish(self, task: Task, result: Result | tuple[object, ...]) -> None:
        if task.path and not isinstance(result, tuple):
            self._results.append((task, result))
        else:
            self._answers.append((task, result))

    def _seconds_to_deadline(self) -> float:
        deadlines = [worker.deadline for worker in self._workers if worker.queue]
        return max(0.0, min(deadlines, default=float("inf")) - time.monotonic())

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            # A result that lies in the pipe is no hang: this process was away for longer than the limit.
            if worker.queue and worker.deadline <= now and not worker.pipe.poll():
                limit = self._settings.timeout_seconds
                self._bury(worker, FailureKind.TIMEOUT, f"not decoded within {limit:g} seconds")

    def _bury(self, worker: _Worker, kind: FailureKind, reason: str) -> None:
        """Remove a dead or hanging worker; its first task is to blame, the rest go back to the front."""
        self._remove(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                hint = "is there memory left, and is the installation complete?"
                raise StateError("the decoding processes do not start", hint)
        elif worker.queue:
            first = worker.queue.popleft()
            if kind is FailureKind.TIMEOUT or first.number >= _ATTEMPTS:
                self._finish(first.task, Failure(first.task.path, kind, reason, None, None))
            else:
                worker.queue.appendleft(_Attempt(first.task, first.number + 1))
        self._waiting.extendleft(reversed(worker.queue))

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.pipe.close()
        worker.process.wait()


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def serve(pipe: "Connection[object, object]") -> None:
    """Work off tasks until the parent closes the pipe or is gone. Runs in the worker process."""
    # The parent alone ends a worker: a signal to the whole process group must not look like a crash.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    silence = os.open(os.devnull, os.O_WRONLY)
    confine()  # before the decoders are there: threads that they start now would stay free
    importlib.import_module("pipeline.measuring")
    try:
        setup = pipe.recv()
    except EOFError:  # launched for nothing
        return
    assert isinstance(setup, _Setup)
    module, _, name = setup.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        limit = setup.memory_limit_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # The kernel ends a worker that hangs in C after its parent was killed; no one else would.
    last_resort = int(2 * setup.timeout_seconds) + 10
    # Start-up errors go to the daemon's log; from here on it is libtiff and libjpeg that talk, about damaged files.
    os.dup2(silence, sys.stderr.fileno())
    pipe.send(_READY)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        signal.alarm(last_resort)
        result = target(task, setup.decode_settings, setup.quality_settings)
        signal.alarm(0)
        pipe.send(result)
