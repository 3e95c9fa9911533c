"""One thread per hot folder that asks the disk: is the root itself, and what lies below it.

A network share can make any look at it hang for ever. Only its caretaker hangs then; the service sees that no answer
comes and goes on with the other folders.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from daemon.folders import RootCheck, RootIdentity, check_root
from daemon.walking import Excluded, WalkProblem, walk
from store.records import FileStat


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a caretaker saw. `files` is None when it only looked at the root."""

    root: str
    check: RootCheck
    files: list[FileStat] | None
    problems: list[WalkProblem]


class Caretaker:
    """Inspect one root on demand, in a thread of its own."""

    def __init__(
        self,
        root: str,
        known: tuple[RootIdentity | None, str | None],
        rules: tuple[bool, tuple[str, ...], Excluded],
        report: Callable[[Inspection], None],
    ) -> None:
        self.root = root
        self.known = known  # identity and marker id, replaced by the service when they change
        self._rules = rules
        self._report = report
        self._wake = threading.Condition()
        self._wanted: str | None = None  # "check" or "walk"
        self._since: float | None = None
        self._closed = False
        threading.Thread(target=self._run, name="dedupd-caretaker", daemon=True).start()

    def want(self, walk_too: bool) -> None:
        """Ask for a look at the root, or for a walk of the whole folder; asking again changes nothing."""
        with self._wake:
            if self._wanted != "walk":
                self._wanted = "walk" if walk_too else "check"
            self._wake.notify()

    def silent_seconds(self) -> float:
        """Return for how long an answer has been due, 0 when none is."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def close(self) -> None:
        """Let the thread end when it can; one that hangs ends with the process."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._wanted is not None)
                if self._closed:
                    return
                wanted, self._wanted = self._wanted, None
                self._since = time.monotonic()
            inspection = self._inspect(walk_too=wanted == "walk")
            self._since = None
            if not self._closed:
                self._report(inspection)

    def _inspect(self, *, walk_too: bool) -> Inspection:
        check = check_root(self.root, *self.known)
        problems: list[WalkProblem] = []
        if not walk_too or check.identity is None or check.reason:
            return Inspection(self.root, check, None, problems)
        files = []
        for stat in walk(self.root, *self._rules, on_problem=problems.append):
            files.append(stat)
            self._since = time.monotonic()  # it answers: a long walk is not a hanging one
        return Inspection(self.root, check, files, problems)
