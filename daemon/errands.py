"""What the service does besides judging: requests of other processes, reports, upkeep, a model on its way in."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from daemon import requests
from daemon.mounts import free_bytes
from daemon.reception import Reception
from daemon.report import write_report
from daemon.results import build_report, collect
from daemon.roots import Roots
from daemon.ruling import rule, take_back_rulings
from daemon.session import Session
from daemon.undoing import take_back, take_back_by_manifest
from store.backup import backup_path, is_due, prune_backups, take_backup
from store.errors import DamageError, DedupdError, UsageError

_HOUR_NS = 3600 * 10**9
_DAY_NS = 24 * _HOUR_NS
_BACKUP_PATIENCE_SECONDS = 5.0
_LOG = structlog.get_logger("dedupd")


class Errands:
    """Run small jobs inside the service's loop."""

    def __init__(
        self, session: Session, roots: Roots, reception: Reception, on_step: Callable[[], None] = lambda: None
    ) -> None:
        self._session = session
        self._roots = roots
        self._reception = reception
        self._on_step = on_step  # called within long work: it moves
        self._backup: threading.Thread | None = None
        self._damage: DamageError | None = None

    def answer_requests(self, act: Callable[[list[int] | None], None]) -> None:
        """Serve what other processes asked for."""
        for request in requests.waiting(self._session.state):
            try:
                request.answer(self._serve(request.verb, request.arguments))
                act(None)
            except DedupdError as error:
                request.answer({"error": error.message, "hint": error.hint, "exit_code": error.exit_code})
            except Exception as error:  # noqa: BLE001 - per request: whoever asked must get an answer
                _LOG.error("request failed", verb=request.verb, exc_info=True)
                request.answer({"error": f"the service failed: {error}"})

    def refuse_requests(self, reason: str) -> None:
        """Tell whoever asks that nothing can be written now."""
        for request in requests.waiting(self._session.state):
            with suppress(OSError):  # its answer may find no room either; then it waits in vain, as it must
                request.answer({"error": reason, "hint": "free some space on that disk", "exit_code": 1})

    def write_report(self) -> None:
        """Write the report into the state folder."""
        started = time.monotonic()
        session = self._session
        folders = [watched.folder for watched in self._roots.watched.values()]
        results = collect(session.catalog, session.flow.judge, folders)
        knowledge = session.flow.knowledge
        seconds = time.monotonic() - started
        page = build_report(results, knowledge, session.settings, results.action, seconds, self._roots.problems())
        session.state.report.mkdir(mode=0o700, exist_ok=True)
        write_report(session.state.report, page, knowledge.previews.read)

    def forget_unseen(self, now_ns: int) -> None:
        """Delete what is known of images that nobody has had for a long time."""
        days = self._session.settings.upkeep.forget_after_days
        gone = self._session.flow.forget_unseen(now_ns - int(days * _DAY_NS))
        if gone:
            _LOG.info("forgot images without a file", images=gone)

    def back_up(self) -> None:
        """Begin a backup of the catalog if one is due; it is taken beside the service's own work, from its own view."""
        upkeep, catalog = self._session.settings.upkeep, self._session.state.catalog
        every_ns = int(upkeep.backup_hours * _HOUR_NS)
        busy = self._backup is not None and self._backup.is_alive()
        if not upkeep.keep_backups or busy or not is_due(catalog, self._session.clock_ns(), every_ns):
            return
        if free_bytes(catalog.parent) < catalog.stat().st_size + (upkeep.min_free_state_mb << 20):
            _LOG.warning("backup put off: too little space is left for it")
            return
        work = (catalog, self._session.clock_ns(), upkeep.keep_backups)
        self._backup = threading.Thread(target=self._back_up, args=work, name="dedupd-backup", daemon=True)
        self._backup.start()

    def complain(self) -> None:
        """Raise DamageError if a backup found the catalog damaged: then nothing more may be decided by it."""
        if self._damage is not None:
            raise self._damage

    def close(self) -> None:
        """Let a backup under way come to its end, but not wait for a disk that hangs."""
        if self._backup is not None:
            self._backup.join(_BACKUP_PATIENCE_SECONDS)

    def work_in_the_background(self, *, idle: bool) -> None:
        """Prepare another model while nothing else is to do; let it take over when it is ready."""
        flow = self._session.flow
        if idle and flow.migrating and not flow.embed_some():
            flow.rejudge(self._session.clock_ns())
            _LOG.info("another model took over", model=flow.knowledge.model_id)

    def _serve(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if verb == "undo":
            return take_back(self._session, **arguments, on_step=self._on_step)
        if verb == "undo-manifest":
            return take_back_by_manifest(self._session, **arguments, on_step=self._on_step)
        if verb == "rule":
            return rule(self._session, **arguments)
        if verb == "unrule":
            return take_back_rulings(self._session, **arguments)
        if verb == "report":
            self.write_report()
            return {"report": str(self._session.state.report / "cleaning_report.html")}
        if verb == "accept-vanished":
            root = os.path.realpath(arguments["folder"])
            if root not in self._roots.watched:
                raise UsageError(f"{root} is no hot folder", "`dedupd status` lists them")
            self._reception.accept_loss(root)
            self._roots.walk(root)
            return {"accepted": root}
        raise UsageError(f"the service does not know {verb!r}", "is it an older version?")

    def _back_up(self, catalog: Path, now_ns: int, keep: int) -> None:
        try:
            taken = take_backup(catalog, backup_path(catalog, now_ns))
            gone = prune_backups(catalog, keep)
        except DamageError as error:
            self._damage = error
        except (OSError, DedupdError) as error:
            _LOG.error("backup failed", error=str(error))
        else:
            _LOG.info("backed up", path=str(taken.path), bytes=taken.byte_size, pruned=len(gone))
