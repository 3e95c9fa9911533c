"""Workers: one file's crash, hang or hunger for memory costs that file alone.

The functions below run inside real worker processes; a file's name says what happens to it.
"""

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from daemon.workers import WorkerPool, WorkerSettings
from pipeline.measuring import MeasureTask
from pipeline.settings import DecodeSettings, QualitySettings
from store.errors import StateError
from store.records import Failure, FailureKind, Measurement
from tests.patience import PATIENCE_SECONDS

SETUP = DecodeSettings(), QualitySettings()


def misbehave(task: MeasureTask, _decode: DecodeSettings, _quality: QualitySettings) -> Failure:
    """Do what the name of the file says; a Failure stands for any result."""
    name = Path(task.path).name
    once = name.startswith("crash once")
    if (once and _first_to_come(task.path)) or (name.startswith("crash") and not once):
        os.kill(os.getpid(), signal.SIGSEGV)
    elif name.startswith("hang"):
        time.sleep(600)
    elif name.startswith("eat"):
        try:
            bytearray(8 << 30)
        except MemoryError:
            return Failure(task.path, FailureKind.TOO_LARGE, "needs too much memory", None, None)
    return Failure(task.path, FailureKind.CORRUPT, str(os.getpid()), None, None)


def _first_to_come(path: str) -> bool:
    """Take the one byte that lies in a FIFO: a worker can leave no other trace."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return bool(os.read(descriptor, 1))
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def pool(target: str = f"{__name__}:misbehave", **options: Any) -> WorkerPool:
    chosen = dataclasses.replace(WorkerSettings(processes=1), **options)
    return WorkerPool(chosen, *SETUP, target=target)


def drain(workers: WorkerPool) -> dict[str, Failure]:
    found: dict[str, Failure] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while workers.pending and time.monotonic() < deadline:
        for task, result in workers.results(1):
            assert isinstance(result, Failure)
            assert task.path not in found
            found[task.path] = result
    return found


def run(names: list[str], **options: Any) -> dict[str, Failure]:
    with pool(**options) as workers:
        for name in names:
            workers.submit(MeasureTask(name, 32))
        return drain(workers)


def test_real_files_are_measured(tmp_path: Path) -> None:
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (90, 120, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), noise)
    (tmp_path / "6.jpg").write_bytes(b"no picture")
    with pool("pipeline.measuring:measure", processes=2) as workers:
        for path in sorted(tmp_path.iterdir()):
            workers.submit(MeasureTask(str(path), 64))
        results: dict[str, object] = {}
        while workers.pending:
            results |= {Path(task.path).name: result for task, result in workers.results(PATIENCE_SECONDS)}
    measured = [result for result in results.values() if isinstance(result, Measurement)]
    assert len(measured) == 6 and all(one.model_input.shape == (64, 64, 3) for one in measured)
    assert isinstance(results["6.jpg"], Failure) and results["6.jpg"].kind is FailureKind.CORRUPT


def test_a_crash_costs_its_file_alone(tmp_path: Path) -> None:
    once = str(tmp_path / "crash once")
    os.mkfifo(once)
    held = os.open(once, os.O_RDWR)
    os.write(held, b"1")
    found = run(["a", "crash", "b", once, "c", "d"])
    os.close(held)
    assert found["crash"].kind is FailureKind.CRASHED
    assert "SIGSEGV" in found["crash"].reason
    assert {name: found[name].kind for name in ("a", "b", once, "c", "d")} == dict.fromkeys(
        ("a", "b", once, "c", "d"), FailureKind.CORRUPT
    )


@dataclasses.dataclass(frozen=True)
class Asked:
    question: str
    path: str = ""


def answer(task: Asked, _decode: DecodeSettings, _quality: QualitySettings) -> Failure | tuple[str | None, ...]:
    """Answer what is asked; die of some questions."""
    if task.path:
        return Failure(task.path, FailureKind.CORRUPT, "measured", None, None)
    if task.question == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return (task.question, None)


def test_questions_are_answered_in_order_and_results_wait() -> None:
    with pool(f"{__name__}:answer", processes=2) as workers:
        for number in range(20):
            workers.submit(MeasureTask(f"file {number}", 32))
        answers = workers.ask([Asked("a"), Asked("crash"), Asked("b")])
        assert (answers[0], answers[2]) == (("a", None), ("b", None))
        assert isinstance(answers[1], Failure) and answers[1].kind is FailureKind.CRASHED
        assert workers.ask([]) == []
        assert set(drain(workers)) == {f"file {number}" for number in range(20)}


def test_a_hang_is_ended_at_the_limit() -> None:
    for limit in (0.5, 5.0, 50.0):  # one that this machine can keep to: the first, unless it stands still just then
        found = run(["a", "hang", "b"], timeout_seconds=limit)
        assert found["hang"].kind is FailureKind.TIMEOUT
        if found["a"].kind is found["b"].kind is FailureKind.CORRUPT:
            return
    raise AssertionError(found)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not enforce RLIMIT_AS")
def test_memory_is_limited() -> None:
    found = run(["eat", "a"], memory_limit_mb=2048)
    assert found["eat"].kind is FailureKind.TOO_LARGE
    assert found["a"].kind is FailureKind.CORRUPT


def test_a_killed_worker_is_replaced() -> None:
    with pool() as workers:
        workers.submit(MeasureTask("a", 32))
        first = int(drain(workers)["a"].reason)
        os.kill(first, signal.SIGKILL)
        workers.submit(MeasureTask("b", 32))
        assert int(drain(workers)["b"].reason) != first


def test_workers_ignore_the_signals_of_the_terminal_and_the_service() -> None:
    with pool() as workers:
        workers.submit(MeasureTask("a", 32))
        first = int(drain(workers)["a"].reason)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(first, number)
        workers.submit(MeasureTask("b", 32))
        assert int(drain(workers)["b"].reason) == first


def test_workers_are_recycled() -> None:
    found = run([str(number) for number in range(7)], recycle_after=3)
    assert len({failure.reason for failure in found.values()}) == 3


def test_nothing_starts_before_the_first_task_and_nothing_stays_after_the_last() -> None:
    before = set(psutil.Process().children())
    with pool(processes=2) as workers:
        assert set(psutil.Process().children()) <= before
        assert workers.results(0) == []
        workers.submit(MeasureTask("a", 32))
        assert len(set(psutil.Process().children()) - before) == 1
        workers.submit(MeasureTask("b", 32))
        assert len(set(psutil.Process().children()) - before) == 2
    assert set(psutil.Process().children()) <= before


def test_free_and_pending_count() -> None:
    with pool(processes=1) as workers:
        room = workers.free
        assert room >= 2
        for number in range(room + 3):
            workers.submit(MeasureTask(str(number), 32))
        assert (workers.free, workers.pending) == (0, room + 3)
        assert len(drain(workers)) == room + 3
        assert (workers.free, workers.pending) == (room, 0)


def test_a_pool_that_cannot_start_says_so() -> None:
    with pool("no_such_module:measure") as workers, pytest.raises(StateError, match="do not start"):
        workers.submit(MeasureTask("a", 32))
        drain(workers)


@pytest.fixture
def orphan() -> Iterator[psutil.Process]:
    """A parent that starts a worker and is killed."""
    code = (
        "import tests.unit.daemon.test_workers as t, time\n"
        "w = t.pool(); w.submit(t.MeasureTask('a', 32)); print(t.drain(w)['a'].reason, flush=True); time.sleep(600)"
    )
    root = Path(__file__).parents[3]
    parent = psutil.Popen([sys.executable, "-c", code], cwd=root, stdout=-1)
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    yield worker
    if worker.is_running():
        worker.kill()


def test_workers_die_with_their_parent(orphan: psutil.Process) -> None:
    orphan.wait(timeout=PATIENCE_SECONDS)
    assert not orphan.is_running()


def test_workers_inherit_no_descriptors(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    descriptor = os.open(tmp_path / "catalog", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(descriptor, True)
    try:
        with pool() as workers:
            workers.submit(MeasureTask("a", 32))
            worker = drain(workers)["a"].reason
            targets = {os.readlink(entry) for entry in Path(f"/proc/{worker}/fd").iterdir()}
    finally:
        os.close(descriptor)
    assert not any("catalog" in target for target in targets)


def test_what_is_withdrawn_blocks_nobody(tmp_path: Path) -> None:
    with pool(processes=1) as workers:
        for name in ("a", "/dead/hang", "/dead/b", "c"):
            workers.submit(MeasureTask(name, 32))
        deadline = time.monotonic() + PATIENCE_SECONDS
        done: list[str] = []
        while "a" not in done and time.monotonic() < deadline:
            done += [task.path for task, _ in workers.results(1)]
        taken = workers.withdraw(lambda path: path.startswith("/dead/"))
        assert sorted(task.path for task in taken) == ["/dead/b", "/dead/hang"]
        assert set(drain(workers)) == {"c"}
        assert workers.withdraw(lambda path: True) == []


def test_without_a_descriptor_left_it_says_so_or_makes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = WorkerPool._start
    started: list[Any] = []

    def start(self: WorkerPool) -> Any:
        if len(started) == 1:
            raise OSError(24, "Too many open files")
        started.append(real(self))
        return started[-1]

    monkeypatch.setattr(WorkerPool, "_start", start)
    names = [str(number) for number in range(20)]
    assert len(run(names, processes=4)) == 20
    with pytest.raises(StateError, match="Too many open files"):
        run(["a"])
