"""watchdog's observer, with what it passes over: lost events, folders without a watch, two watches of one name.

Linux and inotify for the most part; elsewhere the observer that watchdog chooses. Used by `daemon.watcher` alone.
"""

import errno
import os
import sys
import threading

from watchdog.observers.api import BaseObserver

JOIN_SECONDS = 2.0

if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchCallback,
        WatchDescriptor,
    )

    class Inotify(InotifyFD):
        """An inotify instance that notes what watchdog passes over: lost events, unwatched folders."""

        def __init__(self) -> None:
            super().__init__()
            self.overflowed = threading.Event()
            self.unwatched: dict[str, int] = {}  # folder -> errno

        def handle_event(self, event: InotifyEvent) -> None:
            super().handle_event(event)
            if event.is_queue_overflow:  # only now: a scan while the watches are being renewed would miss files
                self.overflowed.set()

        def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
            # Not super(): a folder met twice in a race makes it warn with the text of all watches, megabytes.
            name = os.fsdecode(path)
            try:
                with self._lock:
                    watch = self._get_or_create_watch(path, mask)
                    if watch.wd == -1:  # watchdog passes over EACCES and keeps a watch that is none
                        self._watch_for_wd.pop(watch.wd, None)
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
                    watch.callbacks[id_] = callback
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EACCES):
                    self.unwatched[name] = error.errno
                raise
            self.unwatched.pop(name, None)
            return watch.wd

    class _WatchGroup(InotifyWatchGroup):
        """The watches of one root. Two may go by one name: that of a folder carried away goes along with it."""

        def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
            # Not super(): it takes the name away from the other one, and then misses it with a KeyError.
            path = self._active_callbacks_by_watch.pop(wd)
            if self._active_callbacks_by_path.get(path) == wd:
                del self._active_callbacks_by_path[path]

    class _Emitter(InotifyEmitter):
        def on_thread_start(self) -> None:
            watch, mask = self.watch, self.get_event_mask_from_filter()
            path = os.fsencode(watch.path)
            self._inotify = _WatchGroup(self._inotify_fd, path, mask, watch.is_recursive, watch.follow_symlink)

    class RootObserver(BaseObserver):
        """Watch one root, with an inotify instance of its own."""

        def __init__(self) -> None:
            inotify = Inotify()
            self.overflowed, self.unwatched = inotify.overflowed, inotify.unwatched
            self._inotify = inotify
            inotify.start()
            super().__init__(_Emitter, inotify_fd=inotify)

        def is_alive(self) -> bool:
            return super().is_alive() and self._inotify.is_alive()

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._inotify.stop()
            self._inotify.join(JOIN_SECONDS)

else:
    from watchdog.observers import Observer

    class RootObserver(Observer):
        """Watch one root by what this system has."""

        def __init__(self) -> None:
            super().__init__()
            self.overflowed = threading.Event()
            self.unwatched: dict[str, int] = {}
