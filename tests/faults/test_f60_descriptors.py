"""F60: few descriptors, few processes; and none lost over many files."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from daemon.workers import WorkerSettings
from tests.e2e.command import dedupd, running, write_config
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.measured import Watched
from tests.faults.pictures import BY_HASH, put_tiny


@pytest.mark.fault("F60", injected="limit of 64, 24 and 12 descriptors", figure="clear message")
@pytest.mark.needs("prlimit")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("limit", [64, 24, 12])
def test_few_descriptors(tmp_path: Path, record: Record, limit: int) -> None:
    for seed in range(20):
        put_tiny(tmp_path / f"in/{seed}.png", seed)
    words = ("scan", tmp_path / "in", "--output", tmp_path / "out", "--state", tmp_path / "state", "--json")
    answer = dedupd(*words, prefix=("prlimit", f"--nofile={limit}:{limit}"))
    if limit == 64:
        assert answer.code == 0, answer.err
    else:
        assert answer.code in (0, 1, 65, 71, 75, 77), answer.err
        assert "Traceback" not in answer.err
        assert answer.code == 0 or "dedupd: " in answer.err
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


@pytest.mark.fault("F60", injected="a service that takes files in", figure="fds after 10,000 files = before +-5")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_service_loses_no_descriptor(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, state, files = tmp_path / "hot", tmp_path / "state", times(10_000, 100)
    put_tiny(hot / "first.png", 0)
    config = write_config(
        tmp_path / "c.toml", {"path": hot, "watch": "native"}, workers={"processes": 1}, matching=BY_HASH
    )
    with running(config, state) as daemon:
        daemon.wait(1)
        service = psutil.Process(daemon.process.pid)
        before = service.num_fds()
        for number in range(1, files + 1):
            put_tiny(hot / f"{number % 40}/{number}.png", number)
        daemon.wait_for(lambda: daemon.settled(files + 1), "all are known")
        after, grown = service.num_fds(), service.memory_info().rss
        assert knows(state, hot / "1/1.png")
        assert daemon.stop()[0] == 0
    assert abs(after - before) <= 5 + 2
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
    record(files, 0, f"service: {before} before, {after} after {files} files; RSS {grown >> 20} MiB")
