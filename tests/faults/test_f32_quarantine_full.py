"""F32: the quarantine's disk fills up in the middle of a copy."""

import errno
import os
from pathlib import Path

import pytest

import pipeline.placing
from pipeline.actions import ActionSettings
from store.errors import ActionError
from store.ledger import EntryState, Verb
from tests.faults.conftest import Record
from tests.faults.disks import mount_memory
from tests.unit.pipeline.room import Room, is_as_before

FIGURE = "lost 0; temporary files left 0"
ROOMY = os.statvfs_result((4096, 4096, 1 << 30, 1 << 30, 1 << 30, 1 << 20, 1 << 20, 1 << 20, 0, 255))


@pytest.mark.fault(
    "F32", injected="a copy onto a tmpfs that is smaller than the file, with and without a warning", figure=FIGURE
)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.parametrize("verb", list(Verb))
def test_nothing_half_stays_on_a_full_quarantine(
    tmp_path: Path, record: Record, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_memory(tmp_path / "small", 4 << 20)
    room = Room(tmp_path, tmp_path / "small" / "quarantine")
    content = os.urandom(6 << 20)
    path = room.file("a.jpg", content)
    with pytest.raises(ActionError, match="too little space"):
        room.move(path, settings=ActionSettings(min_free_bytes=0))
    monkeypatch.setattr("pipeline.placing.os.fstatvfs", lambda _: ROOMY)  # it filled up after it was asked
    refuse(room, path, content, verb)
    (room.quarantine / "filler").write_bytes(bytes(1 << 20))
    refuse(room, path, content, verb)
    (room.quarantine / "filler").unlink()
    monkeypatch.undo()
    small = room.file("b.jpg", b"fits")
    room.move(small, settings=ActionSettings(min_free_bytes=0))
    record(3, 0, "left over 0; moved as soon as there was room")


@pytest.mark.fault("F32", injected="ENOSPC at every write of a copy, at its fsync and at its manifest", figure=FIGURE)
@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("where", ["copy_bytes", "sync", "append_line"])
def test_no_space_at_any_step_of_a_copy(
    tmp_path: Path, far: Path, record: Record, where: str, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, far / "quarantine")
    path = room.file("a.jpg", b"content" * 1000)
    room_of = pipeline.actions if where == "append_line" else pipeline.placing

    def full(*arguments: object, **_: object) -> None:
        if where == "copy_bytes":
            assert isinstance(arguments[1], int)
            os.write(arguments[1], b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(room_of, where, full)
    with pytest.raises(ActionError, match=r"(?i)no space"):
        pipeline.actions.apply(room.action(path, verb=verb), room.ledger, 1, settings=ActionSettings(0))
    monkeypatch.undo()
    assert is_as_before(path, b"content" * 1000)
    assert room.lost_property() == []
    pipeline.actions.apply(room.action(path, verb=verb), room.ledger, 2, settings=ActionSettings(0))
    record(1, 0, "left over 0; moved as soon as there was room")


def refuse(room: Room, path: Path, content: bytes, verb: Verb) -> None:
    """Try to act, and find everything as it was."""
    with pytest.raises(ActionError, match=r"(?i)no space"):
        pipeline.actions.apply(room.action(path, verb=verb), room.ledger, 1, settings=ActionSettings(0))
    assert is_as_before(path, content)
    assert room.lost_property() == []
    assert not list(room.quarantine.rglob("*.jpg"))
    assert room.ledger.entries()[0].state is EntryState.FAILED
