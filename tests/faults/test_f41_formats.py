"""F41: a catalog of every older format, a migration that breaks off anywhere, a catalog of a newer dedupd."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import store.database
from store.catalog import Catalog
from store.database import Database, open_database, sqlite3
from store.errors import DamageError
from tests.e2e.command import dedupd
from tests.faults.conftest import Record

FIGURE = "opened or refused clearly 100 %"


def of_format(path: Path, newest: int) -> None:
    """Make a catalog as the dedupd of that format did, with something in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for number, _, script in store.database._migrations():
        if number <= newest:
            for statement in store.database._statements(script):
                connection.execute(statement)
    connection.execute("INSERT INTO settings_memory VALUES ('kept', 'yes')")
    connection.execute("INSERT INTO folders (path) VALUES (x'2f61')")
    connection.execute("INSERT INTO images (sha256, byte_size) VALUES (zeroblob(32), 1)")
    connection.execute(f"PRAGMA user_version={newest}")
    connection.close()


def image_of(path: Path) -> tuple[list[str], int]:
    """Return the schema and the format of a file."""
    connection = sqlite3.connect(path)
    try:
        schema = [str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name")]
        return schema, int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def formats() -> list[int]:
    """List the formats that there were."""
    return [number for number, _, _ in store.database._migrations()]


@pytest.mark.fault("F41", injected="a catalog of each older format", figure=FIGURE)
@pytest.mark.parametrize("number", formats())
def test_each_older_format_is_opened_with_what_was_in_it(tmp_path: Path, record: Record, number: int) -> None:
    of_format(tmp_path / "catalog.sqlite3", number)
    open_database(tmp_path / "fresh.sqlite3").conn.close()
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    assert catalog.remembered("kept") == "yes"
    assert catalog.count_images() == 1
    assert [folder.path for folder in catalog.folders()] == ["/a"]
    assert catalog.integrity_problems() == []
    catalog.close()
    assert image_of(tmp_path / "catalog.sqlite3") == image_of(tmp_path / "fresh.sqlite3")
    backups = list((tmp_path / "backups").glob("*")) if number < formats()[-1] else []
    assert [image_of(backup)[1] for backup in backups] == [number] * (number < formats()[-1])
    record(1)


@contextmanager
def breaking_off(after: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the statement after so many of a migration end the process, as far as SQLite can tell."""
    real, left = store.database._statements, [after]

    def statements(script: str) -> Iterator[str]:
        for statement in real(script):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            yield statement

    with monkeypatch.context() as patch:
        patch.setattr(store.database, "_statements", statements)
        yield


@pytest.mark.fault("F41", injected="a migration broken off before each of its statements", figure=FIGURE)
def test_a_migration_is_whole_or_did_not_happen(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch, times: Callable[[int, int], int]
) -> None:
    path = tmp_path / "catalog.sqlite3"
    of_format(path, 1)
    before = image_of(path)
    whole = sum(len(store.database._statements(script)) for number, _, script in store.database._migrations()[1:])
    points = range(0, whole, times(1, 4))
    for point in points:
        with pytest.raises(KeyboardInterrupt), breaking_off(point, monkeypatch):
            open_database(path)
        assert image_of(path) == before
    Catalog(path).close()
    assert image_of(path)[1] == formats()[-1]
    record(len(points), 0, f"half migrated 0/{len(points)}")


@pytest.mark.fault("F41", injected="a catalog of format 999, by every verb", figure=FIGURE)
def test_a_newer_format_is_refused_and_untouched(tmp_path: Path, record: Record) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    database: Database = open_database(state / "catalog.sqlite3")
    database.conn.execute("PRAGMA user_version=999")
    database.conn.close()
    with pytest.raises(DamageError, match="format 999"):
        open_database(state / "catalog.sqlite3")
    (tmp_path / "in").mkdir()
    for verb in (["groups"], ["undo", "--all"], ["scan", tmp_path / "in", "--output", tmp_path / "out"]):
        answer = dedupd(*verb, "--state", state)
        assert (answer.code, "Traceback" in answer.err) == (65, False), answer
        assert "newer dedupd" in answer.err
    assert image_of(state / "catalog.sqlite3")[1] == 999
    record(4)
