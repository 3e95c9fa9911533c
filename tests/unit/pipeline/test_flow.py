"""The flow over made-up measurements: what each way in does, and what changes of settings and model do."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import pipeline.flow
import pipeline.serving
from pipeline.flow import Flow, FlowSettings, Seen
from pipeline.keeper import KeeperSettings
from pipeline.matching import MatchingSettings
from store.records import Failure, FailureKind, FileStat, Level, VerdictKind
from tests.laws.synthetic import NOW_NS, Content, FakeEmbedder, Looks, Place, World, stand_ins

MakeWorld = Callable[..., World]


@pytest.fixture(scope="module", autouse=True)
def looks() -> Iterator[Looks]:
    with stand_ins() as counter:
        yield counter


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(settings: FlowSettings | None = None) -> World:
        made.append(World(tmp_path / f"state{len(made)}", settings or FlowSettings()))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


def shot(number: int, mtime: int = 1, **facts: object) -> Place:
    """A picture of scene 1 unless told otherwise, far from all others but for its scene."""
    return Place(Content(number, pixels=number, scene=1, **facts), mtime)  # type: ignore[arg-type]


def failure(path: str, kind: FailureKind, number: int = 1) -> Failure:
    content = Content(number)
    read = kind.of_content and kind not in (FailureKind.CRASHED, FailureKind.TIMEOUT)
    stat = FileStat(path, 1, 1, content.byte_size, 1, 1)
    return Failure(path, kind, "why", stat if read else None, content.sha256 if read else None)


def kinds(world: World) -> dict[str, VerdictKind]:
    return {path: verdict.kind for path, verdict in world.verdicts().items()}


def test_admit_tells_which_verdicts_changed(world: World) -> None:
    assert world.flow.admit([world.seen("/hot/a.jpg", shot(1))], NOW_NS) == []
    better = world.flow.admit([world.seen("/hot/b.jpg", shot(2, detail=2.0))], NOW_NS)
    assert [file.stat.path for file in better] == ["/hot/a.jpg"]
    same = world.flow.admit([world.seen("/hot/c.jpg", shot(2, 9, detail=2.0))], NOW_NS)
    assert [file.stat.path for file in same] == ["/hot/c.jpg"]
    assert kinds(world) == {"/hot/a.jpg": "duplicate", "/hot/b.jpg": "keep", "/hot/c.jpg": "duplicate"}


def test_the_same_bytes_are_one_image(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1, 5), "/hot/b.jpg": shot(1, 3), "/cam/c.jpg": shot(1, 4)})
    verdicts = world.verdicts()
    assert {v.keeper for v in verdicts.values()} == {None, "/hot/b.jpg"}, "the oldest stands for the image"
    assert verdicts["/hot/a.jpg"].evidence is not None
    assert verdicts["/hot/a.jpg"].evidence.kind == "exact"
    assert world.catalog.count_embeddings("made-up-1") == 1


def test_two_names_of_one_file_are_no_duplicates(world: World) -> None:
    one, two = (world.seen(path, shot(1)) for path in ("/hot/a.jpg", "/hot/b.jpg"))
    assert not isinstance(two.result, Failure)
    linked = replace(two.result, stat=replace(two.result.stat, inode=one.result.stat.inode if one.result.stat else 0))
    world.flow.admit([one, Seen(two.folder_id, linked)], NOW_NS)
    assert set(kinds(world).values()) == {"keep"}
    assert "another name" in world.verdicts()["/hot/b.jpg"].reason


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (FailureKind.CORRUPT, "corrupt"),
        (FailureKind.TOO_LARGE, "keep"),
        (FailureKind.CRASHED, None),
        (FailureKind.TIMEOUT, None),
        (FailureKind.UNREADABLE, None),
        (FailureKind.VANISHED, None),
    ],
)
def test_only_what_is_proven_to_be_no_picture_is_rejected(world: World, kind: FailureKind, verdict: str | None) -> None:
    world.flow.admit([Seen(world.folders["/hot"], failure("/hot/a.jpg", kind))], NOW_NS)
    assert world.verdicts().get("/hot/a.jpg", SimpleNamespace(kind=None)).kind == verdict


def test_a_file_that_failed_is_judged_when_a_newer_decoder_reads_it(world: World) -> None:
    world.flow.admit([Seen(world.folders["/hot"], failure("/hot/a.jpg", FailureKind.CORRUPT))], NOW_NS)
    world.admit({"/hot/b.jpg": shot(2, detail=2.0)})
    world.admit({"/hot/a.jpg": shot(1)})
    assert kinds(world) == {"/hot/a.jpg": "duplicate", "/hot/b.jpg": "keep"}


def test_other_content_at_a_path_lets_go_of_what_lay_there(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1, detail=2.0), "/hot/b.jpg": shot(2)})
    assert kinds(world)["/hot/b.jpg"] == "duplicate"
    changed = world.flow.admit(
        [world.seen("/hot/a.jpg", Place(Content(9, pixels=9, hashable=False, direction=5), 1))], NOW_NS
    )
    assert {file.stat.path for file in changed} >= {"/hot/b.jpg"}
    assert kinds(world)["/hot/b.jpg"] == "keep"
    assert world.catalog.count_images() == 2


def test_a_rename_keeps_what_a_person_decided_and_what_was_copied(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1, detail=2.0), "/hot/b.jpg": shot(2), "/hot/c.jpg": shot(3)})
    back, copied = world.catalog.file("/hot/b.jpg"), world.catalog.file("/hot/c.jpg")
    assert back is not None
    assert copied is not None
    world.catalog.set_home(back.id, back.stat, 99)
    world.catalog.set_away(copied.id, None, 7)
    world.rename("/hot/b.jpg", "/hot/bb.jpg")
    world.rename("/hot/c.jpg", "/cam/c.jpg")
    back, copied = world.catalog.file("/hot/bb.jpg"), world.catalog.file("/cam/c.jpg")
    assert back is not None
    assert copied is not None
    assert back.returned, "a person took it back: it is left alone under its new name too"
    assert copied.entry_id == 7, "it has been copied already"
    assert copied.folder_id == world.folders["/cam"]


def test_a_rename_takes_part_in_the_keeper_rule(world: World) -> None:
    world.admit({"/hot/aa.jpg": shot(1), "/hot/b.jpg": shot(2)})
    assert kinds(world) == {"/hot/aa.jpg": "duplicate", "/hot/b.jpg": "keep"}, "the shorter path"
    world.rename("/hot/aa.jpg", "/hot/a")
    assert kinds(world) == {"/hot/a": "keep", "/hot/b.jpg": "duplicate"}


def test_a_reject_that_moves_into_a_protected_folder_is_matched_like_any_other(world: World) -> None:
    # Only the vectors of the two are near, and a reject has none.
    dark = Place(Content(1, pixels=1, hashable=False, scene=1, dark=True), 1)
    twin = Place(Content(2, pixels=2, hashable=False, scene=1), 1)
    world.admit({"/hot/a.jpg": dark, "/hot/b.jpg": twin})
    assert kinds(world) == {"/hot/a.jpg": "dark", "/hot/b.jpg": "keep"}
    world.rename("/hot/a.jpg", "/archive/a.jpg")
    assert kinds(world) == {"/archive/a.jpg": "keep", "/hot/b.jpg": "duplicate"}


def test_a_folder_that_becomes_protected_changes_the_keepers(world: World) -> None:
    world.admit({"/cam/a.jpg": shot(1), "/hot/b.jpg": shot(2, detail=2.0)})
    assert kinds(world) == {"/cam/a.jpg": "duplicate", "/hot/b.jpg": "keep"}
    world.protect("/cam", protected=True)
    assert kinds(world) == world.stored() == {"/cam/a.jpg": "keep", "/hot/b.jpg": "duplicate"}
    world.protect("/cam", protected=False)
    assert kinds(world) == world.stored() == {"/cam/a.jpg": "duplicate", "/hot/b.jpg": "keep"}


def test_images_without_a_file_are_forgotten_in_time_and_may_come_back(world: World) -> None:
    place = shot(1)
    world.admit({"/hot/a.jpg": place})
    preview = world.flow.knowledge.previews.path_of(place.content.sha256)
    assert preview.exists()
    world.forget(["/hot/a.jpg"])
    assert world.flow.forget_unseen(NOW_NS) == 0, "not before its time"
    assert world.flow.forget_unseen(NOW_NS + 1) == 1
    assert not preview.exists()
    assert len(world.flow.knowledge.indexes.vectors) == len(world.flow.knowledge.indexes.hashes) == 0
    world.admit({"/hot/a.jpg": place})
    assert kinds(world) == {"/hot/a.jpg": "keep"}
    world.flow.snapshot()
    world.restart()
    assert len(world.flow.knowledge.indexes.vectors) == 1


def test_first_come_first_kept(make_world: MakeWorld) -> None:
    world = make_world(FlowSettings(keeper=KeeperSettings(on_late_better="first")))
    world.admit({"/hot/a.jpg": shot(1)})
    world.admit({"/hot/b.jpg": shot(2, detail=99.0)})
    assert kinds(world) == {"/hot/a.jpg": "keep", "/hot/b.jpg": "duplicate"}


def test_other_settings_call_for_judging_again(world: World) -> None:
    near = Place(Content(1, phash=0b11111, dhash=0xFFFF, pixels=1, scene=1, direction=0), 1)
    far = Place(Content(2, phash=0, dhash=0, pixels=2, scene=1, direction=3), 2)
    world.admit({"/hot/a.jpg": near, "/hot/b.jpg": far})
    assert kinds(world)["/hot/b.jpg"] == "duplicate"
    assert not world.flow.needs_rejudging
    world.settings = FlowSettings(matching=MatchingSettings(max_phash_bits=4, max_dhash_bits=4))
    world.restart()
    assert world.flow.needs_rejudging
    changed = world.flow.rejudge(NOW_NS)
    assert [file.stat.path for file in changed] == ["/hot/b.jpg"]
    assert set(kinds(world).values()) == {"keep"}
    assert not world.flow.needs_rejudging


def test_another_quality_threshold_is_applied_to_stored_numbers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit({"/hot/a.jpg": shot(1, detail=2.0), "/hot/b.jpg": shot(2)})
    strict = lambda quality, settings, picture: (  # noqa: E731
        (VerdictKind.BLUR, "soft") if quality.detail > 1 else (VerdictKind.KEEP, "")
    )
    monkeypatch.setattr(pipeline.flow, "judge_quality", strict)
    world.flow.rejudge(NOW_NS)
    assert kinds(world) == {"/hot/a.jpg": "blur", "/hot/b.jpg": "keep"}


class OtherEmbedder(FakeEmbedder):
    """Another model, which finds everything unlike."""

    name, model_id = "other", "other-1"


def test_another_model_takes_over_when_all_is_embedded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = {f"/hot/{n}.jpg": Place(Content(n, pixels=n, hashable=False, scene=1), n) for n in (1, 2)}
    world.admit(twins)
    monkeypatch.setattr(pipeline.serving, "model_facts", lambda settings: OtherEmbedder)
    loaded = {"made-up": FakeEmbedder()}
    load = lambda settings: loaded.get(settings.model, OtherEmbedder())  # noqa: E731
    monkeypatch.setattr(pipeline.serving, "load_embedder", load)
    world.restart()
    assert world.flow.migrating
    assert world.flow.knowledge.model_id == "made-up-1", "the old index answers"
    world.admit({"/hot/3.jpg": Place(Content(3, pixels=3, hashable=False, scene=1, detail=2.0), 3)})
    assert sorted(kinds(world).values()) == ["duplicate", "duplicate", "keep"]
    assert world.catalog.count_embeddings("other-1") == 1, "arrivals are embedded by both"
    assert world.flow.embed_some() == 2
    assert world.flow.embed_some() == 0
    assert world.flow.migrating, "it takes over in one step"
    assert world.flow.rejudge(NOW_NS) == []
    assert not world.flow.migrating
    assert world.flow.knowledge.model_id == "other-1"
    assert len(world.flow.knowledge.indexes.vectors) == 3


def test_a_take_over_that_fails_leaves_the_old_model_serving(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit({"/hot/a.jpg": shot(1)})
    monkeypatch.setattr(pipeline.serving, "model_facts", lambda settings: OtherEmbedder)
    monkeypatch.setattr(pipeline.serving, "load_embedder", lambda settings: OtherEmbedder())
    world.restart()

    def halt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(world.catalog.relations), "clear_standings", halt)
        with pytest.raises(KeyboardInterrupt):
            world.flow.rejudge(NOW_NS)
    assert world.flow.migrating
    assert world.flow.knowledge.model_id == "made-up-1"
    world.flow.rejudge(NOW_NS)
    assert world.flow.knowledge.model_id == "other-1"


def test_an_image_without_a_preview_is_asked_for_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shot(1)
    world.admit({"/hot/a.jpg": place})
    os.unlink(world.flow.knowledge.previews.path_of(place.content.sha256))
    monkeypatch.setattr(pipeline.serving, "model_facts", lambda settings: OtherEmbedder)
    world.restart()
    assert world.flow.embed_some() == 1
    assert world.flow.embed_some() == 0


def test_one_writer_two_flows_agree(world: World) -> None:
    world.admit({"/hot/a.jpg": shot(1), "/hot/b.jpg": shot(2)})
    other = Flow(world.catalog, world.state, world.settings)
    for level in Level:
        ids = world.catalog.image_ids()
        ours = [world.flow.knowledge.standings[level].keeper_of(i) for i in ids]
        assert [other.knowledge.standings[level].keeper_of(i) for i in ids] == ours


def test_a_newer_second_look_has_all_judged_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit({"/hot/a.jpg": Place(Content(1), 1)})
    assert not world.flow.needs_rejudging
    monkeypatch.setattr(pipeline.flow, "VERIFIER_VERSION", 1_000)
    world.restart()
    assert world.flow.needs_rejudging
    world.flow.rejudge(NOW_NS)
    world.restart()
    assert not world.flow.needs_rejudging
