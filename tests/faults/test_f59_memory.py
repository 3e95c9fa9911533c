"""F59: the kernel ends a decoding process, or the service itself, for its memory. The rest goes on; nothing leaks."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from daemon.config import Settings
from daemon.session import Session
from daemon.state import StateFolder
from pipeline.flow import Flow, Seen
from store.records import CatalogFile
from tests.e2e.command import Daemon, running
from tests.faults.conftest import Record
from tests.faults.gauges import look_at, slope_per_hour
from tests.faults.living import Place
from tests.faults.pictures import BY_HASH, put_tiny

FIGURE = "lost 0"
CGROUP = Path("/sys/fs/cgroup/memory")
TOO_LITTLE = 60 << 20  # not even a start
ENOUGH = 3 << 30


@pytest.mark.fault("F59", injected="a memory control group of 60 MB, then one of 3 GB", figure=FIGURE)
@pytest.mark.privileged()
@pytest.mark.slow
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


@pytest.mark.fault("F59", injected="memory for one picture at a time, not for a batch", figure=FIGURE)
def test_a_batch_shrinks_where_memory_is_short(tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    hot = tmp_path / "hot"
    files, sizes, admit = 10, list[int](), Flow.admit

    def short_of_memory(self: Flow, batch: Sequence[Seen], now_ns: int) -> list[CatalogFile]:
        sizes.append(len(batch))
        if len(batch) > 1:
            raise MemoryError
        return admit(self, batch, now_ns)

    monkeypatch.setattr(Flow, "admit", short_of_memory)
    with Session(StateFolder(tmp_path / "state"), Settings()) as session:
        folder = session.catalog.put_folder(str(hot), protected=False)
        paths = [str(put_tiny(hot / f"{seed}.png", seed)) for seed in range(files)]
        assert sum(session.ingest.run([(folder.id, path) for path in paths])) == files
        assert all(session.catalog.file(path) for path in paths)
        assert not session.arrivals.count()
        session.ingest.pool.close()
    assert max(sizes) > 1
    record(files, 0, f"batches of {max(sizes)} admitted one by one, {files}/{files} judged")


@pytest.mark.fault(
    "F59", injected="the same files coming and going under one service", figure="RSS slope < 1 MiB per 1,000 files"
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_files_that_come_and_go_leave_no_memory_behind(
    tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    place, waves, pairs = Place(tmp_path), times(80, 16), 20
    sizes: list[tuple[float, float]] = []
    upkeep: dict[str, object] = {"max_vanished_share": 1.0, "snapshot_minutes": 0.1, "reconcile_minutes": 0.05}
    config = place.config(matching=BY_HASH, upkeep=upkeep)
    with running(config, place.state) as daemon:
        daemon.wait(0)
        for wave in range(waves):
            place.put_pairs(0, pairs)
            daemon.wait(2 * pairs)
            for path in [*place.hot.glob("*.png"), *place.quarantine.rglob("*.png")]:
                path.unlink()
            daemon.wait_for(lambda: daemon.settled(0), "they are let go of")
            sample = look_at(daemon.process.pid, time.monotonic())
            assert sample is not None
            sizes.append((float(wave), sample.service_mib))
        assert daemon.stop()[0] == 0
    assert "Traceback" not in daemon.log.read_text()
    settled = sizes[waves // 2 :]
    per_wave = slope_per_hour(settled) / 3600
    per_thousand = per_wave * 1000 / (2 * pairs)
    last, all_files = len(settled) * 2 * pairs, waves * 2 * pairs
    told = f"{settled[0][1]:.1f} → {settled[-1][1]:.1f} MiB over the last {last} of {all_files} files"
    assert per_thousand < 1, told
    record(all_files, 0, f"{told}: {per_thousand:+.2f} MiB per 1,000 files")


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found.update(int(child) for child in (thread / "children").read_text().split())
    return found
