"""What is asked of systemd and launchd, by stand-ins on the path that note what they are asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import daemon.managers
from daemon.installing import Installation
from daemon.managers import Launchd, Systemd, make_account, manager, require_runnable, write_definition
from daemon.state import StateFolder
from store.errors import AccessError, StateError, UsageError
from tests.patience import PATIENCE_SECONDS
from tests.unit.daemon.called import Call
from tests.unit.daemon.test_installing import SETTINGS

_STAND_IN = """#!{python}
import json, os, sys
with open({asked!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
print(os.environ.get("SAYS", ""))
sys.exit(int(os.environ.get("ENDS", "0")) if any(word in sys.argv for word in os.environ.get("AT", "").split()) else 0)
"""


class Asked:
    """The commands that were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def all(self) -> list[list[str]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Put stand-ins for systemctl and launchctl first on the path, and a home of its own."""
    seen = Asked(tmp_path / "asked")
    (tmp_path / "bin").mkdir()
    for name in ("systemctl", "launchctl", "journalctl", "useradd", "unshare"):
        program = tmp_path / "bin" / name
        program.write_text(_STAND_IN.format(python=sys.executable, asked=str(seen.path)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return seen


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("/opt/dedupd", "/etc/c.toml", StateFolder(tmp_path / "state"), SETTINGS)


def test_a_user_unit_is_written_enabled_and_started(asked: Asked, tmp_path: Path, installation: Installation) -> None:
    systemd = Systemd()
    systemd.install(systemd.definition(installation), start=True)
    assert systemd.path == tmp_path / "home/.config/systemd/user/dedupd.service"
    assert systemd.definition_in_force() == systemd.definition(installation).decode()
    verbs = [words[2:] for words in asked.all if words[:2] == ["systemctl", "--user"]]
    assert verbs == [["daemon-reload"], ["enable", "dedupd.service"], ["restart", "dedupd.service"]]


def test_without_a_start_it_is_only_enabled(asked: Asked, installation: Installation) -> None:
    systemd = Systemd()
    systemd.install(systemd.definition(installation), start=False)
    assert [words[2] for words in asked.all] == ["daemon-reload", "enable"]


def test_a_start_that_fails_is_told_in_systemds_words(
    asked: Asked, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDS", "1")
    monkeypatch.setenv("AT", "restart")
    monkeypatch.setenv("SAYS", "Job failed")
    with pytest.raises(StateError, match=r"systemctl --user restart dedupd\.service: Job failed"):
        Systemd().install(Systemd().definition(installation), start=True)


def test_what_is_not_ours_is_not_removed(asked: Asked, installation: Installation) -> None:
    systemd = Systemd()
    with pytest.raises(UsageError, match="nothing is installed"):
        systemd.uninstall()
    write_definition(systemd.path, b"[Service]\nExecStart=/bin/true\n")
    with pytest.raises(UsageError, match="not written by dedupd"):
        systemd.uninstall()
    assert systemd.path.exists()
    assert asked.all == []
    systemd.install(systemd.definition(installation), start=False)
    systemd.uninstall()
    assert not systemd.path.exists()
    assert [words[2:] for words in asked.all[-2:]] == [["disable", "--now", "dedupd.service"], ["daemon-reload"]]


def test_the_standing_is_systemds(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    says = "ActiveState=failed\nSubState=failed\nResult=watchdog\nNRestarts=3\nStatusText=disk full: 3 MB"
    monkeypatch.setenv("SAYS", says)
    standing = Systemd().standing()
    assert not standing.installed
    assert standing.state == "failed (failed), watchdog, restarted 3 times: disk full: 3 MB"


def test_drop_ins_count(asked: Asked, installation: Installation) -> None:
    systemd = Systemd()
    write_definition(systemd.path, systemd.definition(installation))
    write_definition(systemd.path.with_name("dedupd.service.d") / "more.conf", b"[Service]\nReadWritePaths=/more\n")
    assert (systemd.definition_in_force() or "").rstrip().endswith("ReadWritePaths=/more")


def test_without_systemd_the_way_by_hand_is_named(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="no systemctl") as caught:
        Systemd().install(Systemd().definition(installation), start=True)
    assert "by hand" in caught.value.hint
    assert Systemd().standing().state.startswith("unknown")


def test_the_agent_is_loaded_and_unloaded(asked: Asked, tmp_path: Path, installation: Installation) -> None:
    launchd = Launchd()
    launchd.install(launchd.definition(installation), start=True)
    assert launchd.path == tmp_path / "home/Library/LaunchAgents/io.dedupd.agent.plist"
    domain = f"gui/{os.getuid()}"
    assert asked.all[-1] == ["launchctl", "bootstrap", domain, str(launchd.path)]
    launchd.uninstall()
    assert asked.all[-1] == ["launchctl", "bootout", f"{domain}/io.dedupd.agent"]
    assert not launchd.path.exists()
    with pytest.raises(UsageError):
        launchd.uninstall()


def test_on_macos_there_are_agents_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.managers.sys.platform", "darwin")
    assert isinstance(manager(system=False), Launchd)
    with pytest.raises(UsageError):
        manager(system=True)


def test_an_account_is_made_once(asked: Asked) -> None:
    assert not make_account("root")
    assert asked.all == []
    assert make_account("dedupd-that-is-not-there")
    assert asked.all[0][:2] == ["useradd", "--system"]


def test_an_account_that_cannot_run_the_command_is_told_at_once(tmp_path: Path) -> None:
    import pwd

    me = pwd.getpwuid(os.geteuid()).pw_name
    hidden = tmp_path / "hidden"
    hidden.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(AccessError, match="cannot run"):
        require_runnable(str(hidden), me)
    if os.geteuid():
        pytest.skip("only root may try it as an account")
    hidden.chmod(0o755)
    require_runnable(str(hidden), me)


# -- the verb ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(f'[[hot_folder]]\npath = "{tmp_path}/hot"\naction = "move"\noutput = "{tmp_path}/q"\n')
    return path


def test_a_dry_run_prints_and_writes_nothing(call: Call, asked: Asked, config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    answer = call("service", "install", "--dry-run", "--config", config, "--state", tmp_path / "s")
    assert answer.code == 0
    assert f'ReadWritePaths="-{tmp_path}/q"' in answer.out
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == [asked.path]
    assert [words[0] for words in asked.all] == ["unshare"], "it only tries whether there are namespaces"


def test_install_makes_the_places_that_the_sandbox_needs(
    call: Call, asked: Asked, config: Path, tmp_path: Path
) -> None:
    answer = call("service", "install", "--config", config, "--state", tmp_path / "s", "--json")
    assert (answer.code, answer.json["started"], answer.json["sandbox"]) == (0, True, True)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "q").is_dir()
    assert call("service", "status", "--state", tmp_path / "s", "--json").json["installed"]
    assert call("service", "uninstall", "--json").code == 0
    assert call("service", "status", "--state", tmp_path / "s").code == 1


def test_where_the_kernel_refuses_a_sandbox_it_goes_without(
    call: Call, asked: Asked, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDS", "1")
    monkeypatch.setenv("AT", "unshare --map-root-user")
    answer = call("service", "install", "--config", config, "--state", tmp_path / "s")
    assert answer.code == 0
    assert "not kept from writing" in answer.out
    assert "ProtectSystem" not in (Systemd().definition_in_force() or "")


def test_a_broken_configuration_installs_nothing(call: Call, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("nonsense")
    assert call("service", "install", "--config", tmp_path / "c.toml").code == 78
    assert not Systemd().path.exists()


def test_logs_are_the_managers(asked: Asked, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from daemon.cli import main; main(['service', 'logs', '--lines', '7'])"]
    subprocess.run(command, check=True, timeout=PATIENCE_SECONDS, cwd=Path(daemon.__file__).parents[1])
    assert asked.all[-1] == [
        "journalctl", "--user-unit", "dedupd.service", "--lines=7", "--output=cat", "--no-pager"
    ]  # fmt: skip
