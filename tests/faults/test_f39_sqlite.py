"""F39: the SQLite library has the WAL-reset bug, which needs two connections that checkpoint."""

import time
from pathlib import Path

import pytest

import daemon.doctor
from daemon.config import Settings
from daemon.doctor import Patient, examine
from daemon.managers import Systemd
from daemon.state import StateFolder
from store.catalog import Catalog
from store.database import sqlite3, sqlite_version_is_safe
from tests.faults.conftest import Record

FIGURE = "warned 1; a single checkpointer"


@pytest.mark.fault("F39", injected="SQLite 3.7.0, 3.40.1 and 3.51.2 by a stub", figure=FIGURE)
@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 51, 2)])
def test_the_doctor_warns(
    tmp_path: Path, record: Record, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon.doctor, "sqlite_version_is_safe", lambda: sqlite_version_is_safe(version))
    patient = Patient(Settings(), None, StateFolder(tmp_path / "s"), Systemd(), time.time_ns())
    warned = [finding for finding in examine(patient) if finding.topic == "SQLite"]
    assert [finding.level for finding in warned] == ["warning"]
    assert "pysqlite3" in warned[0].change
    record(1, 0, "warned 3/3")


@pytest.mark.fault("F39", injected="a reader that tries to checkpoint", figure=FIGURE)
def test_only_the_writer_checkpoints(tmp_path: Path, record: Record) -> None:
    writer = Catalog(tmp_path / "c")
    writer.remember("a", "b" * 100_000)
    size = (tmp_path / "c").stat().st_size
    reader = Catalog(tmp_path / "c", read_only=True)
    with pytest.raises(sqlite3.OperationalError):
        reader.database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    reader.close()
    assert (tmp_path / "c").stat().st_size == size, "closing it moved nothing either"
    writer.close()
    assert (tmp_path / "c").stat().st_size > size
    record(1, 0, "checkpoints by a reader 0")
