"""Open SQLite as dedupd needs it: WAL, full synchronisation, migrations, one writer.

SQL lives in `store` only: here and in the migrations, in the catalog and in the ledger.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import sqlite3  # type: ignore[attr-defined]  # pysqlite3 where it is installed

from store.errors import AccessError, CatalogError, DamageError, DedupdError, DiskFullError, NoCatalogError

__all__ = [
    "BACKUPS",
    "Database",
    "check_integrity",
    "connect",
    "copy_database",
    "format_of",
    "in_words",
    "is_damage",
    "is_full",
    "newest_format",
    "open_database",
    "refuse_past",
    "sqlite3",
    "sqlite_version_is_safe",
    "sync_path",
    "telling",
    "transaction",
]

BACKUPS = "backups"  # the folder beside the catalog
_BUSY_TIMEOUT_MS = 10_000
_CACHE_KIB = 8 << 10  # its hot pages; the system keeps the others at hand, and takes their memory when it is needed
_WAL_BYTES = 64 << 20  # a long reader lets it grow; it is cut back to this afterwards
# The WAL-reset bug can corrupt a database that several connections checkpoint; fixed in 3.51.3 (sqlite.org/wal.html).
_SAFE_SQLITE = (3, 51, 3)
# Primary result codes (sqlite.org/rescode.html)
_READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 8, 10, 11, 13, 14, 26


def sqlite_version_is_safe(version: tuple[int, ...] | None = None) -> bool:
    """Tell whether a version of SQLite (default: the one in use) is free of the WAL-reset bug."""
    return (tuple(sqlite3.sqlite_version_info) if version is None else version) >= _SAFE_SQLITE


def open_database(path: Path, *, read_only: bool = False) -> Database:
    """Open the catalog's database file, creating and migrating it unless `read_only`.

    Raises NoCatalogError where a reader finds none, DamageError for a file that is no database, is damaged, or was
    written by a newer dedupd, DiskFullError, and AccessError where the system forbids it.
    """
    if read_only and not path.exists():
        raise NoCatalogError(
            f"no catalog at {path}", "run `dedupd scan` or `dedupd run` first, or pass the right --state"
        )
    with telling(path):
        connection = connect(path, read_only=read_only)
        try:
            database = Database(connection)
            _refuse_future(database, path)
            if not read_only:
                _migrate(database, path)
        except BaseException:
            connection.close()
            raise
    return database


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn whatever SQLite says inside the block about the catalog at `path` into an error for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise in_words(error, path) from error


def in_words(error: Exception, path: Path) -> DedupdError:
    """Say what an error of SQLite means for the catalog at `path`, and what to do."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (_CORRUPT, _NOTADB):
        return DamageError(f"the catalog {path} is damaged: {error}", _way_out_of_damage(path))
    if code == _FULL:
        return DiskFullError(f"no space is left for the catalog {path}", "free some; it goes on where it was")
    if code in (_READONLY, _CANTOPEN):
        return AccessError(f"cannot open the catalog {path}: {error}", "check the permissions of the state folder")
    if code == _IOERR:
        return CatalogError(f"the disk under the catalog {path} fails: {error}", "look into the system's log first")
    return CatalogError(f"cannot use the catalog {path}: {error}", "see docs/operations.md, “the catalog”")


def is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, is a full disk or an exhausted quota."""
    while error is not None:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if isinstance(error, DiskFullError) or code == _FULL:
            return True
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_damage(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, is a damaged catalog."""
    while error is not None:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if isinstance(error, DamageError) or code in (_CORRUPT, _NOTADB):
            return True
        error = error.__cause__ or error.__context__
    return False


