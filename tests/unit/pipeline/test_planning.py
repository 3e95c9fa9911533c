"""Planning: the difference between verdicts and places, carried out on real files."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.actions import ActionSettings, recover, undo
from pipeline.flow import Seen
from pipeline.planning import FolderPlan, Planner, note_home
from store.ledger import EntryState, Ledger, Verb
from store.records import CatalogFile, FileStat, Measurement
from tests.laws.synthetic import NOW_NS, Content, World, match_kind, stand_ins

TINY = ActionSettings(min_free_bytes=0)


@pytest.fixture(scope="module", autouse=True)
def stand_in() -> Iterator[None]:
    with stand_ins():
        yield


class House:
    """Real files in a hot folder and an archive, made-up measurements, and a planner."""

    def __init__(self, base: Path, verb: Verb | None) -> None:
        self.hot, self.archive, self.quarantine = base / "hot", base / "archive", base / "quarantine"
        self.hot.mkdir(parents=True, exist_ok=True)
        self.archive.mkdir(exist_ok=True)
        self.world = World(base / "state")
        catalog = self.world.catalog
        self.ids = {
            self.hot: catalog.put_folder(str(self.hot), protected=False).id,
            self.archive: catalog.put_folder(str(self.archive), protected=True).id,
        }
        self.ledger = Ledger(catalog.database)
        plan = FolderPlan(str(self.hot), verb, str(self.quarantine))
        self.plans = {self.ids[self.hot]: plan, self.ids[self.archive]: replace(plan, root=str(self.archive))}

    @property
    def planner(self) -> Planner:
        return Planner(self.world.catalog, self.ledger, self.plans, TINY, self.note_place)

    def note_place(self, file: CatalogFile, note: Callable[[], object], *, at: str | None = None) -> list[CatalogFile]:
        return self.world.flow.note_place(file, note, NOW_NS, at=at)

    def put(self, path: Path, content: Content) -> None:
        """Write a file and admit it; its bytes are its number, so the same number is the same image."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(content.number).encode())
        os.utime(path, ns=(1, content.number))
        measured = content.measured(str(path), 1)
        stat = FileStat.of(str(path), path.lstat())
        folder = self.hot if path.is_relative_to(self.hot) else self.archive
        self.world.flow.admit([Seen(self.ids[folder], replace(measured, stat=stat))], NOW_NS)

    def act(self) -> list[str]:
        """Carry out all that is due; return what was refused."""
        problems = self.planner.carry_out(self.world.flow.judge, self.planner.unsettled(), lambda: NOW_NS)
        return [problem.message for problem in problems]

    def file(self, path: Path) -> CatalogFile:
        """Return the file at home at a path."""
        found = self.world.catalog.file(str(path))
        assert found is not None
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, Verb.MOVE)
    yield made
    made.world.close()


def shot(number: int, detail: float = 1.0, *, dark: bool = False) -> Content:
    return Content(number, pixels=number, scene=1, detail=detail, dark=dark)


def test_sha256_of_the_files_is_that_of_the_facts() -> None:
    content = shot(7)
    measured = content.measured("/x", 1)
    assert isinstance(measured, Measurement)
    assert measured.hashes.sha256 == hashlib.sha256(b"7").digest()


def test_rejects_and_extras_leave_and_keepers_stay(house: House) -> None:
    house.put(house.hot / "sub" / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))
    house.put(house.hot / "night.jpg", shot(3, dark=True))
    assert house.act() == []
    assert not (house.hot / "sub" / "a.jpg").exists()
    assert (house.quarantine / "duplicates" / "sub" / "a.jpg").read_bytes() == b"1"
    assert (house.quarantine / "dark" / "night.jpg").read_bytes() == b"3"
    assert (house.hot / "b.jpg").read_bytes() == b"2"
    assert house.planner.unsettled() == []
    assert house.act() == []
    assert len(house.ledger.entries()) == 2, "nothing is done twice"


