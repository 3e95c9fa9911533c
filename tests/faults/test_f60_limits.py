"""F60: few descriptors, few tasks; and whether descriptors leak."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Daemon, dedupd, running
from tests.faults.conftest import Record
from tests.faults.living import Place, descriptors
from tests.patience import wait_until

FIGURE = "descriptors after 10,000 files = before ± 5; a limit: clear message or work done"


@pytest.mark.fault("F60", injected="thousands of arrivals, renames and deletions under one service", figure=FIGURE)
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_descriptors_do_not_leak(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    place = Place(tmp_path)
    waves, pairs = times(10, 2), times(50, 10)
    counts = []
    with running(place.config(), place.state) as daemon:
        for wave in range(waves):
            place.put_pairs(wave * pairs, pairs)
            daemon.wait(2 * pairs * (wave + 1))
            counts.append(len(descriptors(daemon.process.pid)))
        assert daemon.stop()[0] == 0
    assert abs(counts[-1] - counts[0]) <= 5, counts
    record(2 * pairs * waves, place.lost(), f"{counts[0]} descriptors after {2 * pairs}, {counts[-1]} after the last")


@pytest.mark.fault("F60", injected="prlimit --nofile=64 on scan and on the service", figure=FIGURE)
@pytest.mark.needs("prlimit")
@pytest.mark.slow
def test_with_64_descriptors_it_works(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    place.put_pairs(0, 10)
    words = ("scan", place.hot, "--output", tmp_path / "out", "--state", tmp_path / "other")
    answer = dedupd(*words, prefix=("prlimit", "--nofile=64"))
    assert answer.code == 0, answer.err
    with running(place.config(), place.state, ("prlimit", "--nofile=64")) as daemon:
        daemon.wait(20)
        assert place.moved() == 10
        assert daemon.stop()[0] == 0
    record(2, place.lost())


@pytest.mark.fault("F60", injected="prlimit --nofile=12 on the service", figure=FIGURE)
@pytest.mark.needs("prlimit")
@pytest.mark.slow
def test_with_next_to_none_it_says_so(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    place.put_pairs(0, 2)
    starved = Daemon(place.config(), place.state, ("prlimit", "--nofile=12"))
    try:
        wait_until(lambda: "open files" in starved.log.read_text(), "it is said")
        told = next(line for line in starved.log.read_text().splitlines() if "open files" in line)
        assert "Traceback" not in told
    finally:
        starved.kill()
    record(1, place.lost(), "12 descriptors: the log says “Too many open files”")
