"""The vocabulary."""

import os
import pickle
import re
from pathlib import Path

import pytest

import store.errors
from store.errors import DecodeError, DedupdError
from store.records import REJECTS, FailureKind, FileStat, Level, MatchKind, VerdictKind


def test_every_verdict_knows_its_quarantine() -> None:
    folders = {kind: kind.quarantine for kind in VerdictKind}
    assert folders.pop(VerdictKind.KEEP) is None
    assert set(folders.values()) == {"blur", "dark", "bright", "corrupt", "duplicates", "similar"}
    assert {kind for kind in VerdictKind if kind in REJECTS} == {"blur", "dark", "bright", "corrupt"}


def test_what_is_edited_or_alike_is_no_duplicate() -> None:
    assert {kind for kind in MatchKind if kind.level is Level.DUPLICATES} == {"exact", "pixels", "copy"}
    assert {kind for kind in MatchKind if kind.level is Level.SIMILAR} == {"edited", "similar"}


def test_only_the_content_can_fail_again() -> None:
    assert {kind for kind in FailureKind if not kind.of_content} == {"unreadable", "vanished"}


def test_a_stat_is_of_the_link_not_of_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    found = path.lstat()
    stat = FileStat.of(str(path), found)
    assert (stat.size, stat.mtime_ns, stat.inode) == (5, 1_700_000_000_123_456_789, found.st_ino)


@pytest.mark.parametrize("kind", [DedupdError, DecodeError])
def test_errors_cross_process_borders_with_their_hint(kind: type[DedupdError]) -> None:
    error = pickle.loads(pickle.dumps(kind("message", hint="way out")))
    assert type(error) is kind
    assert (error.message, error.hint, str(error)) == ("message", "way out", "message")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d+) ", store.errors.__doc__ or ""))
    kinds = {name: kind for name, kind in vars(store.errors).items() if isinstance(kind, type)}
    assert {name: str(kind.exit_code) for name, kind in kinds.items() if issubclass(kind, DedupdError)} == drawn
