"""Start-up → loop → shutdown, signals, sd_notify; nothing else.

One loop owns everything that writes. Watchers, caretakers and the scheduler only put notes into its inbox; each turn
takes the notes, moves files along, acts on verdicts, and publishes the status.
"""

import math
import queue
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog

from daemon.bulletin import Bulletin
from daemon.config import Settings, load_settings
from daemon.errands import Errands
from daemon.notify import notify, watchdog_seconds
from daemon.pulse import Pulse
from daemon.reception import Reception
from daemon.refusals import Refusals
from daemon.remaking import catch_up
from daemon.roots import Roots, refuse_nesting
from daemon.scheduler import Schedule, lived_ns
from daemon.session import Session
from daemon.space import StateSpace
from daemon.stopping import StopRequest
from daemon.terminal import plural
from daemon.tidying import give_memory_back
from store.database import is_damage, is_full, sqlite3
from store.errors import DedupdError

_IDLE_SECONDS = 0.5
_BUSY_SECONDS = 0.1
_ACT_EVERY_SECONDS = 5.0
_PAUSE_AFTER_ERROR_SECONDS = 2.0
_START_PATIENCE_SECONDS = 300  # asked of systemd again and again while a long start moves
_PULSE_PATIENCE_SECONDS = 60.0
_NOTES_PER_TURN = 2000
_MOST_NOTES = 10_000  # beyond it, whoever has hints waits; the watcher turns what it must drop into a rescan

Note = tuple[str, Any]


