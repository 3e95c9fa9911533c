"""`dedupd status`: what the service does and what is known, in a moment, whether it runs or not."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.options import json_option, state_option
from daemon.terminal import emit, plural, say, table
from store.text import printable

if TYPE_CHECKING:
    from daemon.status import Status


@click.command(epilog="Example: dedupd status --json")
@state_option
@json_option
def command(state: Path | None, as_json: bool) -> None:
    """Show state, queue, rate, folders, verdicts, index and the last error."""
    from daemon.state import StateFolder
    from daemon.status import holds_no_database, read_status

    folder = StateFolder(state)
    status = read_status(folder)
    if status.state == "stopped" and holds_no_database(folder):
        from store.catalog import Catalog  # heavy, and only where it has something to say

        Catalog(folder.catalog, read_only=True).close()
    if as_json:
        emit({**status.as_json(), "state_folder": str(folder.path)})
    else:
        _show(status, folder.path)


def _show(status: "Status", folder: Path) -> None:
    pid = f", pid {status.pid}" if status.pid else ""
    age = max(0.0, time.time() - status.updated_ns / 1e9)
    since = f" (as of {_ago(age)})" if status.updated_ns and status.state == "stopped" else ""
    say(f"dedupd is {status.state}{pid}{since}; state in {printable(str(folder))}")
    for reason in status.reasons:
        say(f"  ! {printable(reason)}")
    if not status.updated_ns:
        say("nothing is known yet: run `dedupd scan FOLDER --output DIR` or `dedupd run --config FILE`")
        return
    known = f"{plural(status.files, 'file')}, {plural(status.images, 'image')}, {plural(status.groups, 'group')}"
    rate = f"; {status.images_per_second:.1f} images/s" if status.pid else ""
    say(f"{known}; queue {status.queue:,}{rate}")
    counts = [f"{count:,} {kind}" for kind, count in status.as_json()["verdicts"].items() if count]
    say("verdicts: " + (", ".join(counts) or "none yet"))
    if status.rulings:
        say(f"rulings: {status.rulings:,} (`dedupd rule list`)")
    index = status.index
    say(f"index: {index.vectors:,} vectors of {index.model or 'no model'}" + (f", {index.kind}" if index.kind else ""))
    if status.folders:
        say()
        rows = [(f.path, f.state, f"{f.files:,}", "protected" if f.protected else f.action) for f in status.folders]
        table(("folder", "state", "files", "action"), rows, right=(2,))
    if status.last_error:
        say(f"last problem: {printable(status.last_error)}")
    if status.report and Path(status.report).exists():
        say(f"report: {printable(status.report)}")


def _ago(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 172800 else f"{seconds / 86400:.0f} days ago"
