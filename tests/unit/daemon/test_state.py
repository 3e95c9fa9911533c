"""The state folder and its lock."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.state import InstanceLock, StateFolder, default_state_path, is_locked
from store.errors import AccessError, BusyError, UsageError

_HOLD = """
import sys
from pathlib import Path
from daemon.state import InstanceLock, StateFolder
with InstanceLock(StateFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(state: StateFolder) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _HOLD, str(state.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "deep/state")
    folder.create()
    return folder


def test_only_the_owner_may_look_into_it(state: StateFolder) -> None:
    assert state.path.stat().st_mode & 0o777 == 0o700
    state.create()


def test_everything_lies_in_it(state: StateFolder) -> None:
    places = [state.catalog, state.status, state.lock, state.report, state.quarantine]
    assert {place.parent for place in places} == {state.path}
    assert len(set(places)) == len(places)


def test_a_relative_path_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert StateFolder(Path("s")).path == tmp_path / "s"
    assert StateFolder(None).path == default_state_path()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        StateFolder(tmp_path / "file").create()
    with pytest.raises(AccessError, match="cannot make"):
        StateFolder(tmp_path / "file/state").create()


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_a_folder_that_cannot_be_written_is_refused(state: StateFolder) -> None:
    state.path.chmod(0o500)
    with pytest.raises(AccessError, match="cannot write"):
        state.create()


def test_one_instance_at_a_time(state: StateFolder) -> None:
    assert not is_locked(state)
    with held_by_another(state) as other:
        assert is_locked(state)
        with pytest.raises(BusyError, match="another dedupd") as caught, InstanceLock(state):
            pass
        assert caught.value.exit_code == 75
        other.kill()
        other.wait()
        assert not is_locked(state), "the kernel frees the lock of the dead"
    with InstanceLock(state):
        pass
    with InstanceLock(state):
        pass


def test_looking_at_the_lock_leaves_no_trace(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "none")
    assert not is_locked(state)
    assert not state.path.exists()
    state.create()
    assert not is_locked(state)
    assert not state.lock.exists()


def test_a_name_that_is_no_text_is_noted_exactly(state: StateFolder) -> None:
    name = Path(os.fsdecode(b"/x/\xff.toml"))
    state.note_config(name)
    assert state.noted_config() == name
