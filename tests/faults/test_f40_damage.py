"""F40: pages of the catalog are damaged. No action is decided by it, and what moved finds home without it."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config import Settings
from daemon.session import Session
from daemon.state import StateFolder
from pipeline.actions import restore_from_manifest
from store.backup import backup_path, restore_backup, take_backup
from store.catalog import Catalog
from store.errors import DamageError
from store.ledger import Ledger
from tests.e2e.command import dedupd
from tests.faults.conftest import Record
from tests.unit.pipeline.room import Room, is_as_before

PAGE = 4096
FIGURE = "undo possible 100 %; actions on a damaged catalog 0; tracebacks 0"


def furnish(base: Path) -> tuple[StateFolder, Room, list[Path]]:
    """Make a catalog with content, and move three files by its ledger."""
    state = StateFolder(base / "state")
    state.create()
    room = Room(base)
    catalog = Catalog(state.catalog)
    room.ledger = Ledger(catalog.database)
    with catalog.transaction():
        for number in range(3000):
            catalog.add_image(number.to_bytes(32, "big"), number, None, "a reason of some length")
            catalog.remember(f"key {number}", "v" * 40)
    paths = [room.file(f"{number}.jpg") for number in range(3)]
    for path in paths:
        room.move(path)
    catalog.close()
    take_backup(state.catalog, backup_path(state.catalog, 10**18))
    return state, room, paths


def spoil(catalog: Path, seed: int) -> None:
    """Damage a page: noise, zeros, another page in its place, or a file cut short."""
    chance = random.Random(seed)
    content = bytearray(catalog.read_bytes())
    at = PAGE * chance.randrange(1, len(content) // PAGE)
    other = PAGE * chance.randrange(1, len(content) // PAGE)
    kinds: list[Callable[[], bytes]] = [
        lambda: chance.randbytes(PAGE),
        lambda: bytes(PAGE),
        lambda: bytes(content[other : other + PAGE]),
        lambda: bytes(byte ^ 0x55 for byte in content[at : at + PAGE]),
    ]
    if seed % 5 == 4:
        content = content[:at]
    else:
        content[at : at + PAGE] = kinds[seed % 5]()
    catalog.write_bytes(content)


@pytest.mark.fault(
    "F40", injected="a page of noise, zeros, flipped bits or another page; a file cut short", figure=FIGURE
)
def test_a_damaged_catalog_decides_nothing_and_files_find_home(
    tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    state, room, paths = furnish(tmp_path)
    sound = state.catalog.read_bytes()
    refused, count = 0, times(400, 40)
    for seed in range(count):
        state.catalog.write_bytes(sound)
        spoil(state.catalog, seed)
        before = {path: path.stat().st_mtime_ns for path in room.quarantine.rglob("*")}
        try:
            with Session(state, Settings()):
                pass
        except DamageError as error:
            refused += 1
            assert "dedupd backup restore" in error.hint
            assert "--manifest" in error.hint
        assert {path: path.stat().st_mtime_ns for path in room.quarantine.rglob("*")} == before
    assert refused > 0.9 * count, "a page may stand in for an equal one; else it is noticed"
    shutil.rmtree(state.path)
    assert [outcome.error for outcome in restore_from_manifest(str(room.quarantine))] == [""] * 3
    assert all(is_as_before(path) for path in paths)
    record(count, 0, f"noticed at the start {refused}/{count}; undone 3/3")


@pytest.mark.fault("F40", injected="the same, then every verb, then the way back that the message names", figure=FIGURE)
def test_every_verb_says_so_and_the_backup_helps(tmp_path: Path, record: Record) -> None:
    state, room, _ = furnish(tmp_path)
    spoil(state.catalog, 0)
    damaged = state.catalog.read_bytes()
    (tmp_path / "pictures").mkdir()
    words = ("--state", state.path)
    for verb in (
        ("scan", tmp_path / "pictures", "--output", tmp_path / "out", "--action", "move", *words),
        ("undo", "--all", *words),
    ):
        answer = dedupd(*verb)
        assert (answer.code, "Traceback" in answer.err) == (65, False), answer
        assert "dedupd backup restore" in answer.err
    assert state.catalog.read_bytes() == damaged
    backup = next((state.path / "backups").iterdir())
    restore_backup(backup, state.catalog, 1)
    answer = dedupd("undo", "--all", "--json", *words)
    assert answer.json["undone"] == 3
    assert not list(room.quarantine.rglob("*.jpg"))
    record(2, 0, "undone after the restore 3/3")
