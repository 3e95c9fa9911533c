"""Put a backup of the catalog back, and find out what dedupd did to files since it was taken."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.state import InstanceLock, StateFolder
from pipeline.manifest import MANIFEST_NAME, UNDONE, read_lines
from store.backup import restore_backup
from store.catalog import Catalog
from store.database import check_integrity, telling
from store.errors import ActionError, DedupdError
from store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `unknown` counts, per quarantine, files that moved after the backup was taken."""

    replaced: Path | None  # where the former catalog lies now
    unknown: dict[str, int]


def restore(state: StateFolder, file: Path, quarantines: Iterable[str], now_ns: int) -> Restored:
    """Put a backup in the catalog's place, bring it to today's format, and compare it with the quarantines' manifests.

    The index of embeddings goes: its numbers may mean other images now. Raises BusyError while a service runs, and
    what `restore_backup` raises.
    """
    state.create()
    with InstanceLock(state):
        replaced = restore_backup(file, state.catalog, now_ns)
        shutil.rmtree(state.path / "vectors", ignore_errors=True)
        catalog = Catalog(state.catalog)
        try:
            check_integrity(catalog.database, state.catalog)
            former = [path for path in state.path.glob(f"{state.catalog.name}.replaced-*") if path.name[-1].isdigit()]
            places = set(quarantines).union(*map(_quarantines_of, former))
            return Restored(replaced, _unknown_actions(Ledger(catalog.database), places))
        finally:
            catalog.close()


def _quarantines_of(replaced: Path) -> set[str]:
    """Ask a former catalog where it sent files; a damaged one may not tell."""
    with suppress(DedupdError), telling(replaced):
        catalog = Catalog(replaced, read_only=True)
        try:
            return {entry.quarantine_root for entry in Ledger(catalog.database).entries()}
        finally:
            catalog.close()
    return set()


def _unknown_actions(ledger: Ledger, quarantines: Iterable[str]) -> dict[str, int]:
    entries = ledger.entries()
    known = {(entry.id, entry.planned_ns) for entry in entries}
    found = {}
    for root in sorted({*quarantines, *(entry.quarantine_root for entry in entries)}):
        if not os.path.lexists(os.path.join(root, MANIFEST_NAME)):
            continue
        try:
            lines = [line for line in read_lines(root) if line.event != UNDONE]
        except ActionError:  # a manifest that others may write to is not to be believed
            continue
        count = sum(
            (line.id, line.planned_ns) not in known and os.path.lexists(os.path.join(root, line.target))
            for line in lines
        )
        if count:
            found[root] = count
    return found
