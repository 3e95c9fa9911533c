"""The definition of the service, from the configuration: valid, hardened, and able to do its work."""

import os
import plistlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Settings
from daemon.folders import HotFolder
from daemon.installing import (
    Installation,
    agent_bytes,
    granted_places,
    in_list,
    is_granted,
    unit_text,
    writable_places,
)
from daemon.state import StateFolder
from pipeline.embedding import EmbeddingSettings
from store.errors import ConfigError
from tests.patience import PATIENCE_SECONDS

ODD = "/home/me/my \"best\" pictures/100% $HOME é \\ 'x'"
SETTINGS = Settings(
    hot_folder=(
        HotFolder("/home/me/in", "move", "/disk/quarantine"),
        HotFolder(ODD, "copy"),
        HotFolder("/home/me/looked at", "report"),
        HotFolder("/home/me/archive", "move", protected=True),
    )
)
STATE = StateFolder(Path("/home/me/.local/state/dedupd"))
USER = Installation("/opt/dedupd/.venv/bin/dedupd", f"{ODD}/c.toml", STATE, SETTINGS)
SYSTEM = replace(USER, system=True, account="dedupd")
EXPOSURE = {"user": 25, "system": 20}  # tenths of systemd's own scale of 100, lower is closed


def analyse(*words: object, base: Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    environment = os.environ | {"XDG_RUNTIME_DIR": str(base)}
    command = ["systemd-analyze", *map(str, words)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.mark.parametrize("installation", [USER, SYSTEM], ids=["user", "system"])
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path, installation: Installation) -> None:
    command = tmp_path / "dedupd"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    unit = tmp_path / "dedupd.service"
    unit.write_text(unit_text(replace(installation, command=str(command))), "utf-8")
    scope = [] if installation.system else ["--user"]
    verified = analyse("verify", "--recursive-errors=no", "--man=no", *scope, unit, base=tmp_path)
    assert (verified.returncode, verified.stderr) == (0, "")
    unit.write_text(unit.read_text("utf-8").replace("WatchdogSec", "WatchdogSecs"), "utf-8")
    spoilt = analyse("verify", "--recursive-errors=no", "--man=no", *scope, unit, base=tmp_path)
    assert spoilt.returncode, "the check can fail"


@pytest.mark.parametrize(("kind", "installation"), [("user", USER), ("system", SYSTEM)])
def test_the_unit_is_closed(tmp_path: Path, kind: str, installation: Installation) -> None:
    unit = tmp_path / "dedupd.service"
    unit.write_text(unit_text(installation), "utf-8")
    scope = [] if installation.system else ["--user"]
    judged = analyse("security", "--offline=yes", f"--threshold={EXPOSURE[kind]}", *scope, unit, base=tmp_path)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("installation", [USER, SYSTEM], ids=["user", "system"])
def test_no_placeholder_is_left(installation: Installation) -> None:
    assert not re.search(r"@[A-Z]+@", unit_text(installation))


def test_it_may_write_where_files_leave_and_arrive_and_nowhere_else() -> None:
    places = writable_places(SETTINGS, STATE)
    assert places == [str(STATE.path), "/disk/quarantine", "/home/me/in", ODD]
    assert granted_places(unit_text(USER)) == places


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_any_name_comes_back_from_the_unit(name: str) -> None:
    settings = replace(SETTINGS, hot_folder=(HotFolder(f"/x/{name}", "move"),))
    granted = granted_places(unit_text(replace(USER, settings=settings)))
    assert granted is not None
    assert f"/x/{name}" in granted


@pytest.mark.parametrize("path", ["/a\nExecStart=/bin/sh", "/a\x1b[2J", os.fsdecode(b"/a/\xff")])
def test_a_name_that_a_unit_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="systemd takes no path"):
        in_list(path)


def test_what_a_person_added_to_the_unit_counts() -> None:
    unit = unit_text(USER)
    assert granted_places(unit + '\n[Service]\nReadWritePaths=/more "/and more"\n') == [
        *writable_places(SETTINGS, STATE), "/more", "/and more"
    ]  # fmt: skip
    assert granted_places(unit + "\n[Service]\nReadWritePaths=\nReadWritePaths=/only\n") == ["/only"]
    assert granted_places("[Service]\nType=notify\n") is None


@pytest.mark.parametrize(("place", "granted"), [("/a/b", True), ("/a", True), ("/ab", False), ("/", False)])
def test_a_folder_in_a_granted_one_is_granted(place: str, granted: bool) -> None:
    assert is_granted(place, ["/x", "/a"]) is granted


def test_without_namespaces_for_users_the_unit_takes_none() -> None:
    unit = unit_text(replace(USER, sandbox=False))
    assert granted_places(unit) is None
    assert "Private" not in unit
    assert "NoNewPrivileges=yes" in unit


def test_a_folder_below_tmp_is_seen() -> None:
    assert "PrivateTmp=yes" in unit_text(USER)
    below = replace(SETTINGS, hot_folder=(HotFolder("/tmp/in"),))
    assert "PrivateTmp" not in unit_text(replace(USER, settings=below))


@pytest.mark.parametrize(("device", "private"), [("cpu", True), ("cuda", False)])
def test_a_gpu_is_reached_where_one_is_asked_for(device: str, private: bool) -> None:
    settings = replace(SETTINGS, embedding=EmbeddingSettings(device=device))  # type: ignore[arg-type]
    assert ("PrivateDevices=yes" in unit_text(replace(USER, settings=settings))) is private


def test_the_agent_is_what_the_template_says_with_odd_paths_intact() -> None:
    agent = plistlib.loads(agent_bytes(USER, "/home/me/Library/Logs/dedupd.log"))
    assert agent["ProgramArguments"] == [USER.command, "run", "--config", USER.config, "--state", str(STATE.path)]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["StandardErrorPath"] == "/home/me/Library/Logs/dedupd.log"
    assert not [value for value in agent.values() if isinstance(value, str) and "@" in value]
    assert plistlib.loads(plistlib.dumps(agent)) == agent
