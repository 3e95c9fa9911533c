"""Looks taken ahead: the same answers, and none that the walk would not ask for, except where a copy comes first."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.decode import DecodeSettings, shrink
from pipeline.previewing import preview
from pipeline.settings import VerifySettings
from pipeline.tasks import LookTask, compare, look, prepare_stored
from store.errors import StateError
from store.previews import Previews
from store.records import Failure, FailureKind, Lineage, MatchKind, StoredLook
from tests.gallery import draw
from tests.laws.made_up import second_look
from tests.laws.synthetic import Content, Looks, Place, World, stand_ins


@pytest.fixture
def looks() -> Iterator[Looks]:
    with stand_ins() as counter:
        yield counter


class Asked:
    """Answer as worker processes would, and keep what they were asked."""

    def __init__(self, *, fail: bool = False) -> None:
        self.rounds: list[list[tuple[bytes, bytes]]] = []
        self._fail = fail

    def __call__(self, tasks: Sequence[LookTask]) -> list[object]:
        self.rounds.append([pair for task in tasks for pair in task.pairs])
        failure = Failure("", FailureKind.CRASHED, "died on it twice", None, None)
        return [failure if self._fail else look(task) for task in tasks]


def stranger_to(others: Sequence[Content], degrees: int, first: int) -> Content:
    """Find a content near to others and a copy of none."""
    for number in range(first, first + 10_000):
        found = Content(number, pixels=number, degrees=degrees)
        pairs = [sorted((found, other), key=lambda each: each.sha256) for other in others]
        if all(second_look(a.preview, b.preview) is None for a, b in pairs):
            return found
    raise AssertionError("none found")


def family() -> list[Content]:
    """Make six contents that look alike; no two are copies."""
    found: list[Content] = []
    for number in range(6):
        found.append(stranger_to(found, number, 10_000 * number))
    return found


def admit(world: World, *made: Content) -> None:
    world.admit({f"/hot/{content.number}.jpg": Place(content, 1) for content in made})


def test_an_arrival_is_looked_at_beside_every_keeper_near_it_once(tmp_path: Path, looks: Looks) -> None:
    world, asked = World(tmp_path / "state"), Asked()
    *known, last = family()
    admit(world, *known)
    world.flow.ask = asked
    before = looks.taken
    admit(world, last)
    pairs = [pair for each in asked.rounds for pair in each]
    assert sorted(pairs) == sorted((*sorted((last.sha256, other.sha256)),) for other in known)
    assert looks.taken - before == len(known), "the walk recalls what was seen"
    nearest = min(known, key=lambda other: abs(other.degrees - last.degrees))
    assert asked.rounds[0] == [(*sorted((last.sha256, nearest.sha256)),)]
    world.close()


def test_one_known_picture_is_done_with_before_the_next(tmp_path: Path, looks: Looks) -> None:
    world, asked = World(tmp_path / "state"), Asked()
    first, second, *known = family()
    admit(world, *known)
    world.flow.ask = asked
    admit(world, first, second)
    arrived = {first.sha256, second.sha256}
    turns = [*({*pair} - arrived for pair in asked.rounds[1])]
    order = [other for number, other in enumerate(turns) if number == 0 or other != turns[number - 1]]
    assert len(order) == len({frozenset(other) for other in order}), "previews stay at hand while they are needed"
    world.close()


def test_what_a_copy_of_the_likeliest_is_spares_the_rest(tmp_path: Path, looks: Looks) -> None:
    world, asked = World(tmp_path / "state"), Asked()
    known = [Content(c.number, pixels=c.pixels, degrees=c.degrees, scene=c.number % 250 + 1) for c in family()]
    admit(world, *known)
    world.flow.ask = asked
    twin = Content(99, pixels=99, degrees=known[-1].degrees, scene=known[-1].scene, sharpness=40.0)
    before = looks.taken
    admit(world, twin)
    assert [len(each) for each in asked.rounds] == [1, 0]
    assert looks.taken - before < len(known)
    world.close()


def test_where_workers_die_the_walk_looks_for_itself(tmp_path: Path, looks: Looks) -> None:
    worlds = [World(tmp_path / name) for name in ("ahead", "failing", "alone")]
    worlds[1].flow.ask = Asked(fail=True)
    worlds[2].flow.ask = None
    for world in worlds:
        for content in family():
            admit(world, content)
    assert worlds[0].verdicts() == worlds[1].verdicts() == worlds[2].verdicts()
    assert worlds[0].standings() == worlds[1].standings() == worlds[2].standings()
    for world in worlds:
        world.close()


def test_what_a_process_says_of_a_copy_is_not_believed(tmp_path: Path, looks: Looks) -> None:
    honest, misled = World(tmp_path / "honest"), World(tmp_path / "misled")
    forged = StoredLook(MatchKind.COPY, "the same, believe me", Lineage())
    misled.flow.ask = lambda tasks: [(forged,) * len(task.pairs) for task in tasks]
    for world in (honest, misled):
        for content in family():
            admit(world, content)
    assert misled.verdicts() == honest.verdicts()
    assert misled.standings() == honest.standings()
    for world in (honest, misled):
        world.close()


@pytest.mark.parametrize("answer", [(), (None,) * 9, "nonsense", None])
def test_an_answer_of_another_form_is_none(answer: object, tmp_path: Path, looks: Looks) -> None:
    world = World(tmp_path / "state")
    *known, last = family()
    admit(world, *known)
    world.flow.ask = lambda tasks: [answer] * len(tasks)
    before = looks.taken
    admit(world, last)
    assert looks.taken - before == len(known), "the walk looks for itself"
    world.close()


def test_without_processes_the_walk_looks_for_itself(tmp_path: Path, looks: Looks) -> None:
    def refuse(_: Sequence[LookTask]) -> list[object]:
        raise StateError("no process can be started")

    world = World(tmp_path / "state")
    *known, last = family()
    admit(world, *known)
    world.flow.ask = refuse
    before = looks.taken
    admit(world, last)
    assert looks.taken - before == len(known)
    world.close()


def test_a_look_at_stored_previews_is_a_look_at_the_pictures(tmp_path: Path) -> None:
    previews = Previews(tmp_path)
    scene = draw(3, (640, 480))
    hashes = [bytes([number]) * 32 for number in (1, 2, 3)]
    for sha256, pixels in zip(hashes, (scene, shrink(scene, 320), draw(4, (640, 480))), strict=True):
        previews.write(sha256, preview(pixels, DecodeSettings()))
    pairs = ((hashes[0], hashes[1]), (hashes[0], hashes[2]), (hashes[0], b"\x07" * 32))
    seen = look(LookTask(str(tmp_path), pairs, VerifySettings()))
    ours, theirs = (prepare_stored(previews, sha256) for sha256 in hashes[:2])
    assert seen[0] == compare(ours, theirs, VerifySettings())
    assert seen[0] is not None and seen[0].kind is MatchKind.COPY
    assert seen[1] is not None and seen[1].kind is None
    assert seen[2] is None, "a preview is missing"
