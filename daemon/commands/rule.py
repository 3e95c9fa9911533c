"""`dedupd rule`: a person's word about pictures; it outranks what dedupd thinks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say, warn
from store.errors import NoCatalogError, UsageError
from store.text import printable

if TYPE_CHECKING:
    from daemon.state import StateFolder

_ANSWER_SECONDS = 600.0
_ACTIONS = ("not-duplicates", "keep-both", "keep-all", "keep-this", "list", "remove")
_IN_WORDS = {"not-duplicates": "no duplicates of each other", "keep-all": "all of these stay",
             "keep-this": "the one to keep"}  # fmt: skip


@click.command(
    epilog="Examples: dedupd rule not-duplicates a.jpg b.jpg · dedupd rule keep-both a.jpg b.jpg · "
    "dedupd rule keep-this a.jpg · dedupd rule list · dedupd rule remove 3"
)
@click.argument("action", type=click.Choice(_ACTIONS), metavar="ACTION")
@click.argument("things", nargs=-1, metavar="[FILE|HASH|ID]…")
@config_option
@state_option
@json_option
def command(
    action: str, things: tuple[str, ...], config: Path | None, state: Path | None, as_json: bool
) -> None:  # fmt: skip
    """Say what dedupd must believe about pictures. A ruling is about content, so it outlives names, copies and scans.

    \b
    ACTION is one of:
      not-duplicates FILE FILE…  no two of these are duplicates, nor share a group of duplicates
      keep-both, keep-all FILE…  each of these stays, with every file of the same bytes
      keep-this FILE             of everything that matches it, this is the one to keep
      list                       show the rulings and what they apply to
      remove ID…                 take rulings back

    FILE is a path, at home or in quarantine, or the first digits of a SHA-256. Where two rulings disagree, the
    newer one holds. What has to stay comes home from quarantine at once; what may go leaves with the next scan or
    run that moves.
    """
    from daemon.state import StateFolder

    folder = StateFolder(state)
    if not folder.catalog.exists():
        raise NoCatalogError(f"no catalog in {folder.path}", "pass the --state that scan or run used")
    if action == "list":
        answer = _list(folder, things, config)
    elif action == "remove":
        answer = _change(folder, "unrule", {"ids": _numbers(things)}, config)
    else:
        kind = "keep-all" if action == "keep-both" else action
        answer = _change(folder, "rule", {"kind": kind, "contents": _contents(folder, kind, things)}, config)
    if as_json:
        emit(answer)
    elif action == "list":
        _show_list(answer)
    else:
        _show_change(answer)


def _contents(folder: "StateFolder", kind: str, things: tuple[str, ...]) -> list[tuple[str, str]]:
    """Find what is meant before anything is asked of the service: names are relative to where the person is."""
    from daemon.ruling import check_contents, content_of
    from store.catalog import Catalog
    from store.records import RulingKind

    catalog = Catalog(folder.catalog, read_only=True)
    try:
        found = [content_of(catalog, thing) for thing in things]
    finally:
        catalog.close()
    check_contents(RulingKind(kind), found)
    return [(sha256.hex(), name) for sha256, name in found]


def _numbers(things: tuple[str, ...]) -> list[int]:
    if not things or not all(thing.isdecimal() for thing in things):
        raise UsageError("say which rulings to take back, by number", "`dedupd rule list` shows them")
    return [int(thing) for thing in things]


def _change(folder: "StateFolder", verb: str, arguments: dict[str, Any], config: Path | None) -> dict[str, Any]:
    """Let the running service do it, or do it here when none runs."""
    from daemon.state import is_locked

    if is_locked(folder):
        from daemon.requests import ask

        return ask(folder, verb, arguments, _ANSWER_SECONDS)
    from daemon.config import config_to_read_with, load_settings
    from daemon.ruling import rule, take_back_rulings
    from daemon.session import Session

    with Session(folder, load_settings(config_to_read_with(config, folder))) as session:
        return rule(session, **arguments) if verb == "rule" else take_back_rulings(session, **arguments)


def _list(folder: "StateFolder", things: tuple[str, ...], config: Path | None) -> dict[str, Any]:
    if things:
        raise UsageError("list takes no file", "`dedupd why FILE` shows what was ruled on one")
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.ruling import described

    with reading(folder, load_settings(config_to_read_with(config, folder))) as reader:
        return {"schema": 1, "rulings": described(reader.catalog, reader.knowledge)}


def _show_list(answer: dict[str, Any]) -> None:
    for ruling in answer["rulings"]:
        _show_ruling(ruling)
    say(plural(len(answer["rulings"]), "ruling") if answer["rulings"] else "no rulings")


def _show_ruling(ruling: dict[str, Any]) -> None:
    overruled = f", overruled by {ruling['overruled_by']}" if ruling["overruled_by"] else ""
    say(f"{ruling['id']:>4}  {ruling['kind']}: {_IN_WORDS[ruling['kind']]}  ({ruling['ruled_at']}{overruled})")
    for content in ruling["contents"]:
        files = content["files"] or [f"{content['name']} (no such file now)"]
        say(f"        {content['sha256'][:12]}  {printable(files[0])}")
        for path in files[1:]:
            say(f"                      {printable(path)}")


def _show_change(answer: dict[str, Any]) -> None:
    if "ruling" in answer:
        _show_ruling(answer["ruling"])
    for number in answer.get("removed", ()):
        say(f"ruling {number} taken back")
    for number in answer.get("replaced", ()):
        say(f"it takes the place of ruling {number}, which said the same")
    for number in answer["overruled"]:
        say(f"it overrules ruling {number}: the newer one holds")
    for change in answer["changed"]:
        say(f"  {printable(change['path'])}: {change['from']} → {change['to']}")
    for moved in answer["home"]:
        say(f"  came home: {printable(moved['path'])}")
    if any(change["to"] not in ("keep", "similar") for change in answer["changed"]):
        say("what no longer has to stay leaves with the next scan or run that moves")
    if not answer["changed"]:
        say("no verdict changes")
    for problem in answer["refused"]:
        warn(f"{problem['path']}: {problem['error']}")
