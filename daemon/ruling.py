"""The work behind `rule`: which content is meant, what the ruling changes, and who comes home because of it."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from daemon.folders import look
from daemon.session import Session
from daemon.status import read_status, write_status
from pipeline.hashing import content_sha256
from pipeline.knowledge import Knowledge
from store.catalog import Catalog
from store.errors import AccessError, UsageError
from store.ledger import EntryState, Ledger
from store.records import CatalogFile, Level, Ruling, RulingKind
from store.text import printable

_FEWEST_DIGITS = 6
_HINT = (
    "no such file; a path at home or in quarantine is wanted, or the first digits of a SHA-256 (`dedupd why --json`)"
)

Content = tuple[bytes, str]  # SHA-256, and the name by which a person meant it


def content_of(catalog: Catalog, thing: str) -> Content:
    """Find the content that a path or the beginning of a hash stands for. Raises UsageError for what is unknown."""
    path = os.path.join(os.path.realpath(os.path.dirname(thing)), os.path.basename(thing))
    path = os.path.realpath(path) if os.path.islink(path) else path
    found = _on_disk(catalog, path) or _on_record(catalog, path)
    if found is None and re.fullmatch(rf"[0-9a-fA-F]{{{_FEWEST_DIGITS},64}}", thing):
        found = _by_digits(catalog, thing.lower())
    if found is None:
        hint = "scan its folder first" if os.path.lexists(path) else _HINT
        raise UsageError(f"nothing is known about {printable(thing)}", hint)
    return found, path if os.path.lexists(path) or os.sep in thing else thing


def _on_disk(catalog: Catalog, path: str) -> bytes | None:
    """Return the content of a file that is there, as it is now."""
    now = look(path)
    if now is None:
        return None
    known = catalog.file(path) or catalog.file_lying_at(path)
    if known is not None and (known.stat.size, known.stat.mtime_ns) == (now.size, now.mtime_ns):
        return catalog.image(known.image_id).sha256
    try:
        with open(path, "rb") as stream:
            sha256 = content_sha256(stream.read())
    except OSError as error:
        raise AccessError(f"cannot read {printable(path)}: {error.strerror}", "check its permissions") from error
    return None if catalog.image_id(sha256) is None else sha256


def _on_record(catalog: Catalog, path: str) -> bytes | None:
    """Return the content of a file that was at a path: now in quarantine, or deleted a moment ago."""
    if os.path.lexists(path):
        return None  # another file has the name; what is meant is that one
    known = catalog.file(path) or catalog.file_lying_at(path)
    if known is not None:
        return catalog.image(known.image_id).sha256
    ledger = Ledger(catalog.database)
    entries = [*ledger.by_source(path), *ledger.by_target(path)]
    moved = {entry.sha256 for entry in entries if entry.state is EntryState.DONE} or {e.sha256 for e in entries}
    if len(moved) > 1:
        hint = "name the one you mean by where it lies now (`dedupd undo --list`)"
        raise UsageError(f"{len(moved)} different pictures were moved away from {printable(path)}", hint)
    return moved.pop() if moved else None


def _by_digits(catalog: Catalog, digits: str) -> bytes | None:
    found = catalog.rulings.hashes_starting(digits)
    if len(found) > 1:
        raise UsageError(f"{len(found)} known pictures have a hash that begins with {digits}", "give more digits")
    return found[0] if found else None


def check_contents(kind: RulingKind, contents: Sequence[Content]) -> None:
    """Refuse what cannot be ruled. Raises UsageError."""
    fewest, most = {"not-duplicates": (2, None), "keep-all": (1, None), "keep-this": (1, 1)}[kind]
    if len(contents) < fewest:
        raise UsageError(f"{kind} needs {fewest} files or more", "see `dedupd rule --help`")
    if most is not None and len(contents) > most:
        raise UsageError(f"{kind} takes one file", "`dedupd rule keep-all` keeps several")
    if kind is RulingKind.NOT_DUPLICATES and len({sha256 for sha256, _ in contents}) < len(contents):
        hint = "`dedupd rule keep-all` keeps every file of that content"
        raise UsageError("two of these hold the same bytes: they are one picture", hint)


def rule(session: Session, *, kind: str, contents: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Rule on contents (SHA-256 in hexadecimal, name); return the verb's JSON object.

    The same ruling made again replaces the older one, so that it is the newest.
    """
    wanted = RulingKind(kind)
    named = [(bytes.fromhex(digits), name) for digits, name in contents]
    check_contents(wanted, named)
    unique = tuple(sorted(dict(named).items()))
    rulings = session.catalog.rulings
    hashes = {sha256 for sha256, _ in unique}
    same = [ruling.id for ruling in rulings.all() if ruling.kind is wanted and set(ruling.hashes) == hashes]

    def write() -> None:
        rulings.remove(same)
        rulings.add(wanted, unique, session.clock_ns())

    answer = _carry_out(session, sorted(hashes), write)
    newest = described(session.catalog, session.flow.knowledge)[-1]
    return {**answer, "ruling": newest, "replaced": same}


