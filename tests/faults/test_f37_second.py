"""F37: a second service, or a verb that writes, while one runs; and after it was killed."""

import re
from pathlib import Path

import pytest

from tests.e2e.command import Daemon, dedupd, running
from tests.faults.conftest import Record
from tests.faults.living import Place

FIGURE = "both running 0; the second names the holder; free after kill -9"


@pytest.mark.fault("F37", injected="run, scan, reindex and restore beside a running service; kill -9", figure=FIGURE)
@pytest.mark.slow
def test_there_is_one_writer_and_the_second_is_told_who(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    config = place.config()
    place.put_pairs(0, 2)
    words = ("--config", config, "--state", place.state)
    with running(config, place.state) as daemon:
        daemon.wait(4)
        backup = dedupd("backup", "--state", place.state, "--json").json["path"]
        for verb in (
            ("run", *words),
            ("scan", place.hot, "--output", tmp_path / "out", *words),
            ("reindex", *words),
            ("backup", "restore", backup, *words),
        ):
            answer = dedupd(*verb)
            assert answer.code == 75, (verb, answer)
            assert re.search(rf"pid {daemon.process.pid}\b", answer.err), answer.err
            assert "Traceback" not in answer.err
        assert dedupd("undo", "--last", "--json", "--state", place.state).json["undone"] == 2, "it is asked to do it"
        daemon.kill()
        second = Daemon(config, place.state)
        try:
            second.wait(4)
            assert second.status()["pid"] != daemon.process.pid
            assert second.stop()[0] == 0
        finally:
            second.process.kill()
    record(6, place.lost())


@pytest.mark.fault("F37", injected="two sessions over one state folder, twenty times", figure=FIGURE)
def test_two_sessions_never_hold_the_lock_at_once(tmp_path: Path, record: Record) -> None:
    from threading import Barrier, Thread

    from daemon.state import InstanceLock, StateFolder
    from store.errors import BusyError

    state = StateFolder(tmp_path / "state")
    state.create()
    holding, seen, refused = [0], [0], [0]
    start = Barrier(4)

    def contend() -> None:
        start.wait()
        for _ in range(5):
            try:
                with InstanceLock(state):
                    holding[0] += 1
                    seen[0] = max(seen[0], holding[0])
                    holding[0] -= 1
            except BusyError:
                refused[0] += 1

    threads = [Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] == 1
    record(20, 0, f"at most {seen[0]} at once, {refused[0]} turned away")
