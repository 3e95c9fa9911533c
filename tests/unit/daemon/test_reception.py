"""From hints and walks to arrivals that are ready, once each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.asking import Disks, NoAnswerError
from daemon.folders import HotFolder, walk
from daemon.reception import BrakeError, Reception, Watched
from daemon.session import Session
from daemon.walking import WalkProblem
from pipeline.planning import FolderPlan
from store.records import CatalogFile, FileStat, Folder
from tests.unit.daemon.opened import SETTLE_SECONDS, START_NS, Clock, distinct, know, opened, put

SETTLED = SETTLE_SECONDS + 0.1
BELIEVED = 2 * SETTLE_SECONDS + 1.1  # a file that is gone is believed to be gone


class Hall:
    """A reception over one hot folder, with everything it touches."""

    def __init__(self, session: Session, root: Path, clock: Clock) -> None:
        self.session = session
        self.root = root
        self.clock = clock
        self.folder: Folder = session.catalog.put_folder(str(root), protected=False)
        self.hot = HotFolder(str(root), ignore=("*.tmp.jpg",))
        self.open()

    def open(self) -> None:
        """Begin anew, as after a restart."""
        self.reception = Reception(self.session, {str(self.root): Watched(self.hot, self.folder, frozenset())})

    def known(self, *names: str) -> list[CatalogFile]:
        files = [self.root / name for name in names]
        return [
            know(self.session, self.folder, put(path, str(n).encode()), distinct(n)) for n, path in enumerate(files)
        ]

    def jobs(self) -> list[str]:
        return [path.removeprefix(f"{self.root}/") for _, path in self.reception.jobs()]

    def arrivals(self) -> list[str]:
        return [arrival.path.removeprefix(f"{self.root}/") for arrival in self.session.arrivals.all()]

    def in_catalog(self) -> list[str]:
        return [f.stat.path.removeprefix(f"{self.root}/") for f in self.session.catalog.files_in(self.folder.id)]

    def reconcile(self, problems: tuple[WalkProblem, ...] = (), now: float = 0.0) -> None:
        files: list[FileStat] = list(walk(str(self.root)))
        self.reception.reconcile(str(self.root), files, list(problems), now)


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    clock = Clock()
    root = tmp_path / "hot"
    root.mkdir()
    with opened(tmp_path, clock=clock) as session:
        yield Hall(session, root, clock)


def test_a_new_file_is_taken_once_when_it_is_quiet_and_durably(hall: Hall) -> None:
    path = hall.root / "sub/a.jpg"
    put(path)
    for _ in range(3):
        hall.reception.heed(str(path), 0.0)
    hall.reception.take_settled(SETTLE_SECONDS - 0.1)
    assert (hall.jobs(), hall.arrivals(), len(hall.reception)) == ([], [], 1)
    hall.reception.take_settled(SETTLED)
    assert hall.arrivals() == ["sub/a.jpg"], "on disk before any work on it"
    assert hall.jobs() == ["sub/a.jpg"]
    hall.reception.heed(str(path), SETTLED + 1)
    hall.reception.take_settled(100.0)
    assert hall.jobs() == []


def test_a_file_that_grows_waits_on(hall: Hall) -> None:
    path = hall.root / "a.jpg"
    put(path)
    hall.reception.heed(str(path), 0.0)
    put(path, b"longer")
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == [], "it changed unseen: events get lost"
    hall.reception.take_settled(2 * SETTLED)
    assert hall.jobs() == ["a.jpg"]


@pytest.mark.parametrize("name", ["a.txt", ".a.jpg", "b.tmp.jpg"])
def test_what_is_no_candidate_is_passed_over(hall: Hall, name: str) -> None:
    put(hall.root / name)
    hall.reception.heed(str(hall.root / name), 0.0)
    assert len(hall.reception) == 0


def test_events_in_the_state_folder_of_another_dedupd_are_passed_over(hall: Hall) -> None:
    for name in ("state/catalog.sqlite3", "state/lock", "state/previews/ab/cd.jpg", "a.jpg"):
        put(hall.root / name)
        hall.reception.heed(str(hall.root / name), 0.0)
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == ["a.jpg"]


def test_what_lies_elsewhere_is_passed_over(hall: Hall, tmp_path: Path) -> None:
    beside = tmp_path / "hot-not/a.jpg"
    put(beside)
    hall.reception.heed(str(beside), 0.0)
    assert len(hall.reception) == 0


def test_a_known_file_is_not_measured_again(hall: Hall) -> None:
    hall.known("a.jpg")
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    hall.reception.take_settled(SETTLED)
    assert (hall.jobs(), hall.arrivals()) == ([], [])


def test_a_known_file_with_new_bytes_is(hall: Hall) -> None:
    hall.known("a.jpg")
    put(hall.root / "a.jpg", b"other")
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == ["a.jpg"]


def test_a_rename_is_followed_without_measuring(hall: Hall) -> None:
    (file,) = hall.known("a.jpg")
    (hall.root / "a.jpg").rename(hall.root / "b.jpg")
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    hall.reception.heed(str(hall.root / "b.jpg"), 0.0)
    hall.reception.take_settled(SETTLED)
    hall.reception.take_settled(BELIEVED + 1)
    assert hall.jobs() == []
    assert hall.in_catalog() == ["b.jpg"]
    new = hall.session.catalog.file(str(hall.root / "b.jpg"))
    assert new is not None
    assert new.image_id == file.image_id


def test_another_name_for_a_file_that_stays_is_no_rename(hall: Hall) -> None:
    hall.known("a.jpg")
    (hall.root / "b.jpg").hardlink_to(hall.root / "a.jpg")
    hall.reception.heed(str(hall.root / "b.jpg"), 0.0)
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == ["b.jpg"]
    assert hall.in_catalog() == ["a.jpg"]


def test_a_deleted_file_is_forgotten_after_a_while(hall: Hall) -> None:
    hall.known("a.jpg", "b.jpg")
    (hall.root / "a.jpg").unlink()
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    assert hall.reception.next_due(0.0) == pytest.approx(BELIEVED - 0.1)
    hall.reception.take_settled(BELIEVED - 0.2)
    assert hall.in_catalog() == ["a.jpg", "b.jpg"]
    hall.reception.take_settled(BELIEVED)
    assert hall.in_catalog() == ["b.jpg"]


def test_a_file_that_comes_back_in_time_is_not(hall: Hall) -> None:
    hall.known("a.jpg")
    (hall.root / "a.jpg").rename(hall.root / "away")
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    (hall.root / "away").rename(hall.root / "a.jpg")  # and its event got lost
    hall.reception.take_settled(BELIEVED)
    assert hall.in_catalog() == ["a.jpg"]


def test_a_deletion_with_the_whole_folder_is_an_offline_folder(hall: Hall) -> None:
    hall.known("a.jpg")
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    (hall.root / "a.jpg").unlink()
    hall.reception.heed(str(hall.root / "a.jpg"), 0.0)
    hall.root.rename(hall.root.with_name("unmounted"))
    hall.reception.take_settled(BELIEVED)
    assert hall.in_catalog() == ["a.jpg"]


def test_nothing_waits_at_first(hall: Hall) -> None:
    assert hall.reception.next_due(0.0) is None


def test_a_walk_alone_reaches_the_same(hall: Hall) -> None:
    hall.known("gone.jpg", "same.jpg", "changed.jpg", "old name.jpg")
    (hall.root / "gone.jpg").unlink()
    put(hall.root / "changed.jpg", b"other")
    (hall.root / "old name.jpg").rename(hall.root / "new name.jpg")
    put(hall.root / "new.jpg", b"new")
    hall.reconcile()
    assert hall.in_catalog() == ["changed.jpg", "new name.jpg", "same.jpg"]
    hall.reception.take_settled(SETTLED)
    assert sorted(hall.jobs()) == ["changed.jpg", "new.jpg"]


def test_what_a_walk_could_not_read_has_not_vanished(hall: Hall) -> None:
    hall.known("sub/a.jpg", "b.jpg")
    hall.session.arrivals.add([(str(hall.root / "sub/c.jpg"), hall.folder.id)], START_NS)
    (hall.root / "sub").rename(hall.root.with_name("hidden"))
    hall.reconcile((WalkProblem(str(hall.root / "sub"), 13, "forbidden"),))
    assert hall.in_catalog() == ["b.jpg", "sub/a.jpg"]
    assert hall.arrivals() == ["sub/c.jpg"]
    hall.reconcile()
    assert hall.in_catalog() == ["b.jpg"]
    assert hall.arrivals() == []


def test_a_big_loss_needs_a_word_and_the_word_counts_once(hall: Hall) -> None:
    names = [f"{n:02}.jpg" for n in range(20)]
    hall.known(*names)
    for name in names[:12]:
        (hall.root / name).unlink()
    with pytest.raises(BrakeError, match="12 of 20 pictures vanished at once") as caught:
        hall.reconcile()
    assert f"--accept-vanished {hall.root}" in caught.value.hint
    assert hall.in_catalog() == names
    hall.reception.accept_loss(str(hall.root))
    hall.reconcile()
    assert hall.in_catalog() == names[12:]
    hall.known(*names)
    for name in names[:12]:
        (hall.root / name).unlink()
    with pytest.raises(BrakeError):
        hall.reconcile()


def test_a_word_without_a_loss_is_not_kept_for_later(hall: Hall) -> None:
    names = [f"{n:02}.jpg" for n in range(20)]
    hall.known(*names)
    hall.reception.accept_loss(str(hall.root))
    hall.reconcile()
    for name in names:
        (hall.root / name).unlink()
    with pytest.raises(BrakeError):
        hall.reconcile()
    assert hall.in_catalog() == names


def test_events_meet_the_same_brake(hall: Hall) -> None:
    names = [f"{n:02}.jpg" for n in range(20)]
    hall.known(*names)
    for name in names:
        (hall.root / name).unlink()
        hall.reception.heed(str(hall.root / name), 0.0)
    put(hall.root / "new.jpg")
    hall.reception.heed(str(hall.root / "new.jpg"), 0.0)
    hall.reception.take_settled(BELIEVED)
    assert hall.in_catalog() == names
    assert hall.jobs() == ["new.jpg"], "the rest goes on"
    assert not hall.reception.take_doubt("/elsewhere")
    assert [hall.reception.take_doubt(str(hall.root)) for _ in range(2)] == [True, False]


def test_a_burst_does_not_pass_by_the_brake_in_parts(hall: Hall) -> None:
    names = [f"{n:02}.jpg" for n in range(20)]
    hall.known(*names)
    for number, name in enumerate(names):
        (hall.root / name).unlink()
        hall.reception.heed(str(hall.root / name), number * 0.5)
        hall.reception.take_settled(number * 0.5)
    last = 9.5 + BELIEVED
    assert hall.reception.next_due(last - 1.0) == pytest.approx(last - 0.1)
    hall.reception.take_settled(last)
    assert hall.in_catalog() == names
    assert hall.reception.take_doubt(str(hall.root))


def test_deletions_without_an_end_are_believed_in_parts(hall: Hall) -> None:
    hall.known(*(f"{n:02}.jpg" for n in range(40)))
    for number in range(20):
        (hall.root / f"{number:02}.jpg").unlink()
        hall.reception.heed(str(hall.root / f"{number:02}.jpg"), number * 8.0)
        hall.reception.take_settled(number * 8.0)
    assert 20 < len(hall.in_catalog()) < 40


class DeadDisks(Disks):
    """Disks that do not answer, as long as they are dead."""

    dead: frozenset[str] = frozenset()

    def tick(self, now: float) -> None: ...

    @property
    def silent(self) -> set[str]:
        return set(self.dead)

    def ask(self, root: str | None, question: Callable[[], Any]) -> Any:
        if root in self.dead:
            raise NoAnswerError
        return question()


def test_a_dead_disk_is_neither_waited_for_nor_believed_empty(hall: Hall) -> None:
    hall.known("a.jpg", "b.jpg")
    disks = hall.reception._disks = DeadDisks([])
    put(hall.root / "new.jpg")
    put(hall.root / "newer.jpg")
    hall.reception.heed(str(hall.root / "new.jpg"), 0.0)
    hall.reception.take_settled(SETTLED)
    (hall.root / "a.jpg").unlink()
    hall.reception.heed(str(hall.root / "a.jpg"), SETTLED)
    hall.reception.heed(str(hall.root / "newer.jpg"), SETTLED)
    disks.dead = frozenset({str(hall.root)})
    hall.reception.heed(str(hall.root / "b.jpg"), SETTLED)
    hall.reception.take_settled(SETTLED + BELIEVED)
    assert hall.jobs() == [], "what waited for a worker is put off"
    assert hall.arrivals() == ["new.jpg"]
    assert hall.in_catalog() == ["a.jpg", "b.jpg"], "nobody can tell whether it is gone"
    plans = {1: FolderPlan(str(hall.root), None, "/q"), 2: FolderPlan("/other", None, "/q")}
    assert list(hall.reception.reachable(plans)) == [2]
    assert hall.reception.take_doubt(str(hall.root)), "it is walked when it is back"
    disks.dead = frozenset()
    hall.reception.take_settled(SETTLED + BELIEVED + 1)
    assert list(hall.reception.reachable(plans)) == [1, 2]


def test_a_dead_quarantine_stops_moves_to_it_alone(hall: Hall) -> None:
    hall.reception._disks = disks = DeadDisks([])
    disks.dead = frozenset({"/q"})
    hall.reception.take_settled(0.0)
    plans = {1: FolderPlan(str(hall.root), None, "/q"), 2: FolderPlan(str(hall.root), None, "/r")}
    assert list(hall.reception.reachable(plans)) == [2]


def test_arrivals_of_the_last_instance_go_on_and_the_gone_are_dropped(hall: Hall) -> None:
    put(hall.root / "a.jpg")
    paths = [str(hall.root / name) for name in ("a.jpg", "gone.jpg")]
    hall.session.arrivals.add([(path, hall.folder.id) for path in paths], START_NS)
    hall.open()
    hall.reception.resume(0.0)
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == ["a.jpg"]
    assert hall.arrivals() == ["a.jpg"]


def test_an_arrival_that_was_decided_just_before_a_crash_is_done(hall: Hall) -> None:
    (file,) = hall.known("a.jpg")
    hall.session.arrivals.add([(file.stat.path, hall.folder.id)], START_NS)
    hall.reception.resume(0.0)
    hall.reception.take_settled(SETTLED)
    assert (hall.jobs(), hall.arrivals()) == ([], [])


def test_a_failed_arrival_is_tried_again_when_its_time_has_come(hall: Hall) -> None:
    path = str(hall.root / "a.jpg")
    put(hall.root / "a.jpg")
    hall.reception.heed(path, 0.0)
    hall.reception.take_settled(SETTLED)
    assert hall.jobs() == ["a.jpg"]
    hall.session.arrivals.fail(path, hall.folder.id, "unreadable", hall.clock.now_ns, lambda attempts: 30.0)
    hall.reception.retry_due(10.0)
    assert len(hall.reception) == 0
    hall.clock.now_ns += 31 * 10**9
    hall.reception.retry_due(40.0)
    hall.reception.take_settled(40.0 + SETTLED)
    assert hall.jobs() == ["a.jpg"]
