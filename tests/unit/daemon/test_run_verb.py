"""`dedupd run` on a full disk: whatever moment of a start or of a reload finds it full, it waits and begins anew."""

import errno
import threading
from pathlib import Path

import pytest

from daemon.commands.run import _serve
from daemon.config import Settings
from daemon.errands import Errands
from daemon.folders import HotFolder
from daemon.service import Service
from daemon.session import Session
from daemon.state import StateFolder
from daemon.status import read_status
from store.errors import DamageError
from tests.patience import PATIENCE_SECONDS
from tests.unit.daemon.opened import opened

FULL = OSError(errno.ENOSPC, "No space left on device")


class Stop:
    """A wish to stop that comes after so many waits."""

    def __init__(self, waits: int) -> None:
        self.waits = waits

    @property
    def asked(self) -> bool:
        return self.waits <= 0

    def wait(self, seconds: float) -> bool:
        self.waits -= 1
        return self.asked


def serve(tmp_path: Path, stop: Stop) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    _serve(folder, Settings(), None, stop)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("where", ["opening", "running"])
def test_a_full_disk_is_waited_for_and_the_start_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    starts = list[str]()

    def refuse_first(self: object) -> None:
        starts.append("x")
        if len(starts) == 1:
            raise FULL

    monkeypatch.setattr(Service, "run", refuse_first if where == "running" else lambda self: starts.append("x"))
    if where == "opening":
        real = Session.finish_interrupted

        def refuse_once(self: Session) -> object:
            monkeypatch.setattr(Session, "finish_interrupted", real)
            starts.append("x")
            raise FULL

        monkeypatch.setattr(Session, "finish_interrupted", refuse_once)
    stop = Stop(10)
    serve(tmp_path, stop)
    assert len(starts) == 2
    assert stop.waits == 8, "one wait after the refusal, one before a write must prove that there is room"


def test_told_to_stop_while_there_is_no_room_it_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Service) -> None:
        raise FULL

    monkeypatch.setattr(Service, "run", refuse)
    folder = serve(tmp_path, Stop(4))
    assert read_status(folder).state == "stopped", "the lock is free"


def test_what_is_no_full_disk_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Service) -> None:
        raise DamageError("the catalog is damaged", "restore it")

    monkeypatch.setattr(Service, "run", refuse)
    with pytest.raises(DamageError):
        serve(tmp_path, Stop(4))


def test_parts_that_could_not_all_be_made_are_all_closed_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hot").mkdir()
    before = set(threading.enumerate())
    with opened(tmp_path, HotFolder(str(tmp_path / "hot"), "move")) as session:
        service = Service(session, None)

        def refuse(self: Errands) -> None:
            raise FULL

        with monkeypatch.context() as patch:
            patch.setattr(Errands, "back_up", refuse)
            with pytest.raises(OSError, match="No space"):
                service._set_up()
            for thread in set(threading.enumerate()) - before:
                thread.join(PATIENCE_SECONDS)
            assert set(threading.enumerate()) <= before
        service._set_up()
        service._turn()
        service._tear_down()
        service._tear_down()


def test_a_reload_on_a_full_disk_is_no_end_of_the_loop_but_a_new_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts are closed when the new ones cannot be made: the loop must not go on with those."""
    (tmp_path / "hot").mkdir()
    with opened(tmp_path, HotFolder(str(tmp_path / "hot"), "move")) as session:
        service = Service(session, None)
        service._set_up()

        def refuse(self: Errands) -> None:
            raise FULL

        monkeypatch.setattr(Errands, "back_up", refuse)
        monkeypatch.setattr("daemon.service.load_settings", lambda _: session.settings)
        service._reload = True
        with pytest.raises(OSError, match="No space"):
            for _ in range(20):
                service._guarded_turn()
        service._tear_down()
