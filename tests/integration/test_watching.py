"""Real files, real events, real threads: the situations in which a watcher can go blind, also by polling.

The service below does what the real one does: it collects hints and scans a folder when it is asked to.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import observing
from daemon.polling import inotify_limit
from daemon.watcher import Watcher
from tests.integration.watched import Service, put
from tests.patience import wait_until

if sys.platform == "linux":
    from watchdog.observers.inotify_c import InotifyEvent


@pytest.fixture(params=["native", "polling"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    service = Service(request.param)
    yield service
    service.watcher.close()


@pytest.fixture
def native() -> Iterator[Service]:
    service = Service("native")
    yield service
    service.watcher.close()


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    folder = tmp_path / "hot"
    folder.mkdir()
    return folder


def test_a_file_is_written(service: Service, hot: Path) -> None:
    service.watch(hot)
    service.until_hinted(put(hot / "a.jpg"))


def test_a_file_is_renamed_in_from_outside(service: Service, hot: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "a.jpg")
    service.watch(hot)
    service.until_hinted(outside.rename(hot / "a.jpg"))


def test_a_file_is_linked_in(service: Service, hot: Path, tmp_path: Path) -> None:
    service.watch(hot)
    os.link(put(tmp_path / "a.jpg"), hot / "a.jpg")
    service.until_hinted(hot / "a.jpg")


def test_a_folder_is_moved_in(service: Service, hot: Path, tmp_path: Path) -> None:
    names = ["a.jpg", "b/c.jpg", "b/d/e.jpg"]
    for name in names:
        put(tmp_path / "card" / name)
    service.watch(hot)
    (tmp_path / "card").rename(hot / "card")
    service.until_hinted(*(hot / "card" / name for name in names))
    service.forget()
    service.until_hinted(put(hot / "card/b/d/later.jpg"))


def test_a_download_gets_its_final_name(service: Service, hot: Path) -> None:
    service.watch(hot)
    part = put(hot / "a.jpg.part")
    service.until_hinted(part.rename(hot / "a.jpg"))


def test_a_file_is_changed(service: Service, hot: Path) -> None:
    path = put(hot / "a.jpg")
    service.watch(hot)
    path.write_bytes(b"longer")
    service.until_hinted(path)


def test_a_file_becomes_readable(service: Service, hot: Path) -> None:
    path = put(hot / "a.jpg")
    path.chmod(0)
    service.watch(hot)
    path.chmod(0o644)
    service.until_hinted(path)


def test_names_that_are_no_utf8(service: Service, hot: Path) -> None:
    service.watch(hot)
    raw = os.fsencode(hot) + b"/\xff\xfe.jpg"
    try:
        os.close(os.open(raw, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError:
        pytest.skip("this file system wants UTF-8")
    service.until(lambda: raw in {os.fsencode(path) for path in service.hints})


def test_deep_trees_made_fast_are_seen_whole(service: Service, hot: Path) -> None:
    service.watch(hot)
    paths = [put(hot / f"{n % 7}/{n % 11}/{n % 13}/{n}.jpg") for n in range(500)]
    service.until_known(*paths)


def test_a_copied_tree_is_seen_whole(service: Service, hot: Path, tmp_path: Path) -> None:
    names = [f"{n % 5}/{n % 3}/{n}.jpg" for n in range(200)]
    for name in names:
        put(tmp_path / "card" / name)
    service.watch(hot)
    shutil.copytree(tmp_path / "card", hot / "card")
    service.until_known(*(hot / "card" / name for name in names))


def test_a_storm_on_one_path_is_few_hints(service: Service, hot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = threading.Event()
    service.watcher.close()

    def take_slowly(path: str) -> None:
        busy.wait()
        service.hints.append(path)

    service.watcher = Watcher(take_slowly, service._scan)
    noted, note = set[str](), service.watcher._hints.add_path

    def note_too(path: str) -> bool:
        noted.add(path)
        return note(path)

    monkeypatch.setattr(service.watcher._hints, "add_path", note_too)
    service.watch(hot)
    for number in range(300):
        put(hot / "a.jpg", b"x" * number)
    put(hot / "b.jpg")
    service.until(lambda: str(hot / "b.jpg") in noted)  # whoever reads events has caught up, however slowly
    busy.set()
    service.until_hinted(hot / "a.jpg", hot / "b.jpg")
    assert len(service.hints) < 20


def test_more_hints_than_there_is_room_for_become_a_scan(service: Service, hot: Path) -> None:
    busy = threading.Event()
    service.watcher.close()

    def take(_path: str) -> None:
        busy.wait()

    service.watcher = Watcher(take, service._scan, max_pending=5)
    service.watch(hot)
    paths = [put(hot / f"{number}.jpg") for number in range(50)]
    service.until_known(*paths)
    busy.set()
    assert "too many hints at once" in service.rescans


def test_reading_gives_no_hints(native: Service, hot: Path) -> None:
    path = put(hot / "a.jpg")
    native.watch(hot)
    for _ in range(10):
        path.read_bytes()
    native.until_hinted(put(hot / "b.jpg"))
    assert str(path) not in native.hints


@pytest.mark.skipif(sys.platform != "linux", reason="about watches of inotify")
def test_a_folder_that_takes_the_name_of_one_carried_away(native: Service, hot: Path, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    native.watch(hot)
    readers = [thread for thread in set(threading.enumerate()) - before if type(thread).__name__ == "Inotify"]
    assert readers
    for name in ("a", "b"):
        (hot / name).mkdir()
        native.until_hinted(put(hot / name / "1.jpg"))  # its watch is there
    carried = (hot / "b").rename(tmp_path / "b")  # its watch goes with it, under the old name
    (hot / "a").rename(hot / "b")
    native.until_hinted(put(hot / "b/2.jpg"))
    (hot / "b").rename(hot / "c")
    native.until_hinted(put(hot / "c/3.jpg"))
    shutil.rmtree(carried)  # now the old watch ends, and its name is nobody's
    native.until_hinted(put(hot / "c/4.jpg"))
    assert all(thread.is_alive() for thread in readers)


@pytest.mark.skipif(sys.platform != "linux", reason="about watches of inotify")
def test_watching_ends_though_two_folders_went_by_one_name(native: Service, hot: Path, tmp_path: Path) -> None:
    native.watch(hot)
    for name in ("a", "b"):
        (hot / name).mkdir()
        native.until_hinted(put(hot / name / "1.jpg"))
    (hot / "b").rename(tmp_path / "b")
    (hot / "a").rename(hot / "b")
    native.until_hinted(put(hot / "b/2.jpg"))
    native.watcher.close()
    wait_until(lambda: not [thread for thread in threading.enumerate() if type(thread).__name__ == "Inotify"])


def test_not_recursive(service: Service, hot: Path) -> None:
    service.watcher.watch(str(hot), service.mode, recursive=False, poll_seconds=0.05)
    service.until(lambda: service.mode == "native" or bool(service.rescans))
    service.forget()
    deep = put(hot / "deep/b.jpg")
    service.until_hinted(put(hot / "a.jpg"))
    assert str(deep) not in service.hints


def test_a_file_is_deleted(service: Service, hot: Path) -> None:
    path = put(hot / "a.jpg")
    service.watch(hot)
    path.unlink()
    service.until_hinted(path)


def test_a_file_is_renamed_inside(service: Service, hot: Path) -> None:
    path = put(hot / "a.jpg")
    service.watch(hot)
    service.until_hinted(path, path.rename(hot / "b.jpg"))


def test_a_folder_is_renamed_inside(service: Service, hot: Path) -> None:
    put(hot / "old/a.jpg")
    service.watch(hot)
    (hot / "old").rename(hot / "new")
    service.until_hinted(hot / "old/a.jpg", hot / "new/a.jpg")
    service.forget()
    service.until_hinted(put(hot / "new/b.jpg"))


def test_a_folder_is_moved_out(service: Service, hot: Path, tmp_path: Path) -> None:
    paths = [put(hot / f"old/{number}.jpg") for number in range(30)]
    service.watch(hot)
    (hot / "old").rename(tmp_path / "old")
    service.until(lambda: bool(service.rescans) or {str(path) for path in paths} <= set(service.hints))


def test_a_linked_root_is_watched_by_its_real_path(service: Service, hot: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(hot)
    service.watch((tmp_path / "link").resolve())
    put(tmp_path / "link/a.jpg")
    service.until_hinted(hot / "a.jpg")


def test_a_missing_root_is_watched_once_it_is_there(service: Service, tmp_path: Path) -> None:
    root = tmp_path / "later"
    service.watch(root)
    service.watcher.check(0.0)
    assert service.rescans == []
    first = put(root / "a.jpg")
    service.until_known(first)
    assert service.rescans
    service.until_hinted(put(root / "b.jpg"))


@pytest.mark.parametrize("how", ["removed", "renamed away", "replaced"])
def test_a_root_made_anew_is_watched_again(service: Service, hot: Path, tmp_path: Path, how: str) -> None:
    put(hot / "a.jpg")
    service.watch(hot)
    if how == "removed":
        shutil.rmtree(hot)
        service.until(lambda: not hot.exists())
        hot.mkdir()
    else:
        if how == "replaced":
            put(tmp_path / "other/c.jpg")
        hot.rename(tmp_path / "gone")
        (tmp_path / "other").rename(hot) if how == "replaced" else hot.mkdir()
    put(hot / "b.jpg")
    service.until_known(hot / "b.jpg")
    service.forget()
    time.sleep(0.1)  # a polled root: the first walk of the new one is over
    service.until_known(put(hot / "d.jpg"))
    service.forget()
    service.until_hinted(put(hot / "e.jpg"))


def test_one_root_does_not_disturb_another(service: Service, hot: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    service.watch(hot)
    service.watch(other)
    shutil.rmtree(other)
    service.until_hinted(put(hot / "a.jpg"))
    service.watcher.unwatch(str(other))
    service.watcher.unwatch("/never/watched")
    service.until_hinted(put(hot / "b.jpg"))


def test_a_hint_that_raises_is_made_up_for(service: Service, hot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def refuse(path: str) -> None:
        if path.endswith("bad.jpg"):
            raise RuntimeError(path)
        service.hints.append(path)

    service.watcher.close()
    service.watcher = Watcher(refuse, service._scan)
    service.watch(hot)
    service.until_known(put(hot / "bad.jpg"))
    assert service.rescans == ["hints were lost"]
    service.until_known(put(hot / "good.jpg"))


def test_nothing_is_left_behind(hot: Path) -> None:
    for number in range(20):
        (hot / f"{number}/deep").mkdir(parents=True)
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/dev/fd"))
    for mode in ("native", "polling"):
        service = Service(mode)
        service.watch(hot)
        for number in range(3):
            service.watch(hot)
            put(hot / f"{number}.jpg")
        service.watcher.close()
        service.watcher.close()
    wait_until(lambda: set(threading.enumerate()) <= threads)
    wait_until(lambda: len(os.listdir("/dev/fd")) <= descriptors)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let the thread that reads events stand still until this is set."""
    if sys.platform != "linux":
        pytest.skip("inotify is Linux")
    go_on, handle = threading.Event(), observing.Inotify.handle_event

    def stall(self: observing.Inotify, event: InotifyEvent) -> None:
        go_on.wait()
        handle(self, event)

    monkeypatch.setattr(observing.Inotify, "handle_event", stall)
    yield go_on
    go_on.set()


