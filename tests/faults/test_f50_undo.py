"""F50: undo when its place is taken, its parent gone, its file altered, its disk full or away; and undo again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.actions import recover, undo, undo_many
from store.errors import ActionError
from store.ledger import EntryState, LedgerEntry
from tests.faults.conftest import Record
from tests.faults.disks import mount_memory
from tests.faults.holding import files
from tests.unit.pipeline.room import Room, is_as_before

FIGURE = "lost 0; second run changes 0"
NAME = "sub/deep/a.jpg"


def take_the_place(room: Room, _entry: LedgerEntry) -> None:
    room.file(NAME, b"a stranger")


def take_the_place_by_a_folder(room: Room, _entry: LedgerEntry) -> None:
    (room.home / NAME).mkdir(parents=True)


def take_away_the_parent(room: Room, _entry: LedgerEntry) -> None:
    shutil.rmtree(room.home / "sub", ignore_errors=True)


def make_the_parent_a_file(room: Room, entry: LedgerEntry) -> None:
    take_away_the_parent(room, entry)
    (room.home / "sub").write_bytes(b"a stranger")


def alter_the_file(_room: Room, entry: LedgerEntry) -> None:
    Path(entry.target).write_bytes(b"A PICTURE")


def take_the_folder_offline(room: Room, _entry: LedgerEntry) -> None:
    room.home.rename(room.home.with_name("offline"))


def take_the_quarantine_offline(room: Room, _entry: LedgerEntry) -> None:
    room.quarantine.rename(room.quarantine.with_name("offline"))


def take_it_out_by_hand(room: Room, entry: LedgerEntry) -> None:
    (room.home / NAME).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(entry.target, room.home / NAME)


MENDED: dict[Callable[[Room, LedgerEntry], None], Callable[[Room, LedgerEntry], object] | None] = {
    take_the_place: None,  # needs no mending: the file comes home, under another name if it must
    take_the_place_by_a_folder: None,
    take_away_the_parent: None,
    take_it_out_by_hand: None,
    make_the_parent_a_file: lambda room, _: (room.home / "sub").unlink(),
    alter_the_file: lambda room, entry: restore(Path(entry.target)),
    take_the_folder_offline: lambda room, _: room.home.with_name("offline").rename(room.home),
    take_the_quarantine_offline: lambda room, _: room.quarantine.with_name("offline").rename(room.quarantine),
}


def restore(path: Path) -> None:
    """Put the picture back as a backup would."""
    path.write_bytes(b"a picture")


def everything(room: Room) -> list[tuple[str, bytes, int]]:
    """Return each file with its content and inode."""
    found = sorted(files(*(path for path in room.home.parent.iterdir() if path.is_dir())))
    return [(str(path), path.read_bytes(), path.stat().st_ino) for path in found]


@pytest.mark.fault("F50", injected="eight things that happened before the undo, near and across", figure=FIGURE)
@pytest.mark.parametrize("mishap", MENDED, ids=lambda mishap: mishap.__name__.replace("_", " "))
@pytest.mark.parametrize("across", [False, True], ids=["near", "across"])
def test_an_undo_succeeds_or_refuses_and_changes_nothing_the_second_time(
    tmp_path: Path, far: Path, record: Record, mishap: Callable[[Room, LedgerEntry], None], *, across: bool
) -> None:
    room = Room(far, tmp_path / "quarantine" if across else None)
    entry = room.move(room.file(NAME))
    mishap(room, entry)
    mend = MENDED[mishap]
    if mend is not None:
        before = everything(room)
        for _ in range(2):
            with pytest.raises(ActionError):
                undo(entry, room.ledger, 2_000)
            assert recover(room.ledger, 2_500) == []
            assert (everything(room), room.lost_property()) == (before, [])
        mend(room, entry)
    home = undo(entry, room.ledger, 3_000)
    assert home is not None
    assert Path(home).read_bytes() == b"a picture"
    after = everything(room)
    assert undo(entry, room.ledger, 4_000) == home
    assert undo_many([entry], room.ledger, 5_000)[0].error == ""
    assert everything(room) == after, "the second run changes nothing"
    assert room.ledger.entry(entry.id).state is EntryState.UNDONE
    record(1)


@pytest.mark.fault("F50", injected="disk full in the middle of the way home", figure=FIGURE)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
def test_a_full_disk_at_home(tmp_path: Path, record: Record) -> None:
    (tmp_path / "quarantine").mkdir()
    mount_memory(tmp_path / "small", 8 << 20)
    room = Room(tmp_path / "small", tmp_path / "quarantine")
    content = os.urandom(4 << 20)
    entry = room.move(room.file("a.jpg", content))
    filler = tmp_path / "small/filler"
    filler.write_bytes(bytes(5 << 20))
    for _ in range(2):
        with pytest.raises(ActionError, match=r"too little space .*small/home"):
            undo(entry, room.ledger, 2_000)
        assert Path(entry.target).read_bytes() == content
        assert (files(room.home), room.lost_property()) == ([], [])
    filler.unlink()
    home = undo(entry, room.ledger, 3_000)
    assert home is not None
    assert is_as_before(Path(home), content)
    record(2)
