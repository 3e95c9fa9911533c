"""The Hamming index against counting bits one by one."""

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from store.hamming import HammingIndex

HASHES = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 0b111, 2**63, 2**64 - 1])
LIMITS = st.integers(-1, 64)


def bits(a: int, b: int) -> int:
    return (a ^ b).bit_count()


class Life(RuleBasedStateMachine):
    """Any order of calls leaves the index equal to a dictionary searched one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.index = HammingIndex()
        self.held: dict[int, tuple[int, int]] = {}

    @rule(
        ids=st.lists(st.integers(0, 40) | st.integers(2**40, 2**63 - 1), unique=True, max_size=20),
        hashes=st.lists(st.tuples(HASHES, HASHES), min_size=20, max_size=20),
    )
    def add(self, ids: list[int], hashes: list[tuple[int, int]]) -> None:
        new = [key for key in ids if key not in self.held]
        pairs = hashes[: len(new)]
        table = np.array(pairs, np.uint64).reshape(-1, 2)
        self.index.add(np.array(new, np.int64), table[:, 0], table[:, 1])
        self.held.update(zip(new, pairs, strict=True))

    @rule(data=st.data())
    def add_known_id(self, data: st.DataObject) -> None:
        if self.held:
            known = np.array([data.draw(st.sampled_from(sorted(self.held)))])
            with pytest.raises(ValueError, match="already"):
                self.index.add(known, np.zeros(1, np.uint64), np.zeros(1, np.uint64))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from([*sorted(self.held), 41]), max_size=3))
        gone = {key for key in ids if self.held.pop(key, None) is not None}
        assert self.index.remove(np.array(ids, np.int64)) == len(gone)

    @rule(phash=HASHES, dhash=HASHES, max_phash_bits=LIMITS, max_dhash_bits=LIMITS)
    def look(self, phash: int, dhash: int, max_phash_bits: int, max_dhash_bits: int) -> None:
        found = self.index.range(phash, dhash, max_phash_bits, max_dhash_bits)
        assert found == sorted(
            key
            for key, (p, d) in self.held.items()
            if bits(p, phash) <= max_phash_bits or bits(d, dhash) <= max_dhash_bits
        )

    @rule(phash=HASHES, k=st.integers(0, 50))
    def nearest(self, phash: int, k: int) -> None:
        found = self.index.nearest(phash, k)
        distances = sorted(bits(p, phash) for p, _ in self.held.values())
        assert [distance for _, distance in found] == distances[:k]
        assert all(bits(self.held[key][0], phash) == distance for key, distance in found)
        assert len({key for key, _ in found}) == len(found)

    @invariant()
    def counts(self) -> None:
        assert len(self.index) == len(self.held)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


def test_twenty_thousand_frames_of_a_stuck_camera() -> None:
    index = HammingIndex()
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (2, 50_000), dtype=np.uint64)
    hashes[:, :20_000] = hashes[:, :1]
    ids = np.arange(2**41, 2**41 + 50_000)
    index.add(ids, *hashes)
    phash, dhash = hashes[:, 0].tolist()
    assert index.range(phash, dhash, 2, 2) == ids[:20_000].tolist()
    index.remove(ids[:20_000:2])
    assert index.range(phash, dhash, 2, 2) == ids[1:20_000:2].tolist()


def test_a_removed_id_may_come_back_with_other_hashes() -> None:
    index = HammingIndex()
    index.add(np.arange(100), np.zeros(100, np.uint64), np.zeros(100, np.uint64))
    index.remove(np.array([7]))
    index.add(np.array([7]), np.array([2**64 - 1], np.uint64), np.array([2**64 - 1], np.uint64))
    assert 7 not in index.range(0, 0, 10, 10)
    assert index.range(2**64 - 1, 2**64 - 1, 0, 0) == [7]


def test_refuses_uneven_columns() -> None:
    index = HammingIndex()
    with pytest.raises(ValueError, match="2 and 1 hashes"):
        index.add(np.arange(2), np.zeros(2, np.uint64), np.zeros(1, np.uint64))
    assert len(index) == 0


def test_threads_never_see_a_torn_index() -> None:
    index = HammingIndex()
    settled = np.random.default_rng(0).integers(0, 2**64, 300, dtype=np.uint64)
    index.add(np.arange(300), settled, settled)
    missing: list[int] = []

    def change(first: int) -> None:
        for start in range(first, first + 3000, 30):
            ids = np.arange(start, start + 30)
            index.add(ids, np.full(30, start, np.uint64), np.full(30, start, np.uint64))
            index.remove(ids)

    def look() -> None:
        for number, value in enumerate(settled.tolist()):
            if number not in index.range(value, value, 0, 0) or not index.nearest(value, 1):
                missing.append(number)

    threads = [threading.Thread(target=change, args=(first,)) for first in (1000, 10_000)]
    threads += [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert len(index) == 300
