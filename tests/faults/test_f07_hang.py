"""F07: a network mount hangs: whoever asks it for anything waits for ever."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.command import dedupd, running, write_config
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.pictures import put_tiny

pytestmark = [pytest.mark.privileged("bindfs"), pytest.mark.usefixtures("private_mounts"), pytest.mark.slow]


class Share:
    """A FUSE mount whose server can be stopped in its tracks."""

    def __init__(self, base: Path) -> None:
        self.disk, self.path = base / "disk", base / "share"
        self.disk.mkdir()
        self.path.mkdir()
        self._server = subprocess.Popen(["bindfs", "-f", "--no-allow-other", self.disk, self.path])
        while not os.path.ismount(self.path):
            time.sleep(0.05)

    def hang(self) -> None:
        """Answer nobody any more."""
        self._server.send_signal(signal.SIGSTOP)

    def recover(self) -> None:
        """Answer again."""
        self._server.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.recover()
        subprocess.run(["umount", "--lazy", self.path], check=True)
        self._server.kill()
        self._server.wait()


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    made = Share(tmp_path)
    yield made
    made.close()


@pytest.mark.fault(
    "F07",
    injected="FUSE server stopped, idle and in the middle of arrivals and moves",
    figure="status p95 < 1 s; stop < 20 s",
)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_dead_mount_stops_nobody_else(
    tmp_path: Path, share: Share, record: Record, times: Callable[[int, int], int], *, busy: bool
) -> None:
    hot, state, chance = tmp_path / "hot", tmp_path / "state", random.Random(7)
    hot.mkdir()
    config = write_config(
        tmp_path / "c.toml",
        {"path": hot, "action": "move", "output": tmp_path / "q"},
        {"path": share.path, "action": "move", "output": tmp_path / "q2", "poll_seconds": 0.5},
        upkeep={"check_seconds": 1.0},
    )
    waits: list[float] = []
    rounds = times(5, 1)
    with running(config, state) as daemon:
        daemon.wait(0)
        for turn in range(rounds):
            if busy:
                for number in range(60):
                    put_tiny(share.disk / f"{turn}-{number}.png", number % 40 + 100 * turn)
                time.sleep(chance.uniform(0.0, 4.0))
            share.hang()
            path = put_tiny(hot / f"{turn}.png", 10_000 + turn)
            started = time.monotonic()
            daemon.wait_for(partial(knows, state, path), "the other folder is served")
            waits.append(time.monotonic() - started)
            asked = []
            for _ in range(10):
                before = time.monotonic()
                assert dedupd("status", "--state", state, "--json").json["pid"] == daemon.process.pid
                asked.append(time.monotonic() - before)
            if turn < rounds - 1:
                share.recover()
                daemon.wait_for(lambda: daemon.settled(), "all is well again")
        code, seconds = daemon.stop()
    assert code == 0
    assert seconds < 20
    worst = sorted(asked)[-1]
    record(rounds, 0, f"{'busy' if busy else 'idle'}: status at most {worst:.1f} s, stop {seconds:.1f} s, "
           f"other folder served within {max(waits):.0f} s")  # fmt: skip
