"""`reconsider` alone against `full_walk`: random matches, random ranks, and every kind of change, by the thousand."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.grouping import full_walk, outranks, reconsider
from store.records import Rank

_MANY = settings(max_examples=1000, deadline=None)
_SIZE = 10


@dataclass(slots=True)
class Graph:
    """Neighbourhood and standings over a plain graph; asks about an image that has left fail, as the real ones do."""

    edges: set[frozenset[int]]
    apart: set[frozenset[int]] = field(default_factory=set)
    alone: frozenset[int] = frozenset()  # stand behind nobody, as an animation does
    ranks: dict[int, Rank] = field(default_factory=dict)
    keepers: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def rank(self, image_id: int) -> Rank:
        return self.ranks[image_id]

    def keepers_near(self, image_id: int) -> list[int]:
        return [i for i, keeper in self.keepers.items() if i == keeper and i != image_id]

    def extras_near(self, image_id: int, keeper_below: Rank) -> list[int]:
        standing = {i for i, keeper in self.keepers.items() if i == keeper}
        lower = {i for i in standing if outranks(keeper_below, self.ranks[i])}
        return [i for i, keeper in self.keepers.items() if i != keeper and keeper in lower and i != image_id]

    def matches(self, extra: int, keeper: int) -> bool:
        self.asked += 1
        return extra not in self.alone and frozenset((extra, keeper)) in self.edges - self.apart

    def apart_from(self, image_id: int) -> list[int]:
        return [other for pair in self.apart if image_id in pair for other in pair if other != image_id]

    def keeper_of(self, image_id: int) -> int | None:
        return self.keepers.get(image_id)

    def extras_of(self, keeper_id: int) -> list[int]:
        return [i for i, keeper in self.keepers.items() if keeper == keeper_id != i]

    def put(self, image_id: int, keeper_id: int | None) -> None:
        if keeper_id is None:
            self.keepers.pop(image_id, None)
        else:
            self.keepers[image_id] = keeper_id

    def change(self, ranks: dict[int, Rank], gone: Iterable[int]) -> set[int]:
        """Let images come, go, or change rank, in one step."""
        for image_id in gone:
            self.ranks.pop(image_id, None)
        self.ranks.update(ranks)
        return reconsider(ranks, {*ranks, *gone}, self, self)

    def rule(self, image_id: int, other: int, verb: str, number: int) -> set[int]:
        """Rule on an image, or on two, as a person would; the same again takes it back."""
        touched = {image_id} | ({other} if verb == "apart" else set())
        pair = frozenset((image_id, other))
        if verb == "apart":
            self.apart ^= {pair} if len(pair) == 2 else set()
        elif image_id in self.ranks:
            rank = self.ranks[image_id]
            chosen = number if verb == "choose" and not rank.chosen else 0
            kept = max(chosen, number if verb == "keep" and not rank.kept else 0)
            self.ranks[image_id] = replace(rank, key=(chosen, *rank.key[1:]), kept=kept, chosen=chosen)
        return reconsider(touched & self.ranks.keys(), touched, self, self)


def _rank(image_id: int, height: int, *, protected: bool) -> Rank:
    return Rank(image_id, (0, protected, height, image_id), protected)


_pairs = st.frozensets(st.integers(0, _SIZE - 1), min_size=2, max_size=2)
_changes = st.lists(
    st.dictionaries(
        st.integers(0, _SIZE - 1),
        st.none() | st.tuples(st.integers(0, 4), st.sampled_from((False, False, False, True))),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=8,
)


@_MANY
@given(st.sets(_pairs, max_size=30), st.frozensets(st.integers(0, _SIZE - 1), max_size=3), _changes)
def test_every_change_ends_where_the_full_walk_ends(
    edges: set[frozenset[int]], alone: frozenset[int], changes: list[dict[int, tuple[int, bool] | None]]
) -> None:
    graph = Graph(edges, alone=alone)
    for change in changes:
        before = dict(graph.keepers)
        ranks = {i: _rank(i, value[0], protected=value[1]) for i, value in change.items() if value is not None}
        changed = graph.change(ranks, [i for i, value in change.items() if value is None])
        expected = full_walk(graph.ranks.values(), graph.matches)
        assert graph.keepers == expected
        differing = {i for i in before.keys() | expected.keys() if before.get(i) != expected.get(i)}
        assert differing <= changed, "whoever changed is reported"
        assert changed <= before.keys() | expected.keys()


_ALL_PAIRS = [frozenset(pair) for pair in combinations(range(_SIZE), 2)]
_dense = st.integers(0, (1 << len(_ALL_PAIRS)) - 1).map(
    lambda bits: {pair for number, pair in enumerate(_ALL_PAIRS) if bits >> number & 1}
)
_rulings = st.tuples(
    st.integers(0, _SIZE - 1), st.integers(0, _SIZE - 1), st.sampled_from(("apart", "apart", "keep", "choose"))
)


@_MANY
@given(_dense, _dense, st.permutations(range(_SIZE)), st.lists(_changes | _rulings, min_size=3, max_size=12))
def test_every_ruling_ends_where_the_full_walk_ends(
    edges: set[frozenset[int]], apart: set[frozenset[int]], heights: list[int], steps: list[Any]
) -> None:
    graph = Graph(edges, apart)
    graph.change({i: _rank(i, height, protected=False) for i, height in enumerate(heights)}, ())
    assert graph.keepers == full_walk(graph.ranks.values(), graph.matches, graph.apart_from)
    for number, step in enumerate(steps, 1):
        if isinstance(step, tuple):
            image_id, other, verb = step
            graph.rule(image_id, other, verb, number)
        else:
            for change in step:
                ranks = {i: _rank(i, v[0], protected=v[1]) for i, v in change.items() if v is not None}
                graph.change(ranks, [i for i, value in change.items() if value is None])
        assert graph.keepers == full_walk(graph.ranks.values(), graph.matches, graph.apart_from)
    for pair in graph.apart:
        assert len({graph.keepers.get(i, -1 - i) for i in pair}) == 2, "no keeper stands for both"
    for image_id, keeper in graph.keepers.items():
        rank = graph.ranks[image_id]
        assert not rank.kept or keeper == image_id or graph.ranks[keeper].chosen > rank.kept


@_MANY
@given(st.sets(_pairs, max_size=30), st.permutations(range(_SIZE)), st.lists(st.integers(0, 3), min_size=_SIZE))
def test_every_order_of_arrival_ends_the_same(edges: set[frozenset[int]], order: list[int], heights: list[int]) -> None:
    graph = Graph(edges)
    for image_id in order:
        graph.change({image_id: _rank(image_id, heights[image_id], protected=False)}, ())
    assert graph.keepers == full_walk(graph.ranks.values(), graph.matches)


@settings(max_examples=300, deadline=None)
@given(st.sets(_pairs, max_size=30), st.lists(st.booleans(), min_size=_SIZE, max_size=_SIZE))
def test_the_full_walk_keeps_the_laws(edges: set[frozenset[int]], protected: list[bool]) -> None:
    graph = Graph(edges)
    ranks = {i: _rank(i, i % 4, protected=protected[i]) for i in range(_SIZE)}
    standing = full_walk(ranks.values(), graph.matches)
    keepers = [i for i, keeper in standing.items() if i == keeper]
    for image_id, keeper in standing.items():
        if protected[image_id]:
            assert keeper == image_id
        elif keeper != image_id:
            assert graph.matches(image_id, keeper), "law 2"
            better = [k for k in keepers if outranks(ranks[k], ranks[keeper])]
            assert not any(graph.matches(image_id, k) for k in better), "the highest-ranking one it matches"
        else:
            rivals = [k for k in keepers if k != image_id and not protected[k]]
            assert not any(graph.matches(image_id, k) for k in rivals), "law 3"


def test_an_arrival_beside_a_standing_family_asks_its_keeper_only() -> None:
    count = 300
    graph = Graph({frozenset((i, j)) for i in range(count + 2) for j in range(i)})
    graph.change({i: _rank(i, 1000 - i, protected=False) for i in range(count)}, ())
    graph.asked = 0
    graph.change({count: _rank(count, 0, protected=False)}, ())
    assert graph.asked == 1
    graph.asked = 0
    graph.change({count + 1: _rank(count + 1, 2000, protected=False)}, ())
    assert graph.asked <= 2 * (count + 1), "a new keeper costs its family once down and once up"
