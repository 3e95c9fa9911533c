"""`dedupd service`: start with the system."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, say
from store.errors import AccessError, StateError, UsageError
from store.text import printable

_SYSTEM_CONFIG = Path("/etc/dedupd/dedupd.toml")
_SYSTEM_STATE = Path("/var/lib/dedupd")


@click.command(
    epilog="Examples: dedupd service install --dry-run · dedupd service status · dedupd service logs --follow"
)
@click.argument("what", type=click.Choice(["install", "uninstall", "status", "logs"]))
@click.option("--system", is_flag=True, help="For the whole system, under an account of its own (Linux, needs root).")
@click.option("--account", default="dedupd", show_default=True, help="The account of a --system service.")
@click.option("--dry-run", is_flag=True, help="Print the definition; write nothing.")
@click.option("--no-start", is_flag=True, help="Only enable it; it starts with the next log-in or boot.")
@click.option("--lines", type=click.IntRange(1), default=100, show_default=True, help="How much of the log.")
@click.option("--follow", is_flag=True, help="Go on showing the log.")
@config_option
@state_option
@json_option
def command(
    what: str, system: bool, account: str, dry_run: bool, no_start: bool, lines: int, follow: bool,
    config: Path | None, state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Install `dedupd run` as a service of systemd or launchd, remove it, or show how it is.

    The configuration decides what the service may write to; install again after a change of folders.
    """
    from daemon.managers import manager

    chosen = manager(system=system)
    if what == "install":
        _install(chosen, account, config, state, dry_run=dry_run, start=not no_start, as_json=as_json)
    elif what == "uninstall":
        chosen.uninstall()
        _tell(
            as_json,
            {"uninstalled": str(chosen.path)},
            f"removed {printable(str(chosen.path))}; state and pictures stay",
        )
    elif what == "status":
        _status(chosen, state, as_json)
    else:
        words = chosen.log_command(lines, follow=follow)
        if shutil.which(words[0]) is None:
            raise UsageError(f"there is no {words[0]} here", "`dedupd run` logs to standard error")
        sys.stdout.flush()
        os.execvp(words[0], words)


def _install(
    chosen: Any, account: str, config: Path | None, state: Path | None, *, dry_run: bool, start: bool, as_json: bool
) -> None:
    from daemon.managers import make_account, require_runnable, users_have_namespaces

    sandbox = chosen.system or sys.platform == "darwin" or users_have_namespaces()
    installation = _installation(chosen.system, account, config, state, sandbox)
    content = chosen.definition(installation)
    if dry_run:
        say(content.decode("utf-8").rstrip())
        return
    if chosen.system:
        if os.geteuid() != 0:
            raise AccessError("a system service needs root", "use sudo, or leave --system away")
        made = make_account(account)
        require_runnable(installation.command, account)
        if made:
            say(f"made the account {account}: give it the folders it is to work on", quiet=as_json)
    _make_places(installation)
    try:
        chosen.install(content, start=start)
    except StateError:
        if not chosen.refuses_sandbox():
            raise
        sandbox = False
        chosen.install(chosen.definition(replace(installation, sandbox=False)), start=start)
    answer = {"installed": str(chosen.path), "started": start, "sandbox": sandbox}
    started = "it runs" if start else "it will run with the next start"
    lines = [f"installed {printable(str(chosen.path))}; {started}", chosen.after_install()]
    if not sandbox:
        lines.append("this system gives users no namespaces: the service is not kept from writing elsewhere")
    _tell(as_json, answer, *lines)


def _installation(system: bool, account: str, config: Path | None, state: Path | None, sandbox: bool) -> Any:
    from daemon.config import default_config_path, load_settings
    from daemon.installing import Installation
    from daemon.roots import refuse_nesting
    from daemon.state import StateFolder

    path = (config or (_SYSTEM_CONFIG if system else default_config_path())).absolute()
    folder = StateFolder(state or (_SYSTEM_STATE if system else None))
    settings = load_settings(path)
    refuse_nesting(settings, folder)
    command = Path(sys.executable).with_name("dedupd")
    return Installation(str(command), str(path), folder, settings, system, account, sandbox)


def _make_places(installation: Any) -> None:
    """Make state and quarantines now: a sandbox cannot open what is not there."""
    places = [str(installation.state.path), *(hot.output for hot in installation.settings.hot_folder if hot.output)]
    for place in places:
        try:
            missing = not os.path.isdir(place)
            os.makedirs(place, mode=0o700, exist_ok=True)
            if missing and installation.system:
                shutil.chown(place, installation.account, installation.account)
        except OSError as error:
            raise AccessError(f"cannot make {place}: {error.strerror}", "make it, then install again") from error


def _status(chosen: Any, state: Path | None, as_json: bool) -> None:
    from daemon.state import StateFolder
    from daemon.status import read_status

    standing = chosen.standing()
    folder = StateFolder(state or (_SYSTEM_STATE if chosen.system else None))
    status = read_status(folder)
    answer = {"installed": standing.installed, "path": standing.path, "manager": standing.state, "state": status.state}
    lines = [
        f"{'installed' if standing.installed else 'not installed'}: {printable(standing.path)}",
        f"the manager says: {printable(standing.state)}",
        f"dedupd is {status.state}; `dedupd status` tells more",
    ]
    _tell(as_json, answer, *lines)
    if not standing.installed:
        click.get_current_context().exit(1)


def _tell(as_json: bool, answer: dict[str, Any], *lines: str) -> None:
    if as_json:
        emit({"schema": 1, **answer})
    else:
        for line in lines:
            say(line)
