"""Matching: a pure, symmetric function of stored facts, and candidates that overlook nothing."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.flow import FlowSettings, open_knowledge
from pipeline.matching import MatchingSettings, Recent
from pipeline.settings import VerifySettings
from store.catalog import Catalog
from store.errors import ConfigError
from store.records import MatchKind, VerdictKind
from tests.laws.synthetic import Content, Looks, Place, World, contents, match_kind, stand_ins


@pytest.fixture(scope="module", autouse=True)
def looks() -> Iterator[Looks]:
    with stand_ins() as counter:
        yield counter


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state")
    yield made
    made.close()


def admit(world: World, *made: Content) -> list[int]:
    """Admit contents, a file each; return their image ids."""
    world.admit({f"/hot/{content.number}.jpg": Place(content, 1) for content in made})
    ids = [world.catalog.image_id(content.sha256) for content in made]
    return [image_id for image_id in ids if image_id is not None]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(made=contents(largest=7))
def test_evidence_is_what_the_facts_say_in_either_order(tmp_path: Path, made: list[Content]) -> None:
    world = World(tmp_path / f"state{len(list(tmp_path.iterdir()))}")
    playing = [content for content in made if not content.dark]
    ids = dict(zip((c.number for c in playing), admit(world, *playing), strict=True))
    matcher = world.flow.knowledge.matcher
    for a, b in combinations(playing, 2):
        one, other = matcher.evidence(ids[a.number], ids[b.number]), matcher.evidence(ids[b.number], ids[a.number])
        assert one == other
        assert (None if one is None else one.kind) == match_kind(a, b)
        if one is not None:
            assert ids[b.number] in matcher.near(ids[a.number]), "no match is overlooked"
            assert ids[a.number] in matcher.near(ids[b.number])
            assert one.phash_distance == (a.phash ^ b.phash).bit_count()
            assert one.dhash_distance == (a.dhash ^ b.dhash).bit_count()
            assert one.verified == (one.kind is not MatchKind.SIMILAR)
    world.close()


def test_the_same_pixels_need_no_second_look(world: World, looks: Looks) -> None:
    start = looks.taken
    a, b = admit(world, Content(1, pixels=5, phash=0), Content(2, pixels=5, phash=(1 << 64) - 1, dhash=1 << 63))
    evidence = world.flow.knowledge.matcher.evidence(a, b)
    assert evidence is not None
    assert (evidence.kind, evidence.verified, looks.taken - start) == (MatchKind.PIXELS, True, 0)


def test_where_each_has_something_of_its_own_no_copy_is_claimed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Content(1, pixels=1, scene=1), Content(2, pixels=2, scene=1)
    assert match_kind(first, second) is MatchKind.COPY
    monkeypatch.setattr("pipeline.matching.each_has_its_own", lambda *_: True)
    a, b = admit(world, first, second)
    evidence = world.flow.knowledge.matcher.evidence(a, b)
    assert evidence is not None and evidence.kind is MatchKind.EDITED and "more detail" in evidence.explanation
    assert VerdictKind.DUPLICATE not in {verdict.kind for verdict in world.verdicts().values()}


def test_flat_pictures_never_match_by_hash(world: World) -> None:
    a, b = admit(world, Content(1, pixels=1, hashable=False, scene=1), Content(2, pixels=2, scene=1, direction=3))
    assert world.flow.knowledge.matcher.evidence(a, b) is None


def test_a_look_is_taken_once_and_recalled_ever_after(world: World, looks: Looks) -> None:
    start = looks.taken
    a, b = admit(world, Content(1, pixels=1, scene=1), Content(2, pixels=2, scene=1))
    assert looks.taken - start == 1
    world.restart()
    assert world.flow.knowledge.matcher.evidence(a, b) is not None
    assert looks.taken - start == 1
    world.settings = FlowSettings(second_look=VerifySettings(min_inliers=99))
    world.restart()
    world.flow.rejudge(1)
    assert looks.taken - start == 2, "other settings look for themselves"


def test_a_reader_looks_and_leaves_no_trace(world: World) -> None:
    a, b = admit(world, Content(1, pixels=1, scene=1), Content(2, pixels=2, scene=1))
    world.catalog.database.conn.execute("DELETE FROM second_looks")
    reader = Catalog(world.state / "catalog.sqlite3", read_only=True)
    knowledge = open_knowledge(reader, world.state, world.settings)
    assert knowledge.matcher.evidence(a, b) is not None
    assert reader.database.conn.execute("SELECT count(*) FROM second_looks").fetchone()[0] == 0
    reader.close()


def test_without_a_preview_nothing_is_proven_and_nothing_is_recorded(world: World) -> None:
    a, b = admit(world, Content(1, pixels=1, scene=1), Content(2, pixels=2, scene=1, degrees=30))
    world.catalog.database.conn.execute("DELETE FROM second_looks")
    for image_id in (a, b):
        world.flow.knowledge.previews.remove(world.catalog.image(image_id).sha256)
    world.restart()
    assert world.flow.knowledge.matcher.evidence(a, b) is None
    assert world.catalog.database.conn.execute("SELECT count(*) FROM second_looks").fetchone()[0] == 0


def test_similarity_is_none_where_an_embedding_is_missing(world: World) -> None:
    a, b = admit(world, Content(1, pixels=1), Content(2, pixels=2, degrees=10))
    matcher = world.flow.knowledge.matcher
    assert matcher.similarity(a, b) == matcher.similarity(b, a) == pytest.approx(0.985, abs=0.001)
    world.catalog.database.conn.execute("DELETE FROM embeddings WHERE image_id = ?", (b,))
    matcher.forget()
    assert matcher.similarity(a, b) is None


def test_what_was_made_last_is_remembered_and_the_oldest_goes() -> None:
    made: list[int] = []
    recent: Recent[int, int] = Recent(lambda key: made.append(key) or key * 2, 2)  # type: ignore[func-returns-value]
    assert [recent(1), recent(2), recent(1), recent(3), recent(1), recent(2)] == [2, 4, 2, 6, 2, 4]
    assert made == [1, 2, 3, 2]
    recent.clear()
    recent(1)
    assert made == [1, 2, 3, 2, 1]


def test_thresholds_of_the_settings_win_over_those_of_the_model(world: World, tmp_path: Path) -> None:
    chosen = FlowSettings(matching=MatchingSettings(candidate_similarity=0.11, similar_similarity=0.93))
    thresholds = open_knowledge(world.catalog, tmp_path, chosen).matcher.thresholds
    assert (thresholds.candidate_similarity, thresholds.similar_similarity) == (0.11, 0.93)
    swapped = FlowSettings(matching=MatchingSettings(candidate_similarity=0.9, similar_similarity=0.2))
    with pytest.raises(ConfigError, match="lies above"):
        open_knowledge(world.catalog, tmp_path, swapped)
