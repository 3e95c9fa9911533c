"""F46: a parent folder is swapped for a symlink while a file moves out or home."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.actions import apply, recover, undo, undo_many
from store.errors import ActionError
from store.ledger import EntryState
from tests.faults.conftest import Record
from tests.faults.racing import meanwhile
from tests.unit.pipeline.room import Room, is_as_before


@pytest.mark.fault(
    "F46", injected="parent flipped between folder and symlink during move and undo", figure="touched outside 0/10,000"
)
@pytest.mark.parametrize("side", ["home", "quarantine"])
def test_a_parent_swapped_for_a_symlink_leads_nowhere(
    tmp_path: Path, far: Path, record: Record, times: Callable[[int, int], int], side: str
) -> None:
    room = Room(far)
    outside = far / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"not yours")
    before = outside.stat().st_mtime_ns
    parent = {"home": room.home / "sub", "quarantine": room.quarantine / "duplicates/sub"}[side]
    parent.mkdir(parents=True)
    spare = parent.with_name("spare")

    def flip() -> None:
        parent.rename(spare)
        parent.symlink_to(outside)
        parent.unlink()
        spare.rename(parent)

    action, ends, count = room.action(room.file("sub/a.jpg")), Counter[str](), times(5000, 60)
    with meanwhile(flip):
        while ends.total() < count or (ends.total() < 20 * count and not ends["refused"]):
            try:
                undo(apply(action, room.ledger, 1_000), room.ledger, 2_000)
                ends["done"] += 1
            except ActionError:
                ends["refused"] += 1
            for entry in room.ledger.entries(state=EntryState.DONE):
                undo_many([entry], room.ledger, 2_000)
    recover(room.ledger, 3_000)
    assert [o.error for o in undo_many(room.ledger.entries(state=EntryState.DONE), room.ledger, 4_000) if o.error] == []
    assert [path.name for path in outside.iterdir()] == ["a.jpg"]
    assert ((outside / "a.jpg").read_bytes(), outside.stat().st_mtime_ns) == (b"not yours", before)
    copies = [path for path in [*room.home.rglob("*"), *room.quarantine.rglob("*")] if path.suffix == ".jpg"]
    assert [is_as_before(path) for path in copies] == [True]
    assert ends["refused"], "nobody flipped in time"
    record(ends.total(), 0, f"touched outside 0/{ends.total()} ({ends['refused']} refused)")
