"""F59: the kernel ends a decoding process, or the service itself, for its memory. The rest goes on."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.command import Daemon, running
from tests.faults.conftest import Record
from tests.faults.living import Place

FIGURE = "lost 0"
CGROUP = Path("/sys/fs/cgroup/memory")
TOO_LITTLE = 60 << 20  # not even a start
ENOUGH = 3 << 30


@pytest.mark.fault("F59", injected="a memory control group of 60 MB, then one of 3 GB", figure=FIGURE)
@pytest.mark.privileged()
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_service_that_was_ended_for_its_memory_goes_on(tmp_path: Path, record: Record) -> None:
    if not (CGROUP / "memory.limit_in_bytes").exists():
        pytest.skip("needs the memory controller of cgroup v1; MemoryMax= itself is systemd's")
    group = CGROUP / f"dedupd-fault-{os.getpid()}"
    group.mkdir()
    place = Place(tmp_path)
    config = place.config()
    place.put_pairs(0, 6)
    try:
        (group / "memory.limit_in_bytes").write_text(str(TOO_LITTLE))
        confined = ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        starved = Daemon(config, place.state, confined)
        assert starved.process.wait(200) == -signal.SIGKILL, starved.log.read_text()
        (group / "memory.limit_in_bytes").write_text(str(ENOUGH))
        with running(config, place.state, confined) as daemon:
            daemon.wait(12)
            assert daemon.stop()[0] == 0
    finally:
        group.rmdir()
    assert place.moved() == 6
    assert place.left_over() == []
    record(1, place.lost())


@pytest.mark.fault("F59", injected="SIGKILL of each decoding process while it works", figure=FIGURE)
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_decoding_process_that_is_ended_costs_nothing(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    killed: set[int] = set()
    with running(place.config(), place.state) as daemon:
        daemon.wait(0)
        for wave in range(3):
            place.put_pairs(20 * wave, 20)
            daemon.wait_for(lambda: bool(_children(daemon.process.pid) - killed), "a decoding process")
            for child in _children(daemon.process.pid) - killed:
                os.kill(child, signal.SIGKILL)
                killed.add(child)
            daemon.wait(40 * (wave + 1))
        assert place.moved() == 60
        assert daemon.stop()[0] == 0
    record(len(killed), place.lost())


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found.update(int(child) for child in (thread / "children").read_text().split())
    return found
