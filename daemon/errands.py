"""What the service does besides judging: requests of other processes, reports, upkeep, a model on its way in."""

import os
import time
from collections.abc import Callable
from typing import Any

import structlog

from daemon import requests
from daemon.reception import Reception
from daemon.report import write_report
from daemon.results import build_report, collect
from daemon.roots import Roots
from daemon.session import Session
from daemon.undoing import take_back
from store.errors import DedupdError, UsageError

_DAY_NS = 24 * 3600 * 10**9
_LOG = structlog.get_logger("dedupd")


class Errands:
    """Run small jobs inside the service's loop."""

    def __init__(self, session: Session, roots: Roots, reception: Reception) -> None:
        self._session = session
        self._roots = roots
        self._reception = reception

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

    def forget_unseen(self) -> None:
        """Delete what is known of images that nobody has had for a long time."""
        days = self._session.settings.upkeep.forget_after_days
        gone = self._session.flow.forget_unseen(self._session.clock_ns() - int(days * _DAY_NS))
        if gone:
            _LOG.info("forgot images without a file", images=gone)

    def work_in_the_background(self, *, idle: bool) -> None:
        """Prepare another model while nothing else is to do; let it take over when it is ready."""
        flow = self._session.flow
        if idle and flow.migrating and not flow.embed_some():
            flow.rejudge(self._session.clock_ns())
            _LOG.info("another model took over", model=flow.knowledge.model_id)

    def _serve(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if verb == "undo":
            return take_back(self._session, **arguments)
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
