"""F61: the hardened service may not write to a folder that the configuration names; macOS keeps a folder back."""

import json
from pathlib import Path

import pytest

from tests.e2e.command import COMMAND
from tests.faults.booting import Machine, machine
from tests.faults.conftest import Record
from tests.faults.pictures import put_tiny
from tests.faults.test_f57_manager import install
from tests.patience import wait_until

FIGURE = "advice shown 100 %; silent hangs 0"


@pytest.mark.fault(
    "F61", injected="real systemd: a hot folder and a quarantine added without installing again", figure=FIGURE
)
@pytest.mark.privileged("systemd-nspawn", "nsenter")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
def test_the_doctor_names_the_line_and_installing_again_mends_it(tmp_path: Path, record: Record) -> None:
    with machine(tmp_path / "machine") as booted:
        install(booted)
        words = ("--config", "/etc/dedupd/dedupd.toml", "--state", "/var/lib/dedupd")
        new = booted.root / "srv/new one"
        for name in ("a.png", "b.png"):
            put_tiny(new / name, 1)
        booted.run("chown", "-R", "dedupd:", "/srv/new one")
        config = booted.root / "etc/dedupd/dedupd.toml"
        more = '[[hot_folder]]\npath = "/srv/new one"\naction = "move"\noutput = "/srv/quarantine"\n'
        config.write_text(config.read_text() + more)
        booted.run("systemctl", "reload", "dedupd")

        wait_until(lambda: "read-only" in _reasons(booted), "the refusal is told", 300)
        reasons = _reasons(booted)
        told = booted.run(COMMAND, "doctor", "--system", *words, check=False)
        assert 'ReadWritePaths="-/srv/new one"' in told, told
        assert "dedupd service install --system" in told
        assert sorted(path.name for path in new.glob("*.png")) == ["a.png", "b.png"], "refused, not half done"
        booted.run(COMMAND, "service", "install", "--system")
        wait_until(lambda: len(list(new.glob("*.png"))) == 1, "one of the two moves", 300)
        assert "ReadWritePaths" not in booted.run(COMMAND, "doctor", "--system", *words, check=False)
    record(1, 0, f"status: {reasons[-27:]}; the doctor names the line")


def _reasons(booted: Machine) -> str:
    status = json.loads(booted.run(COMMAND, "status", "--json", "--state", "/var/lib/dedupd"))
    return "; ".join(status["reasons"])
