"""A reader's view of a state folder: works while the service runs and while it does not, and changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daemon.config import Settings
from daemon.state import StateFolder
from pipeline.flow import open_knowledge
from pipeline.knowledge import Knowledge
from pipeline.verdicts import Judge
from store.catalog import Catalog
from store.database import hold_still, let_go, telling


@dataclass(frozen=True, slots=True)
class Reader:
    """Catalog, indexes and judge for reading."""

    catalog: Catalog
    knowledge: Knowledge
    judge: Judge


@contextmanager
def reading(state: StateFolder, settings: Settings) -> Iterator[Reader]:
    """Open a state folder for reading. Raises NoCatalogError when there is none, DamageError for a damaged one."""
    with telling(state.catalog):
        catalog = Catalog(state.catalog, read_only=True)
        try:
            hold_still(catalog.database)  # a service may write while this reads
            knowledge = open_knowledge(catalog, state.path, settings.flow)
            yield Reader(catalog, knowledge, Judge(knowledge, settings.keeper))
        finally:
            let_go(catalog.database)
            catalog.close()
