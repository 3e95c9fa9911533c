"""Questions to disks: a silent one costs the patience once, and nobody waits for it again."""

import threading
import time
from collections.abc import Iterator

import pytest

from daemon.asking import Asker, Disks, NoAnswerError, root_answers
from tests.patience import PATIENCE_SECONDS as LONG
from tests.patience import wait_until

SHORT = 0.3  # seconds of patience where no answer comes; where one comes, a busy machine may take its time


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What a question waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def asker() -> Iterator[Asker]:
    made = Asker(LONG)
    yield made
    made.close()


def _refuse() -> None:
    raise PermissionError("no")


def test_answers_and_errors_come_back(asker: Asker) -> None:
    assert asker.ask(lambda: 7) == 7
    with pytest.raises(PermissionError):
        asker.ask(_refuse)
    assert not asker.silent


def test_a_silent_disk_is_not_waited_for_twice(asker: Asker, stuck: threading.Event) -> None:
    asker._patience_seconds = SHORT
    with pytest.raises(NoAnswerError):
        asker.ask(stuck.wait)
    assert asker.silent
    hanging = asker._open
    for _ in range(100):
        with pytest.raises(NoAnswerError):
            asker.ask(lambda: 7)
    assert asker._open is hanging, "nothing more was asked, so nothing was waited for"
    stuck.set()
    wait_until(lambda: not asker.silent)
    asker._patience_seconds = LONG
    assert asker.ask(lambda: 8) == 8


def test_a_knock_finds_silence_without_waiting(asker: Asker, stuck: threading.Event) -> None:
    started = time.monotonic()
    asker.probe(stuck.wait)
    asker.probe(stuck.wait)
    assert time.monotonic() - started < LONG / 2
    assert not asker.silent
    asker._patience_seconds = SHORT
    wait_until(lambda: asker.silent)


def test_local_disks_are_asked_directly() -> None:
    disks = Disks(["/hot", "/share"], lambda root: root == "/share", LONG)
    disks.tick(0.0)
    here = threading.get_ident()
    assert disks.ask("/hot", threading.get_ident) == disks.ask(None, threading.get_ident) == here
    assert disks.ask("/share", threading.get_ident) != here
    assert disks.silent == set()
    disks.close()


def test_a_share_is_one_as_long_as_it_is_mounted(stuck: threading.Event) -> None:
    remote = {"/share"}
    disks = Disks(["/share"], remote.__contains__, SHORT)
    disks.tick(0.0)
    with pytest.raises(NoAnswerError):
        disks.ask("/share", stuck.wait)
    assert disks.silent == {"/share"}
    remote.clear()
    disks.tick(10.0)
    assert disks.silent == {"/share"}, "unmounted lazily, perhaps: as long as the question hangs"
    stuck.set()
    wait_until(lambda: not disks.silent)
    disks.tick(20.0)
    assert disks.ask("/share", threading.get_ident) == threading.get_ident()
    disks.close()


def test_the_root_of_the_system_answers() -> None:
    assert root_answers("/")
    assert root_answers("/nowhere/at/all")
