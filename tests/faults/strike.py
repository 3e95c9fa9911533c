"""Run a story again and again, each time struck a little later: killed, or refused one system call.

For a system call the stories run under `strace -f -e inject=CALL:FAULT:when=LIMIT`. strace counts per process, so a
child that first makes LIMIT - n harmless calls is struck at the n-th one of its story. For the pseudo call "line" a
child kills itself at the n-th line that it runs of the code under test.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.syscalls import rename_exclusive

LIMIT = 600  # more than any call is made in a story
Story = Callable[[Path, Path], None]  # takes the folders of its point, the second on another file system
_ROOT = Path(__file__).parents[2]
_NO_FD = 999
_HARMLESS: dict[str, Callable[[], Any]] = {
    "renameat2": lambda: rename_exclusive(_NO_FD, "a", _NO_FD, "b"),
    "unlinkat": lambda: os.unlink("a", dir_fd=_NO_FD),
    "linkat": lambda: os.link("a", "b", src_dir_fd=_NO_FD, dst_dir_fd=_NO_FD),
    "mkdirat": lambda: os.mkdir("a", dir_fd=_NO_FD),
    "unlink": lambda: os.unlink("/nowhere/at/all"),
    "write": lambda: os.write(_NO_FD, b""),
    "pwrite64": lambda: os.pwrite(_NO_FD, b"", 0),
    "fsync": lambda: os.fsync(_NO_FD),
    "fdatasync": lambda: os.fdatasync(_NO_FD),
    "ftruncate": lambda: os.ftruncate(_NO_FD, 0),
    "fchmod": lambda: os.fchmod(_NO_FD, 0o600),
    "utimensat": lambda: os.utime(_NO_FD, ns=(0, 0)),
    "rename": lambda: Path("/nowhere/at/all").replace("/nowhere/else"),
    "mkdir": lambda: os.mkdir("/nowhere/at/all"),
}
_UNDER_TEST = (
    *("placing.py", "places.py", "syscalls.py", "manifest.py", "actions.py", "undoing.py", "ledger.py"),
    *("planning.py", "database.py", "catalog.py", "vectors.py"),
)


def strike(
    story: str,
    bases: Path,
    fars: Path,
    specs: Sequence[str],
    *,
    fault: str = "signal=KILL",
    lasting: bool = False,
    also: Iterable[str] = (),
) -> dict[str, int]:
    """Run a story of `tests.faults.stories` struck at every point of CALL:STRIDE; return the points of each call.

    `bases` gets a folder per point, a copy of its "template", CALL-NUMBER; after the last point the story ran to its
    end. CALL:STRIDE:POINTS is for faults that do not kill, as "error=EIO"; one that is `lasting` strikes every such
    call from its point on. `also` are further injections.
    """
    calls = [call for spec in specs if (call := spec.split(":")[0]) != "line"]
    when = f"{LIMIT}+" if lasting else str(LIMIT)
    rules = [*(f"inject={call}:{fault}:when={when}" for call in calls), *also]
    # Without a filter by `trace=`: one that leaves a call out switches its fault off.
    tracer = ["strace", "-f", "-qq", "-o", "/dev/null"] if rules else []
    command = [*tracer, *(word for rule in rules for word in ("-e", rule))]
    command += [sys.executable, "-m", "tests.faults.stories", story, str(bases), str(fars), *specs]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stderr.splitlines()]
    assert [code for _, _, code in rows] == ["0"] * len(specs), done.stdout + done.stderr
    return {call: int(points) for call, points, _ in rows}


def sweep(story: Story, bases: Path, fars: Path, specs: Iterable[str]) -> None:
    """Fork one child per point; print for each call how many points there were, and the last one's exit code."""
    for spec in specs:
        call, stride, *most = spec.split(":")
        for number in itertools.count():
            base = bases / f"{call}-{number}"
            # In a child of its own: the driver's own calls count as well.
            _in_child(partial(shutil.copytree, bases / "template", base))
            point = 1 + number * int(stride)
            code = _in_child(partial(_struck_at, story, call, point, base, fars / base.name))
            if code == -signal.SIGKILL and not most and (call == "line" or point < LIMIT):
                continue
            if code != 0 or not most or number == int(most[0]):
                break
        sys.stderr.write(f"{call} {number} {code}\n")


def _struck_at(story: Story, call: str, point: int, base: Path, far: Path) -> None:
    if call == "line":
        _kill_at_line(point)
    for _ in range(LIMIT - point if call != "line" else 0):
        with suppress(OSError):
            _HARMLESS[call]()
    story(base, far)


def _in_child(work: Callable[[], object]) -> int:
    """Return the exit code of a forked child, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a child of the driver must not run on as a second driver
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_at_line(point: int) -> None:
    lines = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.endswith(_UNDER_TEST):
            return None
        if event == "line":
            lines += 1
            if lines == point:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
