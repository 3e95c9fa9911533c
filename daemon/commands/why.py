"""`dedupd why FILE`: the verdict on a file, with everything that led to it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, plural, say, table
from store.errors import UsageError
from store.text import printable

_MOST_RIVALS = 20  # extras that a keeper is compared with
_MOST_SHOWN = 5  # members of a group, to a person

if TYPE_CHECKING:
    from daemon.config import Settings
    from daemon.reading import Reader
    from store.records import CatalogFile, ImageState, Verdict


@click.command(epilog="Example: dedupd why ~/Pictures/IMG_0042.jpg")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@config_option
@state_option
@json_option
def command(file: Path, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Explain the verdict on FILE: scores, the match with its evidence, and why the keeper is the keeper."""
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.state import StateFolder

    folder = StateFolder(state)
    settings = load_settings(config_to_read_with(config, folder))
    with reading(folder, settings) as reader:
        found = _find(reader, file)
        known, image, verdict = next(row for row in reader.judge.verdicts([found.image_id]) if row[0].id == found.id)
        answer = _explain(reader, settings, known, image, verdict)
    if as_json:
        emit(answer)
    else:
        _show(answer)


def _find(reader: "Reader", path: Path) -> "CatalogFile":
    """Find a file by where it lies or lay, or by its content under another name."""
    real = os.path.join(os.path.realpath(path.parent), path.name)
    file = reader.catalog.file(real) or reader.catalog.file_lying_at(real)
    if file is None and path.is_file():
        from pipeline.hashing import content_sha256

        image_id = reader.catalog.image_id(content_sha256(path.read_bytes()))
        files = [] if image_id is None else reader.catalog.files_of([image_id]).get(image_id, [])
        file = files[0] if files else None
    if file is None and not os.path.lexists(real):
        file = _moved_from(reader, real)
    if file is None:
        hint = "scan its folder first" if path.exists() else "there is no such file"
        raise UsageError(f"nothing is known about {path}", hint)
    return file


def _moved_from(reader: "Reader", path: str) -> "CatalogFile | None":
    """Find the file that lay at a path before dedupd moved it. Raises UsageError where there were several."""
    from store.ledger import EntryState, Ledger

    entries = Ledger(reader.catalog.database).by_source(path)
    moved = [reader.catalog.file_of_entry(entry.id) for entry in entries if entry.state is EntryState.DONE]
    found = [file for file in moved if file is not None]
    if len(found) > 1:
        hint = "name the one you mean by where it lies now (`dedupd undo --list`)"
        raise UsageError(f"{len(found)} files were moved away from {printable(path)}", hint)
    return found[0] if found else None


def _criteria(reader: "Reader", settings: "Settings", image: "ImageState") -> list[dict[str, Any]]:
    """Tabulate the keeper's criteria against the keeper of this image, or against the extras of this keeper."""
    from dataclasses import asdict

    from pipeline.keeper import explain
    from store.records import Level

    tables = []
    ours = (image, reader.catalog.files_of([image.id])[image.id])
    for level in Level:
        keeper_id = reader.knowledge.standings[level].keeper_of(image.id)
        is_keeper = keeper_id == image.id
        extras = reader.catalog.relations.extras_of(level, image.id)[:_MOST_RIVALS] if is_keeper else []
        for other_id in extras if is_keeper else [] if keeper_id is None else [keeper_id]:
            theirs = (reader.catalog.image(other_id), reader.catalog.files_of([other_id])[other_id])
            table_of = {"level": level, "other": theirs[1][0].stat.path, "this_is_keeper": is_keeper}
            ids = (image.id, other_id) if is_keeper else (other_id, image.id)
            originals, _ = reader.knowledge.election(level, *ids)
            rows = explain(*((ours, theirs) if is_keeper else (theirs, ours)), settings.keeper, originals)
            tables.append({**table_of, "rows": _ruled_first(reader, ids, [asdict(row) for row in rows])})
    return tables


