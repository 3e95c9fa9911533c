"""`dedupd reindex`: derived things, made again from the catalog."""

import shutil
import time
from pathlib import Path

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, progress, say


@click.command(epilog="Example: dedupd reindex --config dedupd.toml")
@config_option
@state_option
@json_option
def command(config: Path | None, state: Path | None, as_json: bool) -> None:
    """Make missing previews and embeddings, build the indexes anew, and judge everything again. Moves no file.

    What an earlier version measured otherwise is measured again.
    """
    from daemon.config import config_to_judge_with, load_settings
    from daemon.remaking import remake_previews
    from daemon.session import Session
    from daemon.state import StateFolder

    started = time.monotonic()
    path = config_to_judge_with(config)
    with Session(StateFolder(state), load_settings(path)) as session:
        session.state.note_config(path)
        shutil.rmtree(session.state.path / "vectors", ignore_errors=True)
        with progress("previews", quiet=as_json) as advance:
            remade = remake_previews(session, advance)
        with progress("embeddings", quiet=as_json) as advance:
            changed = session.flow.rejudge(session.clock_ns(), advance)
        session.flow.snapshot()
        vectors = session.catalog.count_embeddings(session.flow.knowledge.model_id)
    answer = {
        "schema": 1, "previews_made": remade.made, "previews_lost": remade.lost, "measured_again": remade.measured,
        "vectors": vectors, "verdicts_changed": len(changed), "seconds": round(time.monotonic() - started, 3),
    }  # fmt: skip
    if as_json:
        emit(answer)
        return
    done = f"{plural(vectors, 'vector')} indexed, {plural(remade.made, 'preview')} made"
    if remade.measured > remade.made:
        done += f", {plural(remade.measured, 'picture')} measured again"
    say(f"{done}, {plural(len(changed), 'verdict')} changed")
    if remade.lost:
        say(f"{plural(remade.lost, 'preview')} could not be made: their files are offline or changed")
    if remade.left:
        say(f"{plural(remade.left, 'picture')} could not be measured again: their files are offline or changed")
