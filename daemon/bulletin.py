"""What the service tells about itself: the status file, the rate, the last error."""

import os
import time
from collections import deque
from collections.abc import Sequence

from daemon.session import Session
from daemon.status import FolderStatus, IndexStatus, State, Status, write_status

_RATE_SECONDS = 10.0
_COST_SHARE = 0.05  # of the loop's time, at most, goes into counting


class Bulletin:
    """Collect what happened and publish it, not more often than it is worth."""

    def __init__(self, session: Session, report: str = "") -> None:
        self._session = session
        self._report = report or str(session.state.report / "cleaning_report.html")
        self._done: deque[tuple[float, int]] = deque()
        self._last_error = ""
        self._next = 0.0
        self._latest: Status | None = None

    def count(self, images: int, now: float) -> None:
        """Note that images were judged."""
        if images:
            self._done.append((now, images))

    def note_error(self, error: Exception) -> None:
        """Note what went wrong with the service itself."""
        self._last_error = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {error}"

    def note_problem(self, problem: str) -> None:
        """Note what went wrong with one file."""
        self._last_error = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {problem}"

    def publish(
        self,
        state: State | None,
        folders: Sequence[FolderStatus],
        queue: int,
        *,
        reasons: Sequence[str] = (),
        force: bool = False,
    ) -> None:
        """Write the status file if enough time has passed; `state` None finds the state out itself."""
        now = time.monotonic()
        if now < self._next and not force:
            return
        catalog = self._session.catalog
        verdicts = catalog.verdict_counts()
        status = Status(
            state=state or _state(folders, reasons, queue),
            pid=None if state == "stopped" else os.getpid(),
            updated_ns=time.time_ns(),
            reasons=tuple(reasons),
            folders=tuple(folders) or (self._latest.folders if self._latest else ()),
            files=sum(verdicts.values()),
            images=catalog.count_images(),
            groups=catalog.count_groups(),
            queue=queue,
            verdicts=verdicts,
            rulings=catalog.rulings.count(),
            images_per_second=round(self._rate(now), 2),
            index=self._index(),
            last_error=self._last_error,
            report=self._report,
        )
        write_status(self._session.state, status)
        self._latest = status
        cost = time.monotonic() - now
        self._next = now + max(0.5, cost / _COST_SHARE)

    def _rate(self, now: float) -> float:
        while self._done and self._done[0][0] < now - _RATE_SECONDS:
            self._done.popleft()
        return sum(images for _, images in self._done) / _RATE_SECONDS

    def _index(self) -> IndexStatus:
        if (flow := self._session.open_flow) is None:  # before the start and after the end: nothing is made for this
            return self._latest.index if self._latest else IndexStatus()
        knowledge = flow.knowledge
        if not knowledge.indexes.loaded:
            return IndexStatus(knowledge.model_id, self._session.catalog.count_embeddings(knowledge.model_id), "")
        vectors = knowledge.indexes.vectors
        return IndexStatus(knowledge.model_id, len(vectors), vectors.kind)


def _state(folders: Sequence[FolderStatus], reasons: Sequence[str], queue: int) -> State:
    states = {folder.state for folder in folders}
    if "paused" in states:
        return "paused"
    if "offline" in states or "degraded" in states or any(reasons):
        return "degraded"
    return "scanning" if "scanning" in states or queue else "ok"
