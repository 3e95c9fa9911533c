"""Names and races: nothing is overwritten, nothing leaves its root, nothing is lost to a swap."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import placing, syscalls
from pipeline.actions import (
    apply,
    undo,
)
from pipeline.places import names
from store.errors import ActionError
from store.ledger import EntryState, Verb
from tests.faults.racing import meanwhile
from tests.unit.pipeline.room import CHANGES, MANIFEST, Meddled, Room, is_as_before, swap

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a file has writers")
NAMES = [b"caf\xe9.jpg", b"\xff\xfe", "größe 📷.jpg".encode(), b"new\nline.jpg", b"\x1b[31mred.jpg", b"-rf.jpg"]
NAMES += [b"'\"`$;.jpg", b"x" * 255, b"y" * 251 + b".jpg", "é".encode() * 127, b".hidden", b"a." + b"b" * 253]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are no UTF-8")
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_any_name_goes_out_twice_and_comes_home(room: Room, name: bytes) -> None:
    text = os.fsdecode(name)
    first = room.move(room.file(text, b"first"))
    second = room.move(room.file(text, b"second"))
    assert first.target != second.target
    assert Path(first.target).read_bytes() == b"first"
    assert Path(second.target).read_bytes() == b"second"
    assert len(os.fsencode(Path(second.target).name)) <= 255
    home_again = undo(second, room.ledger, 2_000)
    assert home_again is not None
    assert os.fsencode(Path(home_again).name) == name
    other = undo(first, room.ledger, 2_000)
    assert other is not None
    assert Path(other).read_bytes() == b"first"
    assert "restored" in Path(other).name
    assert Path(home_again).read_bytes() == b"second"


@given(st.binary(min_size=1, max_size=255), st.sampled_from(["", "restored"]), st.integers(64, 255))
def test_variations_of_a_name_are_names(raw: bytes, word: str, limit: int) -> None:
    name = os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))
    found = list(itertools.islice(names(name, word, "7-18f0a", limit), 110))
    assert len(set(found)) == len(found)
    assert all(0 < len(os.fsencode(item)) <= limit for item in found)
    if len(os.fsencode(name)) <= limit:
        assert found[0] == name


def test_taken_names_are_counted_up(near: Room) -> None:
    targets = []
    for number in range(4):
        targets.append(Path(near.move(near.file("a.tar.gz", bytes([number]))).target).name)
    assert targets == ["a.tar.gz", "a.tar (2).gz", "a.tar (3).gz", "a.tar (4).gz"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changes_at_the_last_moment_stays(room: Room, change: Callable[[Path], object]) -> None:
    path = room.file("a.jpg")
    ledger = Meddled(room.ledger, lambda: change(path))
    with pytest.raises(ActionError):
        apply(room.action(path), ledger, 1_000)
    assert [item for item in room.quarantine.rglob("*") if item.is_file() and item.name != MANIFEST] == []
    assert (room.lost_property(), ledger.unfinished()) == ([], [])


@pytest.mark.parametrize("verb", list(Verb))
def test_a_file_swapped_while_its_bytes_travel_is_not_lost(
    room: Room, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = room.file("a.jpg"), syscalls.rename_exclusive

    def rename(from_fd: int, source: str, to_fd: int, target: str) -> None:
        if path.exists() and path.read_bytes() == b"a picture":
            swap(path)
        real(from_fd, source, to_fd, target)

    monkeypatch.setattr(placing, "rename_exclusive", rename)
    with suppress(ActionError):
        apply(room.action(path, verb=verb), room.ledger, 1_000)
    assert path.read_bytes() == b"a newcomer"
    assert (room.lost_property(), room.ledger.unfinished()) == ([], [])


def test_a_name_taken_at_the_last_moment_is_never_overwritten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "has_name", lambda *_: False)  # whoever takes them does so after this look
    folder = room.quarantine / "duplicates"
    folder.mkdir(parents=True)
    for name in ("a.jpg", "a (2).jpg"):
        (folder / name).write_bytes(b"a stranger")
    entry = room.move(room.file("a.jpg"))
    assert (Path(entry.target).name, is_as_before(Path(entry.target))) == ("a (3).jpg", True)
    assert (folder / "a.jpg").read_bytes() == (folder / "a (2).jpg").read_bytes() == b"a stranger"


@pytest.mark.parametrize("side", ["home", "quarantine"])
def test_a_parent_that_is_a_symlink_is_refused(near: Room, side: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    if side == "home":
        (outside / "a.jpg").write_bytes(b"a picture")
        (near.home / "sub").symlink_to(outside)
        path = near.home / "sub/a.jpg"
    else:
        path = near.file("sub/a.jpg")
        near.quarantine.mkdir()
        (near.quarantine / "duplicates").symlink_to(outside)
    before = sorted(outside.iterdir())
    with pytest.raises(ActionError, match="symlink"):
        near.move(path)
    assert sorted(outside.iterdir()) == before
    assert path.exists()


def quarantined(room: Room) -> list[Path]:
    return [item for item in room.quarantine.rglob("*") if item.is_file() and item.name != MANIFEST]


@linux_only
def test_a_file_that_another_process_writes_stays_until_it_is_done(room: Room) -> None:
    path = room.file("a.jpg", b"head ")
    script = 'exec 9>>"$1"; echo open; read _; printf tail >&9'
    command = ["sh", "-c", script, "sh", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(ActionError, match="still being written"):
            room.move(path)
        writer.communicate(b"\n")
    assert (path.read_bytes(), room.ledger.entries(), quarantined(room)) == (b"head tail", [], [])
    assert Path(room.move(path).target).read_bytes() == b"head tail"


@linux_only
@pytest.mark.parametrize("meanwhile", [b"", b" grows"], ids=["opened", "grown"])
@pytest.mark.parametrize("step", ["planned", "placed", "set aside"])
def test_a_writer_that_comes_while_the_file_moves_keeps_it(
    room: Room, step: str, meanwhile: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = room.file("a.jpg"), syscalls.rename_exclusive
    with ExitStack() as writers:

        def come() -> None:
            monkeypatch.undo()  # once
            file = writers.enter_context(path.open("ab", buffering=0))
            file.write(meanwhile)

        def rename(from_fd: int, source: str, to_fd: int, target: str) -> None:
            if source == path.name if step == "set aside" else source.endswith(".part"):
                come()
            real(from_fd, source, to_fd, target)

        if step == "planned":
            ledger = Meddled(room.ledger, come)
        else:
            ledger = Meddled(room.ledger, lambda: monkeypatch.setattr(placing, "rename_exclusive", rename))
            if step == "placed" and path.stat().st_dev == room.quarantine.parent.stat().st_dev:
                pytest.skip("a rename has no copy to place")
        with pytest.raises(ActionError, match="still being written"):
            apply(room.action(path), ledger, 1_000)
        path.open("ab").close()  # the lease was given back: nobody waits for it
        with path.open("ab") as file:
            file.write(b"!")
    assert path.read_bytes() == b"a picture" + meanwhile + b"!"
    assert (quarantined(room), room.lost_property(), room.ledger.unfinished()) == ([], [], [])
    entry = room.ledger.entries()[0]
    assert (entry.state, entry.error) == (EntryState.FAILED, "it is still being written")


def test_bytes_appended_during_the_copy_are_noticed(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, memory / "quarantine")
    path, real = room.file("a.jpg"), syscalls.copy_bytes

    def copy(from_fd: int, to_fd: int) -> None:
        real(from_fd, to_fd)
        with path.open("ab") as file:
            file.write(b" grows")

    monkeypatch.setattr(placing, "copy_bytes", copy)
    with pytest.raises(ActionError, match="changed meanwhile"):
        room.move(path)
    assert (path.read_bytes(), quarantined(room), room.lost_property()) == (b"a picture grows", [], [])


@linux_only
def test_a_writer_who_comes_during_the_look_hurts_nobody(near: Room) -> None:
    path, answers = near.file("a.jpg"), set()
    with path.open("rb") as file, meanwhile(lambda: path.open("ab").close()):
        for _ in range(3000):
            answers.add(syscalls.is_being_written(file.fileno()))
    assert answers <= {False, True}
    with path.open("rb") as file:
        assert not syscalls.is_being_written(file.fileno())


def test_where_nothing_tells_of_writers_a_file_counts_as_at_rest(near: Room) -> None:
    with Path(os.devnull).open("rb") as file:
        assert not syscalls.is_being_written(file.fileno())
