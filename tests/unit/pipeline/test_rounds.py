"""Pairs are asked which of the two is the original, and the answer counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.tasks
from pipeline.flow import FlowSettings
from pipeline.keeper import KeeperSettings
from store.records import Level, Lineage, Relation
from tests.laws.synthetic import Content, Place, World, stand_ins

# By merit the crop comes first; the second look shows that it is a part of the whole. The third is poorer than both.
CROP, WHOLE, POOR = (
    Content(number, pixels=number, scene=1, detail=detail) for number, detail in ((1, 3.0), (2, 2.0), (3, 1.0))
)
PATHS = {"/hot/crop.jpg": CROP, "/hot/whole.jpg": WHOLE, "/hot/poor.jpg": POOR}


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with stand_ins():
        usual = vars(pipeline.tasks)["verify"]  # the stand-in

        def verify(ours: bytes, theirs: bytes, settings: object, _noise: float = 0.0) -> object:
            seen = usual(ours, theirs, settings)
            hashes = ours[5:37], theirs[5:37]
            if set(hashes) == {CROP.sha256, WHOLE.sha256}:
                seen.lineage = Lineage(Relation.PART, 1 + hashes.index(WHOLE.sha256))
            return seen

        with monkeypatch.context() as patch:  # undone before the stand-in is
            patch.setattr(pipeline.tasks, "verify", verify)
            yield


def keepers(world: World) -> dict[str, str | None]:
    return {path.split("/")[-1]: verdict.keeper for path, verdict in world.verdicts().items()}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_whole_stays_in_any_order_and_its_crop_says_why(order: tuple[int, ...], tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    for number in order:
        path, content = list(PATHS.items())[number]
        world.admit({path: Place(content, 1)})
    assert keepers(world) == {"crop.jpg": "/hot/whole.jpg", "poor.jpg": "/hot/whole.jpg", "whole.jpg": None}
    assert "it is the original: the other is a part of it" in world.verdicts()["/hot/crop.jpg"].reason
    assert "it is the original" in world.verdicts()["/hot/poor.jpg"].reason
    world.restart()
    world.flow.rejudge(1)
    assert keepers(world)["crop.jpg"] == "/hot/whole.jpg"
    world.close()


def test_when_the_crop_goes_merit_decides_again(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    world.admit({path: Place(content, 1) for path, content in PATHS.items()})
    world.forget(["/hot/whole.jpg"])
    assert keepers(world) == {"crop.jpg": None, "poor.jpg": "/hot/crop.jpg"}
    world.admit({"/hot/whole.jpg": Place(WHOLE, 1)})
    world.forget(["/hot/crop.jpg"])
    assert keepers(world) == {"poor.jpg": "/hot/whole.jpg", "whole.jpg": None}
    whole = world.catalog.image_id(WHOLE.sha256)
    assert whole is not None
    assert world.flow.knowledge.rounds_won(Level.DUPLICATES, 9, whole) == 0
    world.close()


def test_nobody_is_asked_where_people_want_no_originals(tmp_path: Path) -> None:
    world = World(tmp_path / "state", FlowSettings(keeper=KeeperSettings(criteria=("detail",))))
    world.admit({path: Place(content, 1) for path, content in PATHS.items()})
    assert keepers(world)["whole.jpg"] == "/hot/crop.jpg"
    assert world.catalog.drafts.standings("duplicates 0").shape == (0, 2)
    world.close()


def test_a_protected_crop_stays_the_keeper(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    world.admit({"/archive/crop.jpg": Place(CROP, 1), "/hot/whole.jpg": Place(WHOLE, 1)})
    assert keepers(world) == {"crop.jpg": None, "whole.jpg": "/archive/crop.jpg"}
    world.close()
