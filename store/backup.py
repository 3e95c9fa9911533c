"""Backups of the catalog: taken while it is in use, counted only when checked, few kept; and the way back.

A copy of the file alone would miss what stands in the write-ahead log, so SQLite's own backup makes them.
"""

import calendar
import os
import shutil
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from store.database import (
    BACKUPS,
    connect,
    copy_database,
    newest_format,
    sqlite3,
    sync_path,
    telling,
)
from store.errors import DamageError, NoCatalogError, UsageError

_FORM = "catalog-%Y%m%dT%H%M%SZ.sqlite3"
_PATTERN = "catalog-*.sqlite3"
_TABLES = frozenset({"files", "images", "ledger"})  # what makes a database a catalog
_BESIDE = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy of the catalog."""

    path: Path
    taken_ns: int
    byte_size: int


def backup_path(catalog: Path, now_ns: int) -> Path:
    """Return where a backup taken now goes unless somebody names a place."""
    return catalog.parent / BACKUPS / time.strftime(_FORM, time.gmtime(now_ns // 10**9))


def take_backup(catalog: Path, target: Path) -> Backup:
    """Copy the catalog to `target`, whoever writes to it meanwhile, and check the copy.

    Raises NoCatalogError, UsageError for a target that is the catalog, DamageError (the target is untouched), OSError.
    """
    if not catalog.exists():
        raise NoCatalogError(f"no catalog at {catalog}", "there is nothing to back up; is --state right?")
    if target.exists() and target.samefile(catalog):
        raise UsageError(f"{target} is the catalog itself", "name another file")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with telling(catalog), closing(connect(catalog, read_only=True)) as source:
        copy_database(source, target)
    return _backup(target)


def list_backups(catalog: Path) -> list[Backup]:
    """List the backups beside the catalog, newest first."""
    found = []
    for path in (catalog.parent / BACKUPS).glob(_PATTERN):
        with suppress(OSError):  # pruned meanwhile
            found.append(_backup(path))
    return sorted(found, key=lambda backup: (backup.taken_ns, backup.path.name), reverse=True)


def prune_backups(catalog: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups beside the catalog; return what was deleted."""
    doomed = [backup.path for backup in list_backups(catalog)[max(keep, 1) :]]
    for path in doomed:
        path.unlink(missing_ok=True)
    return doomed


def is_due(catalog: Path, now_ns: int, every_ns: int) -> bool:
    """Tell whether no backup is younger than this; one from the future (the clock was wrong) does not count."""
    return not any(0 <= now_ns - backup.taken_ns < every_ns for backup in list_backups(catalog))


def check_backup(path: Path) -> int:
    """Check that a file is a sound catalog that this dedupd can use; return its format. Raises DamageError."""
    try:
        with closing(_open_file(path)) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise DamageError(
            f"{path} is no backup that can be read: {error}", "`dedupd backup list` shows others"
        ) from error
    if problems != ["ok"]:
        raise DamageError(f"{path} is damaged: {'; '.join(problems)}", "`dedupd backup list` shows others")
    if not tables >= _TABLES:
        raise DamageError(f"{path} is no catalog of dedupd", "`dedupd backup list` shows backups")
    if version > newest_format():
        raise DamageError(f"{path} has format {version}, this dedupd knows {newest_format()}", "install a newer dedupd")
    return version


def restore_backup(path: Path, catalog: Path, now_ns: int) -> Path | None:
    """Put a backup in the catalog's place; return where what was there lies now (None: nothing was).

    The caller holds the state folder's lock. Raises UsageError for a file that is not there, DamageError for one that
    is no sound catalog, OSError; the catalog is untouched then. At no moment is there none: the old one stands until
    the new one takes its name.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}", "`dedupd backup list` shows backups")
    if catalog.exists() and path.samefile(catalog):
        raise UsageError(f"{path} is the catalog itself", "name a backup")
    check_backup(path)
    fresh = catalog.with_name(catalog.name + ".restored")
    with telling(path), closing(_open_file(path)) as source:
        copy_database(source, fresh)
    aside = _set_aside(catalog, now_ns)
    os.replace(fresh, catalog)
    sync_path(catalog.parent)
    return aside


def _set_aside(catalog: Path, now_ns: int) -> Path | None:
    """Give catalog and log second names, then drop the log's own: beside another catalog it would spoil it."""
    if not catalog.exists():
        return None
    aside = catalog.with_name(f"{catalog.name}.replaced-{now_ns}")
    for suffix in ("", *_BESIDE):
        old = Path(f"{catalog}{suffix}")
        if old.exists():
            _name_also(old, Path(f"{aside}{suffix}"))
    sync_path(catalog.parent)
    for suffix in _BESIDE:
        Path(f"{catalog}{suffix}").unlink(missing_ok=True)
    return aside


def _name_also(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without hard links
        shutil.copyfile(old, new)


def _open_file(path: Path) -> "sqlite3.Connection":
    """Open a file that nobody writes to; without a log beside it even on a read-only disk."""
    quoted = path.absolute().as_uri()
    still = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    return sqlite3.connect(f"{quoted}?mode=ro{still}", uri=True, isolation_level=None)


def _backup(path: Path) -> Backup:
    status = path.stat()
    try:
        taken_ns = calendar.timegm(time.strptime(path.name, _FORM)) * 10**9
    except ValueError:
        taken_ns = status.st_mtime_ns
    return Backup(path, taken_ns, status.st_size)
