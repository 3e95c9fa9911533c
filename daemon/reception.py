"""From hints and scans to arrivals that are ready: settle, compare with the catalog, queue."""

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from daemon.folders import HotFolder, is_below, scan_changes, unchanged, vanish_brake
from daemon.ingest import Job
from daemon.session import Session
from daemon.settle import Settle
from daemon.walking import Excluded, WalkProblem, is_candidate, look
from store.errors import StateError
from store.records import CatalogFile, FileStat, Folder


@dataclass(frozen=True, slots=True)
class Watched:
    """A hot folder of the configuration and its place in the catalog."""

    hot: HotFolder
    folder: Folder
    exclude: Excluded


class BrakeError(StateError):
    """So much of a folder vanished at once that a person must say that it is meant."""


class Reception:
    """Decide which paths are worth measuring, once each. Belongs to the service's loop."""

    def __init__(self, session: Session, watched: Mapping[str, Watched]) -> None:
        self._session = session
        self._watched = watched
        self._settle = Settle(session.settings.settle)
        self._gone: dict[str, float] = {}  # path → when to believe that it is gone
        self._queue: deque[Job] = deque()
        self._accepted: set[str] = set()  # roots whose next big loss was confirmed by a person
        self._doubted: set[str] = set()  # roots of which events told a big loss
        self.changed: list[CatalogFile] = []

    def __len__(self) -> int:
        """Count the paths on their way to the workers."""
        return len(self._queue) + len(self._settle)

    def heed(self, path: str, now: float) -> None:
        """Look again at a path that somebody hinted at."""
        watched = self._home_of(path)
        if watched is None:
            return
        hot = watched.hot
        if not is_candidate(path, watched.folder.path, hot.recursive, hot.ignore, watched.exclude):
            return
        stat = look(path)
        if stat is not None:
            self._gone.pop(path, None)
            self._settle.feed(stat, now)
        elif self._session.catalog.file(path) is not None:
            # It may be on its way to another name; the newcomer is looked at first.
            self._gone[path] = now + 2 * self._session.settings.settle.settle_seconds + 1

    def take_settled(self, now: float) -> None:
        """Move what has settled into the queue, durably; follow renames; let go of what is gone."""
        settled = self._settle.confirmed(now, look)
        known = [stat.path for stat in settled if self._is_known(stat)]
        self._session.arrivals.remove(known)
        ready = [stat for stat in settled if stat.path not in set(known)]
        arrivals = [(stat.path, home.folder.id) for stat in ready if (home := self._home_of(stat.path)) is not None]
        self._session.arrivals.add(arrivals, self._session.clock_ns())
        self._queue.extend((folder_id, path) for path, folder_id in arrivals)
        due = [path for path, when in self._gone.items() if when <= now]
        if due:
            for path in due:
                del self._gone[path]
            self._let_go([path for path in due if look(path) is None])

    def jobs(self) -> Iterator[Job]:
        """Yield jobs until the queue is empty."""
        while self._queue:
            yield self._queue.popleft()

    def next_due(self, now: float) -> float | None:
        """Return when `take_settled` has work, None when nothing waits."""
        times = [*self._gone.values(), *filter(None, [self._settle.next_due(now)])]
        return min(times, default=None)

    def resume(self, now: float) -> None:
        """Take up the arrivals that were under way when the last instance ended."""
        for arrival in self._session.arrivals.all():
            self._retry(arrival.path, now)

    def retry_due(self, now: float) -> None:
        """Look again at failed arrivals whose time has come."""
        for arrival in self._session.arrivals.due(self._session.clock_ns()):
            self._retry(arrival.path, now)

    def accept_loss(self, root: str) -> None:
        """Let the next reconciliation of a folder forget however much is gone: a person said so."""
        self._accepted.add(root)

    def take_doubt(self, root: str) -> bool:
        """Tell, once, whether a folder should be walked because events told of a big loss."""
        doubted = root in self._doubted
        self._doubted.discard(root)
        return doubted

    def reconcile(self, root: str, files: list[FileStat], problems: list[WalkProblem], now: float) -> None:
        """Bring the catalog in line with a walk of a folder. Alone it reaches what events would have reached.

        Raises BrakeError, with nothing forgotten, when too much vanished at once.
        """
        folder = self._watched[root].folder
        known = {file.stat.path: file for file in self._session.catalog.files_in(folder.id) if file.lies_at is None}
        stats = {path: file.stat for path, file in known.items()}
        unseen = [problem.path for problem in problems]
        changes = scan_changes(stats, files, unseen)
        for old_path, stat in changes.renamed:
            if not self._session.holds(known[old_path], stat.path):
                changes.vanished.append(old_path)
                changes.new.append(stat)
                continue
            self.changed += self._session.flow.rename_file(known[old_path], stat, folder.id, self._session.clock_ns())
        for stat in (*changes.new, *changes.changed):
            self._settle.feed(stat, now)
        seen = {stat.path for stat in files}
        pending = [arrival.path for arrival in self._session.arrivals.all(folder.id)]
        self._session.arrivals.remove([p for p in pending if p not in seen and not is_below(p, unseen)])
        if changes.vanished:
            self._forget([known[path] for path in changes.vanished], root, len(known))
        self._accepted.discard(root)  # it was for this walk, whether something was gone or not

    def _forget(self, files: list[CatalogFile], root: str, known: int) -> None:
        share = self._session.settings.upkeep.max_vanished_share
        if root not in self._accepted and vanish_brake(known, len(files), share):
            raise BrakeError(
                f"{len(files)} of {known} pictures vanished at once; nothing was forgotten",
                f"if that is meant: dedupd check --accept-vanished {root}",
            )
        self._accepted.discard(root)
        self.changed += self._session.flow.forget_files(files, self._session.clock_ns())

    def _let_go(self, paths: list[str]) -> None:
        """Forget single files that a person deleted; a big loss is left to a walk, which knows the whole folder."""
        by_root: dict[str, list[CatalogFile]] = {}
        for path in paths:
            file, home = self._session.catalog.file(path), self._home_of(path)
            if file is not None and home is not None and os.path.isdir(home.folder.path):
                by_root.setdefault(home.folder.path, []).append(file)
        counts = self._session.catalog.folder_counts() if by_root else {}
        for root, files in by_root.items():
            if vanish_brake(counts.get(root, 0), len(files), self._session.settings.upkeep.max_vanished_share):
                self._doubted.add(root)
            else:
                self.changed += self._session.flow.forget_files(files, self._session.clock_ns())

    def _is_known(self, stat: FileStat) -> bool:
        """Tell whether the catalog has this very file, under this name or (then follow it) another."""
        catalog = self._session.catalog
        file = catalog.file(stat.path)
        if file is not None:
            return unchanged(file.stat, stat)
        twin, home = catalog.file_with_body(stat), self._home_of(stat.path)
        if twin is None or home is None or os.path.lexists(twin.stat.path) or not self._session.holds(twin, stat.path):
            return False
        self._gone.pop(twin.stat.path, None)
        self.changed += self._session.flow.rename_file(twin, stat, home.folder.id, self._session.clock_ns())
        return True

    def _retry(self, path: str, now: float) -> None:
        stat = look(path)
        if stat is None:
            self._session.arrivals.remove([path])
        else:
            self._settle.forget(path)
            self._settle.feed(stat, now)

    def _home_of(self, path: str) -> Watched | None:
        for root, watched in self._watched.items():
            if path.startswith(root.rstrip("/") + "/"):
                return watched
        return None
