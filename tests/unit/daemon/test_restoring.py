"""`dedupd backup`: taken while a service runs, listed, restored with what must be known then."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.state import InstanceLock, StateFolder
from pipeline.manifest import append_line, read_lines
from store.backup import take_backup
from store.catalog import Catalog
from store.ledger import Ledger, Plan, Verb
from store.records import VerdictKind
from tests.unit.daemon.called import Call


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    catalog = Catalog(folder.catalog)
    catalog.remember("a", "1")
    catalog.close()
    return folder


def act(state: StateFolder, quarantine: Path, name: str) -> None:
    """Let the ledger and the manifest know of a file in a quarantine."""
    (quarantine / "blur").mkdir(parents=True, exist_ok=True)
    target = quarantine / "blur" / name
    target.write_bytes(b"x")
    catalog = Catalog(state.catalog)
    plan = Plan(
        batch=1, verb=Verb.MOVE, source=f"/hot/{name}", target=str(target), sha256=bytes(32), size=1, mtime_ns=1,
        mode=0o644, verdict=VerdictKind.BLUR, reason="", keeper=None, folder_root="/hot",
        quarantine_root=str(quarantine),
    )  # fmt: skip
    ledger = Ledger(catalog.database)
    entry = ledger.plan(plan, len(ledger.entries()) + 1, 1)
    from pipeline.manifest import ManifestLine

    append_line(str(quarantine), ManifestLine.of(entry, "move", str(target)), durable=False)
    ledger.finish(entry.id, 2)
    catalog.close()


def test_a_backup_is_taken_listed_and_restored(call: Call, state: StateFolder) -> None:
    with InstanceLock(state):  # a service runs
        taken = call("backup", "--state", state.path, "--json").json
    assert [b["path"] for b in call("backup", "list", "--state", state.path, "--json").json["backups"]] == [
        taken["path"]
    ]
    (state.path / "vectors").mkdir()
    (state.path / "vectors" / "m.index").write_bytes(b"of another time")
    answer = call("backup", "restore", taken["path"], "--state", state.path, "--json")
    assert answer.code == 0, answer.err
    assert Path(answer.json["replaced"]).exists()
    assert not (state.path / "vectors").exists()


def test_it_goes_where_it_is_sent(call: Call, state: StateFolder, tmp_path: Path) -> None:
    assert call("backup", "--to", tmp_path / "mine.sqlite3", "--state", state.path).code == 0
    (tmp_path / "folder").mkdir()
    assert call("backup", "--to", tmp_path / "folder", "--state", state.path).code == 0
    assert (tmp_path / "mine.sqlite3").exists()
    assert list((tmp_path / "folder").glob("catalog-*.sqlite3"))
    assert "no backups yet" in call("backup", "list", "--state", state.path).out


def test_a_restore_waits_for_nobody(call: Call, state: StateFolder, tmp_path: Path) -> None:
    take_backup(state.catalog, tmp_path / "b")
    with InstanceLock(state):
        assert call("backup", "restore", tmp_path / "b", "--state", state.path).code == 75


@pytest.mark.parametrize("words", [("restore",), ("list", "x"), ("take", "x"), ("restore", "x", "--to", "y")])
def test_half_a_sentence_is_refused(call: Call, state: StateFolder, words: tuple[str, ...]) -> None:
    assert call("backup", *words, "--state", state.path).code == 64


def test_without_a_catalog_there_is_nothing_to_take(call: Call, tmp_path: Path) -> None:
    assert call("backup", "--state", tmp_path / "none").code == 64


def test_a_damaged_backup_is_refused(call: Call, state: StateFolder, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"nothing" * 1000)
    answer = call("backup", "restore", tmp_path / "b", "--state", state.path)
    assert answer.code == 65
    assert "Traceback" not in answer.err


def test_what_moved_since_is_counted_per_quarantine(call: Call, state: StateFolder, tmp_path: Path) -> None:
    act(state, tmp_path / "q", "before.jpg")
    take_backup(state.catalog, tmp_path / "b")
    act(state, tmp_path / "q", "after.jpg")
    act(state, tmp_path / "elsewhere", "after too.jpg")
    act(state, tmp_path / "elsewhere", "emptied.jpg")
    (tmp_path / "elsewhere/blur/emptied.jpg").unlink()
    undone = replace(read_lines(str(tmp_path / "q"))[0], event="undone")
    answer = call("backup", "restore", tmp_path / "b", "--state", state.path, "--json")
    assert answer.json["unknown"] == {str(tmp_path / "q"): 1, str(tmp_path / "elsewhere"): 1}
    append_line(str(tmp_path / "q"), undone, durable=False)
    told = call("backup", "restore", tmp_path / "b", "--state", state.path).out
    assert f"dedupd undo --manifest {tmp_path}/elsewhere" in told
    assert f"--manifest {tmp_path}/q" not in told
