"""Start the processes that do the work: fresh interpreters, each at the other end of a socket pair."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

_PIPE_BYTES = 1 << 20  # a result is about 60 KB; a worker must not wait for the parent to read it
_ENTRY = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection(int(sys.argv[1]))\n"
    "sys.path[:] = pipe.recv(); from daemon.workers import serve; serve(pipe)"
)
# glibc gives every large buffer back to the kernel and faults it in again: a third of a worker's time without this.
# One thread each: there is one worker for each core.
_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that imports the decoders and waits for its setup; it ends when its pipe closes."""

    process: subprocess.Popen[bytes]
    pipe: "Connection[object, object]"


def launch() -> Launched:
    """Start a process. Raises OSError where the system has none left."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIPE_BYTES)
        process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
        )
        launched = Launched(process, Connection(ours.detach()))
    with pipe_may_be_broken():
        launched.pipe.send(sys.path)
    return launched


def head_start() -> list[Launched]:
    """Start a process for each core, as many as can be had, while the settings are still being read."""
    started: list[Launched] = []
    with suppress(OSError):
        while len(started) < usable_cores():
            started.append(launch())
    return started


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def pipe_may_be_broken() -> Iterator[None]:
    """Go on where the other end is gone."""
    # A worker that died between two looks is found, and its tasks are saved, when its pipe is read.
    try:
        yield
    except OSError:
        return
