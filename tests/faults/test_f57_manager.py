"""F57: what systemd is told, and what it does with a service that is stuck."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.folders import HotFolder
from daemon.service import Service
from tests.e2e.command import COMMAND, running
from tests.faults.booting import Machine, machine
from tests.faults.conftest import Record
from tests.faults.living import Place
from tests.patience import wait_until
from tests.unit.daemon.opened import opened

FIGURE = "restarted within 2 x WatchdogSec"
WATCHDOG_SECONDS = 6


@pytest.fixture
def manager(tmp_path: Path) -> Iterator["Manager"]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


class Manager:
    """A socket as systemd's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.told: list[str] = []

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def listen(self) -> list[str]:
        """Return all lines so far."""
        while True:
            try:
                self.told += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.told


@pytest.mark.fault("F57", injected="a socket for READY, WATCHDOG, STATUS, STOPPING; the loop stopped", figure=FIGURE)
@pytest.mark.slow
def test_it_tells_when_it_is_ready_moves_and_stops(tmp_path: Path, record: Record, manager: Manager) -> None:
    place = Place(tmp_path)
    config = place.config()
    words = ("env", f"NOTIFY_SOCKET={manager.path}", "WATCHDOG_USEC=10000000")
    with running(config, place.state, words) as daemon:
        wait_until(lambda: "READY=1" in manager.listen(), "READY")
        assert daemon.status()["state"] != "none", "the catalog is open and the status is published"
        place.put_pairs(0, 2)
        daemon.wait(4)
        wait_until(lambda: manager.listen().count("WATCHDOG=1") > 3, "pings")
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        silent_from = len(manager.listen())
        time.sleep(2)
        assert len(manager.listen()) == silent_from, "nothing pings for a loop that stands"
        daemon.process.send_signal(signal.SIGCONT)
        assert daemon.stop()[0] == 0
        assert "STOPPING=1" in manager.listen()
    record(1, place.lost(), f"{manager.told.count('WATCHDOG=1')} pings, 0 while it stood")


@pytest.mark.fault("F57", injected="decoding processes, or the clock's jobs, that no longer move", figure=FIGURE)
@pytest.mark.parametrize("part", ["decoding processes", "jobs of the clock"])
def test_a_loop_that_turns_without_moving_anything_is_not_alive(
    tmp_path: Path, record: Record, part: str, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    (tmp_path / "hot").mkdir()
    with opened(tmp_path, HotFolder(str(tmp_path / "hot"))) as session:
        service = Service(session, None)
        service._set_up()
        try:
            manager.listen().clear()
            service._turn()
            assert "WATCHDOG=1" in manager.listen()
            monkeypatch.setattr(service._pulse, "beat", lambda *_: None)
            service._pulse._last[part] -= 10_000.0
            manager.listen().clear()
            service._turn()
            assert "WATCHDOG=1" not in manager.listen()
            assert service._pulse.stuck(time.monotonic())[0].startswith(f"the {part} have not moved")
        finally:
            service._tear_down()
    record(1)


def install(booted: Machine, watchdog: str = "") -> None:
    """Install the service on a machine, as a person would; `watchdog` is Python that spoils it."""
    hot, config = booted.root / "srv/hot", booted.root / "etc/dedupd/dedupd.toml"
    hot.mkdir(parents=True)
    config.parent.mkdir()
    config.write_text('[[hot_folder]]\npath = "/srv/hot"\naction = "move"\noutput = "/srv/quarantine"\n')
    booted.run("useradd", "--system", "--user-group", "dedupd")
    booted.run("chown", "dedupd:", "/srv/hot")
    if watchdog:
        drop_in = booted.root / "etc/systemd/system/dedupd.service.d/stuck.conf"
        drop_in.parent.mkdir()
        python = COMMAND.with_name("python")
        script = booted.root / "srv/stuck.py"
        script.write_text(watchdog)
        start = f"{python} /srv/stuck.py run --config /etc/dedupd/dedupd.toml --state /var/lib/dedupd"
        lines = ["[Service]", f"WatchdogSec={WATCHDOG_SECONDS}", "RestartSec=1", "ExecStart=", f"ExecStart={start}"]
        drop_in.write_text("\n".join(lines) + "\n")
    booted.run(COMMAND, "service", "install", "--system")


STUCK = """
import os, sys, time
import daemon.service
turn = daemon.service.Service._turn
def stuck(self):
    while os.path.exists("/srv/hot/.stuck"):
        time.sleep(1)
    turn(self)
daemon.service.Service._turn = stuck
from daemon.cli import main
main(sys.argv[1:])
"""


@pytest.mark.fault("F57", injected="real systemd as PID 1, hardened unit, main loop stuck", figure=FIGURE)
@pytest.mark.privileged("systemd-nspawn", "nsenter")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
def test_systemd_starts_a_stuck_service_again(tmp_path: Path, record: Record) -> None:
    with machine(tmp_path / "machine") as booted:
        install(booted, STUCK)
        first = booted.facts("dedupd", "MainPID", "ActiveState", "NRestarts")
        assert (first["ActiveState"], first["NRestarts"]) == ("active", "0"), booted.log("dedupd")
        time.sleep(1.5 * WATCHDOG_SECONDS)
        assert booted.facts("dedupd", "MainPID")["MainPID"] == first["MainPID"], "one that moves is left alone"
        booted.run("touch", "/srv/hot/.stuck")
        seconds = booted.until("dedupd", 6 * WATCHDOG_SECONDS, NRestarts="1")
        booted.run("rm", "/srv/hot/.stuck")
        booted.until("dedupd", 60, ActiveState="active", SubState="running")
        assert "Watchdog timeout" in booted.log("dedupd")
        assert booted.facts("dedupd", "MainPID")["MainPID"] != first["MainPID"]
    assert seconds <= 2 * WATCHDOG_SECONDS + 2
    record(1, 0, f"ended and started again {seconds:.0f} s after it got stuck, WatchdogSec={WATCHDOG_SECONDS}")
