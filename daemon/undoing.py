"""Take back what was moved or copied because a person asked: the files stay where they were from then on."""

from collections.abc import Callable
from typing import Any

from daemon.session import Session
from pipeline.actions import Outcome, undo_many
from pipeline.manifest import UNDONE, ManifestLine, read_lines
from pipeline.planning import note_home
from pipeline.undoing import restore
from store.ledger import EntryState, LedgerEntry


def take_back(
    session: Session,
    *,
    ids: list[int],
    everything: bool = False,
    last: bool = False,
    dry_run: bool = False,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Undo ledger entries and note in the catalog where their files lie. Returns the verb's JSON object.

    Raises CatalogError for ids that the ledger does not have.
    """
    entries = _chosen(session, ids, everything=everything, last=last)
    if dry_run:
        planned = [{"id": e.id, "from": e.target, "to": e.source, "error": ""} for e in entries]
        return {"schema": 1, "undone": 0, "failed": 0, "would_undo": len(planned), "actions": planned}
    outcomes, undone = [], 0
    for entry in sorted(entries, key=lambda entry: entry.id, reverse=True):
        outcome = undo_many([entry], session.ledger, session.clock_ns())[0]
        outcomes.append(outcome)
        on_step()
        if session.ledger.entry(entry.id).state is EntryState.UNDONE:
            undone += 1
            _note(session, outcome)  # at once: an older action on the same file may take it further
    return in_json(outcomes, undone)


def take_back_by_manifest(
    session: Session, *, quarantine: str, on_step: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Undo everything in a quarantine by its manifest, and note in the catalog that a person wanted it back.

    Actions that the ledger knows are undone through it. Returns the verb's JSON object; raises ActionError when
    there is no manifest to trust.
    """
    outcomes, undone = [], 0
    for line in read_lines(quarantine):
        if line.event == UNDONE:
            continue
        entry = _entry_of(session, line)
        if entry is not None and entry.target == f"{quarantine.rstrip('/')}/{line.target}":
            answer = take_back(session, ids=[entry.id])
            outcomes += [Outcome(a["id"], a["source"], a["path"], a["error"], a["hint"]) for a in answer["actions"]]
            undone += answer["undone"]
        else:
            outcomes.append(restore(quarantine, line))
            if not outcomes[-1].error:
                undone += 1
                _remember(session, line, entry, outcomes[-1])
        on_step()
    return in_json(outcomes, undone)


def in_json(outcomes: list[Outcome], undone: int) -> dict[str, Any]:
    """Return the verb's JSON object."""
    return {
        "schema": 1,
        "undone": undone,
        "failed": len(outcomes) - undone,
        "actions": [
            {"id": o.entry_id, "source": o.source, "path": o.path, "error": o.error, "hint": o.hint} for o in outcomes
        ],
    }


def _entry_of(session: Session, line: ManifestLine) -> LedgerEntry | None:
    """Find the action of a line that the ledger still holds as done; ids alone say nothing after a catalog was lost."""
    for entry in session.ledger.by_source(line.source):
        same = (entry.id, entry.planned_ns, entry.sha256.hex()) == (line.id, line.planned_ns, line.sha256)
        if same and entry.state is EntryState.DONE:
            return entry
    return None


def _remember(session: Session, line: ManifestLine, entry: LedgerEntry | None, outcome: Outcome) -> None:
    """Note what was taken back without the ledger, so that no scan acts on it again."""
    now_ns = session.clock_ns()
    if entry is not None:  # the quarantine is mounted elsewhere now
        session.ledger.mark_undone(entry.id, outcome.path, now_ns)
        _note(session, outcome)
        return
    path, sha256 = outcome.path or line.source, bytes.fromhex(line.sha256)
    file = session.catalog.file(path)
    if file is not None and session.catalog.image(file.image_id).sha256 == sha256:
        note_home(session.catalog, session.note_place, file, path, now_ns)
    else:
        session.catalog.rulings.remember_return(path, sha256, now_ns)


def _chosen(session: Session, ids: list[int], *, everything: bool, last: bool) -> list[LedgerEntry]:
    ledger = session.ledger
    if everything:
        return ledger.entries(state=EntryState.DONE)
    if last:
        batch = ledger.last_batch()
        return [] if batch is None else ledger.entries(state=EntryState.DONE, batch=batch)
    return [ledger.entry(entry_id) for entry_id in ids]


def _note(session: Session, outcome: Outcome) -> None:
    file = session.catalog.file_of_entry(outcome.entry_id)
    if file is None:  # let go of while it was away: it will be seen again
        entry = session.ledger.entry(outcome.entry_id)
        path = outcome.path or entry.source
        session.catalog.rulings.remember_return(path, entry.sha256, session.clock_ns())
        return
    note_home(session.catalog, session.note_place, file, outcome.path, session.clock_ns())
