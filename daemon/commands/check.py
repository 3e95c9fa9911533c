"""`dedupd check`: the catalog against the laws and against the disk."""

import os
from pathlib import Path
from typing import Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say
from store.errors import UsageError
from store.text import printable


@click.command(epilog="Example: dedupd check --json")
@click.option("--deep", is_flag=True, help="Read every known file again and compare its content.")
@click.option("--accept-vanished", type=click.Path(path_type=Path, readable=False), metavar="FOLDER",
              help="Tell the running service that what vanished from this hot folder is meant to be gone.")  # fmt: skip
@config_option
@state_option
@json_option
def command(deep: bool, accept_vanished: Path | None, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Look for anything that is not as it should be; exit code 1 when something is found. Changes nothing."""
    from daemon.checking import find_problems
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.state import StateFolder

    folder = StateFolder(state)
    if accept_vanished is not None:
        answer = _accept(folder, accept_vanished)
    else:
        with reading(folder, load_settings(config_to_read_with(config, folder))) as reader:
            problems = find_problems(reader, deep=deep)
            files, images = sum(reader.catalog.verdict_counts().values()), reader.catalog.count_images()
        answer = {"schema": 1, "ok": not problems, "problems": problems, "files": files, "images": images}
    if as_json:
        emit(answer)
    else:
        for problem in answer["problems"]:
            say(f"! {printable(problem)}")
        say(_verdict(answer))
    if not answer["ok"]:
        click.get_current_context().exit(1)


def _verdict(answer: dict[str, Any]) -> str:
    if "accepted" in answer:
        return f"accepted: what vanished from {printable(answer['accepted'])} is forgotten"
    known = f"{plural(answer['files'], 'file')}, {plural(answer['images'], 'image')}"
    if answer["ok"]:
        return f"all is well: {known}"
    return f"{plural(len(answer['problems']), 'problem')} found; {known} known"


def _accept(folder: Any, hot_folder: Path) -> dict[str, Any]:
    from daemon.requests import ask
    from daemon.state import is_locked

    if not is_locked(folder):
        raise UsageError("no service runs on this state folder", "without one, `dedupd scan` takes the folder as it is")
    root = os.path.realpath(hot_folder)
    ask(folder, "accept-vanished", {"folder": root}, 60.0)
    return {"schema": 1, "ok": True, "problems": [], "accepted": root}