def take_back_rulings(session: Session, *, ids: Sequence[int]) -> dict[str, Any]:
    """Take rulings back; return the verb's JSON object. Raises UsageError for a number that no ruling has."""
    known = {ruling.id: ruling for ruling in session.catalog.rulings.all()}
    for ruling_id in ids:
        if ruling_id not in known:
            raise UsageError(f"there is no ruling {ruling_id}", "`dedupd rule list` shows them")
    hashes = sorted({sha256 for ruling_id in ids for sha256 in known[ruling_id].hashes})
    answer = _carry_out(session, hashes, lambda: session.catalog.rulings.remove(ids))
    return {**answer, "removed": sorted(set(ids))}


def _carry_out(session: Session, hashes: Sequence[bytes], write: Callable[[], None]) -> dict[str, Any]:
    """Change the rulings on contents, and bring home at once what is to stay; nothing is sent away here."""
    before = _overruled(session.flow.knowledge, session.catalog.rulings.all())
    changed = session.flow.rule(hashes, write, session.clock_ns())
    verdicts = {file.id: session.catalog.file_by_id(file.id) for file in changed}
    refused = session.act({}, sorted({file.image_id for file in changed}))
    after = _overruled(session.flow.knowledge, session.catalog.rulings.all())
    _renew_status(session)
    return {
        "schema": 1,
        "changed": [_change(file, now) for file in changed if (now := verdicts[file.id]) is not None],
        "home": [moved for file in changed if (moved := _homecoming(session.catalog, file))],
        "refused": [{"path": problem.path, "error": problem.message} for problem in refused],
        "overruled": sorted(after.keys() - before.keys()),
    }


def _change(before: CatalogFile, after: CatalogFile) -> dict[str, Any]:
    return {"path": before.stat.path, "from": before.verdict, "to": after.verdict}


def _homecoming(catalog: Catalog, before: CatalogFile) -> dict[str, Any] | None:
    now = catalog.file_by_id(before.id)
    if before.lies_at is None or now is None or now.lies_at is not None:
        return None
    return {"from": before.lies_at, "path": now.stat.path}


def _overruled(knowledge: Knowledge, rulings: Sequence[Ruling]) -> Mapping[int, int]:
    """Return the rulings that a newer one holds against, at least for one of their contents: id → the newer one."""
    book, found = knowledge.rulings, dict[int, int]()
    for ruling in rulings:
        for sha256 in ruling.hashes if ruling.kind is not RulingKind.NOT_DUPLICATES else ():
            image_id = knowledge.catalog.image_id(sha256)
            keeper_id = None if image_id is None else knowledge.standings[Level.DUPLICATES].keeper_of(image_id)
            if image_id is None:
                continue
            newer = 0 if keeper_id in (None, image_id) else book.chosen(keeper_id or 0)
            if ruling.kind is RulingKind.KEEP_ALL:
                newer = max(newer, book.chosen(image_id))
            if newer > ruling.id:
                found[ruling.id] = newer
    return found


def described(catalog: Catalog, knowledge: Knowledge, image_id: int | None = None) -> list[dict[str, Any]]:
    """Describe the rulings, of one image or all, oldest first."""
    rulings = catalog.rulings.all()
    if image_id is not None:
        sha256 = catalog.image(image_id).sha256
        rulings = [ruling for ruling in rulings if sha256 in ruling.hashes]
    overruled = _overruled(knowledge, rulings)
    return [_describe(catalog, ruling, overruled.get(ruling.id)) for ruling in rulings]


def _describe(catalog: Catalog, ruling: Ruling, overruled_by: int | None) -> dict[str, Any]:
    contents = []
    for sha256, name in sorted(ruling.contents, key=lambda content: content[1]):
        image_id = catalog.image_id(sha256)
        files = [] if image_id is None else catalog.files_of([image_id]).get(image_id, [])
        paths = sorted(file.lies_at or file.stat.path for file in files)
        contents.append({"sha256": sha256.hex(), "name": name, "files": paths})
    when = datetime.fromtimestamp(ruling.ruled_ns / 1e9, UTC).isoformat(timespec="seconds")
    return {
        "id": ruling.id,
        "kind": ruling.kind,
        "ruled_at": when,
        "overruled_by": overruled_by,
        "contents": contents,
    }


def _renew_status(session: Session) -> None:
    """Let `dedupd status` tell of the change; a running service publishes its own."""
    status, catalog = read_status(session.state), session.catalog
    if status.updated_ns and status.pid != os.getpid():
        renewed = replace(
            status,
            state="stopped",
            pid=None,
            verdicts=catalog.verdict_counts(),
            groups=catalog.count_groups(),
            rulings=catalog.rulings.count(),
        )
        write_status(session.state, renewed)
