"""What is refused is told once, and tried again ever more rarely until something changes."""

from daemon.refusals import Refusals
from pipeline.planning import Problem

SHUT, FULL = Problem("/hot/a.jpg", "no permission"), Problem("/hot/b.jpg", "no space is left")


def test_nothing_refused_is_nothing_to_do() -> None:
    assert not Refusals().due(1e9)


def test_news_are_told_once() -> None:
    refusals = Refusals()
    assert refusals.note([SHUT], 0.0, everything=False) == [SHUT]
    assert refusals.note([SHUT, FULL], 1.0, everything=False) == [FULL]
    assert refusals.problems == [SHUT, FULL]
    assert refusals.note([SHUT, FULL], 2.0, everything=True) == []
    assert refusals.note([], 3.0, everything=True) == []
    assert refusals.problems == []
    assert refusals.note([SHUT], 4.0, everything=False) == [SHUT], "it was well in between"


def test_tries_become_rare_and_a_change_makes_them_frequent_again() -> None:
    refusals, now, tries = Refusals(), 0.0, []
    refusals.note([SHUT, FULL], now, everything=True)
    while now < 4 * 3600:
        now += 10.0
        if refusals.due(now):
            tries.append(now)
            refusals.note([SHUT, FULL], now, everything=True)
    assert 5 <= len(tries) <= 10
    assert tries[-1] - tries[-2] >= 3600
    refusals.note([SHUT], now, everything=True)
    assert refusals.due(now + 61)
