"""One status, written by whoever holds the lock, readable whatever happened to the writer."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.state import InstanceLock, StateFolder
from daemon.status import FolderStatus, IndexStatus, State, Status, read_status, write_status
from store.records import VerdictKind

STATUS = Status(
    state="ok",
    pid=17,
    updated_ns=1_800_000_000_000_000_000,
    reasons=("a reason",),
    folders=(FolderStatus("/hot/ü", "ok", 3, action="move"), FolderStatus("/old", "ok", 9, protected=True)),
    files=12,
    images=11,
    groups=2,
    queue=4,
    verdicts={"keep": 9, "duplicate": 3},
    images_per_second=2.5,
    index=IndexStatus("model-1", 11, "flat"),
    last_error="yesterday",
    report="/state/report.html",
)


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    return folder


def test_the_object_keeps_the_contract() -> None:
    facts = STATUS.as_json()
    assert facts["schema"] == 1
    assert set(facts) >= {"state", "reasons", "pid", "folders", "files", "images", "groups", "queue", "verdicts",
                          "images_per_second", "index"}  # fmt: skip
    assert set(facts["folders"][0]) >= {"path", "state", "files"}
    assert set(facts["index"]) >= {"model", "vectors", "kind"}
    assert facts["verdicts"] == {str(kind): STATUS.verdicts.get(kind, 0) for kind in VerdictKind}
    json.dumps(facts)


def test_what_is_written_is_read(state: StateFolder) -> None:
    write_status(state, STATUS)
    with InstanceLock(state):
        found = read_status(state)
    assert json.dumps(found.as_json()) == json.dumps(STATUS.as_json())
    left = sorted(path.name for path in state.path.iterdir())
    assert left == ["holder", "lock", "status.json"], "no temporary file is left"


def test_on_a_disk_too_full_for_a_status_it_is_told_all_the_same(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with InstanceLock(state):
        assert read_status(state).state == "starting"
        monkeypatch.setattr("daemon.status.free_bytes", lambda _: 4096)
        found = read_status(state)
        assert found.state == "paused"
        assert "disk full: 0 MB" in found.reasons[0]
    assert read_status(state).state == "stopped"


@pytest.mark.parametrize("folders", [0, 200], ids=["short", "too long for the blocks"])
def test_on_a_full_disk_it_is_written_over_what_is_there(
    state: StateFolder, folders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_status(state, STATUS)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    many = tuple(FolderStatus(f"/hot/{number}", "ok", 1) for number in range(folders))
    with monkeypatch.context() as patch, InstanceLock(state):
        patch.setattr("pathlib.Path.write_text", full)
        write_status(state, replace(STATUS, state="paused", reasons=("disk full",), folders=many))
        found = read_status(state)
    assert (found.state, list(found.reasons), found.folders) == ("paused", ["disk full"], ())


def test_any_other_failure_of_the_disk_is_told(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("pathlib.Path.write_text", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_status(state, STATUS)


def test_a_name_that_is_no_text_survives(state: StateFolder) -> None:
    name = os.fsdecode(b"/hot/\xff")
    write_status(state, Status("stopped", None, 1, folders=(FolderStatus(name, "ok", 1),)))
    assert read_status(state).folders[0].path == name


@pytest.mark.parametrize("last", ["ok", "scanning", "degraded", "paused", "starting"])
def test_a_writer_that_died_is_stopped_without_having_said_so(state: StateFolder, last: State) -> None:
    write_status(state, Status(last, 17, 1, files=5, queue=2, images_per_second=3.0))
    found = read_status(state)
    assert (found.state, found.pid, found.images_per_second) == ("stopped", None, 0.0)
    assert (found.files, found.queue) == (5, 2)
    assert found.reasons == ("it ended without saying so",)


def test_a_writer_that_said_goodbye_needs_no_reason(state: StateFolder) -> None:
    write_status(state, Status("stopped", None, 1))
    assert read_status(state).reasons == ()


def test_a_held_lock_under_an_old_status_is_a_start(state: StateFolder) -> None:
    write_status(state, Status("stopped", None, 1, files=5))
    with InstanceLock(state):
        assert read_status(state).state == "starting"
        state.status.unlink()
        assert read_status(state).state == "starting"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        '{"schema": 1}',
        '{"schema": 1, "folders": 3, "index": {}}',
        '{"schema": 2, "new": 1}',
        "\xff",
    ],
)
def test_a_file_that_says_nothing_is_a_stopped_service(state: StateFolder, content: str) -> None:
    state.status.write_text(content, "latin-1")
    assert read_status(state) == Status("stopped", None, 0)


def test_no_state_folder_is_made_by_looking(tmp_path: Path) -> None:
    assert read_status(StateFolder(tmp_path / "none")).state == "stopped"
    assert not (tmp_path / "none").exists()
