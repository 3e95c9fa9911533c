"""F38: long readers while the one writer writes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store.catalog import Catalog
from store.database import sqlite3
from tests.faults.conftest import Record

READERS = 10
WAL_BYTES = 64 << 20


@pytest.mark.fault(
    "F38", injected="10 readers that read slowly, 1 writer", figure="busy errors 0; log <= 64 MB afterwards"
)
def test_readers_and_the_writer_do_not_disturb_each_other(
    tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    path, seconds = tmp_path / "catalog.sqlite3", times(60, 2)
    writer = Catalog(path)
    with writer.transaction():
        for number in range(2000):
            writer.remember(f"k{number}", "v" * 2000)
    errors: list[sqlite3.Error] = []
    stop = threading.Event()
    rounds = [0] * READERS
    readers = [threading.Thread(target=_read, args=(path, stop, errors, rounds, n)) for n in range(READERS)]
    for reader in readers:
        reader.start()
    until, commits = time.monotonic() + seconds, 0
    while time.monotonic() < until or not (min(rounds) or errors):  # on a slow machine until each has read once
        try:
            with writer.transaction():
                for number in range(40):
                    writer.remember(f"k{(40 * commits + number) % 2000}", "w" * 2000)
            commits += 1
        except sqlite3.Error as error:
            errors.append(error)
    stop.set()
    for reader in readers:
        reader.join()
    writer.remember("last", "1")  # with no reader left the log is checkpointed and cut
    size = Path(f"{path}-wal").stat().st_size
    writer.close()
    assert errors == []
    assert min(rounds) > 0
    assert size <= WAL_BYTES
    record(commits + sum(rounds), 0, f"{commits} commits, {sum(rounds)} readings, log {size / 1e6:.0f} MB")


def _read(path: Path, stop: threading.Event, errors: list[sqlite3.Error], rounds: list[int], number: int) -> None:
    while not stop.is_set():
        try:
            catalog = Catalog(path, read_only=True)
            cursor = catalog.database.conn.execute("SELECT value FROM settings_memory")
            while cursor.fetchmany(200):  # a report reads for as long as this
                time.sleep(0.02)
            catalog.close()
            rounds[number] += 1
        except sqlite3.Error as error:
            errors.append(error)
