"""Hot folders of a running service: recognised, walked, offline, paused; and what may not be configured."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.caretaker import Caretaker, Inspection
from daemon.config import ActionPolicy, Settings
from daemon.folders import MARKER_NAME, FolderState, HotFolder, RootCheck, check_root, read_marker, walk, write_marker
from daemon.reception import Reception
from daemon.roots import Roots, refuse_nesting
from daemon.session import Session
from daemon.state import StateFolder
from daemon.walking import WalkProblem
from store.errors import ConfigError
from store.ledger import Verb
from tests.unit.daemon.opened import distinct, know, opened, put


class House:
    """Roots over some hot folders; their caretakers are played by hand."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.notes: list[tuple[str, Any]] = []
        self.roots = Roots(session, lambda kind, content: self.notes.append((kind, content)))
        self.reception = Reception(session, self.roots.watched)
        self.walks: list[str] = []
        self.roots.walk = self._walk  # type: ignore[method-assign]

    def _walk(self, path: str) -> None:
        self.walks.append(path)

    def note(self, path: Path, *, walked: bool = False, problems: tuple[WalkProblem, ...] = ()) -> None:
        """Play the caretaker of a folder: look at the disk as it would, and hand the answer over."""
        caretaker = self.roots._roots[str(path)].caretaker
        check = check_root(str(path), *caretaker.known)
        files = list(walk(str(path))) if walked and check.state is FolderState.OK else None
        self.roots.note(Inspection(str(path), check, files, list(problems)), self.reception, 0.0)

    def state(self, path: Path) -> str:
        return next(folder.state for folder in self.roots.states() if folder.path == str(path))


Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    with ExitStack() as stack:

        def house(*hot: HotFolder, settings: Settings | None = None) -> House:
            made = House(stack.enter_context(opened(tmp_path, *hot, settings=settings)))
            stack.callback(made.roots.close)
            return made

        yield house


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    (tmp_path / "hot").mkdir()
    return tmp_path / "hot"


# -- configurations that cannot work ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "outputs", "message"),
    [
        ([], [], "no hot folder is configured"),
        (["a", "a"], [None, None], "is named twice"),
        (["a", "a/b"], [None, None], "lies in hot folder"),
        (["a/b", "a"], [None, None], "lies in hot folder"),
        (["file"], [None], "is a file"),
        (["a"], ["a/out"], "the quarantine .* lies in hot folder"),
        (["a"], ["a"], "the quarantine .* lies in hot folder"),
        (["a", "b"], [None, "a/deep/out"], "the quarantine .* lies in hot folder"),
        (["st"], ["out"], "the state folder .* lies in hot folder"),
        (["st/state"], ["out"], "the state folder .* lies in hot folder"),
    ],
)
def test_folders_that_cannot_work_together(
    tmp_path: Path, folders: list[str], outputs: list[str | None], message: str
) -> None:
    (tmp_path / "file").touch()
    hot = tuple(
        HotFolder(str(tmp_path / path), output=None if output is None else str(tmp_path / output))
        for path, output in zip(folders, outputs, strict=True)
    )
    with pytest.raises(ConfigError, match=message) as caught:
        refuse_nesting(replace(Settings(), hot_folder=hot), StateFolder(tmp_path / "st/state"))
    assert caught.value.hint


def test_neighbours_with_a_common_beginning_are_not_nested(tmp_path: Path) -> None:
    hot = (HotFolder(str(tmp_path / "a")), HotFolder(str(tmp_path / "ab"), output=str(tmp_path / "a-out")))
    refuse_nesting(replace(Settings(), hot_folder=hot), StateFolder(tmp_path / "a-state"))


# -- what is planned --------------------------------------------------------------------------------------------------


