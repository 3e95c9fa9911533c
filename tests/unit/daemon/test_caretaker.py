"""One thread per folder asks the disk; only it may hang."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.caretaker import Caretaker, Inspection
from daemon.folders import FolderState, RootCheck, RootIdentity, check_root
from tests.patience import PATIENCE_SECONDS, wait_until

Make = Callable[[Path], Caretaker]


@pytest.fixture
def seen() -> "queue.Queue[Inspection]":
    return queue.Queue()


@pytest.fixture
def make(seen: "queue.Queue[Inspection]") -> Iterator[Make]:
    made: list[Caretaker] = []

    def caretaker(root: Path) -> Caretaker:
        rules = (True, ("*.tmp.jpg",), frozenset({str(root / "out")}))
        made.append(Caretaker(str(root), (None, None), rules, seen.put))
        return made[-1]

    yield caretaker
    for each in made:
        each.close()


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    for name in ("hot/a.jpg", "hot/sub/b.jpg", "hot/c.tmp.jpg", "hot/out/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "hot"


def test_a_look_at_the_root(hot: Path, make: Make, seen: "queue.Queue[Inspection]") -> None:
    make(hot).want(walk_too=False)
    found = seen.get(timeout=PATIENCE_SECONDS)
    assert (found.root, found.files, found.problems) == (str(hot), None, [])
    assert found.check.state is FolderState.OK
    assert found.check.identity == RootIdentity(hot.stat().st_dev, hot.stat().st_ino)


def test_a_walk_by_the_folders_rules(hot: Path, make: Make, seen: "queue.Queue[Inspection]") -> None:
    make(hot).want(walk_too=True)
    found = seen.get(timeout=PATIENCE_SECONDS)
    assert found.files is not None
    assert sorted(stat.path for stat in found.files) == [str(hot / "a.jpg"), str(hot / "sub/b.jpg")]


@pytest.mark.parametrize("walk_too", [True, False])
def test_a_root_that_is_not_there_is_never_an_empty_folder(
    tmp_path: Path, make: Make, seen: "queue.Queue[Inspection]", walk_too: bool
) -> None:
    make(tmp_path / "none").want(walk_too=walk_too)
    found = seen.get(timeout=PATIENCE_SECONDS)
    assert found.files is None
    assert found.check.state is FolderState.WAITING


def test_another_disk_in_its_place_is_not_walked(hot: Path, make: Make, seen: "queue.Queue[Inspection]") -> None:
    caretaker = make(hot)
    caretaker.known = (RootIdentity(hot.stat().st_dev + 1, 1), "marker")
    caretaker.want(walk_too=True)
    found = seen.get(timeout=PATIENCE_SECONDS)
    assert (found.check.state, found.files) == (FolderState.OFFLINE, None)


def test_while_it_hangs_its_silence_shows_and_wishes_are_joined(
    hot: Path, make: Make, seen: "queue.Queue[Inspection]", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hanging(*arguments: object) -> RootCheck:
        asked.set()
        assert answer.wait(PATIENCE_SECONDS)
        return check_root(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("daemon.caretaker.check_root", hanging)
    caretaker = make(hot)
    assert caretaker.silent_seconds() == 0.0
    caretaker.want(walk_too=False)
    assert asked.wait(PATIENCE_SECONDS)
    first = caretaker.silent_seconds()
    assert caretaker.silent_seconds() > first >= 0.0
    for walk_too in (False, True, False, True, False):
        caretaker.want(walk_too=walk_too)
    answer.set()
    assert seen.get(timeout=PATIENCE_SECONDS).files is None
    assert seen.get(timeout=PATIENCE_SECONDS).files is not None, "a walk is not lost to a later, smaller wish"
    wait_until(lambda: caretaker.silent_seconds() == 0.0)
    with pytest.raises(queue.Empty):
        seen.get(timeout=0.1)


def test_nothing_is_said_after_the_end(
    hot: Path, make: Make, seen: "queue.Queue[Inspection]", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hanging(*arguments: object) -> RootCheck:
        asked.set()
        assert answer.wait(PATIENCE_SECONDS)
        return check_root(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("daemon.caretaker.check_root", hanging)
    caretaker = make(hot)
    caretaker.want(walk_too=True)
    assert asked.wait(PATIENCE_SECONDS)
    caretaker.close()
    answer.set()
    with pytest.raises(queue.Empty):
        seen.get(timeout=0.2)
