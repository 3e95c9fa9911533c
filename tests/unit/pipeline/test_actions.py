"""Actions on real files: what is moved, what is refused, and what a fault leaves behind."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import places, placing, syscalls
from pipeline.actions import (
    ActionSettings,
    apply,
    quarantine_target,
    undo,
)
from store.errors import ActionError
from store.ledger import EntryState, Verb
from tests.unit.pipeline.room import CHANGES, MANIFEST, Room, is_as_before


def test_a_move_keeps_everything_and_undo_brings_it_home(room: Room) -> None:
    path = room.file("trip/day 1/a.jpg")
    entry = room.move(path)
    target = room.quarantine / "duplicates/trip/day 1/a.jpg"
    assert (entry.state, entry.target, entry.not_kept) == (EntryState.DONE, str(target), "")
    assert is_as_before(target)
    assert not path.exists()
    assert undo(entry, room.ledger, 2_000) == str(path)
    assert is_as_before(path)
    assert room.ledger.entry(entry.id).state is EntryState.UNDONE
    assert [item.name for item in room.quarantine.iterdir()] == [MANIFEST]
    assert room.lost_property() == []


def test_a_copy_leaves_the_source_and_undo_takes_only_the_copy(room: Room) -> None:
    path = room.file("a.jpg")
    entry = apply(room.action(path, verb=Verb.COPY), room.ledger, 1_000)
    assert is_as_before(path)
    assert is_as_before(Path(entry.target))
    assert undo(entry, room.ledger, 2_000) is None
    assert is_as_before(path)
    assert not Path(entry.target).exists()
    assert room.lost_property() == []


def test_undo_twice_changes_nothing(room: Room) -> None:
    path = room.file("a.jpg")
    entry = room.move(path)
    assert undo(entry, room.ledger, 2_000) == undo(entry, room.ledger, 3_000) == str(path)
    assert room.ledger.entry(entry.id).undone_ns == 2_000
    assert is_as_before(path)


def test_extended_attributes_come_along(room: Room) -> None:
    if sys.platform != "linux":
        pytest.skip("Python reads extended attributes on Linux only")
    path = room.file("a.jpg")
    try:
        os.setxattr(path, "user.rating", b"5")
        probe = room.quarantine.parent / "probe"
        probe.touch()
        os.setxattr(probe, "user.rating", b"5")
    except OSError:
        pytest.skip("a file system here takes no extended attributes")
    entry = room.move(path)
    assert os.getxattr(entry.target, "user.rating") == b"5"
    undo(entry, room.ledger, 2_000)
    assert os.getxattr(path, "user.rating") == b"5"


def test_what_another_file_system_cannot_keep_is_listed(tmp_path: Path, memory: Path) -> None:
    room = Room(tmp_path, memory / "quarantine")
    path = room.file("a.jpg")
    (room.home / "b.jpg").hardlink_to(path)
    assert room.move(path).not_kept == "hard links"
    assert is_as_before(room.home / "b.jpg")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changed_after_it_was_judged_stays(near: Room, change: Callable[[Path], object]) -> None:
    path = near.file("a.jpg")
    action = near.action(path)
    change(path)
    before = sorted(near.home.iterdir())
    with pytest.raises(ActionError):
        apply(action, near.ledger, 1_000)
    assert (sorted(near.home.iterdir()), near.ledger.entries()) == (before, [])
    assert not near.quarantine.exists()


@pytest.mark.parametrize("change", [c for c in CHANGES if c is not Path.touch], ids=lambda change: change.__name__)
def test_without_its_keeper_an_extra_stays(near: Room, change: Callable[[Path], object]) -> None:
    extra, keeper = near.file("extra.jpg"), near.file("keeper.jpg")
    action = near.action(extra, keeper)
    change(keeper)
    with pytest.raises(ActionError, match="keeper"):
        apply(action, near.ledger, 1_000)
    assert is_as_before(extra)


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to], ids=["hard link", "symlink"])
def test_a_file_is_not_a_duplicate_of_itself(near: Room, link: Callable[[Path, Path], None]) -> None:
    path = near.file("a.jpg")
    link(near.home / "b.jpg", path)
    with pytest.raises(ActionError):
        apply(near.action(path, near.home / "b.jpg"), near.ledger, 1_000)
    assert is_as_before(path)


def test_with_its_keeper_an_extra_moves(room: Room) -> None:
    extra, keeper = room.file("extra.jpg"), room.file("keeper.jpg")
    entry = apply(room.action(extra, keeper), room.ledger, 1_000, batch=7)
    assert (entry.keeper, entry.batch, is_as_before(keeper)) == (str(keeper), 7, True)


@pytest.mark.parametrize("relative", ["../a.jpg", "x/../../a.jpg", "/etc/a.jpg", "", "x//a.jpg", "./a.jpg"])
def test_a_target_outside_the_quarantine_is_refused(relative: str) -> None:
    with pytest.raises(ActionError, match="does not lie below"):
        quarantine_target("/quarantine", "blur", relative)


def test_too_little_space_stops_a_copy_before_it_starts(tmp_path: Path, memory: Path) -> None:
    room = Room(tmp_path, memory / "quarantine")
    path = room.file("a.jpg")
    with pytest.raises(ActionError, match="too little space"):
        room.move(path, settings=ActionSettings(min_free_bytes=1 << 60))
    assert is_as_before(path)
    assert list(room.quarantine.iterdir()) == []
    assert room.ledger.entries()[0].state is EntryState.FAILED


def test_space_is_no_matter_for_a_rename(near: Room) -> None:
    assert near.move(near.file("a.jpg"), settings=ActionSettings(min_free_bytes=1 << 60)).state is EntryState.DONE


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_the_source_and_no_rest(tmp_path: Path, memory: Path) -> None:
    room = Room(tmp_path, memory / "quarantine")
    content = os.urandom(3 << 20)
    path = room.file("a.jpg", content)
    with largest_file(2 << 20), pytest.raises(ActionError, match="too large"):
        room.move(path)
    assert is_as_before(path, content)
    assert [item.name for item in room.quarantine.rglob("*")] == []
    assert (room.ledger.entries()[0].state, room.ledger.unfinished()) == (EntryState.FAILED, [])


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5, 6])
def test_a_failed_fsync_is_never_a_success(room: Room, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, calls = room.file("a.jpg"), 0

    def failing(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(5, "Input/output error")
        os.fsync(fd)

    monkeypatch.setattr(placing, "sync", failing)
    try:
        entry = room.move(path)
    except ActionError:
        assert is_as_before(path)
        assert room.ledger.entries()[0].state is EntryState.FAILED
        assert [item for item in room.quarantine.rglob("*") if item.name != MANIFEST] == []
    else:  # only after the last step, when the copy was safe and the source already gone
        assert is_as_before(Path(entry.target))
        assert not path.exists()
    assert calls >= min(fails_at, 2)


def test_all_is_on_disk_before_the_source_goes(tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(tmp_path, memory / "quarantine")
    path, synced, real = room.file("sub/a.jpg"), set[int](), placing.discard
    folders = [room.quarantine, room.quarantine / "duplicates", room.quarantine / "duplicates/sub"]

    def discard(*arguments: Any) -> None:
        assert {item.stat().st_ino for item in [*folders, folders[-1] / "a.jpg"]} <= synced
        synced.clear()
        real(*arguments)

    for module in (placing, places):
        monkeypatch.setattr(module, "sync", lambda fd: synced.add(os.fstat(fd).st_ino))
    monkeypatch.setattr(placing, "discard", discard)
    room.move(path)
    assert synced == {path.parent.stat().st_ino}


def test_a_file_system_without_exclusive_rename_gets_the_same(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "_native_rename", lambda *_: 22)
    path = room.file("a.jpg")
    taken = room.quarantine / "duplicates/a.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"a stranger")
    entry = room.move(path)
    assert Path(entry.target).name == "a (2).jpg"
    assert (is_as_before(Path(entry.target)), taken.read_bytes()) == (True, b"a stranger")
    assert undo(entry, room.ledger, 2_000) == str(path)
    assert is_as_before(path)
    assert room.lost_property() == []


@pytest.mark.parametrize("closed", ["home", "quarantine"])
def test_a_closed_folder_is_a_refusal_with_a_reason(unprivileged: Path, closed: str) -> None:
    room = Room(unprivileged)
    path = room.file("a.jpg")
    room.quarantine.mkdir()
    (unprivileged / closed).chmod(0o500)
    with pytest.raises(ActionError, match="no permission"):
        room.move(path)
    assert is_as_before(path)
    assert room.ledger.unfinished() == []


def test_an_action_describes_itself_in_one_safe_line(near: Room) -> None:
    action = near.action(near.file("a\nb\x1b.jpg"), near.file("keeper.jpg"))
    text = action.describe()
    assert "\n" not in text and "\x1b" not in text
    assert text.startswith("move ") and "keeper.jpg" in text and "duplicate: the same bytes" in text
    assert action.byte_size == len(b"a picture")
