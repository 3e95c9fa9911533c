"""The definition of the service: the templates of systemd/ and launchd/, filled in from the configuration.

Only text is made here; `daemon.managers` hands it to systemd or launchd.
"""

import os
import plistlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.config import Settings
from daemon.state import StateFolder
from store.errors import ConfigError, StateError
from store.text import printable

MARK = "The service unit of dedupd"  # what tells our unit from another of that name
LABEL = "io.dedupd.agent"
_ROOT = Path(__file__).parents[1]
_SHARED_TEMPORARY = ("/tmp", "/var/tmp")
_GPU = Path("/dev/nvidiactl")
_MARK_PATTERN = re.compile(r"@[A-Z]+@")
_CLOSED = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "IPAddressDeny=any",
    "IPAddressAllow=localhost",
)
_SYSTEM_ONLY = ("ProtectKernelLogs=yes", "RemoveIPC=yes")  # the first fails under a user's manager in containers
_USER_ONLY = ("PrivateUsers=yes",)  # without it a user's manager has no right to mount anything


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be started, with what, and for whom."""

    command: str  # absolute path of the `dedupd` command
    config: str
    state: StateFolder
    settings: Settings
    system: bool = False
    account: str = ""  # of a system unit
    sandbox: bool = True  # False where the kernel gives users no namespaces


def writable_places(settings: Settings, state: StateFolder) -> list[str]:
    """List the folders that the service writes to: its state, quarantines, and hot folders from which files leave."""
    places = [os.path.realpath(state.path)]
    for hot in settings.hot_folder:
        if hot.output is not None:
            places.append(hot.output)
        if hot.action != "report" and not hot.protected:
            places.append(hot.path)
    return list(dict.fromkeys(places))


def unit_text(installation: Installation) -> str:
    """Return the systemd unit. Raises ConfigError for a path that a unit cannot name."""
    system = installation.system
    values = {
        "@DEDUPD@": in_command(installation.command),
        "@CONFIG@": in_command(installation.config),
        "@STATE@": in_command(str(installation.state.path)),
        "@ORDER@": "After=local-fs.target remote-fs.target" if system else "",
        "@ACCOUNT@": f"User={installation.account}\nGroup={installation.account}" if system else "",
        "@SANDBOX@": "\n".join(_sandbox(installation)),
        "@TARGET@": "multi-user.target" if system else "default.target",
    }
    return _MARK_PATTERN.sub(lambda mark: values[mark[0]], _template("systemd/dedupd.service").decode("utf-8"))


def agent_bytes(installation: Installation, log: str) -> bytes:
    """Return the launchd agent."""
    values = {
        "@DEDUPD@": installation.command,
        "@CONFIG@": installation.config,
        "@STATE@": str(installation.state.path),
        "@LOG@": log,
    }
    return plistlib.dumps(_filled(plistlib.loads(_template("launchd/io.dedupd.agent.plist")), values), sort_keys=False)


def in_command(path: str) -> str:
    """Quote a path for ExecStart=."""
    return in_list(path).replace("$", "$$")


def in_list(path: str) -> str:
    """Quote a path for ReadWritePaths= and the like. Raises ConfigError for one that a unit cannot name."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"systemd takes no path like {printable(path)}", "rename it: a unit is UTF-8 text") from None
    if not path.isprintable() and any(ord(character) < 32 for character in path):
        raise ConfigError(f"systemd takes no path like {printable(path)}", "rename it: control characters end a line")
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def granted_places(unit: str) -> list[str] | None:
    """Return where a unit lets its service write; None when it does not restrict that."""
    lines = re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE)
    if ("ProtectSystem", "strict") not in lines:
        return None
    granted: list[str] = []
    for key, value in lines:
        if key == "ReadWritePaths":  # an empty value takes back what came before
            words = [word.lstrip("-+").replace("%%", "%") for word in shlex.split(value)]
            granted = [*granted, *words] if words else []
    return granted


def is_granted(place: str, granted: Sequence[str]) -> bool:
    """Tell whether a folder lies in one of the granted ones."""
    return any(place == root or place.startswith(root.rstrip("/") + "/") for root in granted)


def _sandbox(installation: Installation) -> list[str]:
    if not installation.sandbox:
        return ["# This kernel gives users no namespaces of their own, so the file system stays as open as to you."]
    places = writable_places(installation.settings, installation.state)
    used = [*places, installation.config, *(hot.path for hot in installation.settings.hot_folder)]
    lines = [*_CLOSED, *(_SYSTEM_ONLY if installation.system else _USER_ONLY)]
    if not any(is_granted(os.path.realpath(path), _SHARED_TEMPORARY) for path in used):
        lines.append("PrivateTmp=yes")
    device = installation.settings.embedding.device
    if device == "cpu" or (device == "auto" and not _GPU.exists()):
        lines.append("PrivateDevices=yes")
    lines.append("# Written from the configuration: state, quarantines, and hot folders from which files leave.")
    lines.append("# A folder that is not there yet (-) must not keep the service from starting.")
    lines += [f"ReadWritePaths={in_list('-' + place)}" for place in places]
    return lines


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        return values.get(value, value)
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    return value


def _template(name: str) -> bytes:
    try:
        return (_ROOT / name).read_bytes()
    except OSError as error:
        raise StateError(f"the template {name} is not there", "install dedupd with `make install`") from error
