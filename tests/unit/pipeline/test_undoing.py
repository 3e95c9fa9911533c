"""The way home: what undo brings back, what it refuses, and the manifest without a ledger."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import placing, syscalls
from pipeline.actions import (
    apply,
    recover,
    restore_from_manifest,
    undo,
    undo_many,
)
from store.errors import ActionError
from store.ledger import EntryState, Verb
from tests.unit.pipeline.room import MANIFEST, Meddled, Room, is_as_before


def test_undo_takes_another_name_when_the_place_is_taken(room: Room) -> None:
    path = room.file("sub/a.jpg")
    entry = room.move(path)
    path.write_bytes(b"a newcomer")
    restored = undo(entry, room.ledger, 2_000)
    assert restored == str(path.with_name("a (restored).jpg"))
    assert (is_as_before(Path(restored)), path.read_bytes()) == (True, b"a newcomer")


def test_undo_makes_missing_parents_but_no_missing_root(room: Room) -> None:
    path = room.file("x/y/a.jpg")
    entry = room.move(path)
    shutil.rmtree(room.home)
    with pytest.raises(ActionError, match="is not there"):
        undo(entry, room.ledger, 2_000)
    assert room.ledger.entry(entry.id).state is EntryState.DONE
    room.home.mkdir()
    assert undo(entry, room.ledger, 2_000) == str(path)
    assert is_as_before(path)


def test_an_altered_file_stays_in_quarantine(room: Room) -> None:
    path = room.file("a.jpg")
    entry = room.move(path)
    Path(entry.target).write_bytes(b"retouched")
    with pytest.raises(ActionError, match="altered"):
        undo(entry, room.ledger, 2_000)
    assert (Path(entry.target).read_bytes(), path.exists()) == (b"retouched", False)
    assert room.ledger.entry(entry.id).state is EntryState.DONE


def test_a_file_taken_out_of_quarantine_is_a_refusal_unless_it_is_home(near: Room) -> None:
    path = near.file("a.jpg")
    entry = near.move(path)
    Path(entry.target).rename(near.home / "elsewhere.jpg")
    with pytest.raises(ActionError, match="no longer in quarantine"):
        undo(entry, near.ledger, 2_000)
    (near.home / "elsewhere.jpg").rename(path)
    assert undo(entry, near.ledger, 2_000) == str(path)


def test_undo_brings_back_times_and_mode_that_were_touched(room: Room) -> None:
    path = room.file("a.jpg")
    entry = room.move(path)
    os.utime(entry.target)
    Path(entry.target).chmod(0o400)
    undo(entry, room.ledger, 2_000)
    assert is_as_before(path)


def test_the_last_copy_is_never_removed(room: Room) -> None:
    path = room.file("a.jpg")
    entry = apply(room.action(path, verb=Verb.COPY), room.ledger, 1_000)
    path.write_bytes(b"overwritten")
    with pytest.raises(ActionError, match="the copy stays"):
        undo(entry, room.ledger, 2_000)
    assert is_as_before(Path(entry.target))


def test_one_that_cannot_be_undone_stops_no_other(near: Room) -> None:
    entries = [near.move(near.file(f"{number}.jpg", bytes([number]))) for number in range(3)]
    Path(entries[1].target).write_bytes(b"altered")
    outcomes = undo_many(near.ledger.entries(), near.ledger, 2_000)
    assert [outcome.entry_id for outcome in outcomes] == [3, 2, 1]
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False]
    assert [(near.home / f"{number}.jpg").exists() for number in range(3)] == [True, False, True]


def test_a_failed_action_cannot_be_undone(near: Room) -> None:
    path = near.file("a.jpg")
    with pytest.raises(ActionError):
        apply(near.action(path), Meddled(near.ledger, path.touch), 1_000)
    with pytest.raises(ActionError, match="nothing to undo"):
        undo(near.ledger.entries()[0], near.ledger, 2_000)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are no UTF-8")
def test_the_manifest_brings_everything_home(room: Room) -> None:
    strange = os.fsdecode(b"sub/caf\xe9\n.jpg")
    moved, copied, back = room.file(strange, b"moved"), room.file("copy.jpg"), room.file("back.jpg")
    room.move(moved)
    copy = apply(room.action(copied, verb=Verb.COPY), room.ledger, 1_000)
    undo(room.move(back), room.ledger, 2_000)
    with (room.quarantine / MANIFEST).open("ab") as file:
        file.write(b'{"event": "move", "id"')  # torn by a power failure
    elsewhere = room.quarantine.with_name("mounted elsewhere")
    room.quarantine.rename(elsewhere)
    outcomes = restore_from_manifest(str(elsewhere))
    assert [(outcome.path, outcome.error) for outcome in outcomes] == [(None, ""), (str(moved), "")]
    assert is_as_before(moved, b"moved")
    assert [is_as_before(path) for path in (copied, back)] == [True, True]
    assert not (elsewhere / copy.target.removeprefix(str(room.quarantine) + "/")).exists()
    assert restore_from_manifest(str(elsewhere)) == []
    assert [item.name for item in elsewhere.iterdir()] == [MANIFEST]


def test_the_manifest_is_on_disk_before_the_file_is(near: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = near.file("a.jpg"), []
    real = syscalls.rename_exclusive

    def rename(*arguments: Any) -> None:
        lines = (near.quarantine / MANIFEST).read_text().splitlines()
        seen.append([json.loads(line)["target"] for line in lines])
        real(*arguments)

    monkeypatch.setattr(placing, "rename_exclusive", rename)
    near.move(path)
    assert seen == [["duplicates/a.jpg"]]


def test_a_manifest_that_others_can_write_is_not_obeyed(near: Room) -> None:
    entry = near.move(near.file("a.jpg"))
    (near.quarantine / MANIFEST).chmod(0o666)
    with pytest.raises(ActionError, match="other users"):
        restore_from_manifest(str(near.quarantine))
    assert Path(entry.target).exists()


def test_without_a_manifest_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ActionError, match="no manifest"):
        restore_from_manifest(str(tmp_path))


GREW = "it had grown in quarantine; brought home as it is"


def grown_in_quarantine(room: Room, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move a file whose writer was not seen, as on macOS, and let that writer go on."""
    path = room.file("a.jpg")
    with monkeypatch.context() as blind, path.open("ab") as writer:
        blind.setattr(placing, "is_being_written", lambda _: False)
        room.move(path)
        writer.write(b" grows")
    return path


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_file_that_grew_in_quarantine_comes_home_as_it_is(
    near: Room, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grown_in_quarantine(near, monkeypatch)
    if taken:
        path.write_bytes(b"a newcomer")
    outcome = undo_many(near.ledger.entries(), near.ledger, 2_000)[0]
    home = path.with_name("a (restored).jpg") if taken else path
    assert (outcome.path, outcome.error) == (str(home), GREW)
    assert home.read_bytes() == b"a picture grows"
    assert not taken or path.read_bytes() == b"a newcomer"
    assert near.ledger.entries()[0].state is EntryState.UNDONE
    assert [item.name for item in near.quarantine.iterdir()] == [MANIFEST]
    assert undo(near.ledger.entries()[0], near.ledger, 3_000) == str(home)


def test_another_file_that_only_begins_alike_stays_in_quarantine(near: Room) -> None:
    path = near.file("a.jpg")
    target = Path(near.move(path).target)
    other = target.with_name("other.jpg")
    other.write_bytes(b"a picture grows")
    other.replace(target)
    with pytest.raises(ActionError, match="altered"):
        undo(near.ledger.entries()[0], near.ledger, 2_000)
    assert (target.read_bytes(), path.exists()) == (b"a picture grows", False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a file has writers")
def test_a_file_written_in_quarantine_comes_home_when_its_writer_is_done(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = room.file("a.jpg")
    entry = room.move(path)
    with Path(entry.target).open("ab", buffering=0) as writer:
        for more in (b" grows", b" on"):
            writer.write(more)
            with pytest.raises(ActionError, match="still being written"):
                undo(entry, room.ledger, 2_000)
    assert (path.exists(), room.lost_property()) == (False, [])
    assert undo_many([entry], room.ledger, 3_000)[0].error == GREW
    assert path.read_bytes() == b"a picture grows on"


class PowerFailure(BaseException):
    """What no handler catches."""


def test_a_crash_while_a_grown_file_comes_home_is_concluded(near: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    path = grown_in_quarantine(near, monkeypatch)
    real = syscalls.rename_exclusive

    def rename(*arguments: Any) -> None:
        real(*arguments)
        raise PowerFailure

    with monkeypatch.context() as failing, pytest.raises(PowerFailure):
        failing.setattr(placing, "rename_exclusive", rename)
        undo(near.ledger.entries()[0], near.ledger, 2_000)
    outcome = recover(near.ledger, 3_000)[0]
    assert (outcome.path, path.read_bytes()) == (str(path), b"a picture grows")
    assert near.ledger.entries()[0].state is EntryState.UNDONE
