"""Room under the state folder: too little, and the service pauses by itself until there is some again."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from daemon.mounts import free_bytes
from daemon.state import InstanceLock, StateFolder
from daemon.status import LEAST_BYTES, Status, in_words, write_status

_PROBE_BYTES = 1 << 20
_PROBE_NAME = "probe.part"


class StateSpace:
    """Tell whether the state folder has room to go on. Asks the disk; keeps no time."""

    def __init__(self, folder: Path, min_free_bytes: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = folder
        self._least = max(min_free_bytes, LEAST_BYTES)
        self._free = free
        self._refused = False

    def note_refusal(self) -> None:
        """Note that a write found the disk full, whatever it says of itself: a quota does not show."""
        self._refused = True

    def shortage(self) -> str:
        """Say what is missing; "" when there is room, and a write proves it where one was refused before."""
        free = self._free(self._folder)
        if free < self._least:
            self._refused = True
            return in_words(free, self._least)
        if self._refused and not self._can_write():
            return "disk full: a write to the state folder was refused; it goes on by itself when one succeeds"
        self._refused = False
        return ""

    def _can_write(self) -> bool:
        probe = self._folder / _PROBE_NAME
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(probe, flags, 0o600)
            try:
                written = os.write(descriptor, bytes(_PROBE_BYTES))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink()
        return written == _PROBE_BYTES


def wait_for_room(
    state: StateFolder, min_free_bytes: int, tell: Callable[[str], None], wait: Callable[[], bool], refusal: str = ""
) -> None:
    """Hold a start back while the state folder has no room, and say so: opening the catalog would fail.

    `refusal` is what an earlier start could not write; a moment later, a write must prove that there is room now.
    `wait` passes the time between two looks and says whether to stop, which ends this too. Raises BusyError when
    another instance works there, and AccessError or OSError where there is not even room to say so.
    """
    state.create()
    space = StateSpace(state.path, min_free_bytes)
    if refusal:
        space.note_refusal()
    short = refusal or space.shortage()
    while short:
        with InstanceLock(state):
            with suppress(OSError):
                write_status(state, Status("paused", os.getpid(), time.time_ns(), reasons=(short,)))
            tell(short)
            if wait():
                return
        short = space.shortage()
