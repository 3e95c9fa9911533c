"""Told to stop: heard while the main thread hangs in C, ended in time, and at once when told twice."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE_SECONDS

_STUCK = """
import ctypes, sys
from daemon.stopping import StopRequest
stop = StopRequest({patience})
print("ready", flush=True)
{work}
"""
_HANG = "ctypes.CDLL(None).sleep(600)"
_OBEY = "while not stop.asked: ctypes.CDLL(None).usleep(10_000)\nprint('done', flush=True)"


class Stuck:
    """A process that has made a request object and is at work."""

    def __init__(self, patience: float, work: str) -> None:
        code = _STUCK.format(patience=patience, work=work)
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def ending(self, *numbers: int) -> tuple[int, float, bytes, bytes]:
        """Send signals; return exit code, seconds, what was said and the errors."""
        started = time.monotonic()
        for number in numbers:
            self.process.send_signal(number)
            time.sleep(0.05)
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, time.monotonic() - started, out, err


@pytest.fixture
def processes() -> Iterator[list[Stuck]]:
    made: list[Stuck] = []
    yield made
    for one in made:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_that_can_ends_by_itself(processes: list[Stuck], number: int) -> None:
    processes.append(Stuck(300.0, _OBEY))
    code, _, out, err = processes[0].ending(number)
    assert (code, out, err) == (0, b"done\n", b"")


def test_one_that_hangs_is_ended_in_time(processes: list[Stuck]) -> None:
    processes.append(Stuck(0.5, _HANG))
    code, seconds, _, err = processes[0].ending(signal.SIGTERM)
    assert code == 0
    assert 0.5 <= seconds < 300
    assert err.startswith(b"dedupd: it did not stop in time")


def test_told_twice_it_ends_at_once(processes: list[Stuck]) -> None:
    processes.append(Stuck(500.0, _HANG))
    code, seconds, _, err = processes[0].ending(signal.SIGINT, signal.SIGTERM)
    assert code == 0
    assert seconds < 300
    assert b"twice" in err


def test_whoever_waits_is_woken(processes: list[Stuck]) -> None:
    processes.append(Stuck(300.0, "print(stop.wait(500), flush=True)"))
    code, seconds, out, _ = processes[0].ending(signal.SIGTERM)
    assert (code, out) == (0, b"True\n")
    assert seconds < 300


def test_a_full_log_holds_up_no_end(processes: list[Stuck]) -> None:
    processes.append(Stuck(0.2, "sys.stderr = open('/dev/full', 'w', buffering=1)\n" + _HANG))
    assert processes[0].ending(signal.SIGTERM)[0] == 0


def test_a_signal_during_the_imports_of_a_start_waits_for_its_listener() -> None:
    code = (
        "import sys; sys.argv = ['dedupd', 'run']; import daemon, os, signal; os.kill(os.getpid(), signal.SIGTERM)\n"
        "from daemon.stopping import StopRequest; print(StopRequest(300.0).wait(500))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")
