"""Open SQLite as dedupd needs it: WAL, full synchronisation, migrations, one writer.

SQL lives in `store` only: here and in the migrations, in the catalog and in the ledger.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import sqlite3  # type: ignore[attr-defined]  # pysqlite3 where it is installed

from store.errors import AccessError, CatalogError

__all__ = ["Database", "open_database", "sqlite3", "sqlite_version_is_safe", "transaction"]

_BUSY_TIMEOUT_MS = 10_000
# The WAL-reset bug can corrupt a database that several connections checkpoint; fixed in 3.51.3 (sqlite.org/wal.html).
_SAFE_SQLITE = (3, 51, 3)


def sqlite_version_is_safe() -> bool:
    """Tell whether the SQLite in use is free of the WAL-reset bug."""
    return tuple(sqlite3.sqlite_version_info) >= _SAFE_SQLITE


def open_database(path: Path, *, read_only: bool = False) -> Database:
    """Open the catalog's database file, creating and migrating it unless `read_only`.

    Raises CatalogError for a file that is no database, is damaged, or was written by a newer dedupd, and AccessError
    where the system forbids it.
    """
    if read_only and not path.exists():
        raise CatalogError(
            f"no catalog at {path}", "run `dedupd scan` or `dedupd run` first, or pass the right --state"
        )
    try:
        connection = _connect(path, read_only)
        database = Database(connection)
        if not read_only:
            _migrate(database)
        _refuse_future(database)
    except sqlite3.OperationalError as error:
        if "unable to open" in str(error) or "readonly" in str(error):
            raise AccessError(
                f"cannot open the catalog {path}: {error}", "check the permissions of the state folder"
            ) from error
        raise CatalogError(
            f"cannot use the catalog {path}: {error}", "see docs/operations.md, “the catalog”"
        ) from error
    except sqlite3.DatabaseError as error:
        raise CatalogError(
            f"the catalog {path} is damaged: {error}",
            "move it aside and run `dedupd scan` or `dedupd run` again; quarantined files stay listed in the manifest",
        ) from error
    return database


def _connect(path: Path, read_only: bool) -> "sqlite3.Connection":
    # check_same_thread=False: the service hands the connection to its one writer thread; it is never shared at a time.
    mode = "ro" if read_only else "rwc"
    uri = f"file:{_quoted(path)}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_MS / 1000
    )
    connection.execute("PRAGMA foreign_keys=ON")
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        if sys.platform == "darwin":
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute("PRAGMA cache_size=-65536")
    return connection


def _quoted(path: Path) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(os.fsencode(path.absolute()))


@contextmanager
def transaction(database: Database) -> Iterator[None]:
    """Run a block in one immediate transaction: all of it, or, on any exception, nothing."""
    database.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.conn.in_transaction:
            database.conn.execute("ROLLBACK")
        raise
    database.conn.execute("COMMIT")


def _migrations() -> list[tuple[int, str, str]]:
    """List (number, name, SQL) of the shipped migrations in order."""
    scripts = [item for item in resources.files("store.migrations").iterdir() if item.name.endswith(".sql")]
    return sorted((int(item.name[:4]), item.name[:-4], item.read_text("utf-8")) for item in scripts)


def _version(database: Database) -> int:
    return int(database.conn.execute("PRAGMA user_version").fetchone()[0])


def _refuse_future(database: Database) -> None:
    newest = _migrations()[-1][0]
    if _version(database) > newest:
        raise CatalogError(
            f"the catalog has format {_version(database)}, this dedupd knows {newest}",
            "install the newer dedupd that wrote it, or pass another --state",
        )


def _migrate(database: Database) -> None:
    for number, _, script in _migrations():
        if _version(database) >= number:
            continue
        with transaction(database):
            # Another process may have migrated while this one waited for the lock.
            if _version(database) >= number:
                continue
            for statement in _statements(script):
                database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version={number}")


def _statements(script: str) -> list[str]:
    """Split a script into statements; sqlite's own `executescript` would commit the transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
