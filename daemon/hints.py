"""Hints on their way from whoever noticed something to the service: coalesced, bounded, in one thread."""

import threading
from collections.abc import Callable

from daemon.walking import walk

_JOIN_SECONDS = 2.0


class Hints:
    """A set of paths worth another look, and the thread that passes them to `on_path`.

    A storm of events on one path is one hint. Adding never waits, whatever `on_path` does: the threads that
    read events lose them when they are slow.
    """

    def __init__(self, on_path: Callable[[str], None], max_pending: int) -> None:
        self._on_path = on_path
        self._max_pending = max_pending
        self._changed = threading.Condition()
        self._paths: dict[str, None] = {}  # a set that keeps the order of arrival
        self._folders: dict[str, None] = {}
        self._closed = False
        self._thread = self._start()

    def add_path(self, path: str) -> bool:
        """Note a path; False when there is no room."""
        return self._add(self._paths, path)

    def add_folder(self, path: str) -> bool:
        """Note all picture files below a folder; False when there is no room."""
        return self._add(self._folders, path)

    def ensure_alive(self) -> bool:
        """Start the thread again if `on_path` raised in it; False when hints were lost that way."""
        if self._thread.is_alive():
            return True
        self._thread = self._start()
        return False

    def close(self) -> None:
        """End the thread; hints not yet passed on are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_JOIN_SECONDS)

    def _add(self, kind: dict[str, None], path: str) -> bool:
        with self._changed:
            if path in kind:
                return True
            if len(self._paths) + len(self._folders) >= self._max_pending:
                return False
            kind[path] = None
            self._changed.notify()
            return True

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="dedupd-hints", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while not self._closed:
            paths, folders = self._take()
            for path in paths:
                if self._closed:
                    return
                self._on_path(path)
            for folder in folders:
                for stat in walk(folder):
                    if self._closed:
                        return
                    self._on_path(stat.path)

    def _take(self) -> tuple[list[str], list[str]]:
        with self._changed:
            while not (self._paths or self._folders or self._closed):
                self._changed.wait()
            taken = list(self._paths), list(self._folders)
            self._paths.clear()
            self._folders.clear()
            return taken
