"""systemd and launchd: where a definition lies, and the commands that make it run, stop and tell."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.installing import LABEL, MARK, Installation, agent_bytes, unit_text
from store.errors import AccessError, StateError, UsageError
from store.text import printable

UNIT = "dedupd.service"
_EXIT_NAMESPACE = "226"  # systemd.exec(5)
_PATIENCE_SECONDS = 600.0  # a start waits for READY


@dataclass(frozen=True, slots=True)
class Standing:
    """How the service stands with its manager."""

    installed: bool
    path: str
    state: str  # in the manager's own words; "unknown" where it does not answer


class Systemd:
    """A unit of the user's manager, or of the system's."""

    def __init__(self, *, system: bool = False) -> None:
        self.system = system
        self._scope = [] if system else ["--user"]
        self.path = Path("/etc/systemd/system" if system else _user_config() / "systemd/user") / UNIT

    def definition(self, installation: Installation) -> bytes:
        """Return the unit's content."""
        return unit_text(installation).encode("utf-8")

    def install(self, content: bytes, *, start: bool) -> None:
        """Write the unit and have it run from now on, or with the next start of the machine. Raises StateError."""
        write_definition(self.path, content)
        self._systemctl("daemon-reload")
        self._systemctl("enable", UNIT)
        if start:
            self._systemctl("restart", UNIT)  # also one that runs with an older definition

    def refuses_sandbox(self) -> bool:
        """Tell whether the last start failed because this system gives a user's service no mounts of its own."""
        status = _told(["systemctl", *self._scope, "show", UNIT, "--property=ExecMainStatus", "--value"])
        return not self.system and status.strip() == _EXIT_NAMESPACE

    def uninstall(self) -> None:
        """Stop the service and remove the unit. Raises UsageError for a unit that is not ours."""
        if not self.path.exists():
            raise UsageError(f"nothing is installed at {self.path}", "with --system for a unit of the whole system")
        if MARK not in self.path.read_text("utf-8", "replace"):
            raise UsageError(f"{self.path} was not written by dedupd", "remove it by hand if it is yours")
        self._systemctl("disable", "--now", UNIT)
        self.path.unlink()
        self._systemctl("daemon-reload")

    def standing(self) -> Standing:
        """Ask how the service is."""
        installed = self.path.exists()
        properties = "ActiveState,SubState,Result,NRestarts,StatusText"
        try:
            told = _told(["systemctl", *self._scope, "show", UNIT, f"--property={properties}"])
        except StateError as error:
            return Standing(installed, str(self.path), f"unknown: {error.message}")
        facts = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        state = f"{facts.get('ActiveState', 'unknown')} ({facts.get('SubState', '')})"
        if facts.get("Result", "success") != "success":
            state += f", {facts['Result']}"
        if facts.get("NRestarts", "0") != "0":
            state += f", restarted {facts['NRestarts']} times"
        if facts.get("StatusText"):
            state += f": {facts['StatusText']}"
        return Standing(installed, str(self.path), state)

    def definition_in_force(self) -> str | None:
        """Return the installed unit with its drop-ins; None where none is installed."""
        if not self.path.exists():
            return None
        parts = [self.path, *sorted(self.path.with_name(UNIT + ".d").glob("*.conf"))]
        return "\n".join(part.read_text("utf-8", "replace") for part in parts)

    def log_command(self, lines: int, *, follow: bool) -> list[str]:
        """Return the command that shows the log."""
        unit = ["--unit" if self.system else "--user-unit", UNIT]
        return ["journalctl", *unit, f"--lines={lines}", "--output=cat", *(["--follow"] if follow else ["--no-pager"])]

    def after_install(self) -> str:
        """Say what a person may want to do next."""
        if self.system:
            return f"systemctl reload {UNIT} takes a changed configuration; after new folders, install again"
        return 'loginctl enable-linger "$USER" lets it run while nobody is logged in'

    def _systemctl(self, *words: str) -> None:
        _told(["systemctl", *self._scope, *words])