def test_a_queue_overflow_becomes_a_scan(native: Service, hot: Path, stalled: threading.Event) -> None:
    native.watch(hot)
    paths = [put(hot / f"{number}.jpg") for number in range(500)]
    for number in range(inotify_limit("max_queued_events")):  # alternating, or the kernel merges them
        paths[number % 2].chmod(0o600 + number % 3)
    last = put(hot / "last.jpg")
    stalled.set()
    native.until_known(last, *paths)
    assert native.rescans[0] == "events were lost: too many at once"
    (problem,) = native.watcher.problems()
    assert "sudo sysctl -w fs.inotify.max_queued_events=" in problem
    native.until_hinted(put(hot / "after.jpg"))
    native.now += 1000
    native.watcher.check(native.now)
    assert native.watcher.problems() == []


def test_a_dead_reader_is_replaced(native: Service, hot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("inotify is Linux")
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(observing.Inotify, "handle_event", lambda _, event: event.nonsense)
        before = set(threading.enumerate())
        native.watch(hot)
        readers = [thread for thread in set(threading.enumerate()) - before if type(thread).__name__ == "Inotify"]
        assert readers
        lost = put(hot / "lost.jpg")
        wait_until(lambda: not any(reader.is_alive() for reader in readers))
    native.until_known(lost)
    assert native.rescans == ["watching had stopped"]
    native.until_hinted(put(hot / "b.jpg"))
