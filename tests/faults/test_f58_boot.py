"""F58: a broken configuration or a missing folder when the machine boots."""

from pathlib import Path

import pytest

from tests.e2e.command import dedupd, running, write_config
from tests.faults.booting import machine
from tests.faults.conftest import Record
from tests.faults.test_f57_manager import install

FIGURE = "restarts 0"


@pytest.mark.fault(
    "F58", injected="real systemd: a configuration broken before a restart; then a folder away", figure=FIGURE
)
@pytest.mark.privileged("systemd-nspawn", "nsenter")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
def test_what_a_person_must_mend_is_not_tried_again(tmp_path: Path, record: Record) -> None:
    with machine(tmp_path / "machine") as booted:
        install(booted)
        config = booted.root / "etc/dedupd/dedupd.toml"
        right = config.read_text()
        config.write_text("nonsense")
        booted.run("systemctl", "restart", "dedupd", check=False)
        booted.until("dedupd", 60, ActiveState="failed")
        facts = booted.facts("dedupd", "NRestarts", "ExecMainStatus")
        assert facts == {"NRestarts": "0", "ExecMainStatus": "78"}
        assert "dedupd.toml" in booted.log("dedupd")
        config.write_text(right.replace("/srv/hot", "/srv/not there yet"))
        booted.run("systemctl", "reset-failed", "dedupd")
        booted.run("systemctl", "restart", "dedupd")
        booted.until("dedupd", 60, ActiveState="active", NRestarts="0")
    record(2, 0, "restarts 0 after exit 78; a folder that is away: active")


@pytest.mark.fault("F58", injected="a broken configuration, and a missing folder, without systemd", figure=FIGURE)
def test_a_missing_folder_is_waited_for(tmp_path: Path, record: Record) -> None:
    (tmp_path / "broken.toml").write_text("nonsense")
    answer = dedupd("run", "--config", tmp_path / "broken.toml", "--state", tmp_path / "s")
    assert (answer.code, "Traceback" in answer.err) == (78, False)
    config = write_config(tmp_path / "c.toml", {"path": tmp_path / "hot"}, upkeep={"check_seconds": 0.5})
    with running(config, tmp_path / "state") as daemon:
        daemon.wait_for(lambda: _states(daemon.status()) == ["waiting"], "it waits")
        (tmp_path / "hot").mkdir()
        daemon.wait_for(lambda: _states(daemon.status()) == ["ok"], "it goes on")
        assert daemon.stop()[0] == 0
    record(2)


def _states(status: "dict[str, object]") -> list[str]:
    folders = status.get("folders", [])
    assert isinstance(folders, list)
    return [folder["state"] for folder in folders]
