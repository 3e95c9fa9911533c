"""One writer's session over a state folder: catalog, flow and ledger, opened together and recovered first."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from daemon.asking import root_answers
from daemon.config import Settings
from daemon.folders import look, unchanged
from daemon.ingest import Ingest
from daemon.launching import Launched
from daemon.state import InstanceLock, StateFolder
from daemon.workers import WorkerPool
from pipeline.actions import ActionSettings, Outcome, recover
from pipeline.flow import Flow
from pipeline.manifest import MANIFEST_NAME
from pipeline.planning import FolderPlan, Planner, Problem
from pipeline.syscalls import hash_file
from store.arrivals import Arrivals
from store.catalog import Catalog
from store.database import check_integrity, in_words, sqlite3, telling
from store.ledger import Ledger
from store.records import CatalogFile, VerdictKind


@dataclass(frozen=True, slots=True)
class _Opened:
    catalog: Catalog
    ledger: Ledger
    arrivals: Arrivals


class Session:
    """Hold the lock and everything that writes. `flow` and `pool` are made when they are first needed.

    Opening checks the catalog's file, and finishes or rolls back whatever a crash left half way. Raises DamageError for
    a damaged catalog before any file is touched.
    """

    def __init__(
        self,
        state: StateFolder,
        settings: Settings,
        clock_ns: Callable[[], int] = time.time_ns,
        launched: Sequence[Launched] = (),
    ) -> None:
        """`launched` are processes for the pool of workers that were given a head start."""
        self._launched = launched
        self.state = state
        self.settings = settings
        self.clock_ns = clock_ns
        self._lock = InstanceLock(state)
        self._opened: _Opened | None = None
        self._flow: Flow | None = None
        self._ingest: Ingest | None = None
        self.recovered: Sequence[Outcome] = ()  # what a crash had left half way, and what became of it

    def __enter__(self) -> "Session":
        self.state.create()
        self._lock.__enter__()
        try:
            with telling(self.state.catalog):
                catalog = Catalog(self.state.catalog)
                check_integrity(catalog.database, self.state.catalog)
                self._opened = _Opened(catalog, Ledger(catalog.database), Arrivals(catalog.database))
                self.recovered = self.finish_interrupted()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def finish_interrupted(self) -> Sequence[Outcome]:
        """Finish or roll back actions that a crash or a full disk left half way; return what became of them."""
        outcomes = recover(self.ledger, self.clock_ns(), root_answers)
        Planner(self.catalog, self.ledger, {}, ActionSettings(), self.note_place).adopt_finished()
        return outcomes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_flow()
        if self._opened is not None:
            self._opened.catalog.close()
        self._lock.__exit__()
        if isinstance(error, sqlite3.Error):
            raise in_words(error, self.state.catalog) from error

    @property
    def catalog(self) -> Catalog:
        """The catalog."""
        return self._ready.catalog

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self._ready.ledger

    @property
    def arrivals(self) -> Arrivals:
        """The arrivals."""
        return self._ready.arrivals

    @property
    def flow(self) -> Flow:
        """The flow over the catalog."""
        if self._flow is None:
            self._flow = Flow(self.catalog, self.state.path, self.settings.flow)
        return self._flow

    @property
    def open_flow(self) -> Flow | None:
        """The flow, if it was needed and is still open."""
        return self._flow

    @property
    def ingest(self) -> Ingest:
        """The loop that carries files through the flow."""
        if self._ingest is None:
            settings, launched = self.settings, self._launched
            pool = WorkerPool(settings.workers, settings.decode, settings.quality, launched=launched)
            self._launched = ()
            self._ingest = Ingest(self.flow, self.catalog, self.arrivals, pool, self.clock_ns)
            self.flow.ask = pool.ask
        return self._ingest

    def close_flow(self) -> None:
        """End the workers and let go of the flow; both are made again, with the settings of then, when needed."""
        if self._ingest is not None:
            self._ingest.pool.close()
        self._ingest = self._flow = None

    def act(
        self,
        plans: Mapping[int, FolderPlan],
        image_ids: Sequence[int] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Problem]:
        """Carry out what verdicts ask for: for some images, or (None) for all that are unsettled.

        What a person deleted from quarantine cannot come home: with all images, it is let go of and no longer tried.
        """
        action_settings = ActionSettings(min_free_bytes=self.settings.actions.min_free_mb << 20)
        planner = Planner(self.catalog, self.ledger, plans, action_settings, self.note_place)
        wanted = planner.unsettled() if image_ids is None else image_ids
        refused = planner.carry_out(self.flow.judge, wanted, self.clock_ns, progress)
        if refused and image_ids is None and (gone := self._emptied()):
            self.flow.forget_files(gone, self.clock_ns())
            refused = planner.carry_out(self.flow.judge, planner.unsettled(), self.clock_ns, progress)
        return refused

    def holds(self, file: CatalogFile, path: str) -> bool:
        """Read a file and tell whether it holds the content of a known one; inodes and times are used again."""
        return has_content(path, self.catalog.image(file.image_id).sha256)

    def note_place(self, file: CatalogFile, note: Callable[[], object], *, at: str | None = None) -> list[CatalogFile]:
        """Let `note` write where a file lies now, and judge anew what hangs on it (`Flow.note_place`)."""
        return self.flow.note_place(file, note, self.clock_ns(), at=at)

    def drop_absent_keepers(self, watched: set[int]) -> list[CatalogFile]:
        """Let go of keepers in folders that nobody watches now and that are gone or changed, until all are there.

        `watched` holds the ids of folders that were just walked. Returns every file whose verdict changed.
        """
        changed: list[CatalogFile] = []
        while gone := self._absent_keepers(watched):
            changed += self.flow.forget_files(gone, self.clock_ns())
        return changed

    def forget_emptied(self) -> list[CatalogFile]:
        """Let go of files that a person deleted from a quarantine that is still there."""
        gone = self._emptied()
        return self.flow.forget_files(gone, self.clock_ns()) if gone else []

    def _emptied(self) -> list[CatalogFile]:
        away = self.catalog.files_away()
        return [f for f in away if f.lies_at is not None and _is_gone(f.lies_at) and self._quarantine_is_there(f)]

    def _quarantine_is_there(self, file: CatalogFile) -> bool:
        assert file.entry_id is not None
        root = self.ledger.entry(file.entry_id).quarantine_root
        return os.path.lexists(os.path.join(root, MANIFEST_NAME))  # without it the disk is not mounted

    def _absent_keepers(self, watched: set[int]) -> list[CatalogFile]:
        matched = self.catalog.files_with((VerdictKind.DUPLICATE, VerdictKind.SIMILAR))
        image_ids = sorted({file.image_id for file in matched if file.folder_id in watched})
        paths = {verdict.keeper for _, _, verdict in self.flow.judge.verdicts(image_ids) if verdict.keeper}
        keepers = [file for path in sorted(paths) if (file := self.catalog.file(path)) is not None]
        outside = [file for file in keepers if file.folder_id not in watched]
        return [file for file in outside if (now := look(file.stat.path)) is None or not unchanged(file.stat, now)]

    @property
    def _ready(self) -> _Opened:
        assert self._opened is not None, "used outside its `with` block"
        return self._opened


def _is_gone(path: str) -> bool:
    """Tell whether the disk says that nothing is there; one that does not let us look has said nothing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def has_content(path: str, sha256: bytes) -> bool:
    """Read a file and tell whether it holds a content; False for what cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return hash_file(descriptor) == sha256
    except OSError:
        return False
    finally:
        os.close(descriptor)
