"""A file settles when nothing about it has changed for long enough, and only then."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settle import Settle, SettleSettings
from store.records import FileStat

FUTURE_NS = 4_000_000_000 * 10**9


def a_stat(path: str = "/hot/a.jpg", size: int = 1, **changes: Any) -> FileStat:
    return replace(FileStat(path, 1, 2, size, 3, 4), **changes)


def test_a_quiet_file_is_returned_once() -> None:
    settle = Settle()
    settle.feed(a_stat(), 10.0)
    assert (len(settle), settle.ready(11.9), settle.next_due(11.9)) == (1, [], 12.0)
    assert settle.ready(12.0) == [a_stat()]
    assert (len(settle), settle.ready(99.0), settle.next_due(99.0)) == (0, [], None)


@pytest.mark.parametrize("change", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_any_change_starts_the_wait_anew(change: str) -> None:
    settle = Settle()
    settle.feed(a_stat(), 0.0)
    changed = replace(a_stat(), **{change: 77})  # type: ignore[arg-type]  # all of them are ints
    settle.feed(changed, 1.5)
    assert settle.ready(3.4) == []
    assert settle.ready(3.5) == [changed]


def test_seeing_the_same_again_does_not_prolong_the_wait() -> None:
    settle = Settle()
    for tenths in range(20):
        settle.feed(a_stat(), tenths / 10)
    assert settle.ready(2.0) == [a_stat()]


def test_a_second_event_about_the_same_bytes_is_no_second_arrival() -> None:
    settle = Settle()
    settle.feed(a_stat(), 0.0)
    settle.ready(2.0)
    settle.feed(a_stat(), 2.1)
    assert (len(settle), settle.ready(1e6)) == (0, [])


def test_a_file_from_the_future_settles_like_any_other() -> None:
    settle = Settle()
    settle.feed(a_stat(mtime_ns=FUTURE_NS, ctime_ns=FUTURE_NS), 0.0)
    assert len(settle.ready(2.0)) == 1


def test_an_empty_file_waits_for_its_first_bytes() -> None:
    settle = Settle()
    settle.feed(a_stat(size=0), 0.0)
    settle.feed(a_stat("/hot/b.jpg", size=0), 0.0)
    assert settle.ready(20.0) == []
    settle.feed(a_stat(size=5), 20.0)
    assert settle.next_due(20.0) == 22.0
    assert settle.ready(22.0) == [a_stat(size=5)]
    assert settle.ready(30.0) == [a_stat("/hot/b.jpg", size=0)]  # still empty: that is what it is


def test_a_forgotten_file_does_not_come_back() -> None:
    settle = Settle()
    settle.feed(a_stat(), 0.0)
    settle.forget("/hot/a.jpg")
    settle.forget("/hot/never-seen.jpg")
    assert (len(settle), settle.ready(9.0), settle.next_due(9.0)) == (0, [], None)
    settle.feed(a_stat(), 10.0)
    assert settle.ready(12.0) == [a_stat()]


def test_a_file_overwritten_for_ever_comes_back_ever_more_rarely() -> None:
    settle, returned = Settle(), []
    for second in range(3600):  # a webcam that overwrites its picture every ten seconds
        if second % 10 == 0:
            settle.feed(a_stat(mtime_ns=second), float(second))
        returned += [float(second) for _ in settle.ready(float(second))]
    gaps = [after - before for before, after in pairwise(returned)]
    assert gaps == sorted(gaps)
    assert len(returned) < 20
    assert max(gaps) <= 310.0  # the cap, and the pause until the file is quiet


def test_after_two_quiet_pauses_a_file_starts_anew() -> None:
    settle = Settle()
    settle.feed(a_stat(size=1), 0.0)
    settle.ready(2.0)
    settle.feed(a_stat(size=2), 3.0)
    assert settle.next_due(3.0) == 6.0  # 2 + 4: it changed right after it had settled
    settle.ready(6.0)
    settle.feed(a_stat(size=3), 1000.0)
    assert settle.next_due(1000.0) == 1002.0


def test_what_changed_unseen_is_not_confirmed() -> None:
    disk = {"/hot/a.jpg": a_stat(size=9), "/hot/b.jpg": a_stat("/hot/b.jpg")}
    settle = Settle()
    settle.feed(a_stat(size=1), 0.0)
    settle.feed(a_stat("/hot/b.jpg"), 0.0)
    settle.feed(a_stat("/hot/gone.jpg"), 0.0)
    assert settle.confirmed(2.0, disk.get) == [a_stat("/hot/b.jpg")]
    assert (len(settle), settle.next_due(2.0)) == (1, 4.0)
    assert settle.confirmed(4.0, disk.get) == [a_stat(size=9)]


def test_a_slow_writer_without_events_costs_one_arrival() -> None:
    settle, arrivals, size = Settle(), [], 1
    settle.feed(a_stat(size=size), 0.0)
    for second in range(60):
        size = min(second, 30) + 1
        arrivals += settle.confirmed(float(second), lambda path: a_stat(path, size=size))  # noqa: B023  used at once
    assert arrivals == [a_stat(size=31)]


def test_memory_is_bounded_per_path() -> None:
    settle = Settle()
    tracemalloc.start()
    try:
        for n in range(20_000):
            settle.feed(a_stat(size=n % 2), float(n % 7))  # empty and not, forgotten and not: all queue paths
            if n % 3 == 0:
                settle.forget("/hot/a.jpg")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50_000


def test_remembered_paths_are_bounded() -> None:
    settle = Settle(SettleSettings(remembered_paths=2))
    for name in "abc":
        settle.feed(a_stat(name), 0.0)
    settle.ready(2.0)
    for name in "abc":
        settle.feed(a_stat(name), 3.0)
    assert [stat.path for stat in settle.ready(5.0)] == ["a"]


def test_what_settled_long_ago_is_let_go_of() -> None:
    """A service that takes in files for months must not hold on to the last ten thousand for nothing."""
    settle = Settle(SettleSettings(max_backoff_seconds=16.0))
    for second in range(200):
        settle.feed(a_stat(f"{second}.jpg"), float(second))
        settle.ready(float(second))
    assert len(settle._returned) <= 2 * 16 + 1
    for now in (300.0, 1000.0):  # the last two settle, and are let go of
        settle.ready(now)
    assert not settle._returned
    settle.feed(a_stat("199.jpg"), 1000.0)
    assert len(settle) == 1, "an event that comes this late is one more look"


PATHS = ["/hot/1.jpg", "/hot/2.jpg", "/hot/3.jpg"]
SETTINGS = SettleSettings(settle_seconds=2.0, empty_settle_seconds=7.0, max_backoff_seconds=16.0)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 20).map(lambda quarters: quarters / 4),  # exact in binary
        st.sampled_from(["feed", "feed", "feed", "ready", "forget"]),
        st.sampled_from(PATHS),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
def test_laws(steps: list[tuple[float, str, str, int]]) -> None:
    settle, now = Settle(SETTINGS), 0.0
    last_fed: dict[str, FileStat] = {}
    changed_at: dict[str, float] = {}
    last_returned: dict[str, FileStat] = {}

    def take(now: float) -> None:
        for stat in settle.ready(now):
            assert last_fed[stat.path] == stat, "only the newest state counts"
            quiet = SETTINGS.settle_seconds if stat.size else SETTINGS.empty_settle_seconds
            assert now - changed_at[stat.path] >= quiet, "nothing comes back before it was quiet"
            assert last_returned.get(stat.path) != stat, "nothing comes back twice"
            last_returned[stat.path] = stat

    for pause, kind, path, version in steps:
        now += pause
        if kind == "feed":
            stat = a_stat(path, size=version)
            if last_fed.get(path) != stat:
                changed_at[path] = now
                last_returned.pop(path, None)
            last_fed[path] = stat
            settle.feed(stat, now)
        elif kind == "forget":
            settle.forget(path)
            last_fed.pop(path, None)
            last_returned.pop(path, None)
        else:
            due = settle.next_due(now)
            before = len(settle)
            take(now)
            assert (due == now) == (len(settle) < before), "next_due tells when there is work"
    take(now + SETTINGS.empty_settle_seconds + SETTINGS.max_backoff_seconds)
    assert len(settle) == 0, "everything settles in the end"
    assert last_returned == last_fed
    assert settle.next_due(now) is None
