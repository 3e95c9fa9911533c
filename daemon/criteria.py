"""The criteria of the keeper, tabulated for a whole group: every member, every value, and what decided."""

from typing import Any

from daemon.config import Settings
from daemon.reading import Reader
from pipeline.keeper import explain, primary_file, reason
from store.records import Level

_MOST_MEMBERS = 21


def group_tables(reader: Reader, settings: Settings, image_id: int) -> list[dict[str, Any]]:
    """Return one table for each level at which the image has others beside it: the keeper first, then its extras.

    A member has its `path`, its `values` by criterion, and, but for the keeper, what `decided` against it and `why`.
    """
    tables = []
    for level in Level:
        keeper_id = reader.knowledge.standings[level].keeper_of(image_id)
        if keeper_id is None:
            continue
        extras = reader.catalog.relations.extras_of(level, keeper_id)
        chosen = sorted(extras, key=lambda other: other != image_id)[: _MOST_MEMBERS - 1]
        if chosen:
            members = _members(reader, settings, level, keeper_id, chosen)
            tables.append({"level": level, "members": members, "more": len(extras) - len(chosen)})
    return tables


def _members(
    reader: Reader, settings: Settings, level: Level, keeper_id: int, extras: list[int]
) -> list[dict[str, Any]]:
    catalog, knowledge = reader.catalog, reader.knowledge
    files, images = catalog.files_of([keeper_id, *extras]), catalog.images([keeper_id, *extras])
    keeper = images[keeper_id], files[keeper_id]
    members: list[dict[str, Any]] = []
    for extra_id in extras:
        extra = images[extra_id], files[extra_id]
        originals, shown = knowledge.election(level, keeper_id, extra_id)
        rows = explain(keeper, extra, settings.keeper, originals)
        chosen = knowledge.rulings.chosen(keeper_id) > knowledge.rulings.chosen(extra_id)
        if not members:
            kept = {row.criterion: row.keeper for row in rows}
            members.append(_member(primary_file(files[keeper_id]).stat.path, kept, "", ""))
        decided = "ruling" if chosen else next((row.criterion for row in rows if row.decides), "content")
        why = "you ruled so" if chosen else reason(keeper, extra, settings.keeper, originals, shown)
        values = {row.criterion: row.extra for row in rows}
        members.append(_member(primary_file(files[extra_id]).stat.path, values, decided, why))
    return members


def _member(path: str, values: dict[str, str], decided: str, why: str) -> dict[str, Any]:
    return {"path": path, "keeper": not decided, "values": values, "decided": decided, "why": why}
