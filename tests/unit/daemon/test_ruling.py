"""The work behind `rule`: what is meant, what it changes, who comes home."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.ruling import check_contents, content_of, described, rule, take_back_rulings
from daemon.status import Status, read_status, write_status
from store.errors import UsageError
from store.records import RulingKind, VerdictKind
from tests.laws.disk import Disk, MadeUpPool
from tests.laws.synthetic import Content, stand_ins

BEST, MIDDLE, WORST = (Content(n, scene=1, pixels=n, detail=9.0 - n) for n in (1, 2, 3))
OTHER = Content(4, pixels=4, hashable=False, direction=3)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Three copies and another picture, scanned with `move`: the worse two are away."""
    monkeypatch.setattr("daemon.session.WorkerPool", MadeUpPool)
    with stand_ins():
        made = Disk(tmp_path, [BEST, MIDDLE, WORST, OTHER])
        for place, content in zip((0, 3, 6, 9), made.choice, strict=True):
            made.write(made.path(place), content, 1)
        made.scan("move")
        yield made
        made.close()


def by_number(disk: Disk, kind: RulingKind, *numbers: int) -> dict[str, Any]:
    contents = [(disk.choice[number].sha256.hex(), f"/n/{number}") for number in numbers]
    return rule(disk.session, kind=kind, contents=contents)


def test_what_is_meant_is_found_at_home_in_quarantine_and_by_hash(disk: Disk) -> None:
    catalog = disk.session.catalog
    home, former = disk.path(0), disk.path(3)
    away = f"{disk.quarantine}/duplicates/hot/{os.path.basename(former)}"
    assert content_of(catalog, home) == (BEST.sha256, home)
    assert content_of(catalog, away) == (MIDDLE.sha256, away)
    assert content_of(catalog, former) == (MIDDLE.sha256, former), "where it was"
    assert content_of(catalog, WORST.sha256.hex()[:9].upper())[0] == WORST.sha256
    os.symlink(home, f"{disk.roots[0]}/link.jpg")
    assert content_of(catalog, f"{disk.roots[0]}/link.jpg") == (BEST.sha256, home)


def test_a_name_used_again_means_what_lies_there_now(disk: Disk) -> None:
    disk.write(disk.path(3), disk.choice[3], 2)
    assert content_of(disk.session.catalog, disk.path(3))[0] == OTHER.sha256, "the same bytes as a known picture"
    Path(disk.path(3)).write_bytes(b"never seen")
    with pytest.raises(UsageError) as error:
        content_of(disk.session.catalog, disk.path(3))
    assert error.value.hint == "scan its folder first"


def test_a_deleted_file_is_still_known_by_its_path(disk: Disk) -> None:
    disk.delete(disk.path(0))
    assert content_of(disk.session.catalog, disk.path(0))[0] == BEST.sha256


def test_a_former_home_of_different_pictures_is_not_guessed(disk: Disk) -> None:
    disk.write(disk.path(3), disk.choice[2], 2)
    disk.scan("move")
    with pytest.raises(UsageError, match="2 different pictures were moved away"):
        content_of(disk.session.catalog, disk.path(3))


@pytest.mark.parametrize("thing", ["/nowhere/x.jpg", "abcde", "0" * 64, "x\ny"])
def test_what_is_unknown_is_an_error_with_a_hint(disk: Disk, thing: str) -> None:
    with pytest.raises(UsageError, match="nothing is known about") as error:
        content_of(disk.session.catalog, thing)
    assert error.value.exit_code == 64
    assert error.value.hint


