"""F42: a state folder that is read-only, on a share, writable by everybody, or another user's."""

import os
import subprocess
from pathlib import Path

import pytest

import daemon.mounts
from daemon.state import StateFolder
from store.catalog import Catalog
from store.errors import AccessError, ConfigError
from tests.e2e.command import Answer, dedupd
from tests.faults.conftest import Record
from tests.faults.disks import mount_memory

FIGURE = "clear message, exit 77 or 78; tracebacks 0; no write-ahead log on a share"


def scanned(base: Path, state: Path) -> Answer:
    """Scan an empty folder with this state."""
    (base / "in").mkdir(exist_ok=True)
    answer = dedupd("scan", base / "in", "--output", base / "out", "--state", state)
    assert "Traceback" not in answer.err
    assert "hint:" in answer.err
    return answer


@pytest.mark.fault("F42", injected="chmod 777 on the state folder", figure=FIGURE)
def test_a_folder_that_everybody_may_write_to(tmp_path: Path, record: Record) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    answer = scanned(tmp_path, tmp_path / "state")
    assert answer.code == 78
    assert "chmod o-w" in answer.err
    assert list((tmp_path / "state").iterdir()) == []
    record(1, 0, "refused with a hint each time, tracebacks 0")


@pytest.mark.fault("F42", injected="file systems of other machines, by a table of mounts", figure=FIGURE)
@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_a_share(tmp_path: Path, record: Record, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.mounts, "mounts_of_system", lambda: [("/", "ext4"), (str(tmp_path), kind)])
    with pytest.raises(ConfigError, match=kind) as caught:
        StateFolder(tmp_path / "state").create()
    assert caught.value.exit_code == 78
    assert "local disk" in caught.value.hint
    record(1, 0, "refused with a hint each time, tracebacks 0")


@pytest.mark.fault("F42", injected="a catalog, and a folder, of another user", figure=FIGURE)
@pytest.mark.privileged()
@pytest.mark.parametrize("what", ["catalog.sqlite3", "."])
def test_another_users(tmp_path: Path, record: Record, what: str) -> None:
    state = StateFolder(tmp_path / "state")
    state.create()
    Catalog(state.catalog).close()
    os.chown(state.path / what, 12345, 12345)
    answer = scanned(tmp_path, state.path)
    assert answer.code == 78
    assert "uid 12345" in answer.err
    record(1, 0, "refused with a hint each time, tracebacks 0")


@pytest.mark.fault("F42", injected="a disk that is mounted read-only, with and without a catalog on it", figure=FIGURE)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.parametrize("known", [False, True])
def test_a_read_only_disk(tmp_path: Path, record: Record, known: bool) -> None:
    mount_memory(tmp_path / "disk", 32 << 20)
    state = StateFolder(tmp_path / "disk" / "state")
    if known:
        state.create()
        Catalog(state.catalog).close()
    subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
    answer = scanned(tmp_path, state.path)
    assert answer.code == 77
    assert "state folder" in answer.err
    if known:
        assert dedupd("groups", "--state", state.path).code in (0, 77)
    record(1, 0, "refused with a hint each time, tracebacks 0")


@pytest.mark.fault("F42", injected="a state folder without permission to write", figure=FIGURE)
@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_a_folder_without_permission(tmp_path: Path, record: Record) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o500)
    with pytest.raises(AccessError):
        StateFolder(tmp_path / "state").create()
    assert scanned(tmp_path, tmp_path / "state").code == 77
    record(1, 0, "refused with a hint each time, tracebacks 0")
