"""`dedupd why` of files that were moved: both names of such a file are its names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.disk import Disk, MadeUpPool
from tests.laws.synthetic import Content, stand_ins
from tests.unit.daemon.called import Call

BEST, WORST, OTHER = (Content(n, scene=1, pixels=n, detail=9.0 - n) for n in (1, 2, 3))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Two copies, scanned with `move`: the worse one is away."""
    monkeypatch.setattr("daemon.session.WorkerPool", MadeUpPool)
    with stand_ins():
        made = Disk(tmp_path, [BEST, WORST, OTHER])
        made.write(made.path(0), made.choice[0], 1)
        made.write(made.path(3), made.choice[1], 1)
        made.scan("move")
        yield made
        made.close()


def away(disk: Disk, path: str) -> str:
    (entry,) = disk.session.ledger.by_source(path)
    return entry.target


def test_a_moved_file_is_known_by_its_home_and_by_its_place(call: Call, disk: Disk) -> None:
    home, place = disk.path(3), away(disk, disk.path(3))
    for name in (home, place):
        answer = call("why", name, "--json", "--state", disk.state.path)
        assert answer.code == 0, answer.err
        assert (answer.json["path"], answer.json["lies_at"]) == (home, place)
        assert answer.json["keeper"] == disk.path(0)
        assert [entry["verb"] for entry in answer.json["history"]] == ["move"]


def test_two_files_that_left_one_name_are_kept_apart(call: Call, disk: Disk) -> None:
    disk.write(disk.path(3), disk.choice[2], 2)
    disk.scan("move")
    assert not os.path.lexists(disk.path(3))
    answer = call("why", disk.path(3), "--state", disk.state.path)
    assert answer.code == 64
    assert "2 files were moved away from" in answer.err
    assert "undo --list" in answer.err
