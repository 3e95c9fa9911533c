"""Messages to the service manager, read from a real socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.notify import notify, watchdog_seconds
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A socket like systemd's and the environment that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@dedupd-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        try:
            listener.bind(name.replace("@", "\0", 1))
        except OSError:
            pytest.skip("this system has no abstract sockets")
        listener.settimeout(PATIENCE_SECONDS)
        yield listener, {"NOTIFY_SOCKET": name}


def test_fields_arrive_in_one_message(manager: tuple[socket.socket, dict[str, str]]) -> None:
    listener, environment = manager
    assert notify(environment=environment, READY=1, STATUS="20,000 files known")
    assert listener.recv(4096) == b"READY=1\nSTATUS=20,000 files known"


def test_a_name_cannot_smuggle_in_a_field(manager: tuple[socket.socket, dict[str, str]]) -> None:
    listener, environment = manager
    assert notify(environment=environment, STATUS="reading a\nSTOPPING=1\x1b[31m\udcff.jpg")
    assert listener.recv(4096) == rb"STATUS=reading a\x0aSTOPPING=1\x1b[31m\xff.jpg"


def test_reloading_carries_the_monotonic_time(manager: tuple[socket.socket, dict[str, str]]) -> None:
    listener, environment = manager
    before = time.monotonic_ns() // 1000
    assert notify(environment=environment, RELOADING=1)
    first, second = listener.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "nonsense"])
def test_silent_where_there_is_no_manager(address: str | None) -> None:
    environment = {} if address is None else {"NOTIFY_SOCKET": address}
    assert notify(environment=environment, READY=1) is False


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert notify(environment={"NOTIFY_SOCKET": str(tmp_path / "gone")}, WATCHDOG=1) is False


def test_a_manager_that_does_not_read_stops_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        sent = [notify(environment=environment, STATUS="x" * 1000) for _ in range(2000)]
        assert sent[0] is True
        assert sent[-1] is False


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert notify(READY=1) is False
    assert watchdog_seconds() == 60.0


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for the parent
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_seconds(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_seconds(environment=environment) == seconds
