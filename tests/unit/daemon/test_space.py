"""Room under the state folder: below the least it pauses, and goes on by itself."""

import os
from pathlib import Path

import pytest

from daemon.space import StateSpace, wait_for_room
from daemon.state import StateFolder
from daemon.status import read_status

LEAST = 100 << 20


class Disk:
    def __init__(self) -> None:
        self.free = 1 << 40

    def __call__(self, _: Path) -> int:
        return self.free


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_there_is_room_until_there_is_not_and_again(tmp_path: Path, disk: Disk) -> None:
    space = StateSpace(tmp_path, LEAST, disk)
    assert space.shortage() == ""
    disk.free = LEAST - 1
    assert "disk full: 99 MB" in space.shortage()
    disk.free = LEAST
    assert space.shortage() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_refused_write_counts_more_than_what_the_disk_says(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota does not show in the free space."""
    space = StateSpace(tmp_path, LEAST, disk)
    real = os.write

    def refuse(_fd: int, _data: bytes) -> int:
        raise OSError(122, "quota exceeded")

    monkeypatch.setattr("daemon.space.os.write", refuse)
    assert space.shortage() == "", "nobody asks without a reason"
    space.note_refusal()
    assert "refused" in space.shortage()
    monkeypatch.setattr("daemon.space.os.write", lambda fd, data: real(fd, data[:1000]))
    assert "refused" in space.shortage(), "a short write is a refusal"
    monkeypatch.undo()
    assert space.shortage() == ""
    assert list(tmp_path.iterdir()) == []


def test_even_without_a_limit_something_must_be_left(tmp_path: Path, disk: Disk) -> None:
    disk.free = 1000
    assert StateSpace(tmp_path, 0, disk).shortage()


def test_a_start_waits_for_room_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([0, 0, 1 << 40])
    monkeypatch.setattr(StateSpace.__init__, "__defaults__", (lambda _: next(free),))
    state, told, seen = StateFolder(tmp_path / "state"), [], []

    def tell(reason: str) -> None:
        told.append(reason)
        seen.append(read_status(state))

    wait_for_room(state, LEAST, tell, lambda: False)
    assert [reason[:9] for reason in told] == ["disk full", "disk full"]
    assert [(status.state, status.pid, *status.reasons) for status in seen] == [("paused", os.getpid(), told[0])] * 2
    assert read_status(state).state == "stopped", "the lock is free for the session"


def test_after_a_refused_write_it_waits_even_where_the_disk_seems_to_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StateSpace.__init__, "__defaults__", (lambda _: 1 << 40,))
    state, told, waited = StateFolder(tmp_path / "state"), list[str](), list[int]()

    def wait() -> bool:
        waited.append(1)
        return False

    wait_for_room(state, LEAST, told.append, wait, "disk full: as the catalog said")
    assert told == ["disk full: as the catalog said"], "one look later, a probe found room"
    assert len(waited) == 1


def test_told_to_stop_while_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateSpace.__init__, "__defaults__", (lambda _: 0,))
    told = list[str]()
    wait_for_room(StateFolder(tmp_path / "state"), LEAST, told.append, lambda: True)
    assert len(told) == 1
