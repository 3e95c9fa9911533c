"""What the service tells about itself."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.bulletin import Bulletin
from daemon.session import Session
from daemon.status import FolderStatus
from tests.unit.daemon.opened import distinct, know, opened, put

OK = FolderStatus("/hot", "ok", 1)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with opened(tmp_path) as session:
        yield session


def told(session: Session) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(session.state.status.read_text("ascii"))
    return content


def test_it_counts_what_the_catalog_knows(session: Session, tmp_path: Path) -> None:
    folder = session.catalog.put_folder(str(tmp_path), protected=False)
    for number in range(3):
        know(session, folder, put(tmp_path / f"{number}.jpg"), distinct(number))
    know(session, folder, put(tmp_path / "copy.jpg"), distinct(1))
    Bulletin(session).publish(None, [OK], 7)
    status = told(session)
    assert (status["files"], status["images"], status["groups"], status["queue"]) == (4, 3, 1, 7)
    assert {kind: count for kind, count in status["verdicts"].items() if count} == {"keep": 3, "duplicate": 1}
    assert status["index"] == {"model": "made-up-1", "vectors": 3, "kind": "flat"}
    assert status["pid"] == os.getpid()
    assert status["report"] == str(session.state.report / "cleaning_report.html")


@pytest.mark.parametrize(
    ("folders", "reasons", "queue", "state"),
    [
        (["ok", "ok"], [], 0, "ok"),
        (["ok"], [], 3, "scanning"),
        (["ok", "scanning"], [], 0, "scanning"),
        (["ok", "offline"], [], 3, "degraded"),
        (["ok", "degraded"], [], 0, "degraded"),
        (["ok"], ["watches are used up"], 0, "degraded"),
        (["offline", "paused", "scanning"], ["x"], 3, "paused"),
        ([], [], 0, "ok"),
    ],
)
def test_the_worst_folder_names_the_state(
    session: Session, folders: list[str], reasons: list[str], queue: int, state: str
) -> None:
    Bulletin(session).publish(None, [FolderStatus(f"/{s}", s, 0) for s in folders], queue, reasons=reasons)
    assert told(session)["state"] == state
    assert told(session)["reasons"] == reasons


class Standing:
    """A clock that stands until it is moved."""

    strftime, time_ns = staticmethod(time.strftime), staticmethod(time.time_ns)

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Tell the seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Standing:
    made = Standing()
    monkeypatch.setattr("daemon.bulletin.time", made)
    return made


def test_the_rate_is_that_of_the_last_seconds(session: Session, clock: Standing) -> None:
    bulletin = Bulletin(session)
    bulletin.count(1000, clock.now - 60.0)
    bulletin.count(20, clock.now)
    bulletin.count(0, clock.now)
    bulletin.publish(None, [OK], 0)
    assert told(session)["images_per_second"] == 2.0


def test_it_does_not_tell_more_often_than_it_is_worth(session: Session, clock: Standing) -> None:
    bulletin = Bulletin(session)
    bulletin.publish(None, [OK], 1)
    clock.now += 0.4
    bulletin.publish(None, [OK], 2)
    assert told(session)["queue"] == 1
    bulletin.publish(None, [OK], 3, force=True)
    assert told(session)["queue"] == 3
    clock.now += 0.6
    bulletin.publish(None, [OK], 4)
    assert told(session)["queue"] == 4


def test_the_last_words_keep_the_folders_and_name_no_process(session: Session) -> None:
    bulletin = Bulletin(session)
    bulletin.publish(None, [OK], 0)
    bulletin.publish("stopped", [], 0, force=True)
    status = told(session)
    assert (status["state"], status["pid"]) == ("stopped", None)
    assert [folder["path"] for folder in status["folders"]] == ["/hot"]


def test_the_newest_trouble_is_the_one_shown(session: Session) -> None:
    bulletin = Bulletin(session)
    bulletin.publish(None, [OK], 0)
    assert told(session)["last_error"] == ""
    bulletin.note_error(OSError("disk full"))
    bulletin.note_problem("/hot/a.jpg: unreadable")
    bulletin.publish(None, [OK], 0, force=True)
    status = told(session)
    assert status["last_error"].endswith(" /hot/a.jpg: unreadable")
    assert status["last_error"].startswith("20"), "it says when"
    assert status["state"] == "ok", "one bad file does not make a bad service"


def test_publishing_loads_no_index(session: Session) -> None:
    Bulletin(session).publish(None, [OK], 0)
    assert not session.flow.knowledge.indexes.loaded
    assert told(session)["index"]["kind"] == ""
