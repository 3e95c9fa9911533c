"""What `dedupd check` looks for: broken laws, lost files, damaged stores. It reads and reports, nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

from daemon.reading import Reader
from daemon.terminal import plural
from pipeline.grouping import full_walk, outranks, yields
from pipeline.hashing import content_sha256
from pipeline.matching import is_judged_by_another, measured_by_another
from store.database import let_go
from store.ledger import Ledger
from store.records import REJECTS, CatalogFile, Level, VerdictKind

_MOST = 1000  # problems listed


def find_problems(reader: Reader, *, deep: bool) -> list[str]:
    """Return what is wrong, in words; an empty list when all is well. `deep` reads every file again."""
    found: list[str] = []
    for problem in _all(reader, deep=deep):
        found.append(problem)
        if len(found) >= _MOST:
            found.append("… and perhaps more")
            break
    return found


def _all(reader: Reader, *, deep: bool) -> Iterator[str]:
    yield from _unfinished(reader)
    if outdated := len(measured_by_another(reader.catalog)):
        pictures = plural(outdated, "picture")
        yield f"{pictures} measured by another version of dedupd: the next scan or run measures again"
    if is_judged_by_another(reader.catalog):
        yield "all was judged by another version of dedupd: the next scan or run judges again"
    else:
        for level in Level:
            yield from _standings(reader, level)
        yield from _verdicts(reader)
    let_go(reader.catalog.database)  # the rest may take hours
    yield from reader.catalog.integrity_problems()
    yield from _files(reader, deep=deep)


def _unfinished(reader: Reader) -> Iterator[str]:
    for entry in Ledger(reader.catalog.database).unfinished():
        yield f"action {entry.id} on {entry.source} is {entry.state}: the next scan or run finishes it"


def _files(reader: Reader, *, deep: bool) -> Iterator[str]:
    for folder in reader.catalog.folders():
        if not os.path.isdir(folder.path):
            yield f"folder {folder.path} is offline; its files were not looked at"
            continue
        for file in reader.catalog.files_in(folder.id):
            problem = _file_problem(reader, file, deep=deep)
            if problem:
                yield problem


def _file_problem(reader: Reader, file: CatalogFile, *, deep: bool) -> str:
    place = file.lies_at or file.stat.path
    try:
        stat = os.lstat(place)
    except OSError as error:
        return f"{place}: {error.strerror}"
    if stat.st_size != file.stat.size or (stat.st_mtime_ns != file.stat.mtime_ns):
        return f"{place}: changed since it was judged"
    try:
        if deep and content_sha256(Path(place).read_bytes()) != reader.catalog.image(file.image_id).sha256:
            return f"{place}: its content is not what was judged, though size and time are the same"
    except OSError as error:
        return f"{place}: {error.strerror}"
    return ""


def _standings(reader: Reader, level: Level) -> Iterator[str]:
    """Compare standings with the full walk, family by family: matches decide, not what was stored."""
    rows = {int(image): int(keeper) for image, keeper in reader.catalog.relations.standings(level)}
    view = reader.knowledge.views[level]
    for image_id, keeper_id in rows.items():
        if keeper_id != image_id and rows.get(keeper_id) != keeper_id:
            yield f"law 2: image {image_id} stands behind {keeper_id}, which is no keeper ({level})"
        elif keeper_id != image_id and not view.matches(image_id, keeper_id):
            yield f"law 2: image {image_id} does not match its keeper {keeper_id} ({level})"
        for other in view.apart_from(image_id):
            if image_id < other and rows.get(other) == keeper_id:
                yield f"law 6: images {image_id} and {other} share keeper {keeper_id} against a ruling"
    keepers = [image_id for image_id, keeper_id in rows.items() if image_id == keeper_id]
    for keeper_id in keepers:
        own = view.rank(keeper_id)
        barred = {rows.get(i) for i in view.apart_from(keeper_id) if i in rows and outranks(view.rank(i), own)}
        for other in view.keepers_near(keeper_id):
            if yields(own, view.rank(other)) and other not in barred and view.matches(keeper_id, other):
                yield f"law 3: keepers {other} and {keeper_id} match ({level})"
    for family in _families(rows):
        ranks = [view.rank(image_id) for image_id in family]
        walked = full_walk(ranks, view.matches, view.apart_from)
        for image_id, keeper_id in walked.items():
            if rows[image_id] != keeper_id and rows[image_id] in family:
                yield f"law 4: image {image_id} stands behind {rows[image_id]}, the walk says {keeper_id} ({level})"


def _families(rows: dict[int, int]) -> Iterator[list[int]]:
    from pipeline.grouping import linked_groups

    yield from (group for group in linked_groups(rows) if len(group) <= 200)


def _verdicts(reader: Reader) -> Iterator[str]:
    """Every file that left must have a keeper at home or be a reject; stored verdicts must be what is derived."""
    for start in range(0, len(ids := reader.catalog.image_ids()), 500):
        for file, _, verdict in reader.judge.verdicts(ids[start : start + 500]):
            if file.verdict is not verdict.kind:
                yield f"{file.stat.path}: stored as {file.verdict}, derived as {verdict.kind}"
            if file.lies_at is not None and verdict.kind is VerdictKind.KEEP and not file.returned:
                yield f"{file.stat.path}: it should stay, but lies at {file.lies_at}"
            away = file.lies_at is not None and verdict.kind not in REJECTS and verdict.keeper is not None
            if away and not _lies_somewhere(reader, file, verdict.keeper or ""):
                yield f"{file.stat.path}: it lies in quarantine, and its keeper {verdict.keeper} is gone"


def _lies_somewhere(reader: Reader, file: CatalogFile, keeper: str) -> bool:
    """Tell whether an intact place of the keeper is left: at home, or in quarantine as a similar picture."""
    if os.path.lexists(keeper):
        return True
    keepers = reader.catalog.files_of(reader.judge.keepers_of(file.image_id) - {file.image_id})
    return any(os.path.lexists(other.lies_at or other.stat.path) for files in keepers.values() for other in files)
