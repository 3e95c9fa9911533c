"""Opening the catalog's file: migrations whole or not at all, a future format and a damaged file refused."""

import errno
import os
from pathlib import Path

import pytest

import store.database
from store.catalog import Catalog
from store.database import (
    Database,
    check_integrity,
    in_words,
    is_full,
    open_database,
    sqlite3,
    sqlite_version_is_safe,
    transaction,
)
from store.errors import AccessError, CatalogError, DamageError, DiskFullError, NoCatalogError


def _tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def _version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_a_new_file_has_every_table_and_survives_power_loss(tmp_path: Path) -> None:
    database = open_database(tmp_path / "catalog.sqlite3")
    assert {"files", "images", "ledger", "standings", "arrivals"} <= set(database.table_names())
    assert database.conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert database.conn.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    assert database.conn.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    database.conn.close()


def test_this_sqlite_is_free_of_the_wal_reset_bug() -> None:
    if sqlite3.__name__.startswith("sqlite3"):
        pytest.skip("pysqlite3 is not installed here; the interpreter's own SQLite is taken as it is")
    assert sqlite_version_is_safe()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_database(path).conn.close()
    tables, version = _tables(path), _version(path)
    open_database(path).conn.close()
    assert (_tables(path), _version(path)) == (tables, version)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_database(path).conn.close()
    tables, version = _tables(path), _version(path)
    shipped = store.database._migrations()
    broken = (version + 1, "broken", "CREATE TABLE half (x);\nCREATE TABLE files (x);\n")
    monkeypatch.setattr(store.database, "_migrations", lambda: [*shipped, broken])
    with pytest.raises(CatalogError, match="already exists"):
        open_database(path)
    assert (_tables(path), _version(path)) == (tables, version)


def test_a_migration_and_its_number_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_database(path).conn.close()
    number = _version(path) + 1
    shipped = store.database._migrations()
    script = "CREATE TABLE more (x);\nCREATE TRIGGER t AFTER INSERT ON more BEGIN\n SELECT 1;\n SELECT 2;\nEND;\n"
    monkeypatch.setattr(store.database, "_migrations", lambda: [*shipped, (number, "more", script)])
    open_database(path).conn.close()
    assert "more" in _tables(path)
    assert _version(path) == number


@pytest.mark.parametrize("read_only", [True, False])
def test_a_format_from_the_future_is_refused_and_untouched(tmp_path: Path, *, read_only: bool) -> None:
    path = tmp_path / "catalog.sqlite3"
    database = open_database(path)
    database.conn.execute("PRAGMA user_version=999")
    database.conn.close()
    with pytest.raises(DamageError, match="format 999") as caught:
        open_database(path, read_only=read_only)
    assert "newer dedupd" in caught.value.hint
    assert _version(path) == 999


@pytest.mark.parametrize("content", [b"this is no database" * 500, b"SQLite format 3\0" + b"\xff" * 9000])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes, *, read_only: bool) -> None:
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(content)
    with pytest.raises(DamageError) as caught:
        open_database(path, read_only=read_only)
    assert caught.value.exit_code == 65
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == content


