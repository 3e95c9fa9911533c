"""From hints and scans to arrivals that are ready: settle, compare with the catalog, queue."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from daemon.asking import Disks, NoAnswerError
from daemon.folders import HotFolder, is_below, scan_changes, unchanged, vanish_brake
from daemon.ingest import Job
from daemon.session import Session, has_content
from daemon.settle import Settle
from daemon.walking import Excluded, WalkProblem, is_candidate, is_set_aside, look
from pipeline.planning import FolderPlan
from store.errors import StateError
from store.records import CatalogFile, FileStat, Folder, VerdictKind

_NO_ANSWER = "its disk does not answer"
_SILENT_RETRY_SECONDS = 30.0
_LONGEST_BURST_SECONDS = 30.0  # deletions that go on for longer are believed in parts


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
        output = os.path.realpath(session.state.quarantine)
        self._outputs = {root: home.hot.output or output for root, home in watched.items()}
        self._disks = Disks({*watched, *self._outputs.values()})
        self._silent: set[str] = set()  # roots and quarantines whose disk does not answer
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
        try:
            stat = self._disks.ask(hot.path, partial(_look, path, watched.folder.path))
        except NoAnswerError:
            self._doubted.add(hot.path)
            return
        if stat is not None:
            self._gone.pop(path, None)
            self._settle.feed(stat, now)
        elif self._session.catalog.file(path) is not None:
            # It may be on its way to another name; the newcomer is looked at first.
            self._gone[path] = now + 2 * self._session.settings.settle.settle_seconds + 1

    def take_settled(self, now: float) -> None:
        """Move what has settled into the queue, durably; follow renames; let go of what is gone."""
        self._note_silence(now)
        settled = self._settle.confirmed(now, self._look_or_doubt)
        known = [stat.path for stat in settled if self._is_known(stat)]
        self._session.arrivals.remove(known)
        ready = [stat for stat in settled if stat.path not in set(known)]
        arrivals = [(stat.path, home.folder.id) for stat in ready if (home := self._home_of(stat.path)) is not None]
        self._session.arrivals.add(arrivals, self._session.clock_ns())
        self._queue.extend((folder_id, path) for path, folder_id in arrivals)
        self._let_go(self._take_gone(now))

    def jobs(self) -> Iterator[Job]:
        """Yield jobs until the queue is empty; those on a disk that does not answer are put off."""
        while self._queue:
            folder_id, path = self._queue.popleft()
            if self._silent and (home := self._home_of(path)) is not None and home.hot.path in self._silent:
                now_ns = self._session.clock_ns()
                self._session.arrivals.fail(path, folder_id, _NO_ANSWER, now_ns, lambda _: _SILENT_RETRY_SECONDS)
            else:
                yield folder_id, path

    def next_due(self, now: float) -> float | None:
        """Return when `take_settled` has work, None when nothing waits."""
        times = [*(due for due, _ in self._bursts()), *filter(None, [self._settle.next_due(now)])]
        return min(times, default=None)

    def resume(self, now: float) -> None:
        """Take up the arrivals that were under way when the last instance ended."""
        for arrival in self._session.arrivals.all():
            self._retry(arrival.path, now)

    def retry_due(self, now: float) -> None:
        """Look again at failed arrivals whose time has come."""
        for arrival in self._session.arrivals.due(self._session.clock_ns()):
            self._retry(arrival.path, now)

    def reachable(self, plans: Mapping[int, FolderPlan]) -> dict[int, FolderPlan]:
        """Leave out the folders whose disk, or whose quarantine's, does not answer: a move would wait for ever."""
        places = {folder_id: {plan.root, plan.quarantine_root} for folder_id, plan in plans.items()}
        return {folder_id: plan for folder_id, plan in plans.items() if not places[folder_id] & self._silent}

    def act_again(self, root: str) -> None:
        """Let what was to be moved from a folder be tried again: it was away and is back."""
        files = self._session.catalog.files_in(self._watched[root].folder.id)
        self.changed += [file for file in files if file.verdict is not VerdictKind.KEEP]

    def close(self) -> None:
        """Ask no more."""
        self._disks.close()

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
            if not self._holds(known[old_path], stat.path):
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

    def _take_gone(self, now: float) -> list[str]:
        """Return the paths to believe gone: of a folder all or none, so that no burst passes by the brake in parts."""
        taken = [path for due, paths in self._bursts() if due <= now for path in paths]
        for path in taken:
            del self._gone[path]
        return [path for path in taken if self._ask(path, partial(_is_gone, path))]

    def _bursts(self) -> list[tuple[float, list[str]]]:
        """Return, of each folder, what seems gone, and when to believe it."""
        by_root: dict[Watched | None, list[str]] = {}
        for path in self._gone:
            by_root.setdefault(self._home_of(path), []).append(path)
        bursts = []
        for paths in by_root.values():
            times = [self._gone[path] for path in paths]
            bursts.append((min(max(times), min(times) + _LONGEST_BURST_SECONDS), paths))
        return bursts

    def _let_go(self, paths: list[str]) -> None:
        """Forget single files that a person deleted; a big loss is left to a walk, which knows the whole folder."""
        by_root: dict[str, list[CatalogFile]] = {}
        for path in paths:
            file, home = self._session.catalog.file(path), self._home_of(path)
            if file is None or home is None:
                continue
            if self._ask(path, partial(os.path.isdir, home.folder.path)):
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
        if twin is None or home is None or not self._ask(twin.stat.path, partial(_has_no_name, twin.stat.path)):
            return False
        if not self._holds(twin, stat.path):
            return False
        self._gone.pop(twin.stat.path, None)
        self.changed += self._session.flow.rename_file(twin, stat, home.folder.id, self._session.clock_ns())
        return True

    def _retry(self, path: str, now: float) -> None:
        try:
            stat = self._disks.ask(self._root_of(path), partial(look, path))
        except NoAnswerError:
            return
        if stat is None:
            self._session.arrivals.remove([path])
        else:
            self._settle.forget(path)
            self._settle.feed(stat, now)

    # -- asking the disks ---------------------------------------------------------------------------------------------

    def _note_silence(self, now: float) -> None:
        """Find out which disks have gone silent or come back, and let nothing wait for the silent ones."""
        self._disks.tick(now)
        silent = self._disks.silent
        for root in (silent - self._silent) & self._watched.keys():
            self._session.ingest.withdraw(root, _NO_ANSWER)
            self._doubted.add(root)
        back = self._silent - silent
        for root, output in self._outputs.items():
            if {root, output} & back:
                self.act_again(root)
        self._silent = silent

    def _look_or_doubt(self, path: str) -> FileStat | None:
        try:
            return self._disks.ask(self._root_of(path), partial(look, path))
        except NoAnswerError:
            self._doubted |= {root for root in [self._root_of(path)] if root}  # a walk will find it again
            return None

    def _ask(self, path: str, question: Callable[[], bool]) -> bool:
        """Ask something about a path; no answer is a no."""
        try:
            return self._disks.ask(self._root_of(path), question)
        except NoAnswerError:
            return False

    def _holds(self, file: CatalogFile, path: str) -> bool:
        sha256 = self._session.catalog.image(file.image_id).sha256  # here: the catalog belongs to this thread
        return self._ask(path, partial(has_content, path, sha256))

    def _root_of(self, path: str) -> str | None:
        home = self._home_of(path)
        return None if home is None else home.hot.path

    def _home_of(self, path: str) -> Watched | None:
        for root, watched in self._watched.items():
            if path.startswith(root.rstrip("/") + "/"):
                return watched
        return None


def _look(path: str, root: str) -> FileStat | None:
    """Look at a file as a walk of the root would: what lies in a quarantine or state folder is not there."""
    stat = look(path)
    return None if stat is None or is_set_aside(path, root) else stat


def _is_gone(path: str) -> bool:
    return look(path) is None


def _has_no_name(path: str) -> bool:
    return not os.path.lexists(path)
