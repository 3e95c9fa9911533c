"""What the runs of the fault rows amount to: one line a row, for the terminal and for docs/reliability.md."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from tests.faults.rows import ROWS, WAITING

BEGIN, END = "<!-- faults: written by `make faults` -->", "<!-- faults: end -->"
HOLDS, FAILS, NOT_RUN = "holds", "FAILS", "not run"


@dataclass(frozen=True, slots=True)
class Run:
    """One test of a row, as it went."""

    row: str
    injected: str
    wanted: str  # the figure that decides
    times: int
    lost: int
    measured: tuple[str, ...]
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""  # of a skip


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table; its fields are the columns."""

    row: str
    fault: str
    injected: str
    times: str
    lost: str
    wanted: str
    measured: str
    verdict: str


COLUMNS = tuple(field.name for field in fields(Line))


def summarise(runs: Iterable[Run]) -> list[Line]:
    """Fold runs into one line per row: failed outweighs skipped, skipped outweighs passed."""
    by_row: dict[str, list[Run]] = {}
    for run in runs:
        by_row.setdefault(run.row, []).append(run)
    return [_line(row, by_row[row]) for row in sorted(by_row)]


def _line(row: str, runs: Sequence[Run]) -> Line:
    done = [run for run in runs if run.outcome != "skipped"]
    reasons = _joined(run.reason for run in runs if run.outcome == "skipped")
    if any(run.outcome == "failed" for run in runs):
        verdict = FAILS
    elif not done:
        verdict = f"{NOT_RUN}: {reasons}"
    else:
        verdict = f"{HOLDS}, in part: {reasons}" if reasons else HOLDS
    return Line(
        row=row,
        fault=ROWS[row],
        injected=_joined(run.injected for run in runs),
        times=str(sum(run.times for run in done)) if done else "",
        lost=str(sum(run.lost for run in done)) if done else "",
        wanted=_joined(run.wanted for run in runs),
        measured=_joined(figure for run in done for figure in run.measured),
        verdict=verdict,
    )


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))


def for_terminal(lines: Iterable[Line]) -> list[str]:
    """Return the table as text, narrow columns first."""
    head = f"{'row':4} {'times':>8} {'lost':>5}  {'verdict':9} what was injected → what was measured"
    body = []
    for line in lines:
        verdict, _, remark = line.verdict.partition(":") if NOT_RUN in line.verdict else line.verdict.partition(",")
        told = f"{line.injected} → {line.measured or remark.strip()}"
        start = f"{line.row:4} {line.times:>8} {line.lost:>5}  {verdict:9} "
        body += textwrap.wrap(told, 150, initial_indent=start, subsequent_indent=" " * 31) or [start]
    return [head, *body]


def write(page: Path, lines: Iterable[Line]) -> None:
    """Put lines into the page's table, between its marks; lines of rows that did not run stay as they are."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    known = read(table)
    for line in lines:
        if not line.verdict.startswith(NOT_RUN) or known.get(line.row, line).verdict.startswith(NOT_RUN):
            known[line.row] = line
    for row, fault in ROWS.items():
        missing = WAITING.get(row, f"{NOT_RUN} yet")
        if row not in known or row in WAITING:
            known[row] = Line(row, fault, "", "", "", "", "", missing)
    rows = [_markdown(COLUMNS), _markdown(["---"] * len(COLUMNS))]
    rows += [_markdown([getattr(known[row], name) for name in COLUMNS]) for row in ROWS]
    page.write_text("\n".join([before + BEGIN, "", *rows, "", END + after]), "utf-8")


def read(table: str) -> dict[str, Line]:
    """Read the lines of a table as `write` put them."""
    found = {}
    for text in table.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", text)[1:-1]]
        if len(cells) == len(COLUMNS) and cells[0] in ROWS:
            found[cells[0]] = Line(*cells)
    return found


def _markdown(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