def test_digits_that_fit_several_pictures_are_not_enough(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.ruling._FEWEST_DIGITS", 0)
    with pytest.raises(UsageError, match="4 known pictures"):
        content_of(disk.session.catalog, "")


@pytest.mark.parametrize(
    ("kind", "contents", "message"),
    [
        (RulingKind.NOT_DUPLICATES, [b"a"], "2 files or more"),
        (RulingKind.NOT_DUPLICATES, [b"a", b"a"], "same bytes"),
        (RulingKind.KEEP_ALL, [], "1 files or more"),
        (RulingKind.KEEP_THIS, [b"a", b"b"], "takes one file"),
    ],
)
def test_what_cannot_be_ruled_is_refused(kind: RulingKind, contents: list[bytes], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_contents(kind, [(sha256, "x") for sha256 in contents])


def test_what_has_to_stay_comes_home_at_once_and_nothing_leaves(disk: Disk) -> None:
    assert sorted(disk.at_home()) == sorted([disk.path(0), disk.path(9)])
    answer = by_number(disk, RulingKind.KEEP_THIS, 2)
    assert [moved["path"] for moved in answer["home"]] == [disk.path(6)]
    assert {(change["path"], change["from"], change["to"]) for change in answer["changed"]} == {
        (disk.path(6), VerdictKind.DUPLICATE, VerdictKind.KEEP),
        (disk.path(0), VerdictKind.KEEP, VerdictKind.DUPLICATE),
    }
    assert sorted(disk.at_home()) == sorted([disk.path(0), disk.path(6), disk.path(9)]), "a ruling sends nothing away"
    disk.assert_in_place(disk.scan("move"))
    assert sorted(disk.at_home()) == sorted([disk.path(6), disk.path(9)])
    disk.assert_nothing_lost()


def test_the_same_ruling_again_is_the_newest(disk: Disk) -> None:
    first = by_number(disk, RulingKind.KEEP_THIS, 1)["ruling"]["id"]
    second = by_number(disk, RulingKind.KEEP_THIS, 2)
    assert second["overruled"] == [first]
    third = by_number(disk, RulingKind.KEEP_THIS, 1)
    assert third["replaced"] == [first]
    assert third["overruled"] == [second["ruling"]["id"]]
    rows = described(disk.session.catalog, disk.session.flow.knowledge)
    assert [(row["id"], row["overruled_by"]) for row in rows] == [(2, 3), (3, None)]


def test_a_choice_overrules_an_older_word_that_all_stay(disk: Disk) -> None:
    by_number(disk, RulingKind.KEEP_ALL, 0, 1)
    assert by_number(disk, RulingKind.KEEP_THIS, 0)["overruled"] == [1]
    assert by_number(disk, RulingKind.NOT_DUPLICATES, 0, 1)["overruled"] == [], "these do not disagree"


def test_rulings_are_taken_back_by_number(disk: Disk) -> None:
    by_number(disk, RulingKind.NOT_DUPLICATES, 0, 1, 2)
    assert len(disk.at_home()) == 4
    answer = take_back_rulings(disk.session, ids=[1])
    assert (answer["removed"], len(answer["changed"]), answer["home"]) == ([1], 2, [])
    disk.assert_in_place(disk.scan("move"))
    assert len(disk.at_home()) == 2
    with pytest.raises(UsageError, match="no ruling 1"):
        take_back_rulings(disk.session, ids=[1])


def test_the_list_says_where_the_content_is_now(disk: Disk) -> None:
    by_number(disk, RulingKind.NOT_DUPLICATES, 0, 3)
    disk.delete(disk.path(9))
    disk.scan("move")
    (row,) = described(disk.session.catalog, disk.session.flow.knowledge)
    assert [(c["name"], c["files"]) for c in row["contents"]] == [("/n/0", [disk.path(0)]), ("/n/3", [])]
    image_id = disk.session.catalog.image_id(BEST.sha256)
    assert described(disk.session.catalog, disk.session.flow.knowledge, image_id) == [row]


def test_status_tells_of_rulings(disk: Disk) -> None:
    write_status(disk.state, Status("stopped", None, 1))
    by_number(disk, RulingKind.KEEP_ALL, 2)
    assert read_status(disk.state).rulings == 1
    write_status(disk.state, Status("ok", os.getpid(), 1))
    by_number(disk, RulingKind.KEEP_ALL, 1)
    assert read_status(disk.state).rulings == 0, "a running service publishes its own"
