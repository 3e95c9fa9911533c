"""`dedupd doctor`: what keeps it from working here."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say
from store.text import printable

_SIGNS = {"ok": " ", "note": "·", "warning": "!", "problem": "✗"}


@click.command(epilog="Examples: dedupd doctor · dedupd doctor --json")
@click.option("--system", is_flag=True, help="Look at the service of the whole system, not at your own.")
@click.option("--all", "everything", is_flag=True, help="Also show what is well.")
@config_option
@state_option
@json_option
def command(system: bool, everything: bool, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Look at permissions, mounts, limits, space, libraries and the installed service; exit code 1 for a problem.

    Each finding names the line to change. Nothing is changed, and no picture is read.
    """
    from daemon.config import config_to_judge_with, load_settings
    from daemon.doctor import Patient, examine
    from daemon.managers import manager
    from daemon.state import StateFolder

    path = config_to_judge_with(config)
    patient = Patient(load_settings(path), path, StateFolder(state), manager(system=system), time.time_ns())
    findings = list(examine(patient))
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        emit({"schema": 1, "ok": not problems, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            if everything or finding.level != "ok":
                say(f"{_SIGNS[finding.level]} {printable(finding.topic)}: {printable(finding.message)}")
                if finding.change:
                    say(f"    → {printable(finding.change)}")
        say(f"{plural(problems, 'problem')} found; {plural(len(findings), 'thing')} looked at")
    if problems:
        click.get_current_context().exit(1)
