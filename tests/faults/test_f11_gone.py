"""F11, F13: files gone before anyone opens them; storms of events."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from daemon.settle import Settle, SettleSettings
from daemon.watcher import Watcher
from store.records import FileStat
from tests.e2e.command import running, write_config
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.pictures import BY_HASH, put_tiny, tiny
from tests.integration.watched import Service, put
from tests.patience import wait_until

MIB = 1 << 20


@pytest.mark.fault("F11", injected="files deleted 0 to 1.5 s after they were written", figure="ERROR lines 0/1,000")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_files_that_go_are_dropped_quietly(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, state, chance, count = tmp_path / "hot", tmp_path / "state", random.Random(11), times(1000, 60)
    hot.mkdir()
    config = write_config(
        tmp_path / "c.toml", {"path": hot, "watch": "native"}, upkeep={"check_seconds": 1.0}, matching=BY_HASH
    )
    with running(config, state) as daemon:
        daemon.wait(0)
        doomed: list[tuple[float, Path]] = []
        for number in range(count):
            doomed.append((time.monotonic() + chance.uniform(0.0, 1.5), put_tiny(hot / f"{number}.png", number)))
            for when, path in [one for one in doomed if one[0] <= time.monotonic()]:
                path.unlink()
                doomed.remove((when, path))
            time.sleep(0.004)
        for _, path in doomed:
            path.unlink()
        put_tiny(hot / "last.png", 100_000)
        daemon.wait_for(lambda: knows(state, hot / "last.png"), "the last file is known")
        daemon.wait_for(lambda: daemon.settled(1) or daemon.status()["state"] == "paused", "it is calm again")
        assert daemon.stop()[0] == 0
    lines = daemon.log.read_text().splitlines()
    errors = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
    assert errors == []
    record(count, 0, f"ERROR lines 0/{count}")


@pytest.mark.fault("F13", injected="100,000 paths at once while the service is busy", figure="RSS growth < 50 MB")
@pytest.mark.timeout(3600)
def test_many_paths_are_bounded(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    count, go_on = times(100_000, 5_000), threading.Event()
    taken: list[str] = []
    rescans: list[str] = []

    def busy(path: str) -> None:
        go_on.wait()
        taken.append(path)

    watcher = Watcher(busy, lambda _, reason: rescans.append(reason))
    (tmp_path / "hot").mkdir()
    watcher.watch(str(tmp_path / "hot"), "native")
    before = psutil.Process().memory_info().rss
    for number in range(count):
        (tmp_path / f"hot/{number:06}.png").touch()
    time.sleep(1.0)
    watcher.check(10.0)
    grown = psutil.Process().memory_info().rss - before
    go_on.set()

    def over() -> bool:
        watcher.check(20.0)
        return len(set(taken)) == count or bool(rescans)

    wait_until(over, "each path is passed on, or what found no room has become a rescan")
    watcher.close()
    assert grown < 50 * MIB
    record(count, 0, f"{count} paths queued: RSS +{grown / MIB:.0f} MiB, rescans {len(rescans)}")


@pytest.mark.fault("F13", injected="one path rewritten in a storm", figure="ingests 1")
def test_a_storm_on_one_path_is_one_arrival(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, writes = tmp_path / "hot", times(20_000, 1_000)
    hot.mkdir()
    service = Service("native")
    service.watch(hot)
    for number in range(writes):
        put(hot / "a.png", tiny(number % 3))
    service.until_hinted(hot / "a.png")
    settle, now = Settle(SettleSettings(2.0)), 0.0
    path = str(hot / "a.png")
    hints = len(service.hints)
    for _ in range(hints):
        now += 0.1
        settle.feed(FileStat.of(path, (hot / "a.png").lstat()), now)
    assert len(settle.ready(now + 10)) == 1
    assert settle.ready(now + 20) == []
    service.watcher.close()
    record(writes, 0, f"{writes} writes: {hints} hints, 1 arrival")
