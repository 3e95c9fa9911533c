"""Actions on real files: what is moved, what is refused, and what comes home."""

import hashlib
import itertools
import json
import os
import resource
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from pipeline import places, placing, syscalls
from pipeline.actions import (
    Action,
    ActionSettings,
    KeeperCheck,
    apply,
    quarantine_target,
    recover,
    restore_from_manifest,
    undo,
    undo_many,
)
from pipeline.places import names
from store.database import sqlite3
from store.errors import ActionError
from store.ledger import EntryState, Ledger, LedgerEntry, Verb
from store.records import FileStat, VerdictKind

MIGRATION = Path(__file__).parents[3] / "store/migrations/0002_ledger.sql"
MTIME_NS = 1_600_000_000_123_456_789
MANIFEST = ".dedupd-manifest.jsonl"


class Room:
    """A hot folder, a quarantine and a ledger."""

    def __init__(self, base: Path, quarantine: Path | None = None) -> None:
        self.home, self.quarantine = base / "home", quarantine or base / "quarantine"
        self.home.mkdir()
        connection = sqlite3.connect(base / "ledger.db", isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")  # power failures are not tested here, and this is quick
        database = Database(connection)
        database.executescript(MIGRATION.read_text())
        self.ledger = Ledger(database)

    def file(self, name: str, content: bytes = b"a picture") -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o640)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
        return path

    def action(self, path: Path, keeper: Path | None = None, verb: Verb = Verb.MOVE) -> Action:
        return Action(
            verb=verb,
            source=FileStat.of(str(path), path.lstat()),
            sha256=hashlib.sha256(path.read_bytes()).digest(),
            target=quarantine_target(str(self.quarantine), "duplicates", str(path.relative_to(self.home))),
            verdict=VerdictKind.DUPLICATE if keeper else VerdictKind.BLUR,
            reason="the same bytes" if keeper else "too soft",
            keeper=KeeperCheck(*judged(keeper)) if keeper else None,
            folder_root=str(self.home),
            quarantine_root=str(self.quarantine),
        )

    def move(self, path: Path, **options: Any) -> LedgerEntry:
        return apply(self.action(path), self.ledger, 1_000, **options)

    def lost_property(self) -> list[Path]:
        """Temporary files that nobody took away."""
        found = [path for root in (self.home, self.quarantine) for path in root.rglob(".dedupd-*")]
        return [path for path in found if path.name != MANIFEST]


def judged(path: Path) -> tuple[FileStat, bytes]:
    return FileStat.of(str(path), path.lstat()), hashlib.sha256(path.read_bytes()).digest()


def is_as_before(path: Path, content: bytes = b"a picture") -> bool:
    status = path.lstat()
    return (path.read_bytes(), status.st_mtime_ns, stat.S_IMODE(status.st_mode)) == (content, MTIME_NS, 0o640)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system."""
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another device than the temporary folder")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="dedupd-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["same device", "other device"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Give a room; once with the quarantine beside the folder and once across file systems."""
    if request.param == "same device":
        return Room(tmp_path)
    return Room(tmp_path, request.getfixturevalue("memory") / "quarantine")


@pytest.fixture
def near(tmp_path: Path) -> Room:
    return Room(tmp_path)


# -- the way out and home ---------------------------------------------------------------------------


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


# -- refusals: nothing is touched -------------------------------------------------------------------


def replace_with_same_size(path: Path) -> None:
    path.write_bytes(b"A PICTURE")
    os.utime(path, ns=(MTIME_NS, MTIME_NS))


def swap(path: Path) -> None:
    other = path.with_name("newcomer")
    other.write_bytes(b"a newcomer")
    other.replace(path)


def become_symlink(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [replace_with_same_size, swap, become_symlink, become_fifo, Path.unlink, Path.touch]


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


# -- faults -----------------------------------------------------------------------------------------


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


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Give a folder of a user whom permissions bind, and be that user."""
    base = Path(tempfile.mkdtemp(prefix="dedupd-test-"))
    root = os.geteuid() == 0
    if root:
        os.chown(base, 65534, 65534)
        os.seteuid(65534)
    yield base
    if root:
        os.seteuid(0)
    for folder in base.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(base)


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


# -- names ------------------------------------------------------------------------------------------

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


# -- races ------------------------------------------------------------------------------------------


class Meddled(Ledger):
    """A ledger beside which something happens right after an intention is on record."""

    def __init__(self, ledger: Ledger, meddle: Callable[[], object]) -> None:
        super().__init__(ledger._database)
        self._meddle = meddle

    def plan(self, *arguments: Any) -> LedgerEntry:
        entry = super().plan(*arguments)
        self._meddle()
        return entry


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


@contextmanager
def in_a_thread(work: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            with suppress(FileExistsError, FileNotFoundError):
                work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_racer_for_names_loses_nothing(near: Room) -> None:
    folder = near.quarantine / "duplicates"
    folder.mkdir(parents=True)
    taken: list[Path] = []

    def take() -> None:
        if len(taken) == 40:
            return
        path = folder / ("a.jpg" if not taken else f"a ({len(taken) + 1}).jpg")
        with path.open("xb") as file:
            file.write(b"a stranger")
        taken.append(path)

    with in_a_thread(take):
        entries = [near.move(near.file("a.jpg", f"mine {number}".encode())) for number in range(15)]
    assert [Path(entry.target).read_bytes() for entry in entries] == [f"mine {n}".encode() for n in range(15)]
    assert {path.read_bytes() for path in taken} <= {b"a stranger"}


@pytest.mark.parametrize("side", ["home", "quarantine"])
def test_a_parent_swapped_for_a_symlink_leads_nowhere(near: Room, side: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"not yours")
    parent = {"home": near.home / "sub", "quarantine": near.quarantine / "duplicates/sub"}[side]
    parent.mkdir(parents=True)
    spare = parent.with_name("spare")

    def flip() -> None:
        parent.rename(spare)
        parent.symlink_to(outside)
        parent.unlink()
        spare.rename(parent)

    action = near.action(near.file("sub/a.jpg"))
    with in_a_thread(flip):
        for _ in range(60):
            with suppress(ActionError):
                undo(apply(action, near.ledger, 1_000), near.ledger, 2_000)
    recover(near.ledger, 3_000)
    for outcome in undo_many(near.ledger.entries(state=EntryState.DONE), near.ledger, 4_000):
        assert outcome.error == ""
    assert [path.name for path in outside.iterdir()] == ["a.jpg"]
    assert (outside / "a.jpg").read_bytes() == b"not yours"
    copies = [path for path in [*near.home.rglob("*"), *near.quarantine.rglob("*")] if path.suffix == ".jpg"]
    assert [is_as_before(path) for path in copies] == [True]


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


# -- undo -------------------------------------------------------------------------------------------


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


# -- without the ledger -----------------------------------------------------------------------------


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


# -- values -----------------------------------------------------------------------------------------


def test_an_action_describes_itself_in_one_safe_line(near: Room) -> None:
    action = near.action(near.file("a\nb\x1b.jpg"), near.file("keeper.jpg"))
    text = action.describe()
    assert "\n" not in text and "\x1b" not in text
    assert text.startswith("move ") and "keeper.jpg" in text and "duplicate: the same bytes" in text
    assert action.byte_size == len(b"a picture")