def check_integrity(database: Database, path: Path) -> None:
    """Let SQLite look through the whole file. Raises DamageError, with the way to the last backup."""
    with telling(path):
        problems = [str(row[0]) for row in database.conn.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise DamageError(f"the catalog {path} is damaged: {'; '.join(problems)}", _way_out_of_damage(path))


def copy_database(source: "sqlite3.Connection", target: Path) -> None:
    """Copy a database, in use or not, into one file that is whole, checked and on disk when it bears its name.

    Raises sqlite3.Error, OSError, and DamageError when the copy does not pass `quick_check`; `target` is untouched
    then.
    """
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a write-ahead log beside it
            problems = [str(row[0]) for row in copy.execute("PRAGMA quick_check(3)")]
        finally:
            copy.close()
        if problems != ["ok"]:
            raise DamageError(f"the copy {target} would be damaged: {'; '.join(problems)}", "the source is damaged")
        sync_path(part)
        os.replace(part, target)
        sync_path(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync_path(path: Path) -> None:
    """Force a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _way_out_of_damage(path: Path) -> str:
    backups = sorted((path.parent / BACKUPS).glob("catalog-*.sqlite3"))
    manifest = "`dedupd undo --manifest QUARANTINE` brings moved files home without the catalog"
    if backups:
        return f"stop the service, then: dedupd backup restore {backups[-1]}; {manifest}"
    return f"there is no backup: move it aside and run `dedupd scan` or `dedupd run` again; {manifest}"


def connect(path: Path, *, read_only: bool) -> "sqlite3.Connection":
    """Open a connection with the settings that dedupd relies on. Raises sqlite3.Error."""
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
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        if sys.platform == "darwin":
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
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
        database.conn.execute("COMMIT")  # may fail too, on a full disk, and leaves the transaction open then
    except BaseException:
        if database.conn.in_transaction:
            database.conn.execute("ROLLBACK")
        raise


def hold_still(database: Database) -> None:
    """Read one state of the database from now on, whatever others write, until `let_go`; for readers."""
    database.conn.execute("BEGIN")


def let_go(database: Database) -> None:
    """End `hold_still`, if it goes on: meanwhile the log of changes cannot be folded into the file."""
    database.conn.rollback()


def _migrations() -> list[tuple[int, str, str]]:
    """List (number, name, SQL) of the shipped migrations in order."""
    scripts = [item for item in resources.files("store.migrations").iterdir() if item.name.endswith(".sql")]
    return sorted((int(item.name[:4]), item.name[:-4], item.read_text("utf-8")) for item in scripts)


def format_of(database: Database) -> int:
    """Return the format of a catalog, 0 for an empty file."""
    return int(database.conn.execute("PRAGMA user_version").fetchone()[0])


def newest_format() -> int:
    """Return the format of catalogs that this dedupd writes."""
    return _migrations()[-1][0]


def _refuse_future(database: Database, path: Path) -> None:
    if format_of(database) > newest_format():
        raise DamageError(
            f"the catalog {path} has format {format_of(database)}, this dedupd knows {newest_format()}",
            "install the newer dedupd that wrote it, or pass another --state",
        )


def refuse_past(database: Database, path: Path) -> None:
    """Close a catalog of an earlier format that is open for reading, and raise CatalogError."""
    if format_of(database) < newest_format():
        database.conn.close()
        raise CatalogError(
            f"an earlier dedupd wrote the catalog {path}",
            "the next `dedupd scan` or `dedupd run` brings it up to date, after a backup",
        )


def _migrate(database: Database, path: Path) -> None:
    """Bring the catalog to the newest format: all of the way or not at all, with a backup of what it was."""
    if format_of(database) >= newest_format():
        return
    if format_of(database) > 0:
        _back_up_before(database, path)
    with transaction(database):
        # Another process may have migrated while this one waited for the lock.
        pending = [migration for migration in _migrations() if migration[0] > format_of(database)]
        for number, _, script in pending:
            for statement in _statements(script):
                database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version={number}")


def _back_up_before(database: Database, path: Path) -> None:
    folder = path.parent / BACKUPS
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        copy_database(database.conn, folder / f"before-format-{newest_format()}.sqlite3")
    except OSError as error:
        full = DiskFullError if is_full(error) else AccessError
        raise full(
            f"the catalog must change its format, and cannot be backed up before: {error.strerror}",
            f"make room for a copy of it in {folder}; nothing was changed",
        ) from error


def _statements(script: str) -> list[str]:
    """Split a script into statements; sqlite's own `executescript` would commit the transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