def test_plans_say_what_each_folder_wants(tmp_path: Path, build: Build) -> None:
    house = build(
        HotFolder(str(tmp_path / "r"), action="report"),
        HotFolder(str(tmp_path / "m"), action="move"),
        HotFolder(str(tmp_path / "c"), action="copy", output=str(tmp_path / "own")),
        HotFolder(str(tmp_path / "p"), action="move", protected=True),
        settings=Settings(actions=ActionPolicy(similar="follow")),
    )
    plans = {os.path.basename(plan.root): plan for plan in house.roots.plans.values()}
    assert {name: plan.verb for name, plan in plans.items()} == {"r": None, "m": Verb.MOVE, "c": Verb.COPY, "p": None}
    shared = str(house.session.state.quarantine)
    assert (plans["m"].quarantine_root, plans["m"].prefix) == (shared, "m/"), "kept apart in a shared quarantine"
    assert (plans["c"].quarantine_root, plans["c"].prefix) == (str(tmp_path / "own"), "")
    assert all(plan.move_similar for plan in plans.values())


def test_quarantines_and_state_are_never_watched(tmp_path: Path, build: Build) -> None:
    house = build(HotFolder(str(tmp_path / "a"), output=str(tmp_path / "q")), HotFolder(str(tmp_path / "b")))
    (excluded, same) = (watched.exclude for watched in house.roots.watched.values())
    assert excluded == same
    assert {str(tmp_path / "q"), str(tmp_path / "state"), str(tmp_path / "state/quarantine")} <= excluded


# -- life -------------------------------------------------------------------------------------------------------------


