"""Start-up → loop → shutdown, signals, sd_notify; nothing else.

One loop owns everything that writes. Watchers, caretakers and the scheduler only put notes into its inbox; each turn
takes the notes, moves files along, acts on verdicts, and publishes the status.
"""

import queue
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from daemon.bulletin import Bulletin
from daemon.config import Settings, load_settings
from daemon.errands import Errands
from daemon.notify import notify, watchdog_seconds
from daemon.reception import Reception
from daemon.roots import Roots
from daemon.scheduler import Schedule
from daemon.session import Session
from daemon.terminal import plural
from pipeline.planning import Problem
from store.errors import DedupdError

_IDLE_SECONDS = 0.5
_BUSY_SECONDS = 0.1
_ACT_EVERY_SECONDS = 5.0
_PAUSE_AFTER_ERROR_SECONDS = 2.0
_TRY_AGAIN_SECONDS = 60.0  # what was refused: a disk may be back, a writer may be done
_NOTES_PER_TURN = 2000
_MOST_NOTES = 10_000  # beyond it, whoever has hints waits; the watcher turns what it must drop into a rescan

Note = tuple[str, Any]


class Service:
    """Keep the hot folders clean until told to stop."""

    def __init__(self, session: Session, config: Path | None) -> None:
        self._session = session
        self._config = config
        self._log = structlog.get_logger("dedupd")
        self._inbox: queue.Queue[Note] = queue.Queue(_MOST_NOTES)
        self._stop = False
        self._reload = False
        self._bulletin = Bulletin(session)
        self._last_act = 0.0
        self._last_full_act = 0.0
        self._refused: list[Problem] = []  # since everything was last tried
        self._unacted: set[int] = set()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; the caller holds the session open."""
        self._bulletin.publish("starting", [], 0, force=True)
        self._on_signals()
        self._set_up()
        notify(READY=1, STATUS="watching")
        self._log.info("started", folders=[hot.path for hot in self._session.settings.hot_folder])
        try:
            while not self._stop:
                self._guarded_turn()
        finally:
            notify(STOPPING=1)
            self._tear_down()
            self._bulletin.publish("stopped", [], self._session.arrivals.count(), force=True)
            self._log.info("stopped")

    # -- start and end ----------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stop", True))
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_reload", True))

    def _set_up(self) -> None:
        session, settings = self._session, self._session.settings
        self._roots = Roots(session, self._put)
        if session.flow.needs_rejudging and not session.flow.migrating:
            session.flow.rejudge(
                session.clock_ns(), lambda done, total: self._tell_manager(f"embedding {done} of {total}")
            )
        self._reception = Reception(session, self._roots.watched)
        self._errands = Errands(session, self._roots, self._reception)
        self._reception.resume(time.monotonic())
        every = settings.upkeep
        self._schedule = Schedule(
            {
                "check": every.check_seconds,
                "reconcile": every.reconcile_minutes * 60,
                "snapshot": every.snapshot_minutes * 60,
                "report": every.report_minutes * 60,
                "forget": 24 * 3600,
            },
            lambda name: self._put("job", name),
        )
        self._schedule.start()
        self._roots.start()
        self._act(everything=True)

    def _tear_down(self) -> None:
        self._schedule.close()
        self._roots.close()
        self._session.flow.snapshot()
        self._session.close_flow()

    def _put(self, kind: str, content: Any) -> None:
        self._inbox.put((kind, content))

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _guarded_turn(self) -> None:
        try:
            self._turn()
        except Exception as error:  # noqa: BLE001 - per loop turn: the service outlives what it did not foresee
            self._bulletin.note_error(error)
            self._log.error("turn failed", error=str(error), exc_info=not isinstance(error, DedupdError))
            reasons = [*self._roots.problems(), str(error)]
            self._bulletin.publish("degraded", self._roots.states(), len(self._reception), reasons=reasons, force=True)
            time.sleep(_PAUSE_AFTER_ERROR_SECONDS)

    def _turn(self) -> None:
        ingest, reception = self._session.ingest, self._reception
        now = time.monotonic()
        self._take_notes(now)
        reception.take_settled(now)
        ingest.feed(reception.jobs())
        waiting = 0.2 if ingest.pool.pending else 0.0
        self._bulletin.count(ingest.turn(waiting, flush=True), now)
        self._collect_changes()
        self._act()
        self._errands.answer_requests(self._act_now)
        self._errands.work_in_the_background(idle=not ingest.busy and not len(reception))
        self._publish()
        if self._reload:
            self._reload = False
            self._load_again()
        self._tell_manager("watching")  # only here: a turn that did not go through is no sign of life

    def _take_notes(self, now: float) -> None:
        """Take what has come in; wait for something when there is nothing else to do."""
        busy = self._session.ingest.busy or self._unacted
        due = self._reception.next_due(now)
        patience = _IDLE_SECONDS if due is None else min(_IDLE_SECONDS, max(due - now, 0.0))
        wait = 0.0 if self._session.ingest.busy else min(patience, _BUSY_SECONDS) if busy else patience
        for _ in range(_NOTES_PER_TURN):
            try:
                kind, content = self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
            except queue.Empty:
                return
            wait = 0.0
            self._take_note(kind, content, now)

    def _take_note(self, kind: str, content: Any, now: float) -> None:
        if kind == "path":
            self._reception.heed(content, now)
        elif kind == "inspection":
            self._roots.note(content, self._reception, now)
        elif kind == "job":
            jobs: dict[str, Callable[[], None]] = {
                "check": self._check,
                "reconcile": self._reconcile,
                "snapshot": self._session.flow.snapshot,
                "report": self._errands.write_report,
                "forget": self._errands.forget_unseen,
            }
            jobs[content]()

    def _reconcile(self) -> None:
        self._roots.walk_all()
        watched = {watched.folder.id for watched in self._roots.watched.values()}
        self._reception.changed += self._session.drop_absent_keepers(watched)
        self._reception.changed += self._session.forget_emptied()

    def _check(self) -> None:
        now = time.monotonic()
        if self._schedule.heartbeat(time.time(), now):
            self._log.warning("the clock jumped; jobs planned anew")
        self._roots.check(now)
        self._reception.retry_due(now)

    def _collect_changes(self) -> None:
        ingest, reception = self._session.ingest, self._reception
        changed = [*ingest.changed, *reception.changed]
        ingest.changed.clear()
        reception.changed.clear()
        self._unacted.update(file.image_id for file in changed)
        for file in changed:
            self._log.debug("verdict changed", path=file.stat.path)

    def _act(self, *, everything: bool = False) -> None:
        """Carry out verdicts when the workers rest, at the latest every few seconds: a burst settles first."""
        now = time.monotonic()
        everything = everything or (bool(self._refused) and now - self._last_full_act > _TRY_AGAIN_SECONDS)
        rested = not self._session.ingest.busy or now - self._last_act > _ACT_EVERY_SECONDS
        if not everything and (not self._unacted or not rested):
            return
        self._act_now(None if everything else sorted(self._unacted))

    def _act_now(self, image_ids: list[int] | None) -> None:
        self._last_act = time.monotonic()
        self._unacted.clear()
        refused = self._session.act(self._roots.plans, image_ids)
        for problem in refused:
            self._bulletin.note_problem(f"{problem.path}: {problem.message}")
            self._log.warning("action refused", path=problem.path, reason=problem.message)
        if image_ids is None:
            self._refused = refused
            self._last_full_act = self._last_act
        else:
            self._refused += refused

    def _publish(self) -> None:
        failure = self._session.ingest.last_failure
        if failure is not None and not failure.kind.of_content:
            self._bulletin.note_problem(f"{failure.path}: {failure.reason}")
            self._session.ingest.last_failure = None
        queued = len(self._reception) + self._session.ingest.busy
        reasons = self._roots.problems()
        if self._refused:
            count, first = plural(len(self._refused), "action"), self._refused[0]
            reasons.append(f"{count} refused, tried again: {first.path}: {first.message}")
        self._bulletin.publish(None, self._roots.states(), queued, reasons=reasons)

    def _tell_manager(self, status: str) -> None:
        """Let systemd know that work goes on."""
        if watchdog_seconds() is not None:
            notify(WATCHDOG=1, STATUS=status)

    def _load_again(self) -> None:
        """Take a new configuration; a broken one changes nothing and says why."""
        try:
            settings = load_settings(self._config)
            check_folders(settings, self._session)
        except DedupdError as error:
            self._bulletin.note_error(error)
            self._log.error("configuration refused, the old one stays", error=error.message, hint=error.hint)
            return
        self._tear_down()
        self._session.settings = settings
        self._set_up()
        self._log.info("configuration loaded again")


def check_folders(settings: Settings, session: Session) -> None:
    """Refuse hot folders that cannot work together. Raises ConfigError."""
    from daemon.roots import refuse_nesting

    refuse_nesting(settings, session.state)
