"""Hints that something happened to a path. With `daemon.observing` the only room that imports watchdog.

Events are hints, the scan is the truth: watchdog 7.1.0 goes blind in several situations without a word (a
symlinked root, a mount over the root, a root made anew, the watch limit, a queue overflow). So an event
only says "look at this path again"; `check`, called every few seconds, finds out where hints may have been
lost and asks for a rescan. One watch with threads of its own per root: what hangs, dies or overflows at one
root leaves the others alone.
"""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

from daemon.folders import RootIdentity, identify
from daemon.hints import Hints
from daemon.observing import JOIN_SECONDS, RootObserver
from daemon.polling import PollingWatch, count_folders, inotify_limit, needs_polling, sysctl_line
from daemon.walking import Excluded
from store.text import printable

Mode = Literal["auto", "native", "polling"]

# Opening and reading is what dedupd itself does to every file: those events must not even be asked for.
_EVENTS: list[type[FileSystemEvent]] = [
    *(DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileAttribEvent, FileClosedEvent, FileCreatedEvent),
    *(FileDeletedEvent, FileModifiedEvent, FileMovedEvent),
]
_HANGING_SECONDS = 60.0
_RETRY_NATIVE_SECONDS = 600.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class _Root:
    """One watched folder. `rescan` is the only field that other threads write."""

    path: str
    mode: Mode
    recursive: bool
    exclude: Excluded
    poll_seconds: float
    watch: "_NativeWatch | PollingWatch | None" = None
    identity: RootIdentity | None = None
    rescan: str = ""  # why one is wanted
    rescan_pause: float = 0.0
    rescanned_at: float = -1e9
    blind: str = ""  # why native events are not to be had
    scarce: str = ""  # the inotify limit behind that, and its value then
    scarce_limit: int = 0
    retry_native_at: float = 0.0
    overflowed_at: float = -1e9

    def want_rescan(self, reason: str) -> None:
        """Note, from any thread, that hints were lost here; the next check acts on it."""
        self.rescan = reason

    def heed(self, noted: bool) -> None:
        """Make up by a rescan for a hint that found no room."""
        if not noted:
            self.want_rescan("too many hints at once")


