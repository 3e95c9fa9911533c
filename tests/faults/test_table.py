"""The matrix is complete, and its table tells the truth."""

import re
from dataclasses import replace
from pathlib import Path

from tests.faults.rows import ROWS, WAITING
from tests.faults.table import BEGIN, COLUMNS, END, Run, for_terminal, read, summarise, write

GOOD = Run("F08", "30 % deleted", "deletions 0", 5, 0, ("0 of 5",), "passed")


def page(folder: Path) -> Path:
    path = folder / "reliability.md"
    path.write_text(f"# Before\n\n{BEGIN}\n{END}\n\nAfter.\n", "utf-8")
    return path


def test_every_row_has_a_test_or_a_reason() -> None:
    sources = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_f*.py")]
    marked = {row for text in sources for row in re.findall(r'\.fault\(\s*"(F\d\d)"', text)}
    assert marked | set(WAITING) == set(ROWS)
    assert not marked & set(WAITING)


def test_what_failed_outweighs_what_was_skipped_and_what_held() -> None:
    skipped = replace(GOOD, outcome="skipped", reason="needs root")
    failed = replace(GOOD, outcome="failed", lost=1)
    verdicts = [summarise(runs)[0] for runs in ([GOOD], [GOOD, skipped], [GOOD, skipped, failed], [skipped])]
    assert [line.verdict for line in verdicts] == [
        "holds",
        "holds, in part: needs root",
        "FAILS",
        "not run: needs root",
    ]
    assert [(line.times, line.lost) for line in verdicts] == [("5", "0"), ("5", "0"), ("10", "1"), ("", "")]
    assert verdicts[1].measured == "0 of 5"


def test_the_page_has_every_row_and_keeps_what_it_knows(tmp_path: Path) -> None:
    path = page(tmp_path)
    odd = replace(GOOD, row="F49", injected="names | with | bars")
    write(path, summarise([GOOD, odd]))
    write(path, summarise([replace(GOOD, row="F01"), replace(odd, outcome="skipped", reason="later")]))
    text = path.read_text("utf-8")
    lines = read(text)
    assert list(lines) == list(ROWS)
    assert (lines["F08"].verdict, lines["F01"].verdict) == ("holds", "holds")
    assert (lines["F49"].injected, lines["F49"].verdict) == ("names | with | bars", "holds"), "a skip says nothing new"
    assert lines["F02"].verdict == "not run yet"
    assert lines["F63"].verdict == WAITING["F63"]
    assert text.startswith(f"# Before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nAfter.\n")


def test_the_terminal_gets_every_figure() -> None:
    text = "\n".join(for_terminal(summarise([GOOD])))
    assert all(word in text for word in ("F08", "5", "0", "holds", "30 % deleted", "0 of 5"))
    assert len(COLUMNS) == 8
