"""How a folder is recognised again, and what changed in it."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.folders import (
    MARKER_NAME,
    FolderState,
    RootIdentity,
    check_root,
    identify,
    read_marker,
    scan_changes,
    unchanged,
    vanish_brake,
    walk,
    write_marker,
)
from store.records import FileStat


def put(path: Path, content: bytes = b"x") -> Path:
    path.write_bytes(content)
    return path


def test_a_marker_is_written_once_and_read_back(tmp_path: Path) -> None:
    assert read_marker(str(tmp_path)) is None
    folder_id = "0123456789abcdef"
    assert write_marker(str(tmp_path), folder_id)
    assert read_marker(str(tmp_path)) == folder_id
    assert os.listdir(tmp_path) == [MARKER_NAME]
    assert list(walk(str(tmp_path))) == []
    assert write_marker(str(tmp_path), "another")
    assert read_marker(str(tmp_path)) == "another"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"folder": 3}', b'{"folder": "../x"}', b"\xff", b"[" * 100_000]
)
def test_a_marker_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / MARKER_NAME, content)
    assert read_marker(str(tmp_path)) is None


def test_a_marker_is_never_read_through_a_link_or_a_fifo(tmp_path: Path) -> None:
    put(tmp_path / "real", b'{"folder": "stolen"}')
    (tmp_path / MARKER_NAME).symlink_to("real")
    assert read_marker(str(tmp_path)) is None
    (tmp_path / MARKER_NAME).unlink()
    os.mkfifo(tmp_path / MARKER_NAME)
    assert read_marker(str(tmp_path)) is None


def test_no_marker_where_nothing_can_be_written(tmp_path: Path) -> None:
    assert write_marker(str(tmp_path / "missing"), "x") is False


def test_a_folder_waits_until_it_is_there(tmp_path: Path) -> None:
    root = str(tmp_path / "hot")
    assert check_root(root, None, None).state == FolderState.WAITING
    put(tmp_path / "hot")
    assert check_root(root, None, None).state == FolderState.WAITING  # a file
    (tmp_path / "hot").unlink()
    (tmp_path / "hot").mkdir()
    check = check_root(root, None, None)
    assert (check.state, check.identity, check.marker_id) == (FolderState.OK, identify(root), None)


FOUND = RootIdentity(device=1, inode=2)


@pytest.mark.parametrize(
    ("known", "expected_marker", "marker", "state"),
    [
        (FOUND, "a", "a", FolderState.OK),
        (RootIdentity(9, 9), "a", "a", FolderState.OK),  # mounted again elsewhere: the marker proves it
        (FOUND, "a", "b", FolderState.OFFLINE),  # the wrong card in the same slot
        (FOUND, "a", None, FolderState.OK),  # somebody tidied the marker away, or made the folder anew
        (RootIdentity(1, 9), "a", None, FolderState.OK),  # made anew on the same disk
        (RootIdentity(9, 2), "a", None, FolderState.OFFLINE),  # the empty mount point below the share
        (RootIdentity(9, 9), "a", None, FolderState.OFFLINE),
        (FOUND, None, None, FolderState.OK),  # protected folders have no marker
        (RootIdentity(9, 2), None, None, FolderState.OK),  # a share mounted again: other device, same root
        (RootIdentity(9, 9), None, None, FolderState.OFFLINE),
        (None, None, "b", FolderState.OK),  # known from an earlier installation
    ],
)
def test_check_root(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    known: RootIdentity | None,
    expected_marker: str | None,
    marker: str | None,
    state: FolderState,
) -> None:
    monkeypatch.setattr("daemon.folders.identify", lambda _: FOUND)
    if marker is not None:
        write_marker(str(tmp_path), marker)
    check = check_root(str(tmp_path), known, expected_marker)
    assert (check.state, check.identity, check.marker_id) == (state, FOUND, marker)
    assert bool(check.reason) == (state != FolderState.OK)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOTCONN, errno.ESTALE, errno.EIO])
def test_a_known_folder_out_of_reach_is_offline(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(_: str) -> RootIdentity:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("daemon.folders.identify", refuse)
    check = check_root("/hot", FOUND, "a")
    assert (check.state, check.reason) == (FolderState.OFFLINE, os.strerror(number))


def a_stat(path: str, inode: int = 1, **changes: Any) -> FileStat:
    return replace(FileStat(path, 1, inode, 10, 20, 30), **changes)


def test_scan_changes_sorts_what_it_finds() -> None:
    before = {path: a_stat(path, inode) for inode, path in enumerate(("/a", "/b", "/c", "/d"))}
    after = [a_stat("/a", 0), a_stat("/b", 1, size=11), a_stat("/moved", 2), a_stat("/new", 9)]
    changes = scan_changes(before, after)
    assert [stat.path for stat in changes.new] == ["/new"]
    assert [stat.path for stat in changes.changed] == ["/b"]
    assert changes.renamed == [("/c", a_stat("/moved", 2))]
    assert changes.vanished == ["/d"]


def test_what_could_not_be_seen_has_not_vanished() -> None:
    before = {path: a_stat(path) for path in ("/hot/shut/a", "/hot/shut", "/hot/shutter/b", "/hot/c")}
    assert scan_changes(before, [], unseen=["/hot/shut"]).vanished == ["/hot/c", "/hot/shutter/b"]


def test_problems_noted_during_the_walk_count(tmp_path: Path) -> None:
    problems: list[str] = []
    root = str(tmp_path / "missing")
    walked = walk(root, on_problem=lambda problem: problems.append(problem.path))
    assert scan_changes({f"{root}/a.jpg": a_stat(f"{root}/a.jpg")}, walked, problems).vanished == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        *(({"device": 9}, True), ({"inode": 9}, True)),
        *(({"size": 9}, False), ({"mtime_ns": 9}, False), ({"ctime_ns": 9}, False)),
    ],
)
def test_unchanged(change: dict[str, int], same: bool) -> None:
    assert unchanged(a_stat("/a"), a_stat("/a", **change)) is same


def test_hard_links_are_not_renamed_into_each_other() -> None:
    changes = scan_changes({"/a": a_stat("/a")}, [a_stat("/a"), a_stat("/link")])
    assert ([stat.path for stat in changes.new], changes.renamed, changes.vanished) == (["/link"], [], [])


STATS = st.builds(a_stat, st.sampled_from(["/a", "/b", "/c", "/d", "/e"]), st.integers(0, 4), size=st.integers(0, 1))
LISTINGS = st.lists(STATS, unique_by=lambda stat: stat.path)


@given(LISTINGS, LISTINGS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_changes_lead_from_one_listing_to_the_other(before: list[FileStat], after: list[FileStat]) -> None:
    known = {stat.path: stat for stat in before}
    changes = scan_changes(known, after)
    result = dict(known)
    for path in changes.vanished:
        del result[path]
    for path, stat in changes.renamed:
        assert known[path].inode == stat.inode
        del result[path]
        result[stat.path] = stat
    result |= {stat.path: stat for stat in (*changes.new, *changes.changed)}
    assert result.keys() == {stat.path for stat in after}
    assert all(unchanged(result[stat.path], stat) for stat in after)


@pytest.mark.parametrize(
    ("known", "vanished", "brake"),
    [
        *((100, 20, False), (100, 21, True), (68_811, 68_811, True), (10, 10, True)),
        *((0, 0, False), (3, 3, False), (20, 9, False)),
    ],
)
def test_vanish_brake(known: int, vanished: int, brake: bool) -> None:
    assert vanish_brake(known, vanished) is brake