def test_a_folder_is_walked_first_and_marked(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    assert house.state(hot) == "scanning"
    put(hot / "a.jpg")
    house.note(hot, walked=True)
    assert house.state(hot) == "ok"
    assert house.roots.problems() == []
    assert len(house.reception) == 1
    identity, marker = house.roots._roots[str(hot)].caretaker.known
    assert marker == read_marker(str(hot))
    assert marker is not None
    assert house.session.catalog.folder_identity(1) == (marker, identity.device, identity.inode)  # type: ignore[union-attr]
    house.note(hot)
    assert house.walks == []


@pytest.mark.parametrize("chosen", [{"protected": True}, {"action": "report"}])
def test_nothing_is_written_where_nothing_is_to_be_touched(hot: Path, build: Build, chosen: dict[str, Any]) -> None:
    house = build(HotFolder(str(hot), **chosen))
    house.note(hot, walked=True)
    assert house.state(hot) == "ok"
    assert list(hot.iterdir()) == []


def test_a_restart_recognises_its_folder(tmp_path: Path, hot: Path) -> None:
    with opened(tmp_path, HotFolder(str(hot), action="move")) as session:
        house = House(session)
        house.note(hot, walked=True)
        house.roots.close()
    marker = (hot / MARKER_NAME).read_bytes()
    with opened(tmp_path, HotFolder(str(hot), action="move")) as session:
        house = House(session)
        house.note(hot, walked=True)
        house.roots.close()
    assert (hot / MARKER_NAME).read_bytes() == marker


def test_offline_is_not_deleted_and_the_return_is_a_walk(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    house.note(hot, walked=True)
    know(house.session, house.roots.watched[str(hot)].folder, put(hot / "a.jpg"), distinct(1))
    away = hot.rename(hot.with_name("unplugged"))
    house.note(hot, walked=True)
    (folder,) = house.roots.states()
    assert (folder.state, folder.files) == ("offline", 1)
    assert f"{hot}: offline: No such file or directory" in house.roots.problems()
    assert house.walks == []
    away.rename(hot)
    house.note(hot)
    assert house.walks == [str(hot)]
    house.note(hot, walked=True)
    assert house.state(hot) == "ok"


def test_another_folder_in_its_place_is_offline(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    house.note(hot, walked=True)
    write_marker(str(hot), "0" * 32)
    house.note(hot, walked=True)
    assert house.state(hot) == "offline"
    assert "another folder's marker" in house.roots.problems()[0]


def test_a_big_loss_pauses_until_a_person_says_so(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    folder = house.roots.watched[str(hot)].folder  # known since an earlier run: this is its first walk
    for number in range(15):
        know(house.session, folder, put(hot / f"{number}.jpg"), distinct(number))
    for number in range(12):
        (hot / f"{number}.jpg").unlink()
    house.note(hot, walked=True)
    assert house.state(hot) == "paused"
    (problem,) = house.roots.problems()
    assert "--accept-vanished" in problem
    house.note(hot)
    assert (house.state(hot), house.walks) == ("paused", []), "a mere look settles nothing"
    house.reception.accept_loss(str(hot))
    house.note(hot, walked=True)
    (status,) = house.roots.states()
    assert (status.state, status.files) == ("ok", 3)


def test_a_big_loss_told_by_events_is_walked_at_the_next_look(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    house.note(hot, walked=True)
    folder = house.roots.watched[str(hot)].folder
    for number in range(12):
        know(house.session, folder, put(hot / f"{number}.jpg"), distinct(number))
        (hot / f"{number}.jpg").unlink()
        house.reception.heed(str(hot / f"{number}.jpg"), 0.0)
    house.reception.take_settled(100.0)
    house.note(hot)
    assert house.walks == [str(hot)], "or the status would say that all is well until the next full scan"
    house.note(hot, walked=True)
    house.note(hot)
    assert (house.state(hot), house.walks) == ("paused", [str(hot)])


def test_what_cannot_be_read_is_named_a_few_times(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    problems = tuple(WalkProblem(f"{hot}/{n}\x1b", 13, "Permission denied") for n in range(9))
    house.note(hot, walked=True, problems=problems)
    named = house.roots.problems()
    assert len(named) == 3
    assert all("Permission denied" in line and "\x1b" not in line for line in named)
    house.note(hot, walked=True)
    assert house.roots.problems() == []


def test_a_folder_that_does_not_answer_is_offline(hot: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    house = build(HotFolder(str(hot), action="move"))
    house.note(hot, walked=True)
    monkeypatch.setattr(Caretaker, "silent_seconds", lambda self: 31.0)
    house.roots.check(0.0)
    assert house.state(hot) == "offline"
    assert "has not answered for 31 s" in house.roots.problems()[0]


def test_scanning_is_the_first_walk_only(hot: Path, build: Build) -> None:
    house = build(HotFolder(str(hot), action="move"))
    assert house.roots.scanning
    assert house.roots.problems() == [], "a long first walk is no problem"
    house.note(hot)
    assert (house.roots.scanning, house.walks) == (True, []), "one walk is under way; a look asks for no second"
    house.note(hot, walked=True)
    assert not house.roots.scanning


def test_a_folder_that_was_never_there_waits(hot: Path, build: Build) -> None:
    none = hot.with_name("none")
    house = build(HotFolder(str(none)))
    house.note(none)
    assert house.state(none) == "waiting"
    none.mkdir()
    house.note(none)
    assert (house.walks, house.roots.problems()) == ([str(none)], [])
    house.roots.note(
        Inspection(str(none), RootCheck(FolderState.OFFLINE, "gone", None, None), None, []), house.reception, 0.0
    )
    assert house.state(none) == "offline"


def test_problems_of_watching_are_logged_when_they_begin(
    hot: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(HotFolder(str(hot)))
    found = [["hot: too many events"], ["hot: too many events", "hot: has not answered for 61 s."]]
    found += [["hot: has not answered for 66 s."], [], ["hot: too many events"]]
    with structlog.testing.capture_logs() as logs:
        for problems in found:
            monkeypatch.setattr(house.roots._watcher, "problems", lambda problems=problems: problems)
            house.roots.check(0.0)
    told = [entry["problem"] for entry in logs if entry["log_level"] == "warning"]
    assert told == ["hot: too many events", "hot: has not answered for 61 s.", "hot: too many events"]
