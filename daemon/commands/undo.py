"""`dedupd undo`: take back what was moved or copied."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say, warn
from store.errors import AccessError, ConfigError, DataError, NoCatalogError, StateError, UsageError
from store.text import printable

_ANSWER_SECONDS = 3600.0


@click.command(epilog="Examples: dedupd undo --last · dedupd undo --all · dedupd undo 17 18")
@click.argument("ids", nargs=-1, type=int, metavar="[ID…]")
@click.option("--last", is_flag=True, help="Take back the newest batch of actions.")
@click.option("--all", "everything", is_flag=True, help="Take back everything.")
@click.option("--list", "list_only", is_flag=True, help="List what can be taken back, newest first.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; touch nothing.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, readable=False),
    help="Take back everything in this quarantine folder by its manifest, with or without a catalog.",
)
@config_option
@state_option
@json_option
def command(
    ids: tuple[int, ...], last: bool, everything: bool, list_only: bool, dry_run: bool, manifest: Path | None,
    config: Path | None, state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring moved files home, byte for byte, and remove copies. dedupd leaves such files alone from then on."""
    ways = sum((bool(ids), last, everything, list_only, manifest is not None))
    if ways != 1:
        message = "these do not go together" if ways else "say what to undo"
        raise UsageError(message, "one of --last, --all, --list, --manifest FOLDER, or the numbers of actions")
    if manifest is not None:
        answer = _by_manifest(manifest, config, state)
    elif list_only:
        answer = _listed(state)
    else:
        answer = _take_back(ids, last, everything, dry_run, config, state)
    if as_json:
        emit(answer)
    else:
        _show(answer)
    if answer.get("failed"):
        click.get_current_context().exit(1)


def _take_back(
    ids: tuple[int, ...], last: bool, everything: bool, dry_run: bool, config: Path | None, state: Path | None
) -> dict[str, Any]:
    """Let the running service do it, or do it here when none runs."""
    from daemon.state import StateFolder, is_locked

    folder = StateFolder(state)
    if not folder.catalog.exists():
        raise NoCatalogError(f"no catalog in {folder.path}", "pass the --state that scan or run used")
    arguments = {"ids": list(ids), "last": last, "everything": everything, "dry_run": dry_run}
    if is_locked(folder):
        from daemon.requests import ask

        return ask(folder, "undo", arguments, _ANSWER_SECONDS)
    from daemon.config import config_to_read_with, load_settings
    from daemon.session import Session
    from daemon.undoing import take_back

    with Session(folder, load_settings(config_to_read_with(config, folder))) as session:
        return take_back(session, ids=list(ids), last=last, everything=everything, dry_run=dry_run)


def _by_manifest(quarantine: Path, config: Path | None, state: Path | None) -> dict[str, Any]:
    """Take back by the manifest; where there is a catalog, it is told, so that no scan acts on these files again."""
    from daemon.config import config_to_read_with, load_settings
    from daemon.session import Session
    from daemon.state import InstanceLock, StateFolder, is_locked
    from daemon.undoing import in_json, take_back_by_manifest
    from pipeline.actions import restore_from_manifest

    if not quarantine.is_dir():
        raise UsageError(f"no such folder: {quarantine}", "name the quarantine (the --output of the scan)")
    root, folder = str(quarantine.resolve()), StateFolder(state)
    if is_locked(folder):
        from daemon.requests import ask

        return ask(folder, "undo-manifest", {"quarantine": root}, _ANSWER_SECONDS)
    with ExitStack() as stack:
        if folder.catalog.exists():
            try:
                settings = load_settings(config_to_read_with(config, folder))
                session = stack.enter_context(Session(folder, settings))
            except (StateError, DataError, ConfigError, AccessError) as error:
                warn(f"{error.message}; taking back without it: the next scan will not know that you did")
                with suppress(OSError, AccessError):
                    stack.enter_context(InstanceLock(folder))
            else:
                return take_back_by_manifest(session, quarantine=root)
        outcomes = restore_from_manifest(root)
        return in_json(outcomes, sum(not outcome.error for outcome in outcomes))


def _listed(state: Path | None) -> dict[str, Any]:
    from daemon.state import StateFolder
    from store.catalog import Catalog
    from store.ledger import EntryState, Ledger

    catalog = Catalog(StateFolder(state).catalog, read_only=True)
    try:
        entries = Ledger(catalog.database).entries(state=EntryState.DONE)
    finally:
        catalog.close()
    listed = [
        {
            "id": e.id,
            "batch": e.batch,
            "verb": e.verb,
            "verdict": e.verdict,
            "source": e.source,
            "path": e.target,
            "error": "",
        }
        for e in entries
    ]
    return {"schema": 1, "undone": 0, "failed": 0, "would_undo": len(listed), "actions": listed}


def _show(answer: dict[str, Any]) -> None:
    actions = answer["actions"]
    if "would_undo" in answer:
        for action in actions:
            say(f"{action['id']:>6}  {printable(action.get('source') or action['to'])}")
            say(f"        lies at {printable(action.get('path') or action['from'])}")
        say(f"{plural(len(actions), 'action')} can be taken back" if actions else "nothing to take back")
        return
    say(f"{plural(answer['undone'], 'action')} taken back" if actions else "nothing to take back")
    for action in actions:
        if action["error"]:
            warn(f"action {action['id']}: {printable(action['source'])}: {action['error']}")
    for hint in dict.fromkeys(action.get("hint") for action in actions if action["error"]):
        if hint:
            warn(f"  hint: {hint}")
