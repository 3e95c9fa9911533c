"""SIGTERM and SIGINT: heard from the first moment on, and obeyed even when the main thread cannot.

A handler of Python runs in the main thread; while that one hangs in a dead network mount, or embeds a large catalog
anew, it would never run. So a thread of its own waits for these signals. What it interrupts for good it interrupts as a
crash would: whatever was half done, the next start finishes or rolls back.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from daemon import STOP_SIGNALS


class StopRequest:
    """Whether the process was told to stop. Make it in the main thread, before any other thread.

    When it is still there `patience_seconds` later, or is told again, it is ended at once, with exit code 0: it was
    asked to.
    """

    def __init__(self, patience_seconds: float = 8.0, end: Callable[[int], None] = os._exit) -> None:
        self._asked = threading.Event()
        self._patience_seconds = patience_seconds
        self._end = end
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        threading.Thread(target=self._listen, name="dedupd-signals", daemon=True).start()

    @property
    def asked(self) -> bool:
        """Whether it is time to stop."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until it is time to stop; tell whether it is."""
        return self._asked.wait(seconds)

    def _listen(self) -> None:
        signal.sigwait(STOP_SIGNALS)
        self._asked.set()
        limit = threading.Timer(self._patience_seconds, self._end_now, ("it did not stop in time",))
        limit.daemon = True
        limit.start()
        signal.sigwait(STOP_SIGNALS)
        self._end_now("it was told to stop twice")

    def _end_now(self, why: str) -> None:
        with suppress(OSError):  # the log may lie on a disk that is full
            sys.stderr.write(f"dedupd: {why}; the next start finishes what is half done\n")
            sys.stderr.flush()
        self._end(0)
