"""When is a file finished? Pure: stats go in, settled stats come out, the clock is an argument.

No sender says "done" reliably: a rename gives no close event, a network share gives no events at all, a
scanner pauses for seconds. So a file counts as settled when nothing about it has changed for a while. Only
differences between stats count, never their values: a file from the future or from 1970 settles like any
other.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from store.records import FileStat


@dataclass(frozen=True, slots=True)
class SettleSettings:
    """How long a file must be quiet, and how often one that never is may come back."""

    settle_seconds: Annotated[float, Ge(0)] = 2.0
    # An empty file is nearly always one whose writer still waits for its first bytes (a slow download).
    empty_settle_seconds: Annotated[float, Ge(0)] = 30.0
    # A picture that cannot be decoded may be one whose writer closes it and goes on later: a scanner, an upload taken
    # up again.
    torn_settle_seconds: Annotated[float, Ge(0)] = 10.0
    # A file that changes after it settled comes back after 2, 4, 8 … times settle_seconds, at most after
    # this.
    max_backoff_seconds: Annotated[float, Ge(0)] = 300.0
    # Paths remembered after they settled, for twice the longest back-off: a second event about the same bytes is no
    # second arrival.
    remembered_paths: Annotated[int, Ge(0)] = 10_000


@dataclass(slots=True)
class _Waiting:
    stat: FileStat
    due: float
    not_before: float  # back-off: the earliest time this path may come back
    relapses: int  # how often it changed soon after it was called settled
    queued: float  # its one valid place in the queue, never later than `due`


@dataclass(frozen=True, slots=True)
class _Returned:
    stat: FileStat
    at: float
    relapses: int


class Settle:
    """Collect stats of files and hand out those that have been quiet long enough.

    One entry per path, however often it is fed. All times are seconds of one monotonic clock. Not thread-
    safe: it belongs to the loop that feeds it.
    """

    def __init__(self, settings: SettleSettings | None = None) -> None:
        self._settings = settings or SettleSettings()
        self._waiting: dict[str, _Waiting] = {}
        self._returned: OrderedDict[str, _Returned] = OrderedDict()
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Count the paths that wait to settle."""
        return len(self._waiting)

    def feed(self, stat: FileStat, now: float) -> None:
        """Take what was seen of a file; the wait starts anew only if something about it is different."""
        waiting = self._waiting.get(stat.path)
        if waiting is None:
            returned = self._returned.get(stat.path)
            if returned is None or returned.stat != stat:
                self._returned.pop(stat.path, None)
                self._wait(stat, now, *self._backoff(returned, now))
        elif waiting.stat != stat:
            waiting.stat = stat
            waiting.due = max(now + self._quiet_seconds(stat), waiting.not_before)
            if waiting.due < waiting.queued:  # an empty file got its first bytes
                self._enqueue(stat.path, waiting)

    def forget(self, path: str) -> None:
        """Drop a path: it is gone, or somebody else looks after it now."""
        self._waiting.pop(path, None)
        self._returned.pop(path, None)

    def ready(self, now: float) -> list[FileStat]:
        """Return the stats of files unchanged for long enough, each once until it is fed with another stat.

        "Unchanged" as far as this object was told; where events may be missing, and they always may, use
        `confirmed`.
        """
        return [waiting.stat for waiting in self._take_due(now)]

    def confirmed(self, now: float, look: Callable[[str], FileStat | None]) -> list[FileStat]:
        """Return settled files that still look as they did; files that changed unseen go on waiting.

        `look` gives the present stat of a path, None when it is gone or no regular file
        (`daemon.folders.look`).
        """
        confirmed = []
        for waiting in self._take_due(now):
            present = look(waiting.stat.path)
            if present == waiting.stat:
                confirmed.append(present)
                continue
            self._returned.pop(waiting.stat.path, None)
            if present is not None:
                self._wait(present, now, waiting.relapses, waiting.not_before)
        return confirmed

    def next_due(self, now: float) -> float | None:
        """Return the time (same clock, not before `now`) when `ready` has work; None when nothing waits."""
        while self._queue:
            due, path = self._queue[0]
            waiting = self._waiting.get(path)
            if waiting is None or waiting.queued != due:
                heapq.heappop(self._queue)  # forgotten, or superseded by an earlier place
            elif waiting.due > due:
                waiting.queued = waiting.due
                heapq.heapreplace(self._queue, (waiting.due, path))
            else:
                return max(due, now)
        return None

    def _take_due(self, now: float) -> list[_Waiting]:
        taken = []
        while (due := self.next_due(now)) is not None and due <= now:
            _, path = heapq.heappop(self._queue)
            waiting = self._waiting.pop(path)
            self._returned[path] = _Returned(waiting.stat, now, waiting.relapses)
            taken.append(waiting)
        self._let_go(now)
        return taken

    def _let_go(self, now: float) -> None:
        """Drop those that settled so long ago that no back-off counts them any more, and those beyond the number."""
        oldest = now - 2 * self._settings.max_backoff_seconds
        while self._returned:
            path, returned = next(iter(self._returned.items()))
            if returned.at >= oldest and len(self._returned) <= self._settings.remembered_paths:
                break
            del self._returned[path]

    def _wait(self, stat: FileStat, now: float, relapses: int, not_before: float) -> None:
        due = max(now + self._quiet_seconds(stat), not_before)
        waiting = self._waiting[stat.path] = _Waiting(stat, due, not_before, relapses, due)
        self._enqueue(stat.path, waiting)

    def _enqueue(self, path: str, waiting: _Waiting) -> None:
        waiting.queued = waiting.due
        heapq.heappush(self._queue, (waiting.due, path))
        if len(self._queue) > 2 * len(self._waiting) + 64:  # mostly places of forgotten paths
            self._queue = [(waiting.queued, path) for path, waiting in self._waiting.items()]
            heapq.heapify(self._queue)

    def _quiet_seconds(self, stat: FileStat) -> float:
        if stat.size == 0:
            return max(self._settings.settle_seconds, self._settings.empty_settle_seconds)
        return self._settings.settle_seconds

    def _backoff(self, returned: _Returned | None, now: float) -> tuple[int, float]:
        """Return (relapses, not before).

        The pause doubles, so a final state waits at most about as long again as its writer already took; a
        path that was quiet for two pauses starts anew.
        """
        if returned is None:
            return 0, now
        relapses = min(returned.relapses + 1, 30)  # 2**30 seconds are beyond any cap; keeps the power small
        pause = min(self._settings.settle_seconds * 2.0**relapses, self._settings.max_backoff_seconds)
        if now - returned.at > 2 * pause:
            return 0, now
        return relapses, returned.at + pause
