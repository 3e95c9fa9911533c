"""Arrivals: durable, once each, with their retries."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.arrivals import Arrival, Arrivals
from store.catalog import Catalog

SECOND = 10**9


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    made.put_folder("/hot", protected=False)
    made.put_folder("/cam", protected=False)
    yield made
    made.close()


@pytest.fixture
def arrivals(catalog: Catalog) -> Arrivals:
    return Arrivals(catalog.database)


def _doubling(attempts: int) -> float:
    return 30.0 * (1 << attempts)


def test_what_was_seen_is_there_after_a_restart(arrivals: Arrivals, catalog: Catalog) -> None:
    name = os.fsdecode(b"/hot/caf\xe9\n.jpg")
    arrivals.add([(name, 1), ("/cam/b.jpg", 2)], 5)
    again = Catalog(catalog.path)
    found = Arrivals(again.database)
    assert found.all() == arrivals.all()
    assert [a.path for a in found.all(1)] == [name]
    assert found.all(2) == [Arrival("/cam/b.jpg", 2, 0, 0, "")]
    assert found.count() == 2
    again.close()


def test_seeing_a_file_again_keeps_its_history(arrivals: Arrivals) -> None:
    arrivals.add([("/hot/a", 1)], 5)
    arrivals.fail("/hot/a", 1, "locked", 10 * SECOND, _doubling)
    arrivals.add([("/hot/a", 1)], 11 * SECOND)
    assert arrivals.all() == [Arrival("/hot/a", 1, 1, 40 * SECOND, "locked")]


def test_each_failure_waits_longer(arrivals: Arrivals) -> None:
    first = arrivals.fail("/hot/a", 1, "locked", 0, _doubling)
    second = arrivals.fail("/hot/a", 1, "still locked", first.retry_ns, _doubling)
    assert (first.attempts, first.retry_ns) == (1, 30 * SECOND)
    assert (second.attempts, second.retry_ns) == (2, 90 * SECOND)
    assert arrivals.all() == [second]


def test_only_failed_ones_are_due_and_only_when_their_time_has_come(arrivals: Arrivals) -> None:
    arrivals.add([("/hot/new", 1)], 0)
    arrivals.fail("/hot/a", 1, "locked", 0, _doubling)
    assert arrivals.due(30 * SECOND - 1) == []
    assert [a.path for a in arrivals.due(30 * SECOND)] == ["/hot/a"]


def test_decided_ones_are_gone(arrivals: Arrivals) -> None:
    arrivals.add([("/hot/a", 1), ("/hot/b", 1)], 0)
    arrivals.remove(["/hot/a", "/hot/unheard-of"])
    arrivals.remove([])
    assert [a.path for a in arrivals.all()] == ["/hot/b"]
    first = arrivals.fail("/hot/a", 1, "locked", 0, _doubling)
    assert first.attempts == 1, "a new arrival has no old failures"
