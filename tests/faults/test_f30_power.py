"""F30: power loss at random moments, on real file systems that forget what was not synchronised."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import placing, syscalls
from pipeline.actions import ActionSettings, _plan, apply, recover
from store.catalog import Catalog
from store.errors import ActionError
from store.ledger import EntryState, Ledger
from tests.faults.conftest import Record
from tests.faults.disks import Disk
from tests.faults.holding import files
from tests.faults.moving import ROOT, make_ledger, move_action

PICTURES = 12
CUTS = 50  # per layout; four layouts
FIGURE = "acknowledged but lost 0/200; files of 0 bytes 0"
pytestmark = [pytest.mark.privileged("mkfs.ext4", "mkfs.xfs"), pytest.mark.usefixtures("private_mounts")]


class World:
    """Pictures, a catalog and a quarantine on one disk or two, and someone who moves them about."""

    def __init__(self, base: Path, kind: str, *, apart: bool) -> None:
        self.disks = [Disk(base / str(number), kind) for number in range(1 + apart)]
        first, last = self.disks[0].path, self.disks[-1].path
        self.state, self.home, self.quarantine = first / "state", first / "home", last / "quarantine"
        self.state.mkdir()
        (self.home / "sub").mkdir(parents=True)
        self.contents = {}
        self.acknowledged = 0
        for number in range(PICTURES):
            path = self.home / ("sub" if number % 2 else ".") / f"{number}.jpg"
            path.write_bytes(os.urandom(200_000 if number % 3 else 3_000))
            self.contents[path.name] = hashlib.sha256(path.read_bytes()).digest()
        Catalog(self.state / "catalog.sqlite3").close()
        os.sync()

    def live_until(self, acknowledged: int, seconds: float, seed: int, *words: str) -> dict[str, set[str]]:
        """Move pictures about, some actions and a moment, until the power fails; return where each may be."""
        folders = (str(self.state), str(self.home), str(self.quarantine))
        command = [sys.executable, "-m", "tests.faults.restless", *folders, str(seed)]
        with subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as mover:
            assert mover.stdout is not None
            heard = [mover.stdout.readline() for _ in range(1 + 2 * acknowledged)]  # begin, done, begin, done, begin
            time.sleep(seconds)
            for disk in self.disks:
                disk.cut_power()
            mover.kill()
            heard += mover.stdout.readlines()
        for disk in self.disks:
            disk.unmount()
            disk.mount()
        places: dict[str, set[str]] = {}
        for line in heard:
            word, _, name = line.decode().rstrip("\n").partition(" ")
            self.acknowledged += word != "begin"
            places[name] = {"out", "home"} if word == "begin" else {word}
        return places

    def found(self) -> dict[str, list[str]]:
        """Recover, then return name → where an intact copy lies; every other file is an error."""
        catalog = Catalog(self.state / "catalog.sqlite3")
        ledger = Ledger(catalog.database)
        assert [o.error for o in recover(ledger, 1) if o.error and "interrupted" not in o.error] == []
        assert catalog.database.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        away = {Path(entry.target): Path(entry.source).name for entry in ledger.entries(state=EntryState.DONE)}
        catalog.close()
        lying: dict[str, list[str]] = {name: [] for name in self.contents}
        for root, place in ((self.home, "home"), (self.quarantine, "out")):
            for path in (item for item in root.rglob("*") if item.is_file() and item.suffix != ".jsonl"):
                name = path.name if place == "home" else away.get(path, "?")
                intact = hashlib.sha256(path.read_bytes()).digest() == self.contents.get(name)
                name = path.name if name == "?" else name
                lying.setdefault(name, []).append(place if intact else f"{place}, {path.stat().st_size} bytes")
        return lying

    def close(self) -> None:
        for disk in self.disks:
            disk.unmount()


@pytest.fixture(params=["ext4", "xfs"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["one disk", "two disks"])
def world(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Iterator[World]:
    made = World(tmp_path, kind, apart=request.param)
    yield made
    made.close()


@pytest.mark.fault("F30", injected="power cut while pictures move out and home, ext4 and xfs", figure=FIGURE)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_outlives_a_power_failure(
    world: World, record: Record, times: Callable[[int, int], int]
) -> None:
    count, chance = times(CUTS, 4), random.Random(30)
    lost = 0
    expected = {name: {"home"} for name in world.contents}
    for cut in range(count):
        expected |= world.live_until(chance.randrange(5), chance.uniform(0.0, 0.05), cut)
        found = world.found()
        lost += sum(len(found[name]) != 1 or not set(found[name]) <= places for name, places in expected.items())
        assert lost == 0, (cut, {name: (found[name], expected[name]) for name in expected})
        assert found.keys() == expected.keys(), (cut, found)
        expected = {name: set(places) for name, places in found.items()}
    assert world.acknowledged >= count
    record(count, lost, f"actions acknowledged {world.acknowledged}, of which lost {lost}")


@pytest.mark.fault("F30", injected="control: the same without fsync must lose", figure="shows that the cuts are real")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_power_cut_is_a_real_one(tmp_path: Path, kind: str, record: Record) -> None:
    world = World(tmp_path, kind, apart=True)
    chance, torn = random.Random(30), 0
    for cut in range(20):
        world.live_until(5, chance.uniform(0.0, 0.05), cut, "careless")
        try:
            torn = sum(places != ["home"] and places != ["out"] for places in world.found().values())
        except AssertionError:
            torn = 1
        if torn:
            break
    world.close()
    assert torn, "without fsync nothing was lost: this test proves nothing about dedupd"
    record(0, 0, f"{kind} without fsync: lost after {cut + 1} cuts")


@pytest.fixture
def disk(tmp_path: Path, kind: str) -> Iterator[Disk]:
    made = Disk(tmp_path / "one", kind)
    yield made
    made.unmount()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger on another disk: its commits would flush this one's journal as well."""
    return make_ledger(tmp_path / "ledger.db")