class Launchd:
    """An agent of the user who is logged in."""

    system = False

    def __init__(self) -> None:
        home = Path.home()
        self.path = home / "Library/LaunchAgents" / f"{LABEL}.plist"
        self.log = home / "Library/Logs/dedupd.log"
        self._domain = f"gui/{os.getuid()}"

    def definition(self, installation: Installation) -> bytes:
        """Return the agent's content."""
        return agent_bytes(installation, str(self.log))

    def install(self, content: bytes, *, start: bool) -> None:
        """Write the agent and load it, now or with the next log-in. Raises StateError."""
        write_definition(self.path, content)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if start:
            subprocess.run(["launchctl", "bootout", f"{self._domain}/{LABEL}"], capture_output=True, check=False)
            _told(["launchctl", "bootstrap", self._domain, str(self.path)])

    def refuses_sandbox(self) -> bool:
        """Tell that an agent has no sandbox to refuse."""
        return False

    def uninstall(self) -> None:
        """Stop the agent and remove it. Raises UsageError when there is none."""
        if not self.path.exists():
            raise UsageError(f"nothing is installed at {self.path}", "`dedupd service install` does that")
        subprocess.run(["launchctl", "bootout", f"{self._domain}/{LABEL}"], capture_output=True, check=False)
        self.path.unlink()

    def standing(self) -> Standing:
        """Ask how the agent is."""
        installed = self.path.exists()
        try:
            told = _told(["launchctl", "print", f"{self._domain}/{LABEL}"])
        except StateError as error:
            return Standing(installed, str(self.path), f"unknown: {error.message}")
        wanted = ("state = ", "pid = ", "last exit code = ")
        lines = [line.strip() for line in told.splitlines()]
        return Standing(installed, str(self.path), ", ".join(line for line in lines if line.startswith(wanted)))

    def definition_in_force(self) -> str | None:
        """Return nothing: an agent does not restrict where it writes."""
        return None

    def log_command(self, lines: int, *, follow: bool) -> list[str]:
        """Return the command that shows the log."""
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(self.log)]

    def after_install(self) -> str:
        """Say what a person may want to do next."""
        return "`dedupd doctor` names folders that macOS may keep from it, and the program to allow"


Manager = Systemd | Launchd


def manager(*, system: bool) -> Manager:
    """Return the manager of this platform. Raises UsageError for a system service where only agents are offered."""
    if sys.platform != "darwin":
        return Systemd(system=system)
    if system:
        raise UsageError("on macOS dedupd is an agent of the user", "leave --system away")
    return Launchd()


def write_definition(path: Path, content: bytes) -> None:
    """Replace a definition in one step. Raises AccessError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.chmod(0o644)
        os.replace(part, path)
    except OSError as error:
        hint = "a system unit needs root; without --system it is your own"
        raise AccessError(f"cannot write {path}: {error.strerror}", hint) from error


def make_account(name: str) -> bool:
    """Make an account that nobody logs in to, unless it is there; tell whether it was made. Raises StateError."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        shell = next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if os.path.exists(path)), "/bin/false")
        words = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", shell, name]
        _told(words)
        return True
    return False


def require_runnable(command: str, account: str) -> None:
    """Raise AccessError unless an account can run the command: a home that others may not enter hides it."""
    try:
        done = subprocess.run(
            [command, "--version"],
            user=account,
            group=account,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        works = done.returncode == 0
    except OSError:
        works = False
    if not works:
        raise AccessError(
            f"the account {account} cannot run {command}",
            "install dedupd, and the Python below it, where every user may read, for example in /opt",
        )


def users_have_namespaces() -> bool:
    """Tell whether the kernel lets users make namespaces, which a sandbox in a user's unit needs; tries it."""
    probe = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _user_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _told(words: Sequence[str]) -> str:
    """Run a command and return what it printed. Raises StateError with its own words."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=_PATIENCE_SECONDS, check=False)
    except FileNotFoundError as error:
        raise StateError(f"there is no {words[0]} here", "see docs/operations.md for starting it by hand") from error
    except subprocess.TimeoutExpired as error:
        raise StateError(f"{shlex_join(words)} does not come back", "`dedupd service logs` may tell why") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise StateError(f"{shlex_join(words)}: {said or done.returncode}", "`dedupd service logs` may tell why")
    return done.stdout.decode("utf-8", "replace")


def shlex_join(words: Sequence[str]) -> str:
    """Return a command as a person would type it, safe for terminals."""
    import shlex

    return printable(shlex.join(words))