class Watcher:
    """Watch root folders and pass hints on.

    `on_path(path)` is called from one thread of the watcher for every path worth another look, coalesced: a
    new, changed, renamed or vanished file (also names that are no pictures: `daemon.folders.is_candidate`
    decides). It may block; what does not fit in meanwhile becomes a rescan. `on_rescan(root, reason)` is
    called by `check`, in its thread, when hints may have been lost. All methods belong to one thread.
    """

    def __init__(
        self,
        on_path: Callable[[str], None],
        on_rescan: Callable[[str, str], None],
        max_pending: int = 50_000,
    ) -> None:
        self._on_rescan = on_rescan
        self._hints = Hints(on_path, max_pending)
        self._roots: dict[str, _Root] = {}
        self._now = 0.0
        # What matters of watchdog's log is in `problems`; an overflow would fill the disk with the rest.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)

    def watch(
        self,
        root: str,
        mode: Mode = "auto",
        recursive: bool = True,
        *,
        exclude: Excluded = frozenset(),
        poll_seconds: float = 5.0,
    ) -> None:
        """Start watching a folder (a real path); one that is missing is watched as soon as it is there.

        Scan the folder after this, not before: hints begin here. A polled folder asks for a rescan by
        itself once it has its first picture of the folder.
        """
        self.unwatch(root)
        entry = _Root(root, mode, recursive, exclude, poll_seconds)
        self._roots[root] = entry
        self._arm(entry)

    def unwatch(self, root: str) -> None:
        """Stop watching a folder; one that is not watched is fine too."""
        entry = self._roots.pop(root, None)
        if entry is not None:
            _disarm(entry)

    def check(self, now: float) -> None:
        """Find out where watching has failed, repair it, and ask for the rescans this calls for.

        `now` is monotonic seconds. Call it every few seconds. It touches no polled folder: that may hang.
        """
        self._now = now
        if not self._hints.ensure_alive():
            for entry in self._roots.values():
                entry.rescan = "hints were lost"
        for entry in list(self._roots.values()):
            if isinstance(entry.watch, PollingWatch):
                self._check_polling(entry, entry.watch, now)
            else:
                self._check_native(entry, now)
            self._rescan(entry, now)

    def problems(self) -> list[str]:
        """Say in sentences for people what is wrong, each with the way out; empty when all is well."""
        found = []
        for entry in self._roots.values():
            name = printable(entry.path)
            if entry.blind:
                found.append(f"{name}: {entry.blind}")
            if self._now - entry.overflowed_at < _LONGEST_PAUSE_SECONDS:
                line = sysctl_line("max_queued_events", 2 * inotify_limit("max_queued_events"))
                found.append(f"{name}: too many events at once, scanned instead. If it happens often: {line}")
            busy = entry.watch.busy_seconds() if isinstance(entry.watch, PollingWatch) else 0.0
            if busy > _HANGING_SECONDS:
                found.append(f"{name}: has not answered for {busy:.0f} s. Is its server or disk there?")
        return found

    def close(self) -> None:
        """Stop watching everything. No callback is made after this, except by one that hangs."""
        for root in list(self._roots):
            self.unwatch(root)
        self._hints.close()

    def _arm(self, entry: _Root) -> None:
        polled = entry.mode == "polling" or (entry.mode == "auto" and needs_polling(entry.path))
        if polled or (not self._arm_native(entry) and entry.blind):
            self._arm_polling(entry)

    def _arm_polling(self, entry: _Root) -> None:
        _disarm(entry)
        entry.watch = PollingWatch(
            entry.path,
            entry.recursive,
            entry.exclude,
            entry.poll_seconds,
            on_path=lambda path: entry.heed(self._hints.add_path(path)),
            on_rescan=entry.want_rescan,
        )
        entry.watch.start()

    def _arm_native(self, entry: _Root) -> bool:
        """Replace the watch of a root by a native one. Without success the root keeps what it has."""
        try:
            identity = identify(entry.path)
            watch = _NativeWatch(entry, self._hints)
        except OSError as error:
            self._note_blind(entry, error.errno or 0)
            return False
        if watch.out_of_watches():
            watch.stop()
            self._note_blind(entry, errno.ENOSPC)
            return False
        _disarm(entry)
        entry.watch, entry.identity, entry.blind = watch, identity, ""
        return True

    def _note_blind(self, entry: _Root, number: int) -> None:
        if number not in (errno.ENOSPC, errno.EMFILE):
            return  # missing or out of reach: tried again at the next check
        name = "max_user_watches" if number == errno.ENOSPC else "max_user_instances"
        limit = inotify_limit(name)
        wanted = max(2 * limit, 2 * count_folders(entry.path), 524_288 if number == errno.ENOSPC else 512)
        entry.blind = (
            f"the limit of {limit} on fs.inotify.{name} is reached, so this folder is looked at every "
            f"{entry.poll_seconds:g} s instead of at once. To raise it: {sysctl_line(name, wanted)}"
        )
        entry.scarce, entry.scarce_limit = name, limit
        entry.retry_native_at = self._now + _RETRY_NATIVE_SECONDS

    def _check_native(self, entry: _Root, now: float) -> None:
        if entry.mode == "auto" and needs_polling(entry.path):  # a share was mounted here: do not touch it
            self._arm_polling(entry)
            return
        try:
            identity = identify(entry.path)
        except OSError:
            _disarm(entry)  # gone; whether that means offline is for `daemon.folders.check_root` to say
            return
        watch = entry.watch if isinstance(entry.watch, _NativeWatch) else None
        if watch is not None and watch.take_overflow():
            entry.rescan, entry.overflowed_at = "events were lost: too many at once", now
        if watch is None:
            reason = "the folder is there again"
        elif identity != entry.identity:
            reason = "the folder is another one"
        elif not watch.is_alive():
            reason = "watching had stopped"
        elif watch.out_of_watches():
            reason = "folders could not be watched"
        elif watch.readable_again():
            reason = "folders can be read again"
        else:
            return
        _disarm(entry)
        self._arm(entry)
        if entry.watch is not None:
            entry.rescan = reason

    def _check_polling(self, entry: _Root, watch: PollingWatch, now: float) -> None:
        if not watch.is_alive():
            self._arm_polling(entry)
            entry.rescan = "watching had stopped"
            return
        if entry.blind:
            retry = now >= entry.retry_native_at or inotify_limit(entry.scarce) > entry.scarce_limit
        else:
            retry = entry.mode == "auto" and not needs_polling(entry.path)  # the share was unmounted
        if retry and self._arm_native(entry):
            entry.rescan = "events are to be had again"

    def _rescan(self, entry: _Root, now: float) -> None:
        """Ask for a wanted rescan, with a pause that doubles as long as there is one after the other."""
        if not entry.rescan or now < entry.rescanned_at + entry.rescan_pause:
            return
        again = now <= entry.rescanned_at + entry.rescan_pause + 30
        entry.rescan_pause = min(2 * entry.rescan_pause, _LONGEST_PAUSE_SECONDS) if again else 2.0
        entry.rescanned_at = now
        reason, entry.rescan = entry.rescan, ""
        self._on_rescan(entry.path, reason)