def test_a_better_copy_swaps_the_keeper_and_frees_another(house: House) -> None:
    # 1 matches 2 by scene; 3 has the scene of none but the pixels of 1: with 2 as keeper it stands alone.
    house.put(house.hot / "one.jpg", shot(1, detail=2.0))
    house.put(house.hot / "three.jpg", Content(3, pixels=1, detail=1.0, hashable=False, direction=5))
    house.act()
    assert not (house.hot / "three.jpg").exists()
    house.put(house.hot / "two.jpg", shot(2, detail=3.0))
    assert house.act() == []
    assert sorted(path.name for path in house.hot.iterdir()) == ["three.jpg", "two.jpg"]
    assert (house.hot / "three.jpg").read_bytes() == b"3"


def test_report_and_protected_folders_lose_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, None)
    house.put(house.hot / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))
    house.plans[house.ids[house.archive]] = FolderPlan(str(house.archive), Verb.MOVE, str(house.quarantine))
    house.put(house.archive / "c.jpg", shot(1))
    assert house.act() == []
    assert {path.name for path in (*house.hot.iterdir(), *house.archive.iterdir())} == {"a.jpg", "b.jpg", "c.jpg"}
    assert not house.quarantine.exists()
    house.world.close()


def test_copies_are_made_once_and_removed_when_the_verdict_turns(tmp_path: Path) -> None:
    house = House(tmp_path, Verb.COPY)
    house.put(house.hot / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))
    house.act()
    copy = house.quarantine / "duplicates" / "a.jpg"
    assert copy.read_bytes() == (house.hot / "a.jpg").read_bytes() == b"1"
    house.world.flow.forget_files([house.file(house.hot / "b.jpg")], NOW_NS)
    (house.hot / "b.jpg").unlink()
    assert house.act() == []
    assert not copy.exists()
    assert (house.hot / "a.jpg").exists()
    house.world.close()


def test_an_extra_whose_keeper_changed_on_disk_stays(house: House) -> None:
    house.put(house.hot / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))
    (house.hot / "b.jpg").write_bytes(b"something else")
    assert len(house.act()) == 1
    assert (house.hot / "a.jpg").exists()
    assert house.planner.unsettled() != [], "it will be looked at again"


def test_what_a_person_took_back_is_left_alone(house: House) -> None:
    house.put(house.hot / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))
    house.act()
    entry = house.ledger.entries(state=EntryState.DONE)[0]
    file = house.world.catalog.file_of_entry(entry.id)
    assert file is not None
    note_home(house.world.catalog, house.note_place, file, undo(entry, house.ledger, NOW_NS), NOW_NS)
    assert house.act() == []
    assert (house.hot / "a.jpg").exists()


def test_a_move_that_was_finished_just_before_a_crash_is_adopted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put(house.hot / "a.jpg", shot(1))
    house.put(house.hot / "b.jpg", shot(2, detail=2.0))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(house.world.catalog), "set_away", crash)
        with pytest.raises(KeyboardInterrupt):
            house.act()
    assert not (house.hot / "a.jpg").exists()
    house.world.restart()
    house.ledger = Ledger(house.world.catalog.database)
    recover(house.ledger, NOW_NS)
    house.planner.adopt_finished()
    lying = house.world.catalog.file_lying_at(str(house.quarantine / "duplicates" / "a.jpg"))
    assert lying is not None
    assert lying.stat.path == str(house.hot / "a.jpg")
    assert house.planner.unsettled() == []
    house.planner.adopt_finished()
    assert len(house.ledger.entries()) == 1


@pytest.mark.parametrize("follow", [False, True])
def test_similar_pictures_move_only_when_told(tmp_path: Path, *, follow: bool) -> None:
    house = House(tmp_path, Verb.MOVE)
    house.plans[house.ids[house.hot]] = replace(house.plans[house.ids[house.hot]], move_similar=follow)
    # Nearly the same vector; whatever the second look says of this pair, it is no copy.
    numbers = next(
        (a, b) for a in range(1, 50) for b in range(a + 1, 50) if _only_similar(Content(a), Content(b, degrees=1))
    )
    for number in numbers:
        house.put(house.hot / f"{number}.jpg", Content(number, pixels=number, degrees=number == numbers[1]))
    assert house.act() == []
    assert len(list(house.hot.iterdir())) == (1 if follow else 2)
    assert (house.quarantine / "similar").exists() is follow
    house.world.close()


def _only_similar(a: Content, b: Content) -> bool:
    kind = match_kind(replace(a, pixels=a.number), replace(b, pixels=b.number))
    return kind is not None and kind.level == "similar"