def _ruled_first(reader: "Reader", ids: tuple[int, int], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put on top what a person ruled on keeper and extra, where that decided."""
    chosen = [reader.knowledge.rulings.chosen(image_id) for image_id in ids]
    if chosen[0] <= chosen[1]:
        return rows
    words = [f"chosen (ruling {number})" if number else "–" for number in chosen]
    ruled = {"criterion": "ruling", "keeper": words[0], "extra": words[1], "decides": True}
    return [ruled, *({**row, "decides": False} for row in rows)]


def _explain(
    reader: "Reader", settings: "Settings", file: "CatalogFile", image: "ImageState", verdict: "Verdict"
) -> dict[str, Any]:
    from dataclasses import asdict

    from daemon.criteria import group_tables
    from daemon.ruling import described
    from store.ledger import Ledger

    seen = image.observation
    answer: dict[str, Any] = {
        "schema": 1,
        "path": file.stat.path,
        "verdict": verdict.kind,
        "reason": verdict.reason,
        "keeper": verdict.keeper,
        "evidence": None if verdict.evidence is None else asdict(verdict.evidence),
        "lies_at": file.lies_at or file.stat.path,
        "sha256": image.sha256.hex(),
        "scores": None if seen is None else asdict(seen.quality),
        "picture": None if seen is None else {"width": seen.picture.width, "height": seen.picture.height,
                                              "format": seen.picture.format, "bytes": image.byte_size},
        "returned_by_a_person": file.returned,
    }  # fmt: skip
    answer["rulings"] = described(reader.catalog, reader.knowledge, image.id)
    answer["criteria"] = _criteria(reader, settings, image)
    answer["groups"] = group_tables(reader, settings, image.id)
    answer["history"] = [
        {"id": e.id, "verb": e.verb, "state": e.state, "from": e.source, "to": e.target}
        for e in Ledger(reader.catalog.database).by_source(file.stat.path)
    ]
    return answer


def _show(answer: dict[str, Any]) -> None:
    say(f"{printable(answer['path'])}: {answer['verdict']}")
    say(f"  {printable(answer['reason'])}")
    if answer["lies_at"] != answer["path"]:
        say(f"  lies at {printable(answer['lies_at'])}")
    if answer["keeper"]:
        say(f"  keeper: {printable(answer['keeper'])}")
    if answer["evidence"]:
        proof = answer["evidence"]
        similarity = "–" if proof["similarity"] is None else f"{proof['similarity']:.3f}"
        say(
            f"  evidence: {proof['kind']}, pHash {proof['phash_distance']} bits, dHash {proof['dhash_distance']} bits, "
            f"similarity {similarity}, {'confirmed on pixels' if proof['verified'] else 'not confirmed on pixels'}"
        )
    if answer["scores"]:
        scores, picture = answer["scores"], answer["picture"]
        say(
            f"  {picture['format']} {picture['width']}×{picture['height']}, {picture['bytes']:,} bytes; "
            f"sharpness {scores['sharpest']:.0f} of 100, brightness {scores['brightness']:.0f}, "
            f"contrast {scores['contrast']:.0f}, detail {scores['detail']:.3g} MP"
        )
    for ruling in answer["rulings"]:
        overruled = f", overruled by {ruling['overruled_by']}" if ruling["overruled_by"] else ""
        others = [content["name"] for content in ruling["contents"] if content["sha256"] != answer["sha256"]]
        about = f", with {printable(', '.join(others))}" if others else ""
        say(f"  ruling {ruling['id']}: {ruling['kind']}{about}{overruled}")
    for group in answer["groups"]:
        _show_group(group)
    if answer["returned_by_a_person"]:
        say("  you took it back, so it stays where it is")
    for entry in answer["history"]:
        say(f"  action {entry['id']}: {entry['verb']} to {printable(entry['to'])}, {entry['state']}")


def _show_group(group: dict[str, Any]) -> None:
    """Print the criteria of a group: a line for each, a column for each member, and below what decided."""
    shown = group["members"][:_MOST_SHOWN]
    keeper, extras = shown[0], shown[1:]
    say()
    say(f"  {group['level']}: the keeper and {plural(len(group['members']) - 1 + group['more'], 'extra')}")
    names = [printable(os.path.basename(member["path"])) for member in shown]
    rows = []
    for criterion in keeper["values"]:
        cells = (_cell(member, criterion) for member in extras)
        rows.append((criterion, keeper["values"][criterion], *cells))
    rows.append(("decided by", "", *(member["decided"] for member in extras)))
    table(("criterion", f"{names[0]} (keeper)", *names[1:]), rows)
    for member, name in zip(extras, names[1:], strict=True):
        say(f"  {names[0]} stays rather than {name} because {printable(member['why'])}")
    if len(group["members"]) + group["more"] > len(shown):
        say(f"  … and {len(group['members']) + group['more'] - len(shown)} more (--json)")


def _cell(member: dict[str, Any], criterion: str) -> str:
    mark = " ◀ decides" if member["decided"] == criterion else ""
    return f"{member['values'][criterion]}{mark}"
