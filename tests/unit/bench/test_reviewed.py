"""Pairs that a person found to be one picture."""

import json
from pathlib import Path

from bench.program import read_reviewed


def test_one_picture_with_the_same_third_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "reviewed.json"
    path.write_text(json.dumps([["a/1", "a/2", "why"], ["a/2", "b/3", "why"], ["c/4", "c/5", "why"]]))
    found = {tuple(sorted(pair)) for pair in read_reviewed(path)}
    assert found == {("a/1", "a/2"), ("a/1", "b/3"), ("a/2", "b/3"), ("c/4", "c/5")}


def test_the_shipped_list_says_why_of_every_pair() -> None:
    rows = json.loads((Path(__file__).parents[3] / "bench/reviewed.json").read_text(encoding="utf-8"))
    assert rows
    assert all(len(row) == 3 and len(row[2]) > 10 for row in rows)
    assert not any("video/" in name for row in rows for name in row[:2]), "frames are not judged by eye"