def test_a_reader_does_not_make_a_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with pytest.raises(NoCatalogError, match="no catalog") as caught:
        open_database(path, read_only=True)
    assert "dedupd scan" in caught.value.hint
    assert not path.exists()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_database(path).conn.close()
    reader = open_database(path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.conn.execute("INSERT INTO settings_memory VALUES ('a', 'b')")
    reader.conn.close()


def test_a_folder_that_is_not_there_is_an_access_error(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="unable to open"):
        open_database(tmp_path / "missing" / "catalog.sqlite3")


def _older(path: Path) -> None:
    """Make a catalog of format 1, with something in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in store.database._statements(store.database._migrations()[0][2]):
        connection.execute(statement)
    connection.execute("INSERT INTO settings_memory VALUES ('kept', 'yes')")
    connection.execute("PRAGMA user_version=1")
    connection.close()


def test_an_older_format_is_backed_up_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    _older(path)
    open_database(path).conn.close()
    newest = store.database.newest_format()
    assert _version(path) == newest
    backup = tmp_path / "backups" / f"before-format-{newest}.sqlite3"
    assert _version(backup) == 1
    assert "ledger" not in _tables(backup)
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_reader_says_that_an_older_format_waits_for_its_migration(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    _older(path)
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="an earlier dedupd wrote"):
        Catalog(path, read_only=True)
    assert path.read_bytes() == before
    Catalog(path).close()
    Catalog(path, read_only=True).close()


def test_several_migrations_come_all_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    _older(path)
    tables = _tables(path)
    shipped = store.database._migrations()
    broken = (shipped[-1][0] + 1, "broken", "CREATE TABLE more (x);\nCREATE TABLE files (x);\n")
    monkeypatch.setattr(store.database, "_migrations", lambda: [*shipped, broken])
    with pytest.raises(CatalogError, match="already exists"):
        open_database(path)
    assert (_tables(path), _version(path)) == (tables, 1)


def test_a_catalog_without_room_for_its_backup_is_not_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    _older(path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.database, "copy_database", full)
    with pytest.raises(DiskFullError, match="backed up"):
        open_database(path)
    assert _version(path) == 1


def test_damage_in_the_middle_is_found_and_the_last_backup_offered(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    database = open_database(path)
    with transaction(database):
        database.conn.executemany(
            "INSERT INTO settings_memory VALUES (?, ?)", [(f"k{n}", "v" * 500) for n in range(500)]
        )
    check_integrity(database, path)
    database.conn.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = bytes(8192)
    path.write_bytes(content)
    database = open_database(path)
    with pytest.raises(DamageError, match="damaged") as caught:
        check_integrity(database, path)
    assert "no backup" in caught.value.hint
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "catalog-20260101T000000Z.sqlite3").touch()
    with pytest.raises(DamageError) as caught:
        check_integrity(database, path)
    assert "dedupd backup restore" in caught.value.hint
    assert "--manifest" in caught.value.hint
    database.conn.close()


def test_a_commit_that_finds_no_space_leaves_no_transaction_open(tmp_path: Path) -> None:
    database = _one_table(tmp_path / "c")
    pages = database.conn.execute("PRAGMA page_count").fetchone()[0]
    database.conn.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="full") as caught, transaction(database):
        database.conn.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,) for _ in range(50)])
    assert is_full(caught.value)
    assert in_words(caught.value, tmp_path / "c").exit_code == 1
    database.conn.execute("PRAGMA max_page_count=1000000")
    with transaction(database):
        database.conn.execute("INSERT INTO t VALUES (1)")
    database.conn.close()


@pytest.mark.parametrize("form", [(3, 40, 1), (3, 51, 2)])
def test_older_libraries_are_known_as_risky(form: tuple[int, ...]) -> None:
    assert not sqlite_version_is_safe(form)
    assert sqlite_version_is_safe((3, 51, 3))


def test_names_that_mean_something_in_a_url_are_files_like_any(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a?b#c%20d\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    open_database(folder / "catalog.sqlite3").conn.close()
    assert (folder / "catalog.sqlite3").stat().st_size


def _one_table(path: Path) -> Database:
    database = open_database(path)
    database.conn.execute("CREATE TABLE t (x)")
    return database


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    database = _one_table(tmp_path / "c")
    with pytest.raises(KeyboardInterrupt), transaction(database):
        database.conn.execute("INSERT INTO t VALUES (1)")
        raise KeyboardInterrupt
    assert database.conn.execute("SELECT count(*) FROM t").fetchone()[0] == 0
    with transaction(database):
        database.conn.execute("INSERT INTO t VALUES (1)")
    assert database.conn.execute("SELECT count(*) FROM t").fetchone()[0] == 1
    database.conn.close()


def test_readers_see_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    writer = _one_table(tmp_path / "c")
    reader = open_database(tmp_path / "c", read_only=True)
    with transaction(writer):
        writer.conn.execute("INSERT INTO t VALUES (1)")
        assert reader.conn.execute("SELECT count(*) FROM t").fetchone()[0] == 0
    assert reader.conn.execute("SELECT count(*) FROM t").fetchone()[0] == 1
    writer.conn.close()
    reader.conn.close()