class Service:
    """Keep the hot folders clean until told to stop."""

    def __init__(self, session: Session, config: Path | None, stop: StopRequest | None = None) -> None:
        self._session = session
        self._stop = stop
        self._config = config
        self._log = structlog.get_logger("dedupd")
        self._inbox: queue.Queue[Note] = queue.Queue(_MOST_NOTES)
        self._reload = False
        self._bulletin = Bulletin(session)
        self._last_act = 0.0
        self._refusals = Refusals()
        self._unacted: set[int] = set()
        self._missed: dict[str, None] = {}  # jobs that came while the disk was full
        self._short = ""  # what is missing while the disk is full
        self._looked_for_space = -math.inf
        self._started = time.time_ns(), time.monotonic_ns()
        self._parts = ExitStack()  # how to close what `_set_up` made, the last first
        self._whole = False  # whether all of it is there

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; the caller holds the session open.

        A full disk pauses the loop; one that is met while the parts are made (`store.database.is_full`) is raised,
        and the caller begins anew when there is room.
        """
        self._bulletin.publish("starting", [], 0, force=True)
        self._on_signals()
        self._set_up()
        notify(READY=1, STATUS="watching")
        self._log.info("started", folders=[hot.path for hot in self._session.settings.hot_folder])
        begins_anew = False
        try:
            while self._stop is None or not self._stop.asked:
                self._guarded_turn()
        except Exception as error:
            begins_anew = is_full(error)
            raise
        finally:
            if not begins_anew:
                notify(STOPPING=1)
            self._tear_down()
            if not begins_anew:
                self._bulletin.publish("stopped", [], self._session.arrivals.count(), force=True)
                self._log.info("stopped")

    # -- start and end ----------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_reload", True))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))  # one that came during the start comes now

    def _set_up(self) -> None:
        """Make all parts, or, on any exception, none."""
        try:
            self._make_parts()
            self._roots.start()
            self._act(everything=True)
            self._errands.back_up()
        except BaseException:
            self._tear_down()
            raise
        self._whole = True

    def _make_parts(self) -> None:
        session, settings = self._session, self._session.settings
        self._parts.callback(session.close_flow)
        self._parts.callback(self._snapshot_at_end)
        self._roots = Roots(session, self._put)
        self._parts.callback(self._roots.close)
        remade = catch_up(session, lambda done, total=None: tell_of_start(f"measuring again {done} of {total}"))
        if remade.measured:
            self._log.info("measured again, for this version of dedupd", pictures=remade.measured)
        if remade.left:
            self._log.warning("not measured again: files are offline or changed", pictures=remade.left)
        if remade.measured or (session.flow.needs_rejudging and not session.flow.migrating):
            session.flow.rejudge(session.clock_ns(), lambda done, total: tell_of_start(f"embedding {done} of {total}"))
        self._reception = Reception(session, self._roots.watched)
        self._parts.callback(self._reception.close)
        session.ingest.torn_settle_seconds = settings.settle.torn_settle_seconds
        self._errands = Errands(session, self._roots, self._reception, self._tell_manager)
        self._parts.callback(self._errands.close)
        self._space = StateSpace(session.state.path, settings.upkeep.min_free_state_mb << 20)
        self._pulse = Pulse(
            {
                "jobs of the clock": max(_PULSE_PATIENCE_SECONDS, 6 * settings.upkeep.check_seconds),
                "decoding processes": _PULSE_PATIENCE_SECONDS + 2 * settings.workers.timeout_seconds,
            },
            time.monotonic(),
        )
        self._reception.resume(time.monotonic())
        every = settings.upkeep
        self._schedule = Schedule(
            {
                "check": every.check_seconds,
                "reconcile": every.reconcile_minutes * 60,
                "snapshot": every.snapshot_minutes * 60,
                "report": every.report_minutes * 60,
                "backup": min(every.backup_hours, 1.0) * 3600,  # looks whether one is due: a machine may run in bits
                "forget": 3600,
            },
            lambda name: self._put("job", name),
        )
        self._schedule.start()
        self._parts.callback(self._schedule.close)

    def _tear_down(self) -> None:
        """Close what is open, the last first; each is closed, whatever becomes of the others."""
        self._whole = False
        self._parts.close()

    def _snapshot_at_end(self) -> None:
        try:
            self._session.flow.snapshot()
        except (OSError, DedupdError, sqlite3.Error) as error:  # it is a cache; the next start builds it again
            self._log.warning("no snapshot of the index", reason=str(error))

    def _put(self, kind: str, content: Any) -> None:
        self._inbox.put((kind, content))

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _guarded_turn(self) -> None:
        try:
            self._turn()
        except Exception as error:
            if not self._whole:  # a reload could not make its parts
                raise
            if is_full(error):
                self._space.note_refusal()
                self._looked_for_space = -math.inf  # the next turn looks, and pauses
                self._log.warning("the disk is full", error=str(error))
                return
            self._bulletin.note_error(error)
            if is_damage(error):  # nothing may be decided by a damaged catalog
                raise  # the session says it in words
            self._log.error("turn failed", error=str(error), exc_info=not isinstance(error, DedupdError | OSError))
            reasons = [*self._roots.problems(), str(error)]
            self._bulletin.publish("degraded", self._roots.states(), len(self._reception), reasons=reasons, force=True)
            time.sleep(_PAUSE_AFTER_ERROR_SECONDS)

    def _turn(self) -> None:
        ingest, reception = self._session.ingest, self._reception
        now = time.monotonic()
        self._heed_clocks(now)
        if self._lacks_space(now):
            self._wait_for_space()
            return
        self._take_notes(now)
        reception.take_settled(now)
        ingest.feed(reception.jobs())
        waiting = 0.2 if ingest.pool.pending else 0.0
        measured = ingest.measured
        self._bulletin.count(ingest.turn(waiting, flush=True), now)
        if ingest.measured != measured or not ingest.pool.pending:
            self._pulse.beat("decoding processes", now)
        self._collect_changes()
        self._act()
        self._errands.answer_requests(self._act_now)
        self._errands.complain()
        self._errands.work_in_the_background(idle=not ingest.busy and not len(reception))
        self._publish()
        if self._reload:
            self._reload = False
            self._load_again()
        if not self._pulse.stuck(now):  # a turn that did not go through, or moved nothing, is no sign of life
            self._tell_manager("watching")

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
            self._do(content)

    def _do(self, job: str) -> None:
        jobs: dict[str, Callable[[], None]] = {
            "check": self._check,
            "reconcile": self._reconcile,
            "snapshot": self._snapshot,
            "report": self._errands.write_report,
            "backup": self._errands.back_up,
            "forget": self._forget_unseen,
        }
        jobs[job]()

    def _snapshot(self) -> None:
        self._session.flow.snapshot()
        give_memory_back()

    def _reconcile(self) -> None:
        self._roots.walk_all()
        watched = {watched.folder.id for watched in self._roots.watched.values()}
        self._reception.changed += self._session.drop_absent_keepers(watched)
        self._reception.changed += self._session.forget_emptied()

    def _forget_unseen(self) -> None:
        self._errands.forget_unseen(lived_ns(self._started, (self._session.clock_ns(), time.monotonic_ns())))

    def _check(self) -> None:
        now = time.monotonic()
        self._pulse.beat("jobs of the clock", now)
        self._roots.check(now)
        self._reception.retry_due(now)

    def _heed_clocks(self, now: float) -> None:
        jump = self._schedule.heartbeat(time.time(), now)
        if jump:
            self._log.warning("the clock jumped; jobs planned anew", seconds=round(jump))
        if jump < 0:
            self._reception.resume(now)  # what was put off by a clock that was ahead would wait for it

    # -- a full disk ------------------------------------------------------------------------------------------------

    def _lacks_space(self, now: float) -> bool:
        """Look every few seconds whether there is room to go on; take everything up again once there is."""
        if now - self._looked_for_space < self._session.settings.upkeep.check_seconds:
            return bool(self._short)
        self._looked_for_space = now
        before, short = self._short, self._space.shortage()
        if short and not before:
            self._log.error("paused", reason=short)
        elif before and not short:
            self._log.info("there is room again; going on")
            self._session.finish_interrupted()
            self._reception.resume(now)
            self._roots.walk_all()  # whatever was hinted at meanwhile
            self._act(everything=True)
            for job in list(self._missed):
                self._do(job)
                del self._missed[job]
        self._short = short  # not before: where the disk is full again half way, all of it is done once more
        return bool(short)

    def _wait_for_space(self) -> None:
        """Write nothing; look after the roots, so that a dead one is known, and drop hints: a walk will follow."""
        now = time.monotonic()
        until = now + _IDLE_SECONDS
        while (patience := until - time.monotonic()) > 0:
            try:
                kind, content = self._inbox.get(timeout=patience)
            except queue.Empty:
                break
            if kind == "job" and content == "check":
                self._pulse.beat("jobs of the clock", now)
            elif kind == "job":
                self._missed[content] = None
        self._pulse.beat("decoding processes", now)
        self._errands.refuse_requests(self._short)
        self._bulletin.publish("paused", self._roots.states(), len(self._reception), reasons=[self._short])
        if not self._pulse.stuck(now):
            self._tell_manager(self._short)

    # -- verdicts and status ----------------------------------------------------------------------------------------

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
        everything = everything or self._refusals.due(now)
        rested = not self._session.ingest.busy or now - self._last_act > _ACT_EVERY_SECONDS
        if not everything and (not self._unacted or not rested):
            return
        self._act_now(None if everything else sorted(self._unacted))

    def _act_now(self, image_ids: list[int] | None) -> None:
        self._last_act = time.monotonic()
        self._unacted.clear()
        if image_ids is None:
            self._session.finish_interrupted()
        plans = self._reception.reachable(self._roots.plans)
        refused = self._session.act(plans, image_ids, lambda done, total: self._tell_manager())
        for problem in self._refusals.note(refused, self._last_act, everything=image_ids is None):
            self._bulletin.note_problem(problem.text)
            self._log.warning("action refused", path=problem.path, reason=problem.message)

    def _publish(self) -> None:
        failure = self._session.ingest.last_failure
        if failure is not None and not failure.kind.of_content:
            self._bulletin.note_problem(f"{failure.path}: {failure.reason}")
            self._session.ingest.last_failure = None
        queued = len(self._reception) + self._session.ingest.busy
        reasons = [*self._roots.problems(), *self._pulse.stuck(time.monotonic())]
        if refused := self._refusals.problems:
            count, first = plural(len(refused), "action"), refused[0]
            reasons.append(f"{count} refused, tried again: {first.text}")
        self._bulletin.publish(None, self._roots.states(), queued, reasons=reasons)

    def _tell_manager(self, status: str = "working") -> None:
        """Let systemd know that work goes on."""
        if watchdog_seconds() is not None:
            notify(WATCHDOG=1, STATUS=status)

    def _load_again(self) -> None:
        """Take a new configuration; a broken one changes nothing and says why."""
        try:
            settings = load_settings(self._config)
            check_settings(settings, self._session)
        except DedupdError as error:
            self._bulletin.note_error(error)
            self._log.error("configuration refused, the old one stays", error=error.message, hint=error.hint)
            return
        self._tear_down()
        self._session.settings = settings
        self._set_up()
        self._log.info("configuration loaded again")


def tell_of_start(status: str) -> None:
    """Let systemd know that a long start moves: it may take as long again."""
    notify(WATCHDOG=1, EXTEND_TIMEOUT_USEC=_START_PATIENCE_SECONDS * 1_000_000, STATUS=status)


def check_settings(settings: Settings, session: Session) -> None:
    """Refuse hot folders that cannot work together, and a model that is not there. Raises ConfigError, ModelError."""
    from pipeline.embedding import model_facts

    refuse_nesting(settings, session.state)
    model_facts(settings.embedding)
