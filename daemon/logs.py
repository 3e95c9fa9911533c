"""The log: one event is one line, JSON for machines or key=value for people; nothing in it moves a cursor.

Use `structlog.get_logger()`; what other libraries log through `logging` comes out the same way. structlog is
imported where it is used: it costs 0.1 s, and reading verbs like `dedupd status` write no log.
"""

import logging
import math
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

from annotated_types import Ge

from store.text import printable

if TYPE_CHECKING:
    from structlog.typing import Processor

# sd-daemon(3): what journald makes of "<3>" in front of a line
_PRIORITIES = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "info": 6, "debug": 7}
_CHATTY = ("PIL", "apscheduler", "asyncio", "faiss", "filelock", "tzlocal")  # worth a line from "warning" on
_WINDOW_SECONDS = 60.0
_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written to standard error, and how much of it."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"  # auto: text on a terminal, else JSON
    lines_per_minute: Annotated[int, Ge(1)] = 60  # of one event


class RateLimit:
    """Admit so many lines per minute of each event and know how many were left out. Time is an argument."""

    def __init__(self, lines_per_minute: int) -> None:
        self._most = lines_per_minute
        self._windows: OrderedDict[str, tuple[float, int, int]] = OrderedDict()  # (start, lines, level), by start

    def admit(self, event: str, level: int, now: float) -> bool:
        """Count a line and say whether it may be written. Call `summaries` first."""
        start, lines, _ = self._windows.get(event, (now, 0, 0))
        self._windows[event] = start, lines + 1, level
        return lines < self._most

    def summaries(self, now: float) -> list[tuple[str, int, int]]:
        """Close the minutes that are over; return (event, level, lines left out) of those that lost some."""
        closed = []
        while self._windows:
            event, (start, lines, level) = next(iter(self._windows.items()))
            if now < start + _WINDOW_SECONDS and len(self._windows) < _MOST_KEYS:
                break
            del self._windows[event]
            if lines > self._most:
                closed.append((event, level, lines - self._most))
        return closed


class LineHandler(logging.StreamHandler[TextIO]):
    """Write records, each event at most so often; what was left out is told once its minute is over."""

    def __init__(self, stream: TextIO, lines_per_minute: int) -> None:
        super().__init__(stream)
        self._limit = RateLimit(lines_per_minute)
        self._lost = 0  # lines that found no room: the log may lie on a disk that is full

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after summaries that are due."""
        now = time.monotonic()
        self._summarise(now)
        # A foreign record's `msg` is its template: "%s failed" is one event, whatever the name.
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        if self._limit.admit(str(event), record.levelno, now):
            lost, self._lost = self._lost, 0
            super().emit(record)
            if lost and not self._lost:
                self._tell("lines lost, the log could not be written", logging.WARNING, lines=lost)
            else:
                self._lost += lost

    def handleError(self, record: logging.LogRecord) -> None:
        """Count a line that could not be written, and go on; only a mistake in the record itself is shown."""
        if isinstance(sys.exception(), OSError):
            self._lost += 1
        else:
            super().handleError(record)

    def close(self) -> None:
        """Tell what was left out so far, then close."""
        self._summarise(math.inf)
        super().close()

    def _summarise(self, now: float) -> None:
        for event, level, lines in self._limit.summaries(now):
            self._tell("lines left out", level, of=event, lines=lines)

    def _tell(self, event: str, level: int, **facts: object) -> None:
        named = {"msg": event, "levelno": level, "levelname": logging.getLevelName(level)}
        super().emit(logging.makeLogRecord({**named, **facts}))


def set_up_logging(
    level: str = "info",
    json: bool | None = None,
    stream: TextIO | None = None,
    lines_per_minute: int = 60,
) -> None:
    """Send the log of this process to `stream` (default: standard error), replacing an earlier set-up.

    `json`: True for JSON, False for key=value, None for key=value on a terminal and JSON elsewhere. Under
    journald each line starts with its priority. Threads that die of an exception are logged too.
    """
    import structlog

    target = stream or sys.stderr
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.stdlib.ExtraAdder(allow=("of", "lines")),
    ]
    formatter = _formatter(chain, not target.isatty() if json is None else json)
    handler = LineHandler(target, lines_per_minute)
    handler.setFormatter(_Prioritised(formatter) if _is_journal(target, os.environ) else formatter)
    _replace_handlers(handler, level.upper())
    to_logging = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *chain, to_logging],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _formatter(chain: "list[Processor]", as_json: bool) -> logging.Formatter:
    """Make the formatter; `chain` is what records of other libraries have not been through."""
    from structlog import processors
    from structlog.stdlib import ProcessorFormatter

    text = processors.LogfmtRenderer(key_order=["ts", "level", "event"], bool_as_flag=False)
    return ProcessorFormatter(
        foreign_pre_chain=chain,
        processors=[
            ProcessorFormatter.remove_processors_meta,
            processors.format_exc_info,
            _make_safe,
            processors.JSONRenderer() if as_json else text,
        ],
    )


class _Prioritised(logging.Formatter):
    """Put the priority that journald understands in front of each line."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITIES.get(record.levelname.lower(), 6)}>{self._inner.format(record)}"


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Say whether a stream goes to journald: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # io.UnsupportedOperation is both: no file behind it
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _replace_handlers(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for former in list(root.handlers):
        if isinstance(former, LineHandler):
            root.removeHandler(former)
            former.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    threading.excepthook = _log_dead_thread


def _log_dead_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None and not isinstance(died.exc_value, SystemExit):
        name = died.thread.name if died.thread else ""
        logging.getLogger("daemon").error("thread died: %s", name, exc_info=died.exc_value)


def _make_safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Order the fields and let every value pass through `printable`."""
    first = {key: _safe(event.pop(key)) for key in ("ts", "level", "event") if key in event}
    trace = str(event.pop("exception", ""))
    rest = {printable(str(key)).replace(" ", "_"): _safe(value) for key, value in event.items()}
    if trace:  # its line ends are the only control characters; both renderers escape them
        rest["exception"] = "\n".join(printable(line) for line in trace.splitlines())
    return first | rest


def _safe(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bytes | os.PathLike):
        return printable(os.fsdecode(value))
    if isinstance(value, Mapping):
        return {printable(str(key)): _safe(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(one) for one in value]
    return printable(str(value))
