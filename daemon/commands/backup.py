"""`dedupd backup`: copies of the catalog, and the way back."""

import time
from pathlib import Path
from typing import Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say, table
from store.errors import UsageError
from store.text import printable


@click.command(epilog="Examples: dedupd backup · dedupd backup list · dedupd backup restore FILE")
@click.argument("what", type=click.Choice(["take", "list", "restore"]), default="take", metavar="[take|list|restore]")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.option(
    "--to",
    type=click.Path(path_type=Path, readable=False),
    help="Where the copy goes [default: backups/ in the state folder].",
)
@config_option
@state_option
@json_option
def command(
    what: str, file: Path | None, to: Path | None, config: Path | None, state: Path | None, as_json: bool
) -> None:
    """Copy the catalog while it is in use, list the copies, or put one in the catalog's place.

    A copy is checked before it bears its name. A restore needs the service stopped; the former catalog stays beside it.
    """
    from daemon.state import StateFolder

    if (file is not None) != (what == "restore") or (to is not None and what != "take"):
        raise UsageError("say what to do", "`dedupd backup [--to FILE]`, `backup list`, or `backup restore FILE`")
    folder = StateFolder(state)
    if file is not None:
        _restore(folder, file, config, as_json)
    elif what == "list":
        _list(folder, as_json)
    else:
        _take(folder, to, as_json)


def _take(folder: Any, to: Path | None, as_json: bool) -> None:
    from store.backup import backup_path, take_backup

    target = to.absolute() if to is not None else backup_path(folder.catalog, time.time_ns())
    if target.is_dir():
        target /= backup_path(folder.catalog, time.time_ns()).name
    taken = take_backup(folder.catalog, target)
    if as_json:
        emit({"schema": 1, "path": str(taken.path), "bytes": taken.byte_size})
    else:
        say(f"{printable(str(taken.path))}: {taken.byte_size:,} bytes, checked")


def _list(folder: Any, as_json: bool) -> None:
    from store.backup import list_backups

    rows = [(str(one.path), _date(one.taken_ns), one.byte_size) for one in list_backups(folder.catalog)]
    if as_json:
        backups = [{"path": path, "taken": taken, "bytes": size} for path, taken, size in rows]
        emit({"schema": 1, "backups": backups})
    elif rows:
        table(
            ("backup", "taken (UTC)", "bytes"), [(path, taken, f"{size:,}") for path, taken, size in rows], right=(2,)
        )
    else:
        say("no backups yet: `dedupd backup` takes one, the service takes one a day")


def _restore(folder: Any, file: Path, config: Path | None, as_json: bool) -> None:
    from daemon.config import config_to_read_with, load_settings
    from daemon.restoring import restore

    hot = load_settings(config_to_read_with(config, folder)).hot_folder
    quarantines = [str(folder.quarantine), *(one.output for one in hot if one.output is not None)]
    done = restore(folder, file.absolute(), quarantines, time.time_ns())
    if as_json:
        replaced = None if done.replaced is None else str(done.replaced)
        emit({"schema": 1, "restored": str(file), "replaced": replaced, "unknown": done.unknown})
        return
    say(f"restored from {printable(str(file))}")
    if done.replaced is not None:
        say(f"the former catalog is {printable(str(done.replaced))}")
    for root, count in done.unknown.items():
        say(f"! {plural(count, 'file')} went to {printable(root)} after this backup was taken;")
        say(f"  dedupd undo --manifest {printable(root)} brings everything in it home")
    say("next: dedupd check, or start the service: it looks at every folder anew")


def _date(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 10**9))
