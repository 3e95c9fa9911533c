"""A session over real files: what it does about files that a person took away meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.disk import Disk, MadeUpPool
from tests.laws.synthetic import Content, stand_ins

BEST, WORST = (Content(n, scene=1, pixels=n, detail=9.0 - n) for n in (1, 2))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Two copies, scanned with `move`: the worse one is away; then the keeper is deleted, and its loss is known."""
    monkeypatch.setattr("daemon.session.WorkerPool", MadeUpPool)
    with stand_ins():
        made = Disk(tmp_path, [BEST, WORST])
        made.write(made.path(0), made.choice[0], 1)
        made.write(made.path(3), made.choice[1], 1)
        made.scan("move")
        keeper = made.session.catalog.file(made.path(0))
        assert keeper is not None
        os.unlink(made.path(0))
        made.session.flow.forget_files([keeper], made.clock_ns())
        yield made
        made.close()


def quarantined(disk: Disk) -> str:
    (entry,) = disk.session.ledger.by_source(disk.path(3))
    return entry.target


def test_what_was_to_come_home_comes_home(disk: Disk) -> None:
    assert disk.session.act({}) == []
    assert os.path.exists(disk.path(3))


def test_what_is_gone_from_quarantine_is_not_waited_for(disk: Disk) -> None:
    os.unlink(quarantined(disk))
    assert disk.session.act({}) == []
    assert disk.session.catalog.files_away() == []
    assert not os.path.exists(disk.path(3))


def test_a_quarantine_that_is_not_there_is_waited_for(disk: Disk) -> None:
    os.replace(disk.quarantine, disk.quarantine + " unmounted")
    (problem,) = disk.session.act({})
    assert problem.path == disk.path(3)
    os.replace(disk.quarantine + " unmounted", disk.quarantine)
    assert disk.session.act({}) == []
    assert os.path.exists(disk.path(3))


def test_a_folder_that_cannot_be_looked_into_is_not_empty(disk: Disk) -> None:
    folder = os.path.dirname(quarantined(disk))
    os.replace(folder, folder + " aside")
    os.symlink(folder, folder)  # any look below ends with an error that is not "no such file"
    assert len(disk.session.act({})) == 1
    assert disk.session.forget_emptied() == []
    os.unlink(folder)
    os.replace(folder + " aside", folder)
    assert disk.session.act({}) == []
    assert os.path.exists(disk.path(3))
