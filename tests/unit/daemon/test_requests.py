"""Requests to the running service, and its answers."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import requests
from daemon.state import InstanceLock, StateFolder
from store.errors import BusyError, DedupdError
from tests.patience import PATIENCE_SECONDS, wait_until


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    with InstanceLock(folder):  # a service runs
        yield folder


class Asker(threading.Thread):
    """Ask in a thread, as another process would, and keep what came back."""

    def __init__(self, state: StateFolder, verb: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.question = (state, verb, arguments, PATIENCE_SECONDS)
        self.result: dict[str, Any] | None = None
        self.error: DedupdError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = requests.ask(*self.question)
        except DedupdError as error:
            self.error = error


def first_request(state: StateFolder) -> requests.Request:
    found: list[requests.Request] = []

    def comes_in() -> bool:
        found.extend(itertools.islice(requests.waiting(state), 1))
        return bool(found)

    wait_until(comes_in, "a request")
    return found[0]


def left_over(state: StateFolder) -> list[str]:
    return sorted(path.name for path in (state.path / "requests").iterdir())


def test_a_question_is_answered_and_the_table_is_clear(state: StateFolder) -> None:
    asker = Asker(state, "undo", {"ids": [1, 2], "name": "ü\udcff"})
    request = first_request(state)
    assert (request.verb, request.arguments) == ("undo", {"ids": [1, 2], "name": "ü\udcff"})
    request.answer({"undone": 2})
    asker.join(PATIENCE_SECONDS)
    assert asker.result == {"undone": 2}
    assert left_over(state) == []
    assert list(requests.waiting(state)) == []


def test_a_refusal_comes_back_in_the_services_own_words(state: StateFolder) -> None:
    asker = Asker(state, "undo", {})
    first_request(state).answer({"error": "no such action", "hint": "look again"})
    asker.join(PATIENCE_SECONDS)
    assert asker.error is not None
    assert (asker.error.message, asker.error.hint) == ("no such action", "look again")
    assert left_over(state) == []


def test_a_service_that_does_not_answer_is_busy_and_nothing_is_left(state: StateFolder) -> None:
    with pytest.raises(BusyError, match="does not answer"):
        requests.ask(state, "report", {}, timeout_seconds=0.0)
    assert left_over(state) == [], "or it would be served later, when nobody wants it"


def test_two_askers_get_their_own_answers(state: StateFolder) -> None:
    askers = {name: Asker(state, name, {}) for name in ("one", "two")}
    served: set[str] = set()
    while served != {"one", "two"}:
        request = first_request(state)
        request.answer({"you": request.verb})
        served.add(request.verb)
    for name, asker in askers.items():
        asker.join(PATIENCE_SECONDS)
        assert asker.result == {"you": name}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"verb": "undo"}', b'{"verb": "undo", "arguments": 3}', b'{"arguments": {}}', b"\xff\xfe"],
)
def test_rubbish_is_thrown_away_and_the_rest_is_served(state: StateFolder, content: bytes) -> None:
    table = state.path / "requests"
    table.mkdir()
    (table / "0.request").write_bytes(content)
    (table / "1.request").write_text(json.dumps({"verb": "report", "arguments": {}, "pid": os.getpid()}))
    (table / "2.77.part").write_bytes(b"half a request")
    assert [request.verb for request in requests.waiting(state)] == ["report"]
    assert left_over(state) == ["1.request", "2.77.part"]


def test_nobody_ever_asked(state: StateFolder) -> None:
    assert list(requests.waiting(state)) == []


def test_a_service_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    with pytest.raises(BusyError, match="has ended"):
        requests.ask(folder, "undo", {}, timeout_seconds=PATIENCE_SECONDS)
    assert left_over(folder) == []


def test_a_request_whose_asker_is_gone_is_not_served(state: StateFolder) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    table = state.path / "requests"
    table.mkdir()
    content = {"verb": "undo", "arguments": {}, "pid": int(gone.stdout)}
    (table / "0.request").write_text(json.dumps(content))
    assert list(requests.waiting(state)) == []
    assert left_over(state) == []