def _disarm(entry: _Root) -> None:
    if entry.watch is not None:
        entry.watch.stop()
    entry.watch = entry.identity = None


class _Handler(FileSystemEventHandler):
    """Turn events into hints, in watchdog's thread: anything slower than adding to a set loses events."""

    def __init__(self, entry: _Root, hints: Hints) -> None:
        self._entry = entry
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if isinstance(event, DirDeletedEvent):
            # A folder moved out gives this one event for all that was in it.
            self._entry.want_rescan("a folder was removed")
        elif isinstance(event, DirCreatedEvent | DirMovedEvent):
            if self._entry.recursive:  # its files may have come with it, or before its own watch
                self._entry.heed(self._hints.add_folder(target or source))
        else:
            for path in filter(None, (source, target)):
                self._entry.heed(self._hints.add_path(path))


class _NativeWatch:
    """Events of the operating system for one root, armed as soon as it is made. Raises OSError."""

    def __init__(self, entry: _Root, hints: Hints) -> None:
        self._observer = RootObserver()
        self._observer.schedule(_Handler(entry, hints), entry.path, recursive=entry.recursive, event_filter=_EVENTS)
        try:
            self._observer.start()
        except OSError:
            self._observer.stop()
            raise

    def stop(self) -> None:
        """Give the watches back."""
        self._observer.stop()
        self._observer.join(JOIN_SECONDS)

    def is_alive(self) -> bool:
        """Say whether every thread is: an observer lives on when the thread that reads events has died."""
        emitters = list(self._observer.emitters)
        return self._observer.is_alive() and bool(emitters) and all(one.is_alive() for one in emitters)

    def take_overflow(self) -> bool:
        """Say whether events were lost since the last call."""
        lost = self._observer.overflowed.is_set()
        self._observer.overflowed.clear()
        return lost

    def out_of_watches(self) -> bool:
        """Say whether folders are without a watch because there are no more."""
        return errno.ENOSPC in list(self._observer.unwatched.values())

    def readable_again(self) -> bool:
        """Say whether a folder that could not be watched for its permissions now can."""
        unwatched = list(self._observer.unwatched.items())
        return any(number == errno.EACCES and os.access(path, os.R_OK) for path, number in unwatched)
