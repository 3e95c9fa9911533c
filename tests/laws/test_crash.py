"""A crash in the middle of an admission leaves catalog and memory as they were."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.catalog import Catalog
from store.records import Level
from tests.laws.synthetic import NOW_NS, Content, Looks, Place, World

pytestmark = pytest.mark.usefixtures("looks")

FIRST = {"/hot/a.jpg": Place(Content(1, scene=1), 1), "/hot/bb.jpg": Place(Content(2, pixels=2, detail=2.0), 2)}
SECOND = {
    "/cam/a.jpg": Place(Content(3, scene=1, pixels=3, detail=3.0), 3),
    "/hot/a.jpg": Place(Content(4, scene=1, pixels=4, detail=4.0), 4),
}
SPOTS = ("put_file", "put_observation", "put_embedding", "mark_orphans", "set_verdict")


class Halt(Exception):
    """What a test throws into the works."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state")
    yield made
    made.close()


def _halt(*_: object) -> None:
    raise Halt


def _memory(world: World) -> tuple[object, ...]:
    knowledge = world.flow.knowledge
    ids = world.catalog.image_ids()
    standings = {level: {i: knowledge.standings[level].keeper_of(i) for i in ids} for level in Level}
    near = {i: knowledge.matcher.near(i).tolist() for i in ids}
    return standings, near, len(knowledge.indexes.vectors), len(knowledge.indexes.hashes), knowledge.model_id


def _dump(world: World) -> list[str]:
    tables = world.catalog.database.tables
    return [f"{table.name}: {row}" for table in tables if table.name != "sqlite_sequence" for row in table.rows]


@pytest.mark.parametrize("spot", SPOTS)
def test_a_crash_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch, spot: str) -> None:
    world.admit(FIRST)
    before = _dump(world), _memory(world), world.verdicts()
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, spot, _halt)
        with pytest.raises(Halt):
            world.flow.admit([world.seen(path, place) for path, place in SECOND.items()], NOW_NS)
    assert (_dump(world), _memory(world), world.verdicts()) == before
    world.admit(SECOND)
    assert len(world.verdicts()) == 3


@pytest.mark.parametrize("spot", SPOTS)
def test_a_crash_in_the_first_batch_does_not_stop_the_second(
    world: World, monkeypatch: pytest.MonkeyPatch, spot: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, spot, _halt)
        with pytest.raises(Halt):
            # One duplicate, so that every spot is reached.
            world.flow.admit([world.seen(path, FIRST["/hot/a.jpg"]) for path in ("/hot/a.jpg", "/hot/c.jpg")], NOW_NS)
    world.admit(FIRST)
    assert set(world.verdicts()) == set(FIRST)


def test_a_crash_while_letting_go_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit(FIRST)
    before = _dump(world), _memory(world), world.verdicts()
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "mark_orphans", _halt)
        with pytest.raises(Halt):
            world.forget(["/hot/a.jpg"])
    assert (_dump(world), _memory(world), world.verdicts()) == before


def test_a_crash_while_judging_again_leaves_the_standings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit(FIRST | SECOND)
    before = _dump(world), _memory(world), world.verdicts()
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "mark_orphans", _halt)
        with pytest.raises(Halt):
            world.flow.rejudge(NOW_NS)
    assert (_dump(world), _memory(world), world.verdicts()) == before


def test_a_stuck_camera_costs_a_look_per_image(tmp_path: Path, looks: Looks) -> None:
    count = 300
    world = World(tmp_path / "state")
    # 300 shots of one scene, ever better: the worst order, in batches of 32 as the ingest makes them.
    shots = {f"/hot/{n:03}.jpg": Place(Content(1000 + n, scene=7, pixels=1000 + n), n + 1) for n in range(count)}
    paths = list(shots)
    start = looks.taken
    for at in range(0, count, 32):
        world.admit({path: shots[path] for path in paths[at : at + 32]})
    assert looks.taken - start == count - 1, "the oldest stays, so every other one is compared with it alone"
    better = {"/hot/best.jpg": Place(Content(5000, scene=7, pixels=5000, detail=9.0), 1)}
    start = looks.taken
    world.admit(better)
    assert looks.taken - start == count
    assert sum(verdict.keeper == "/hot/best.jpg" for verdict in world.verdicts().values()) == count
    start = looks.taken
    world.forget(["/hot/best.jpg"])
    assert looks.taken == start, "all looks are on record"
    assert sum(verdict.keeper == "/hot/000.jpg" for verdict in world.verdicts().values()) == count - 1
    world.close()
