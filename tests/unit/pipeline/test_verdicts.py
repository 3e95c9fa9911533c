"""Verdicts: one per file, with reasons that people can follow and evidence on record."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.verdicts
from store.records import VerdictKind
from tests.laws.synthetic import Content, Place, World, stand_ins


@pytest.fixture(scope="module", autouse=True)
def stand_in() -> Iterator[None]:
    with stand_ins():
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state")
    yield made
    made.close()


def shot(number: int, mtime: int = 1, detail: float = 1.0, scene: int = 1, *, dark: bool = False) -> Place:
    return Place(Content(number, pixels=number, scene=scene, detail=detail, dark=dark), mtime)


def test_every_verdict_says_why(world: World) -> None:
    world.admit(
        {
            "/hot/best.jpg": shot(1, detail=3.0),
            "/hot/copy.jpg": shot(2, detail=2.0),
            "/hot/twin.jpg": shot(1, 5, detail=3.0),
            "/hot/dark.jpg": shot(3, dark=True),
            "/archive/a.jpg": Place(Content(4, pixels=4, hashable=False, direction=5), 1),
            "/hot/alone.jpg": Place(Content(5, pixels=5, hashable=False, direction=3), 1),
        }
    )
    verdicts = world.verdicts()
    assert {path: verdict.kind for path, verdict in verdicts.items()} == {
        "/hot/best.jpg": "keep",
        "/hot/copy.jpg": "duplicate",
        "/hot/twin.jpg": "duplicate",
        "/hot/dark.jpg": "dark",
        "/archive/a.jpg": "keep",
        "/hot/alone.jpg": "keep",
    }
    assert verdicts["/hot/best.jpg"].reason == "the best of its group (2 duplicates)"
    assert "it shows more detail (3 MP against 2 MP)" in verdicts["/hot/copy.jpg"].reason
    assert "the same bytes" in verdicts["/hot/twin.jpg"].reason
    assert verdicts["/hot/dark.jpg"].reason == "too dark"
    assert "protected" in verdicts["/archive/a.jpg"].reason
    assert verdicts["/hot/alone.jpg"].reason == "nothing else matches it"
    for path in ("/hot/copy.jpg", "/hot/twin.jpg"):
        assert verdicts[path].keeper == "/hot/best.jpg"
        evidence = verdicts[path].evidence
        assert evidence is not None
        assert evidence.verified


def test_a_protected_twin_makes_every_other_file_a_duplicate(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1), "/archive/b.jpg": shot(1, 9), "/archive/c.jpg": shot(1, 9)})
    verdicts = world.verdicts()
    assert verdicts["/hot/a.jpg"].keeper == "/archive/b.jpg"
    assert "protected" in verdicts["/hot/a.jpg"].reason
    assert verdicts["/archive/c.jpg"].kind is VerdictKind.KEEP, "protected files are never touched, twins or not"


def test_images_without_files_have_no_verdicts(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1)})
    image_id = world.catalog.image_ids()[0]
    world.forget(["/hot/a.jpg"])
    assert list(world.flow.judge.verdicts([image_id])) == []


def test_many_at_once_are_judged_like_each_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit({f"/hot/{n}.jpg": shot(n, n, scene=1 + n % 3) for n in range(1, 12)})
    ids = world.catalog.image_ids()
    alone = [next(row for row in world.flow.judge.verdicts([i])) for i in ids]
    monkeypatch.setattr(pipeline.verdicts, "_CHUNK", 4)
    assert list(world.flow.judge.verdicts(ids)) == alone
