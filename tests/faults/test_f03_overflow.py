"""F03: the kernel's queue of events overflows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.command import running, write_config
from tests.faults.conftest import Record
from tests.faults.pictures import BY_HASH, tiny

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@contextmanager
def short_queue(length: int) -> Iterator[None]:
    """Shorten the queue of the inotify instances that are made in this block; each keeps what it was made with."""
    before = QUEUE.read_text()
    QUEUE.write_text(str(length))
    try:
        yield
    finally:
        QUEUE.write_text(before)


@pytest.mark.fault(
    "F03",
    injected="fs.inotify.max_queued_events = 64, then a burst of files",
    figure="missed 0; rescans <= 5; seconds to converge",
)
@pytest.mark.privileged()
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_overflow_is_made_up_for(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, files = tmp_path / "hot", times(5000, 400)
    hot.mkdir()
    pictures = [tiny(number) for number in range(files)]
    config = write_config(
        tmp_path / "c.toml", {"path": hot, "watch": "native"},
        upkeep={"reconcile_minutes": 600, "check_seconds": 1.0}, matching=BY_HASH,
    )  # fmt: skip
    with short_queue(64), running(config, tmp_path / "state") as daemon:
        daemon.wait(0)
        started = time.monotonic()
        for number, picture in enumerate(pictures):
            (hot / f"{number}.png").write_bytes(picture)
        daemon.wait_for(lambda: daemon.status()["files"] == files, "all are known")
        seconds = time.monotonic() - started
        assert daemon.stop()[0] == 0
    text = daemon.log.read_text()
    rescans, warnings = text.count("walking the whole folder"), text.count("sysctl -w fs.inotify.max_queued_events")
    assert 1 <= rescans <= 5
    assert 1 <= warnings <= 1 + seconds / 60
    record(1, 0, f"missed 0/{files}, {seconds:.0f} s, rescans {rescans}, warnings {warnings}")
