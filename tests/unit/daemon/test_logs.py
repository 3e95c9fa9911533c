"""One event is one line, whatever a name contains and however often it happens."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.logs import LineHandler, RateLimit, set_up_logging
from store.text import printable

NASTY = "a\x1b[31m\r\n\u202egpj.exe\udcff[red]\x9b.jpg"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leave logging as the other tests know it."""
    root = logging.getLogger()
    level, hook = root.level, threading.excepthook
    yield
    for handler in list(root.handlers):
        if isinstance(handler, LineHandler):
            root.removeHandler(handler)
    threading.excepthook = hook
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(as_json: bool = True, lines_per_minute: int = 60, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own: its reports do not survive lone surrogates
    set_up_logging(level, as_json, stream, lines_per_minute)
    return stream


def objects(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_carries_time_level_and_event_first() -> None:
    stream = lines()
    structlog.get_logger().warning("folder offline", folder="/hot", files=3, ok=False, reason=None)
    (line,) = objects(stream)
    assert list(line) == ["ts", "level", "event", "folder", "files", "ok", "reason"]
    assert (line["level"], line["event"], line["files"], line["reason"]) == (
        "warning",
        "folder offline",
        3,
        None,
    )
    told = datetime.fromisoformat(str(line["ts"]))
    assert told.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60


def test_key_value_for_people() -> None:
    stream = lines(as_json=False)
    structlog.get_logger().info("moved", path="/hot/two words.jpg", action=7)
    line = stream.getvalue()
    assert line.startswith("ts=")
    assert line.endswith(' level=info event=moved path="/hot/two words.jpg" action=7\n')


@pytest.mark.parametrize("as_json", [True, False])
def test_nothing_in_a_name_reaches_the_terminal(as_json: bool) -> None:
    stream = lines(as_json)
    log = structlog.get_logger()
    log.error(
        NASTY,
        path=NASTY,
        raw=os.fsencode("b\udcfe\x1b"),
        where=Path(NASTY),
        several=[NASTY, {NASTY: (NASTY,)}],
    )
    logging.getLogger("a library").error("cannot read %s", NASTY)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(NASTY, stacklevel=1)
    try:
        raise ValueError(NASTY)
    except ValueError:
        log.exception("failed")
    written = stream.getvalue()
    assert written.count("\n") == 4
    assert all(printable(line) == line for line in written.split("\n"))
    assert r"\x1b[31m" in written


@settings(max_examples=50)
@given(st.text(), st.text(min_size=1), st.booleans())
def test_one_event_is_one_line(text: str, key: str, as_json: bool) -> None:
    stream = lines(as_json)
    structlog.get_logger().info(text, **{"path": text, f"k{key}": text})
    written = stream.getvalue()
    assert written.endswith("\n")
    assert printable(written[:-1]) == written[:-1]


def test_exceptions_stay_in_their_line() -> None:
    stream = lines()
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = objects(stream)
    assert line["level"] == "error"
    assert str(line["exception"]).splitlines()[-1] == "ValueError: broken"


def test_levels() -> None:
    stream = lines(level="warning")
    structlog.get_logger().info("not shown")
    logging.getLogger("PIL.Image").info("not shown")
    structlog.get_logger().warning("shown")
    assert [line["event"] for line in objects(stream)] == ["shown"]
    stream = lines(level="debug")
    logging.getLogger("PIL.Image").debug("chatter of a library")
    structlog.get_logger().debug("shown")
    assert [line["event"] for line in objects(stream)] == ["shown"]


def test_a_second_set_up_replaces_the_first() -> None:
    first = lines()
    second = io.StringIO()
    set_up_logging(json=True, stream=second)
    structlog.get_logger().info("once")
    assert (first.getvalue(), len(objects(second))) == ("", 1)


def test_a_storm_is_cut_and_summed_up() -> None:
    stream = lines(lines_per_minute=3)
    for number in range(10):
        structlog.get_logger().warning("overflow", number=number)
        logging.getLogger("a library").error("cannot read %s", number)  # one event, whatever the name
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, LineHandler))
    handler.close()
    told = objects(stream)
    assert [line["event"] for line in told].count("overflow") == 3
    summaries = [line for line in told if line["event"] == "lines left out"]
    assert [(line["level"], line["of"], line["lines"]) for line in summaries] == [
        ("warning", "overflow", 7),
        ("error", "cannot read %s", 7),
    ]
    assert len(told) == 3 + 3 + 2


def test_rate_limit_by_the_minute() -> None:
    limit = RateLimit(2)
    admitted = []
    for second in range(0, 180, 10):
        closed = limit.summaries(float(second))
        assert closed == ([("e", 20, 4)] if second in (60, 120) else [])
        admitted.append(limit.admit("e", 20, float(second)))
    assert admitted == [True, True, False, False, False, False] * 3


def test_rate_limit_forgets_old_events() -> None:
    limit = RateLimit(1)
    for number in range(5_000):
        limit.summaries(0.0)
        assert limit.admit(f"event {number}", 20, 0.0)
    assert not limit.admit("event 4999", 20, 1.0)
    limit.summaries(0.0)
    assert limit.admit("event 0", 20, 1.0)  # pushed out by newer ones


def test_a_thread_that_dies_is_logged() -> None:
    stream = lines()
    thread = threading.Thread(target=lambda: [][0], name="reader")
    thread.start()
    thread.join()
    (line,) = objects(stream)
    assert (line["level"], line["event"]) == ("error", "thread died: reader")
    assert "IndexError" in str(line["exception"])


CODE = """
import os, sys
if len(sys.argv) > 1:
    found = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
from daemon.logs import set_up_logging
assert "structlog" not in sys.modules, "reading verbs pay for it"
set_up_logging("debug")
import structlog
log = structlog.get_logger()
log.critical("c"); log.error("e"); log.warning("w"); log.info("i"); log.debug("d")
"""


@pytest.mark.parametrize("journal", [True, False])
def test_priorities_under_journald_and_json_in_a_pipe(journal: bool) -> None:
    arguments = [sys.executable, "-c", CODE, *(["journal"] if journal else [])]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    written = done.stderr.splitlines()
    if journal:
        assert [line[:3] for line in written] == ["<2>", "<3>", "<4>", "<6>", "<7>"]
        written = [line[3:] for line in written]
    assert [json.loads(line)["event"] for line in written] == ["c", "e", "w", "i", "d"]


def test_a_terminal_gets_key_value() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    set_up_logging(stream=stream)
    structlog.get_logger().info("hello")
    assert stream.getvalue().endswith("level=info event=hello\n")


class Full(io.StringIO):
    """A log on a disk that is full now and then."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_log_on_a_full_disk_loses_lines_without_a_word_and_tells_how_many_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = Full()
    logging.getLogger().handlers.clear()
    set_up_logging("info", True, stream)
    log = structlog.get_logger()
    log.info("one")
    stream.full = True
    for _ in range(3):
        log.info("nobody reads this")
    stream.full = False
    log.info("two")
    log.info("three")
    assert [line["event"] for line in objects(stream)] == [
        "one", "two", "lines lost, the log could not be written", "three",
    ]  # fmt: skip
    assert objects(stream)[2]["lines"] == 3
    assert capsys.readouterr().err == "", "no traceback about the log"
