"""F66: names full of control characters, on the terminal, in the log, in the status and in what systemd is told."""

import json
import os
import socket
import unicodedata
from pathlib import Path

import pytest

from tests.e2e.command import dedupd, running
from tests.faults.conftest import Record
from tests.faults.living import Place
from tests.faults.pictures import tiny

NAMES = [
    b"\x1b[2J\x1b[31mred.png",
    b"\rover\rwritten.png",
    b"two\nlines\nREADY=1.png",
    b"[red]markup[/red] [link=x].png",
    "\u202egnp.exe".encode() + b".png",
    "zero\u200bwidth\u2028line.png".encode(),
    b"\x9b31mC1\x85.png",
    b"not utf-8 \xff\xfe.png",
    b"bell\x07\x08\x08.png",
    b"<3>priority.png",
    b"%s %(x)d {0}.png",
]
FIGURE = "raw control bytes 0; one event one line"


def hostile(text: str, *, lines: bool) -> list[str]:
    """List the characters that could do something to a terminal."""
    allowed = "\n" if lines else ""
    kinds = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return [character for character in text if unicodedata.category(character) in kinds and character not in allowed]


@pytest.mark.fault(
    "F66", injected="eleven names with ESC, CR, LF, C1, bidi, markup, bytes that are no text", figure=FIGURE
)
@pytest.mark.slow
def test_nothing_that_a_name_holds_reaches_a_terminal(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    told = _hang_up(tmp_path / "notify")
    for number, name in enumerate(NAMES):
        for folder in (b"a", b"\x1b]0;title\x07"):
            path = os.path.join(os.fsencode(place.hot), folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(os.fsdecode(path)).write_bytes(tiny(number))
    broken = Path(os.fsdecode(os.path.join(os.fsencode(place.hot), b"\x1b[2Jbroken.jpg")))
    broken.write_bytes(b"")
    words = ("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}", "WATCHDOG_USEC=10000000")
    shown = []
    config = place.config(logging={"level": "debug"})
    with running(config, place.state, words) as daemon:
        daemon.wait_for(lambda: place.moved() == len(NAMES), "they moved")
        os.chmod(place.quarantine, 0o500)
        shown += [dedupd(*verb, "--state", place.state) for verb in (("status",), ("groups",), ("undo", "--list"))]
        os.chmod(place.quarantine, 0o700)
        assert daemon.stop()[0] == 0
    victim = next(path for path in (place.hot / "a").iterdir())
    shown += [dedupd("why", victim, "--state", place.state), dedupd("check", "--state", place.state)]
    shown.append(dedupd("scan", place.hot / "\x1b[2Jnowhere", "--output", tmp_path / "o"))
    log = daemon.log.read_bytes().decode("utf-8")
    assert hostile(log, lines=True) == []
    events = [json.loads(line) for line in log.splitlines()]
    assert all("event" in event for event in events), "one line, one event"
    for answer in shown:
        assert hostile(answer.out + answer.err, lines=True) == [], answer
    lines = _lines(told)
    assert {line.split("=")[0] for line in lines} <= {"READY", "STATUS", "WATCHDOG", "STOPPING", "EXTEND_TIMEOUT_USEC"}
    assert lines.count("READY=1") == 1
    told.close()
    record(len(NAMES) * 2, place.lost(), f"{len(events)} log lines, {len(shown)} screens, {len(lines)} notes: 0 raw")


def _hang_up(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    listener.bind(str(path))
    listener.setblocking(False)
    return listener


def _lines(listener: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found += listener.recv(65536).decode().splitlines()
        except BlockingIOError:
            return found
