"""The report's words: numbers, sizes and times as people read them."""

from datetime import UTC

import pytest

from daemon.report_words import MINUS, TIMES, bytes_in_words, change_in_words, moment_in_words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_600, "1.0 MB"),
        (1_400_000, "1.4 MB"),
        (5 * 10**15, "5,000 TB"),
    ],
)
def test_bytes_in_words(count: int, words: str) -> None:
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(
    ("value", "reference", "words"),
    [
        (50, 100, f"{MINUS}50 %"),
        (112, 100, "+12 %"),
        (100, 100, ""),
        (5, 0, ""),
        (5, None, ""),
        (1400, 100, f"{TIMES} 14"),
        (100.1, 100, "≈"),
    ],
)
def test_change_in_words(value: float, reference: float | None, words: str) -> None:
    assert change_in_words(value, reference) == words


def test_a_time_beyond_the_calendar_is_left_out() -> None:
    assert moment_in_words(0, UTC) == "1 January 1970, 00:00"
    assert moment_in_words(-(10**18), UTC) == "24 April 1938, 22:13"
    assert moment_in_words(2**80, UTC) == ""
