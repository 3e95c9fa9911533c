"""What a person sees: lines, tables and progress. Names go through `printable`; JSON goes out alone."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from store.text import printable

_PLAIN_EVERY_SECONDS = 10.0
_PIPE_WIDTH = 10_000


class Advance(Protocol):
    """Tell how far a long piece of work has come."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show `done` of `total`."""
        ...


def say(line: str = "", *, quiet: bool = False) -> None:
    """Print a line for people, unless the output is for a program."""
    if not quiet:
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def warn(line: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(printable(line) + "\n")


def emit(answer: Mapping[str, Any]) -> None:
    """Print one JSON object on one line; undecodable names survive as escaped surrogates."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=True, allow_nan=False) + "\n")
    sys.stdout.flush()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table; cells are text, never markup. `right` names the columns that hold numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, name in enumerate(head):
        grid.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    if sys.stdout.isatty():
        Console(soft_wrap=False).print(grid)
        return
    console = Console(width=_PIPE_WIDTH)  # no path is broken in two where a program reads
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        say(line.rstrip())


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Show progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""
    if quiet:
        yield lambda done, total=None: None
    elif sys.stderr.isatty():
        with _bar(what) as advance:
            yield advance
    else:
        yield _PlainProgress(what)


@contextmanager
def _bar(what: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


class _PlainProgress:
    """A line on stderr every ten seconds, none for short work."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_SECONDS:
            self._last = now
            warn(f"{self._what}: {done}" + (f" of {total}" if total else ""))


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: "1 file", "2 files"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