def cut(disk: Disk) -> None:
    """Let the power fail and come back."""
    disk.cut_power()
    disk.unmount()
    disk.mount()


@pytest.mark.fault("F30", injected="power cut just after a recovery tidied up", figure="tidied up for good")
def test_what_recovery_removed_stays_removed(disk: Disk, ledger: Ledger, record: Record) -> None:
    home, quarantine = disk.path / "home", disk.path / "quarantine"
    home.mkdir()
    path = home / "a.jpg"
    path.write_bytes(b"a picture")
    action = move_action(path, home, quarantine)
    entry = ledger.plan(_plan(action, 1, 0o644), 1_000)
    part = quarantine / f"blur/.dedupd-{entry.id}-{1_000:x}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"a pic")
    os.sync()
    recover(ledger, 2_000)
    cut(disk)
    assert ledger.unfinished() == []
    assert [item.name for item in files(disk.path)] == ["a.jpg"]
    record(1)


@pytest.mark.fault("F30", injected="power cut just after a refused move was put back", figure="put back for good")
def test_what_was_put_back_stays_there(
    disk: Disk, ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, quarantine = disk.path / "home", disk.path / "quarantine"
    home.mkdir()
    path = home / "a.jpg"
    path.write_bytes(b"a picture")
    action = move_action(path, home, quarantine)
    (quarantine / "blur").mkdir(parents=True)
    os.sync()
    real, written = syscalls.rename_exclusive, list[int]()

    def rename(from_fd: int, source: str, to_fd: int, target: str) -> None:
        real(from_fd, source, to_fd, target)
        if to_fd != from_fd and not written:  # the name became another's in the last moment
            written.append((quarantine / "blur" / target).write_bytes(b"a stranger"))
            os.sync()  # anybody's fsync may come just now

    monkeypatch.setattr(placing, "rename_exclusive", rename)
    with pytest.raises(ActionError):
        apply(action, ledger, 1_000, settings=ActionSettings(min_free_bytes=0))
    cut(disk)
    assert [item.relative_to(disk.path) for item in files(disk.path)] == [Path("home/a.jpg")]
    assert [entry.state for entry in ledger.entries()] == [EntryState.FAILED]
    record(1)
