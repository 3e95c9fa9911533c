"""F60: few descriptors, few processes; and none lost over many files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.workers import WorkerSettings
from tests.e2e.command import dedupd
from tests.faults.conftest import Record
from tests.faults.measured import Watched
from tests.faults.pictures import put_tiny


@pytest.mark.fault("F60", injected="a scan with 24, 12 and 8 descriptors", figure="clear message")
@pytest.mark.needs("prlimit")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("limit", [24, 12, 8])
def test_few_descriptors(tmp_path: Path, record: Record, limit: int) -> None:
    for seed in range(20):
        put_tiny(tmp_path / f"in/{seed}.png", seed)
    words = ("scan", tmp_path / "in", "--output", tmp_path / "out", "--state", tmp_path / "state", "--json")
    answer = dedupd(*words, prefix=("prlimit", f"--nofile={limit}:{limit}"))
    assert "Traceback" not in answer.err
    assert answer.code == 0 or answer.err.startswith("dedupd: "), answer.err
    record(1, 0, f"{limit} descriptors: exit {answer.code}")


@pytest.mark.fault("F60", injected="files through decoding processes", figure="fds after 10,000 files = before +-5")
@pytest.mark.timeout(3600)
def test_no_descriptor_is_lost(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    files = times(10_000, 300)
    paths = [put_tiny(tmp_path / f"{n}.png", n) for n in range(200)]
    before = len(os.listdir("/dev/fd"))
    watched = Watched(WorkerSettings(processes=1, recycle_after=times(1000, 100)))
    watched.measure_together(paths[n % 200] for n in range(files))
    after = len(os.listdir("/dev/fd"))
    assert abs(after - before) <= 5
    record(files, 0, f"descriptors {before} before, {after} after {files} files")
