"""What keeps dedupd from working here: each finding with the line to change, and nothing changed."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import daemon.doctor
from daemon.config import Settings, UpkeepSettings
from daemon.doctor import Finding, Patient, examine
from daemon.folders import HotFolder
from daemon.installing import Installation, unit_text
from daemon.managers import Systemd, write_definition
from daemon.state import InstanceLock, StateFolder
from pipeline.embedding import EmbeddingSettings
from store.backup import backup_path, take_backup
from store.catalog import Catalog
from tests.unit.daemon.called import Call

NOW_NS = 1_800_000_000 * 10**9
Change = Callable[[Patient], Patient]


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """A machine on which all is well."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in ("hot", "quarantine"):
        (tmp_path / name).mkdir()
    hot = HotFolder(str(tmp_path / "hot"), "move", str(tmp_path / "quarantine"))
    state = StateFolder(tmp_path / "state")
    state.create()
    Catalog(state.catalog).close()
    take_backup(state.catalog, backup_path(state.catalog, NOW_NS))
    return Patient(Settings(hot_folder=(hot,)), None, state, Systemd(), NOW_NS)


def found(patient: Patient, *levels: str) -> list[Finding]:
    return [finding for finding in examine(patient) if finding.level in (levels or ("warning", "problem"))]


def only(patient: Patient, level: str) -> Finding:
    findings = found(patient)
    assert len(findings) == 1, findings
    assert findings[0].level == level
    return findings[0]


def test_on_a_well_machine_there_is_nothing(patient: Patient) -> None:
    before = sorted(patient.state.path.rglob("*"))
    assert found(patient) == []
    assert {finding.topic.split()[0] for finding in examine(patient)} >= {
        "SQLite", "state", "instance", "catalog", "backup", "model", "hot", "quarantine", "space", "service"
    }  # fmt: skip
    after = [path for path in sorted(patient.state.path.rglob("*")) if not path.name.endswith(("-wal", "-shm"))]
    assert after == [path for path in before if not path.name.endswith(("-wal", "-shm"))]


def test_an_old_sqlite_is_named_with_what_to_install(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.doctor, "sqlite_version_is_safe", lambda: False)
    finding = only(patient, "warning")
    assert finding.topic == "SQLite"
    assert "pysqlite3" in finding.change


def test_a_state_folder_that_everybody_writes_to(patient: Patient) -> None:
    patient.state.path.chmod(0o777)
    assert only(patient, "problem").change == f"chmod o-w {patient.state.path}"
    patient.state.path.chmod(0o755)
    assert found(patient, "note")[0].change == f"chmod 700 {patient.state.path}"


@pytest.mark.parametrize(("kind", "level"), [("nfs4", "problem"), ("fuse.mergerfs", "warning")])
def test_a_state_folder_on_a_share(patient: Patient, monkeypatch: pytest.MonkeyPatch, kind: str, level: str) -> None:
    monkeypatch.setattr(daemon.doctor, "mounts_of_system", lambda: [("/", kind)])
    assert kind in only(patient, level).message


def test_a_damaged_catalog_comes_with_its_backup(patient: Patient) -> None:
    patient.state.catalog.write_bytes(b"no catalog" * 1000)
    finding = only(patient, "problem")
    assert finding.topic == "catalog"
    assert f"dedupd backup restore {backup_path(patient.state.catalog, NOW_NS)}" in finding.change


def test_an_old_backup(patient: Patient) -> None:
    later = replace(patient, now_ns=NOW_NS + 10 * 24 * 3600 * 10**9)
    assert only(later, "warning").message == "the newest is 10 days old"


def test_a_model_that_was_replaced(patient: Patient, tmp_path: Path) -> None:
    pinned = replace(patient.settings, embedding=EmbeddingSettings(sha256="0" * 64))
    finding = only(replace(patient, settings=pinned), "problem")
    assert finding.topic == "model"
    assert finding.change


def test_a_hot_folder_that_is_not_there_is_waited_for(patient: Patient, tmp_path: Path) -> None:
    os.rmdir(tmp_path / "hot")
    assert only(patient, "warning").change == f"mkdir -p {tmp_path}/hot"


def test_a_hot_folder_that_does_not_answer(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(daemon.doctor, "_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(daemon.doctor, "_list", lambda _: threading.Event().wait())
    assert "has not answered" in only(patient, "problem").message


def test_what_macos_keeps_back_names_the_program_to_allow(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(daemon.doctor, "_list", refuse)
    monkeypatch.setattr(daemon.doctor, "_IS_MACOS", True)
    finding = only(patient, "problem")
    assert "Full Disk Access" in finding.change
    assert os.path.realpath(sys.executable) in finding.change


def test_too_few_watches_come_with_the_sysctl(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        (tmp_path / "hot" / str(number)).mkdir()
    monkeypatch.setattr(daemon.doctor, "inotify_limit", lambda _: 5)
    finding = only(patient, "problem")
    assert "10 folders" in finding.message
    assert "sysctl" in finding.change
    assert "fs.inotify.max_user_watches=" in finding.change
    monkeypatch.setattr(daemon.doctor, "inotify_limit", lambda _: 15)
    assert only(patient, "warning").topic == "inotify"


def test_too_little_space_names_the_key(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.doctor, "free_bytes", lambda _: 100 << 20)
    findings = found(patient)
    assert [finding.level for finding in findings] == ["warning", "problem"]
    assert "min_free_mb" in findings[1].message
    tight = replace(patient.settings, upkeep=UpkeepSettings(min_free_state_mb=200))
    assert "the service pauses" in found(replace(patient, settings=tight))[0].message


def test_a_unit_that_does_not_know_of_a_folder_names_the_line(patient: Patient, tmp_path: Path) -> None:
    installed = Installation("/opt/dedupd", "/c.toml", patient.state, patient.settings)
    write_definition(patient.manager.path, unit_text(installed).encode())
    assert found(patient) == []
    (tmp_path / "new").mkdir()
    more = HotFolder(str(tmp_path / "new"), "move", str(tmp_path / "quarantine"))
    grown = replace(patient.settings, hot_folder=(*patient.settings.hot_folder, more))
    finding = only(replace(patient, settings=grown), "problem")
    assert f'ReadWritePaths="-{tmp_path}/new"' in finding.change
    assert "dedupd service install" in finding.change
    assert str(patient.manager.path) in finding.message


def test_a_running_instance_is_told(patient: Patient) -> None:
    with InstanceLock(patient.state):
        notes = [finding for finding in found(patient, "note") if finding.topic == "instance"]
    assert notes
    assert "runs here" in notes[0].message


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_places_without_permission(patient: Patient, tmp_path: Path) -> None:
    for name in ("hot", "quarantine", "state"):
        (tmp_path / name).chmod(0o500)
    assert {finding.topic.split()[0] for finding in found(patient, "problem")} == {"hot", "quarantine", "state"}


def test_the_verb_ends_with_1_for_a_problem_and_says_the_same_to_programs(
    call: Call, patient: Patient, tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[[hot_folder]]\npath = "{tmp_path}/hot"\n')
    words = ("doctor", "--config", config, "--state", patient.state.path)
    assert call(*words).code == 0
    patient.state.path.chmod(0o777)
    answer = call(*words)
    assert answer.code == 1
    assert f"→ chmod o-w {patient.state.path}" in answer.out
    told = call(*words, "--json").json
    assert not told["ok"]
    assert {"level", "topic", "message", "change"} == set(told["findings"][0])
