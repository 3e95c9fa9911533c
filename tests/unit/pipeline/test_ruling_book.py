"""Rulings in the flow: what they do to groups, keepers and verdicts, and what outlives what."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.records import RulingKind, VerdictKind
from tests.laws.synthetic import NOW_NS, Content, Place, World, stand_ins
from tests.laws.test_order import assert_lawful

NOT_DUPLICATES, KEEP_ALL, KEEP_THIS = RulingKind
BEST, MIDDLE, WORST = (Content(n, scene=1, pixels=n, detail=4.0 - n) for n in (1, 2, 3))
FAMILY = {"/hot/a.jpg": Place(BEST, 1), "/hot/bb.jpg": Place(MIDDLE, 1), "/hot/c.jpg": Place(WORST, 1)}


@pytest.fixture(scope="module", autouse=True)
def stand_in() -> Iterator[None]:
    with stand_ins():
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state")
    yield made
    made.close()


def kept(world: World) -> set[str]:
    """Return the names of the files that stay."""
    assert_lawful(world)
    return {path[-5:] for path, verdict in world.verdicts().items() if verdict.kind is VerdictKind.KEEP}


@pytest.mark.parametrize("ruled_first", [False, True])
def test_a_third_file_does_not_bring_two_together_that_are_no_duplicates(world: World, *, ruled_first: bool) -> None:
    if not ruled_first:
        world.admit(FAMILY)
        assert kept(world) == {"a.jpg"}
    world.rule(NOT_DUPLICATES, MIDDLE, WORST)
    if ruled_first:
        world.admit(FAMILY)
    assert kept(world) == {"a.jpg", "c.jpg"}, "the higher one joins the keeper that both match, the other one stays"
    assert "no duplicate" in world.verdicts()["/hot/c.jpg"].reason
    world.forget(["/hot/bb.jpg"])
    assert kept(world) == {"a.jpg"}, "nothing stands in its way any more"
    world.admit({"/cam/a.jpg": Place(MIDDLE, 9)})
    assert kept(world) == {"a.jpg", "c.jpg"}, "the same content elsewhere is the same content"


def test_keeper_and_extra_that_are_no_duplicates_both_stay(world: World) -> None:
    world.admit(FAMILY)
    world.rule(NOT_DUPLICATES, BEST, MIDDLE)
    assert kept(world) == {"a.jpg", "b.jpg"}
    assert world.verdicts()["/hot/c.jpg"].keeper == "/hot/a.jpg"
    world.unrule(world.catalog.rulings.all()[0])
    assert kept(world) == {"a.jpg"}


def test_what_is_to_stay_stays_and_removes_nothing(world: World) -> None:
    world.admit(FAMILY)
    world.rule(KEEP_ALL, WORST)
    assert kept(world) == {"a.jpg", "c.jpg"}
    world.admit({"/cam/c.jpg": Place(WORST, 9)})
    assert {"/hot/c.jpg", "/cam/c.jpg"} <= {p for p, v in world.verdicts().items() if v.kind is VerdictKind.KEEP}


def test_the_chosen_one_is_the_keeper_whatever_comes(world: World) -> None:
    world.admit(FAMILY)
    world.rule(KEEP_THIS, WORST)
    assert kept(world) == {"c.jpg"}
    assert "you ruled so (ruling 1)" in world.verdicts()["/hot/a.jpg"].reason
    better = Content(9, scene=1, pixels=9, detail=99.0)
    world.admit({"/hot/ö.jpg": Place(better, 1), "/cam/c.jpg": Place(WORST, 9)})
    assert kept(world) == {"c.jpg"}
    assert world.verdicts()["/cam/c.jpg"].keeper == "/hot/c.jpg", "one file of the content is enough"


def test_protected_files_stay_beside_the_chosen_one(world: World) -> None:
    world.admit({**FAMILY, "/archive/a.jpg": Place(BEST, 1)})
    world.rule(KEEP_THIS, WORST)
    assert kept(world) == {"a.jpg", "c.jpg"}
    assert world.verdicts()["/archive/a.jpg"].kind is VerdictKind.KEEP
    assert world.verdicts()["/hot/bb.jpg"].keeper == "/hot/c.jpg"


def test_of_two_choices_the_newer_one_holds(world: World) -> None:
    world.admit(FAMILY)
    world.rule(KEEP_THIS, WORST)
    world.rule(KEEP_THIS, MIDDLE)
    assert kept(world) == {"b.jpg"}
    world.rule(KEEP_ALL, WORST)
    assert kept(world) == {"b.jpg", "c.jpg"}, "a newer word that it stays"
    world.unrule(world.catalog.rulings.all()[1])
    assert kept(world) == {"c.jpg"}, "the older choice is in force again"


def test_a_reject_that_is_to_stay_stays(world: World) -> None:
    dark = Content(4, scene=1, pixels=4, dark=True)
    world.admit({"/hot/ö.jpg": Place(dark, 1), **FAMILY})
    assert world.verdicts()["/hot/ö.jpg"].kind is VerdictKind.DARK
    world.rule(KEEP_THIS, dark)
    assert kept(world) == {"ö.jpg"}
    world.unrule(world.catalog.rulings.all()[0])
    assert kept(world) == {"a.jpg"}


def test_related_pictures_that_are_to_stay_are_not_called_similar(world: World) -> None:
    first, second = (Content(n, pixels=n, direction=1, detail=4.0 - n, hashable=False) for n in (21, 26))
    world.admit({"/hot/a.jpg": Place(first, 1), "/hot/bb.jpg": Place(second, 1)})
    assert world.verdicts()["/hot/bb.jpg"].kind is VerdictKind.SIMILAR
    world.rule(KEEP_ALL, first, second)
    assert kept(world) == {"a.jpg", "b.jpg"}
    world.rule(KEEP_THIS, first)
    assert kept(world) == {"a.jpg", "b.jpg"}, "a choice among duplicates takes nothing from a related picture"


def test_rulings_outlive_restart_rejudging_and_forgetting(world: World) -> None:
    world.admit(FAMILY)
    world.rule(NOT_DUPLICATES, BEST, MIDDLE, WORST)
    for change in (world.restart, world.lose_indexes, lambda: world.flow.rejudge(NOW_NS)):
        change()
        assert kept(world) == {"a.jpg", "b.jpg", "c.jpg"}
    world.forget(list(FAMILY))
    assert world.flow.forget_unseen(NOW_NS + 1) == 3
    world.admit(FAMILY)
    assert kept(world) == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_ruling_that_fails_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit(FAMILY)
    with monkeypatch.context() as patch:
        patch.setattr(world.catalog, "set_verdict", _halt)
        with pytest.raises(InterruptedError):
            world.rule(KEEP_THIS, WORST)
    assert world.catalog.rulings.all() == []
    assert kept(world) == {"a.jpg"}


def _halt(*_: object) -> None:
    raise InterruptedError
