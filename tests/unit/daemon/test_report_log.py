"""The log: the contract to the letter, names byte for byte, whole or not at all."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.report import LogEntry, write_log
from store.errors import AccessError, StateError
from store.records import Evidence, MatchKind, Quality, Verdict, VerdictKind

QUALITY = Quality(412.4, 101.5, 50.0, 2.25, 7.1, 91.5, 0.9, 180.0)
CONTRACT = """
{"schema": 1, "files": [
    {"path": "/in/a.jpg", "verdict": "keep", "reason": "nothing like it", "keeper": null, "evidence": null,
     "scores": {"sharpness": 91.5, "brightness": 101.5, "detail": 2.25, "laplacian": 412.4},
     "action": "none", "target": null},
    {"path": "/in/b.jpg", "verdict": "duplicate", "reason": "the same picture", "keeper": "/in/a.jpg",
     "evidence": {"kind": "copy", "phash_distance": 2, "dhash_distance": 3, "similarity": 0.9877,
                  "verified": true, "explanation": "re-encoded"},
     "scores": {"sharpness": 91.5, "brightness": 101.5, "detail": 2.25, "laplacian": 412.4},
     "action": "move", "target": "/out/duplicates/b.jpg"},
    {"path": "/in/c.jpg", "verdict": "similar", "reason": "edited", "keeper": "/in/a.jpg",
     "evidence": {"kind": "edited", "phash_distance": 9, "dhash_distance": 8, "similarity": null,
                  "verified": false, "explanation": ""},
     "scores": {"sharpness": 91.5, "brightness": 101.5, "detail": 2.25, "laplacian": 412.4},
     "action": "copy", "target": "/out/similar/c.jpg"},
    {"path": "/in/d.jpg", "verdict": "corrupt", "reason": "it ends early", "keeper": null, "evidence": null,
     "scores": null, "action": "none", "target": null}
]}
"""


def entries(*paths: str) -> Iterator[LogEntry]:
    for path in paths:
        yield LogEntry(Verdict(path, VerdictKind.KEEP, "nothing like it", None, None), QUALITY, "none", None)


def test_the_log_keeps_its_contract_to_the_letter(tmp_path: Path) -> None:
    copy = Evidence(MatchKind.COPY, 2, 3, 0.9876543, True, "re-encoded")
    edited = Evidence(MatchKind.EDITED, 9, 8, None, False)
    duplicate = Verdict("/in/b.jpg", VerdictKind.DUPLICATE, "the same picture", "/in/a.jpg", copy)
    similar = Verdict("/in/c.jpg", VerdictKind.SIMILAR, "edited", "/in/a.jpg", edited)
    broken = Verdict("/in/d.jpg", VerdictKind.CORRUPT, "it ends early", None, None)
    found = [
        *entries("/in/a.jpg"),
        LogEntry(duplicate, QUALITY, "move", "/out/duplicates/b.jpg"),
        LogEntry(similar, QUALITY, "copy", "/out/similar/c.jpg"),
        LogEntry(broken, None, "none", None),
    ]
    log = write_log(tmp_path, found)
    assert log == tmp_path / "cleaning_log.json"
    assert json.loads(log.read_bytes()) == json.loads(CONTRACT)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(names=st.lists(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw), max_size=4))
def test_every_name_comes_back_byte_for_byte(tmp_path: Path, names: list[bytes]) -> None:
    log = write_log(tmp_path, entries(*map(os.fsdecode, names)))
    assert log.read_bytes().isascii()
    assert [os.fsencode(found["path"]) for found in json.loads(log.read_bytes())["files"]] == names


def test_a_score_that_is_no_number_costs_nothing_else(tmp_path: Path) -> None:
    verdict = Verdict("/in/a.jpg", VerdictKind.KEEP, "", None, None)
    odd = replace(QUALITY, sharpest=float("nan"), detail=float("inf"))
    log = write_log(tmp_path, [LogEntry(verdict, odd, "none", None)])
    assert json.loads(log.read_bytes())["files"][0]["scores"] == {
        "sharpness": None,
        "brightness": 101.5,
        "detail": None,
        "laplacian": 412.4,
    }


def test_a_log_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    def torn() -> Iterator[LogEntry]:
        yield from entries("/in/new.jpg")
        raise StateError("the catalog went away")

    log = write_log(tmp_path, entries("/in/old.jpg"))
    before = log.read_bytes()
    with pytest.raises(StateError):
        write_log(tmp_path, torn())
    assert log.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["cleaning_log.json"]


def test_many_entries_are_never_held_together(tmp_path: Path) -> None:
    alive = 0

    class Counted(str):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def many() -> Iterator[LogEntry]:
        nonlocal alive
        for number in range(20_000):
            alive += 1
            assert alive < 10
            yield from entries(Counted(f"/in/{number}.jpg"))

    log = write_log(tmp_path, many())
    assert len(json.loads(log.read_bytes())["files"]) == 20_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_is_an_access_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AccessError) as caught:
            write_log(tmp_path, [])
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.exit_code == 77
