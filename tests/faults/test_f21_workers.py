"""F21–F23: decoders that crash, hang or eat memory, in the middle of many good files."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.workers import Result, WorkerSettings
from pipeline.measuring import MeasureTask, measure
from pipeline.settings import DecodeSettings, QualitySettings
from store.records import Failure, FailureKind, Measurement
from tests.faults.conftest import Record
from tests.faults.measured import Watched
from tests.faults.pictures import put_tiny

MIB = 1 << 20


def moody(task: MeasureTask, decode: DecodeSettings, quality: QualitySettings) -> Measurement | Failure:
    """Measure as always, but let a file's name decide over the process first."""
    name = Path(task.path).name
    if "segv" in name or "abort" in name:
        os.kill(os.getpid(), signal.SIGSEGV if "segv" in name else signal.SIGABRT)
    if "hang" in name:
        time.sleep(600)
    if "spin" in name:
        while True:
            pass
    if "eat" in name:
        try:
            hoard = [bytearray(64 * MIB) for _ in range(1000)]
        except MemoryError:
            return Failure(task.path, FailureKind.TOO_LARGE, "needs too much memory", None, None)
        return Failure(task.path, FailureKind.CORRUPT, f"took {len(hoard)}", None, None)
    return measure(task, decode, quality)


def among_good_ones(folder: Path, every: int, bad: tuple[str, ...], count: int) -> list[Path]:
    """Put many good pictures down, every so often a bad one between them."""
    paths = []
    for number in range(count):
        word = bad[number // every % len(bad)] if number % every == every - 1 else "good"
        paths.append(put_tiny(folder / f"{number}-{word}.png", number))
    return paths


def tell(paths: list[Path], results: dict[str, Result], expected: FailureKind, bad: tuple[str, ...]) -> Counter[str]:
    """Hold that every good file is measured and every bad one has its reason."""
    assert len(results) == len(paths)
    for name, result in results.items():
        if any(word in name for word in bad):
            assert isinstance(result, Failure), name
            assert (result.kind, bool(result.reason)) == (expected, True), name
        else:
            assert isinstance(result, Measurement), name
    return Counter("bad" if any(word in path.name for word in bad) else "good" for path in paths)


@pytest.mark.fault("F21", injected="SIGSEGV and SIGABRT in the decoder", figure="other files done 100 %")
def test_a_crash_costs_one_file(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    bad = ("segv", "abort")
    paths = among_good_ones(tmp_path, 12, bad, times(600, 24))
    watched = Watched(WorkerSettings(processes=2), f"{__name__}:moody")
    count = tell(paths, watched.measure_together(paths), FailureKind.CRASHED, bad)
    record(count["bad"], 0, f"other files done {count['good']}/{count['good']}")


@pytest.mark.fault("F22", injected="decoder sleeps for ever, or spins", figure="slots lost 0")
def test_a_hang_costs_one_file(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    bad = ("hang", "spin")
    paths = among_good_ones(tmp_path, 10, bad, times(120, 10))
    for limit in (8.0, 80.0):  # one that the good files keep to on this machine: the first, unless it stands still
        watched = Watched(WorkerSettings(processes=2, timeout_seconds=limit), f"{__name__}:moody")
        results = watched.measure_together(paths)
        good = [result for name, result in results.items() if "good" in name]
        if all(isinstance(result, Measurement) for result in good):
            break
        late = [result for result in good if isinstance(result, Failure)]
        assert {result.kind for result in late} == {FailureKind.TIMEOUT}, "a machine that stands still excuses no more"
    count = tell(paths, results, FailureKind.TIMEOUT, bad)
    record(count["bad"], 0, f"slots lost 0; other files done {count['good']}/{count['good']}")


@pytest.mark.fault("F23", injected="decoder asks for 64 GB, limit 512 MiB", figure="daemon OOM kills 0")
def test_a_hunger_for_memory_costs_one_file(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    paths = among_good_ones(tmp_path, 10, ("eat",), times(200, 20))
    watched = Watched(WorkerSettings(processes=1, memory_limit_mb=512), f"{__name__}:moody")
    count = tell(paths, watched.measure_together(paths), FailureKind.TOO_LARGE, ("eat",))
    assert len(watched.workers) == 1, "not even its process dies"
    assert watched.peak_bytes < 600 * MIB
    record(count["bad"], 0, f"OOM kills 0; worker at most {watched.peak_bytes // MIB} MiB")
