"""What a person sees."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from daemon import terminal


class Terminal(io.StringIO):
    """Standard output or error as a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_and_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("one")
    terminal.say("two", quiet=True)
    terminal.say()
    assert capsys.readouterr().out == "one\n\n"


def test_a_name_that_is_no_text_is_printable_anyway(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    terminal.say("x \udcff")
    assert capsysbinary.readouterr().out == b"x \\udcff\n"


def test_warnings_go_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.warn("bad name \x1b[31m")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b" not in shown.err
    assert shown.err.startswith("bad name")


def test_json_is_one_ascii_line_that_keeps_every_byte(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.emit({"path": "ü\n\udcff"})
    line = capsys.readouterr().out
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {"path": "ü\n\udcff"}
    with pytest.raises(ValueError, match="JSON"):
        terminal.emit({"similarity": float("nan")})


def test_a_piped_table_breaks_no_path_and_has_no_ragged_edge(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/pictures/" + "x" * 500
    terminal.table(("folder", "files"), [(path, "1"), ("/b", "20")], right=(1,))
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("folder")
    assert first == f"{path}      1"
    assert second.endswith("    20")
    assert second.startswith("/b ")
    assert all(line == line.rstrip() for line in (head, first, second))


def test_a_last_column_of_words_has_no_ragged_edge_either(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("verdict", ""), [("keep", ""), ("dark", "would leave")])
    assert capsys.readouterr().out == "verdict\nkeep\ndark     would leave\n"


def test_cells_are_text_and_never_markup_or_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name",), [("[red]x[/red]",), ("\x1b[2Jy",), (":smile:",)])
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert ":smile:" in out
    assert "\x1b" not in out


def test_a_terminal_gets_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns and no colours
    terminal.table(("folder",), [("/" + "x" * 100,)])
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(lines[1:]).replace(" ", "").count("x") == 100, "folded, not cut"


def test_short_work_says_nothing_and_long_work_says_something_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("daemon.terminal.time", SimpleNamespace(monotonic=lambda: now))
    with terminal.progress("judging") as advance:
        advance(1, 100)
        assert capsys.readouterr().err == ""
        now = 10.5
        advance(50, 100)
        advance(51, 100)
        now = 25.0
        advance(7)
    assert capsys.readouterr().err == "judging: 50 of 100\njudging: 7\n"


def test_quiet_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("judging", quiet=True) as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_ends_without_a_trace_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress("judging") as advance:
        advance(1, 2)
        advance(2, 2)
    assert "judging" in screen.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("count", "words", "shown"),
    [
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (1234, ("file",), "1,234 files"),
        (2, ("index", "indexes"), "2 indexes"),
    ],
)
def test_counts_agree_with_their_nouns(count: int, words: tuple[str, ...], shown: str) -> None:
    assert terminal.plural(count, *words) == shown
