"""`dedupd groups`: keepers and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say
from store.text import printable

if TYPE_CHECKING:
    from daemon.reading import Reader


@click.command(epilog="Example: dedupd groups --level duplicates --limit 20")
@click.option("--level", type=click.Choice(["duplicates", "similar", "all"]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many groups to print.")
@click.option("--linked", is_flag=True, help="Join groups that share a keeper at either level (connected components).")
@config_option
@state_option
@json_option
def command(level: str, limit: int, linked: bool, config: Path | None, state: Path | None, as_json: bool) -> None:
    """List groups, the largest first: the keeper, its extras, and why each one matches."""
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.state import StateFolder

    folder = StateFolder(state)
    with reading(folder, load_settings(config_to_read_with(config, folder))) as reader:
        found = _linked(reader) if linked else _groups(reader, level)
    if as_json:
        emit({"schema": 1, "total": len(found), "groups": found[:limit]})
        return
    if not found:
        say("no groups: no two known pictures match")
    for group in found[:limit]:
        _show(group)
    if len(found) > limit:
        say(f"… and {plural(len(found) - limit, 'group')} more (--limit, --json, or `dedupd report`)")


def _groups(reader: "Reader", level: str) -> list[dict[str, Any]]:
    """Gather the files that match a keeper file, by keeper and level."""
    from dataclasses import asdict

    from store.records import VerdictKind

    kinds = {"duplicates": [VerdictKind.DUPLICATE], "similar": [VerdictKind.SIMILAR]}
    wanted = kinds.get(level, [VerdictKind.DUPLICATE, VerdictKind.SIMILAR])
    image_ids = sorted({file.image_id for file in reader.catalog.files_with(wanted)})
    members: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for file, _, verdict in reader.judge.verdicts(image_ids):
        if verdict.kind in wanted and verdict.keeper is not None:
            name = "duplicates" if verdict.kind is VerdictKind.DUPLICATE else "similar"
            evidence = None if verdict.evidence is None else asdict(verdict.evidence)
            entry = {"path": file.stat.path, "lies_at": file.lies_at or file.stat.path, "reason": verdict.reason,
                     "evidence": evidence}  # fmt: skip
            members.setdefault((name, verdict.keeper), []).append(entry)
    found = [
        {"level": name, "keeper": keeper, "ruling": _ruling(reader, keeper), "members": files}
        for (name, keeper), files in members.items()
    ]
    return sorted(found, key=lambda group: (group["level"], -len(group["members"]), group["keeper"]))


def _ruling(reader: "Reader", keeper: str) -> int | None:
    """Return the ruling by which a keeper stays, if there is one."""
    file = reader.catalog.file(keeper)
    return None if file is None else reader.knowledge.rulings.kept(file.image_id) or None


def _linked(reader: "Reader") -> list[dict[str, Any]]:
    """Show connected components over both levels: a view for people, never a reason to remove anything."""
    from pipeline.grouping import linked_groups
    from store.records import Level

    edges = {}
    for level in Level:
        rows = reader.catalog.relations.standings(level)
        edges.update({int(image): int(keeper) for image, keeper in rows if image != keeper})
    found = []
    for group in linked_groups(edges):
        files = reader.catalog.files_of(group)
        paths = sorted(file.stat.path for image_id in group for file in files.get(image_id, []))
        found.append({"level": "linked", "keeper": None, "members": [{"path": path} for path in paths]})
    return found


def _show(group: dict[str, Any]) -> None:
    count, keeper = len(group["members"]), group["keeper"]
    if keeper is None:
        say(f"{plural(count, 'file')} linked with each other")
    else:
        what = plural(count, "duplicate") if group["level"] == "duplicates" else f"{count:,} similar"
        ruled = f"  (you ruled that it stays: ruling {group['ruling']})" if group["ruling"] else ""
        say(f"{what} beside {printable(keeper)}{ruled}")
    for member in group["members"]:
        say(f"  {printable(member['path'])}")
        if "reason" in member:
            say(f"      {printable(member['reason'])}")
    say()
