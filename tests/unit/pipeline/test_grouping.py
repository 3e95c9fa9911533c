"""Groups by hand; `tests/laws/test_walk.py` holds `reconsider` against the full walk by the thousand."""

import pytest

from pipeline.grouping import full_walk, linked_groups, outranks, reconsider
from store.records import Rank
from tests.laws.test_walk import Graph


def _rank(image_id: int, height: int, *, protected: bool = False) -> Rank:
    return Rank(image_id, (protected, height), protected)


def _graph(*edges: tuple[int, int]) -> Graph:
    return Graph({frozenset(edge) for edge in edges})


def test_chains_join_nobody_to_a_keeper_it_does_not_match() -> None:
    graph = _graph((0, 1), (1, 2))
    graph.change({i: _rank(i, 10 - i) for i in range(3)}, ())
    assert graph.keepers == {0: 0, 1: 0, 2: 2}


def test_a_better_copy_demotes_the_keeper_and_frees_whom_it_does_not_match() -> None:
    graph = _graph((1, 2), (1, 3), (9, 1), (9, 2))
    graph.change({1: _rank(1, 5), 2: _rank(2, 4), 3: _rank(3, 3)}, ())
    assert graph.keepers == {1: 1, 2: 1, 3: 1}
    assert graph.change({9: _rank(9, 8)}, ()) == {9, 1, 2, 3}
    assert graph.keepers == {9: 9, 1: 9, 2: 9, 3: 3}


def test_a_higher_keeper_takes_an_extra_over_from_a_lower_one() -> None:
    graph = _graph((1, 2), (9, 2))
    graph.change({1: _rank(1, 5), 2: _rank(2, 4)}, ())
    assert graph.change({9: _rank(9, 8)}, ()) == {9, 2}
    assert graph.keepers == {9: 9, 1: 1, 2: 9}


def test_when_the_keeper_goes_its_extras_are_judged_in_order_of_rank() -> None:
    graph = _graph((1, 2), (1, 3), (1, 4), (2, 3))
    graph.change({i: _rank(i, 10 - i) for i in range(1, 5)}, ())
    assert graph.change({}, [1]) == {1, 2, 3, 4}
    assert graph.keepers == {2: 2, 3: 2, 4: 4}


def test_protected_images_stay_beside_each_other_and_outrank_all() -> None:
    graph = _graph((1, 2), (1, 3), (2, 3))
    graph.change({1: _rank(1, 1, protected=True), 2: _rank(2, 2, protected=True), 3: _rank(3, 99)}, ())
    assert graph.keepers == {1: 1, 2: 2, 3: 2}


def test_nothing_changes_twice() -> None:
    graph = _graph((1, 2))
    graph.change({1: _rank(1, 2), 2: _rank(2, 1)}, ())
    assert reconsider([2], [], graph, graph) == set()
    assert reconsider([], [7], graph, graph) == set(), "one that was never in play cannot leave"


@pytest.mark.parametrize(
    ("a", "b", "before"), [((1, 0), (0, 9), True), ((0, 1), (0, 1), False), ((0, 1), (0, 2), False)]
)
def test_greater_keys_outrank(a: tuple[int, int], b: tuple[int, int], *, before: bool) -> None:
    assert outranks(Rank(1, a, False), Rank(2, b, False)) is before


def test_the_full_walk_of_nothing_is_nothing() -> None:
    assert full_walk([], lambda a, b: True) == {}


def test_groups_come_largest_first_and_loners_not_at_all() -> None:
    assert linked_groups({1: 1, 2: 1, 5: 5, 6: 5, 7: 5, 9: 9}) == [[5, 6, 7], [1, 2]]
