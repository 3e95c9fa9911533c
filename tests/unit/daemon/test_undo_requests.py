"""What a person took back is remembered, whichever way it came home."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.undoing import take_back, take_back_by_manifest
from store.ledger import EntryState
from store.records import VerdictKind
from tests.laws.disk import Disk, MadeUpPool
from tests.laws.synthetic import Content, stand_ins
from tests.unit.daemon.called import Call

BEST, WORST, LAST = (Content(n, scene=1, pixels=n, detail=9.0 - n) for n in (1, 2, 3))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Two copies, scanned with `move`: the worse one is away."""
    monkeypatch.setattr("daemon.session.WorkerPool", MadeUpPool)
    with stand_ins():
        made = Disk(tmp_path, [BEST, WORST, LAST])
        made.write(made.path(0), made.choice[0], 1)
        made.write(made.path(3), made.choice[1], 1)
        made.scan("move")
        assert list(made.at_home()) == [made.path(0)]
        yield made
        made.close()


def stays(disk: Disk) -> bool:
    """Tell whether both files are there after one more scan that moves."""
    assert disk.scan("move") == []
    return set(disk.at_home()) == {disk.path(0), disk.path(3)}


def test_the_manifest_goes_through_the_ledger(disk: Disk) -> None:
    answer = take_back_by_manifest(disk.session, quarantine=disk.quarantine)
    assert (answer["undone"], answer["failed"]) == (1, 0)
    assert disk.session.ledger.entry(1).state is EntryState.UNDONE
    assert stays(disk)
    assert take_back_by_manifest(disk.session, quarantine=disk.quarantine)["actions"] == [], "repeatable"
    disk.assert_in_place(disk.scan("move", again=True))
    assert list(disk.at_home()) == [disk.path(0)]


def test_a_catalog_begun_anew_remembers_it_too(disk: Disk) -> None:
    disk.close()
    shutil.rmtree(disk.state.path)
    disk.restart_after_loss()
    answer = take_back_by_manifest(disk.session, quarantine=disk.quarantine)
    assert [action["path"] for action in answer["actions"]] == [disk.path(3)]
    assert stays(disk)


def test_a_file_at_home_that_a_new_catalog_knows_is_marked(disk: Disk) -> None:
    disk.close()
    shutil.rmtree(disk.state.path)
    os.rename(f"{disk.quarantine}/duplicates/hot/bb.jpg", disk.path(3))  # by hand
    disk.restart_after_loss()
    disk.scan("report")
    assert take_back_by_manifest(disk.session, quarantine=disk.quarantine)["undone"] == 1
    assert stays(disk)


def test_a_quarantine_mounted_elsewhere_is_known_to_the_ledger(disk: Disk) -> None:
    elsewhere = disk.quarantine + " of then"
    os.rename(disk.quarantine, elsewhere)
    answer = take_back_by_manifest(disk.session, quarantine=elsewhere)
    assert (answer["undone"], answer["failed"]) == (1, 0)
    assert disk.session.ledger.entry(1).state is EntryState.UNDONE
    assert stays(disk)


def test_a_file_let_go_of_while_it_was_away_is_left_alone(disk: Disk) -> None:
    away = Path(disk.quarantine, "duplicates/hot/bb.jpg")
    away.rename(away.with_suffix(".bak"))
    disk.scan("move")  # it was emptied, as far as anybody can see
    away.with_suffix(".bak").rename(away)
    assert take_back(disk.session, ids=[1])["undone"] == 1
    assert stays(disk)


def test_an_older_file_that_comes_home_makes_its_picture_the_keeper(disk: Disk) -> None:
    # Equal but for their age: rank hangs on the file that stands for the picture, and one at home comes before others.
    better, young, torn = (
        Content(n, scene=2, pixels=n, hashable=False, direction=3, detail=d, byte_size=1)
        for n, d in ((4, 9.0), (5, 1.0), (6, 1.0))
    )
    MadeUpPool.known = {**MadeUpPool.known, **{c.data: c for c in (better, young, torn)}}
    disk.by_hash.update({c.sha256: c for c in (better, young, torn)})
    disk.write(disk.path(6), better, 1)
    disk.write(disk.path(9), torn, 1)
    disk.scan("move")
    (entry,) = disk.session.ledger.by_source(disk.path(9))
    disk.delete(disk.path(6))
    disk.write(disk.path(6), young, 2)
    disk.write(disk.path(1), torn, 3)
    disk.scan("report")
    disk.assert_verdicts()
    take_back(disk.session, ids=[entry.id])
    disk.assert_verdicts()
    file = disk.session.catalog.file(disk.path(6))
    assert file is not None
    assert file.verdict is VerdictKind.DUPLICATE


def test_a_keeper_that_comes_home_under_another_name_lets_its_extra_go_at_once(disk: Disk) -> None:
    disk.delete(disk.path(0))
    disk.write(disk.path(3), disk.choice[2], 2)  # the way home of the better copy is taken
    disk.assert_in_place(disk.scan("move"))
    assert [os.path.basename(path) for path in disk.at_home()] == ["bb (restored).jpg"]


@pytest.mark.parametrize("way", ["--all", "--manifest"])
def test_a_folder_that_was_renamed_is_told_with_a_way_out(call: Call, disk: Disk, way: str) -> None:
    root = os.path.dirname(disk.path(3))
    disk.close()
    os.replace(root, f"{root} of last year")
    words = ("undo", way, *([disk.quarantine] if way == "--manifest" else []), "--state", disk.state.path)
    answer = call(*words)
    assert answer.code == 1
    assert f"the folder {root} is not there" in answer.err
    assert answer.err.count("hint: connect its disk, give it its old name back where it was renamed") == 1
    os.replace(f"{root} of last year", root)
    assert call(*words).code == 0
    assert os.path.exists(disk.path(3))
    disk.restart()
