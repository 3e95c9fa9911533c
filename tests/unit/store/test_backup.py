"""Backups: whole and checked, few kept, and a way back that leaves no moment without a catalog."""

import os
from pathlib import Path

import pytest

from store.backup import (
    backup_path,
    check_backup,
    is_due,
    list_backups,
    prune_backups,
    restore_backup,
    take_backup,
)
from store.catalog import Catalog
from store.database import newest_format, sqlite3
from store.errors import DamageError, NoCatalogError, UsageError

NOW_NS = 1_800_000_000 * 10**9
HOUR_NS = 3600 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalog that remembers one thing."""
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    catalog.remember("a", "1")
    catalog.close()
    return tmp_path / "catalog.sqlite3"


def remembered(path: Path) -> str | None:
    catalog = Catalog(path, read_only=True)
    value = catalog.remembered("a")
    catalog.close()
    return value


def test_a_backup_holds_what_stands_in_the_log_of_a_catalog_in_use(path: Path) -> None:
    writer = Catalog(path)
    writer.remember("a", "2")
    assert Path(f"{path}-wal").stat().st_size, "not yet in the file itself"
    backup = take_backup(path, backup_path(path, NOW_NS))
    writer.remember("a", "3")
    writer.close()
    assert check_backup(backup.path) == newest_format()
    assert remembered(backup.path) == "2"
    assert backup.taken_ns == NOW_NS
    assert backup.path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in backup.path.parent.iterdir() if p.name.endswith(".part")] == []


def test_a_damaged_catalog_replaces_no_good_backup(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.sqlite3"
    take_backup(path, target)
    good = target.read_bytes()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    with pytest.raises(DamageError):
        take_backup(path, target)
    assert target.read_bytes() == good
    assert not list(tmp_path.glob("*.part"))


def test_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NoCatalogError):
        take_backup(tmp_path / "none.sqlite3", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_catalog_is_no_place_for_its_backup(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        take_backup(path, path)
    with pytest.raises(UsageError):
        restore_backup(path, path, NOW_NS)
    with pytest.raises(UsageError, match="no such file"):
        restore_backup(tmp_path / "none", path, NOW_NS)


def test_few_are_kept_the_newest_first(path: Path) -> None:
    for hours in range(5):
        take_backup(path, backup_path(path, NOW_NS + hours * HOUR_NS))
    (path.parent / "backups" / "before-format-9.sqlite3").touch()
    (path.parent / "backups" / "mine.sqlite3").touch()
    gone = prune_backups(path, 2)
    assert len(gone) == 3
    assert [backup.taken_ns for backup in list_backups(path)] == [NOW_NS + 4 * HOUR_NS, NOW_NS + 3 * HOUR_NS]
    assert prune_backups(path, 0) and len(list_backups(path)) == 1, "the last one stays"
    assert (path.parent / "backups" / "mine.sqlite3").exists()


@pytest.mark.parametrize(
    ("age_hours", "due"), [(0, False), (23, False), (24, True), (1000, True), (-1, True)], ids=lambda value: str(value)
)
def test_a_backup_is_due_by_the_age_of_the_newest(path: Path, age_hours: int, due: bool) -> None:
    assert is_due(path, NOW_NS, 24 * HOUR_NS)
    take_backup(path, backup_path(path, NOW_NS))
    assert is_due(path, NOW_NS + age_hours * HOUR_NS, 24 * HOUR_NS) is due


def test_a_restored_catalog_is_the_backup_and_the_old_one_lies_aside(path: Path) -> None:
    backup = take_backup(path, backup_path(path, NOW_NS))
    writer = Catalog(path)
    writer.remember("a", "2")
    copies = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    writer.close()
    for suffix, content in copies.items():  # as after a power cut: the log is not yet in the file
        Path(f"{path}{suffix}").write_bytes(content)
    aside = restore_backup(backup.path, path, NOW_NS)
    assert remembered(path) == "1", "the old log does not leak into it"
    assert aside is not None
    assert remembered(aside) == "2"


def test_a_restore_into_an_empty_place(path: Path, tmp_path: Path) -> None:
    backup = take_backup(path, tmp_path / "b.sqlite3")
    assert restore_backup(backup.path, tmp_path / "new.sqlite3", NOW_NS) is None
    assert remembered(tmp_path / "new.sqlite3") == "1"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)


def _future(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=999")
    connection.close()


def _foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


@pytest.mark.parametrize("spoil", [_flip, _future, _foreign, lambda path: path.write_bytes(b"nothing" * 999)])
def test_what_is_no_sound_backup_replaces_nothing(path: Path, tmp_path: Path, spoil: "object") -> None:
    backup = tmp_path / "b.sqlite3"
    take_backup(path, backup)
    assert callable(spoil)
    spoil(backup)
    before = path.read_bytes()
    with pytest.raises(DamageError) as caught:
        restore_backup(backup, path, NOW_NS)
    assert caught.value.hint
    assert path.read_bytes() == before
    assert not [p.name for p in tmp_path.iterdir() if ".re" in p.name], "nothing restored, nothing replaced"


def test_a_restore_that_breaks_off_leaves_a_catalog(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = take_backup(path, backup_path(path, NOW_NS))
    writer = Catalog(path)
    writer.remember("a", "2")
    writer.close()
    real = os.replace

    def break_off(source: Path, target: Path) -> None:
        if Path(target) == path:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr("store.backup.os.replace", break_off)
    with pytest.raises(KeyboardInterrupt):
        restore_backup(backup.path, path, NOW_NS)
    monkeypatch.undo()
    assert remembered(path) == "2"
    restore_backup(backup.path, path, NOW_NS + 1)
    assert remembered(path) == "1"


def test_where_there_are_no_hard_links_the_old_one_is_copied_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = take_backup(path, backup_path(path, NOW_NS))

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("store.backup.os.link", refuse)
    aside = restore_backup(backup.path, path, NOW_NS)
    assert aside is not None
    assert remembered(aside) == "1"
