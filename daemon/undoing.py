"""Take back what was moved or copied because a person asked: the files stay where they were from then on."""

from typing import Any

from daemon.session import Session
from pipeline.actions import Outcome, undo_many
from pipeline.planning import note_home
from store.ledger import EntryState, LedgerEntry


def take_back(
    session: Session, *, ids: list[int], everything: bool = False, last: bool = False, dry_run: bool = False
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
        if session.ledger.entry(entry.id).state is EntryState.UNDONE:
            undone += 1
            _note(session, outcome)  # at once: an older action on the same file may take it further
    return {
        "schema": 1,
        "undone": undone,
        "failed": len(outcomes) - undone,
        "actions": [{"id": o.entry_id, "source": o.source, "path": o.path, "error": o.error} for o in outcomes],
    }


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
    if file is not None:
        stale = note_home(session.catalog, file, outcome.path, session.clock_ns())
        if stale is not None:
            session.flow.forget_files([stale], session.clock_ns())
