"""The tally of a scan against the plan: what counts as found, as wrong, as the right keeper."""

from typing import Any

import pytest

from bench.album import COPY, LOOKALIKE, ORIGINAL, REAL, Item
from bench.program import keepers, outcome, overall, recall, tally, wrong_removals

NOBODY: frozenset[frozenset[str]] = frozenset()


def item(path: str, role: str, family: int, kind: str = "", paired: bool = True) -> Item:
    return Item(path, role, family, "folder", f"/photos/folder/{path}", kind=kind, paired=paired)


def entry(verdict: str = "keep", keeper: str | None = None, kind: str = "copy") -> dict[str, Any]:
    evidence = None if keeper is None else {"kind": kind}
    return {"verdict": verdict, "keeper": keeper, "evidence": evidence, "reason": "because"}


PLAN = [
    item("a", ORIGINAL, 0),
    item("a1", COPY, 0, "jpeg"),
    item("b", ORIGINAL, 1),
    item("b1", COPY, 1, "text"),
    item("c", LOOKALIKE, 2, paired=False),
]


def log(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one.path: entry() for one in PLAN} | changes


FAMILY = {one.path: one.family for one in PLAN}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"a1": entry("duplicate", "a")}, "duplicate"),
        ({"a": entry("duplicate", "a1")}, "duplicate"),  # the original stands behind its copy: found, wrong keeper
        ({"a1": entry("similar", "a", "edited")}, "edited"),
        ({"a": entry("similar", "a1", "similar")}, "similar"),
        ({"a1": entry("duplicate", "b")}, "wrong"),
        ({"a1": entry("similar", "b", "similar")}, "kept"),  # beside another picture, not taken from anybody
        ({"a1": entry("blur")}, "rejected"),
        ({"a": entry("dark")}, "alone"),
        ({}, "kept"),
    ],
)
def test_what_became_of_a_copy(entries: dict[str, dict[str, Any]], said: str) -> None:
    assert outcome(PLAN[1], PLAN[0], log(**entries), FAMILY) == said


def test_a_removal_is_wrong_when_it_crosses_families_unless_pixels_prove_it() -> None:
    wrong = log(c=entry("duplicate", "a"))
    assert [removal.path for removal in wrong_removals(PLAN, wrong, NOBODY)] == ["c"]
    for proven in ("exact", "pixels"):
        assert not wrong_removals(PLAN, log(c=entry("duplicate", "a", proven)), NOBODY)
    assert not wrong_removals(PLAN, log(c=entry("similar", "a", "edited")), NOBODY)
    looked_at = frozenset((frozenset(("folder/a", "folder/c")),))
    assert not wrong_removals(PLAN, wrong, looked_at)


def test_the_tally_counts_files_and_families() -> None:
    told = tally(PLAN, log(a1=entry("duplicate", "a"), b1=entry("similar", "b", "edited"), c=entry("blur")), NOBODY)
    assert (told["files"], told["distinct"], told["wrong_removals"], told["rejected_originals"]) == (5, 3, 0, 1)
    assert told["recall"] == {"jpeg": 1.0, "text": 1.0}
    assert told["right_keeper_of_families"] == 1
    assert told["families"] == 1
    told = tally(PLAN, log(a=entry("duplicate", "a1"), c=entry("duplicate", "b")), NOBODY)
    assert told["wrong_per_10k"] == 2000
    assert told["wrong_per_10k_at_most"] > 2000
    assert told["right_keeper_of_families"] == 0.5  # a lost to its copy; b kept its place before c
    assert told["families"] == 2


def test_edited_counts_for_kinds_that_add_something_and_not_for_others() -> None:
    counts = {"duplicate": 2, "edited": 1, "kept": 1, "rejected": 5}
    assert recall(counts, "text") == 0.75
    assert recall(counts, "jpeg") == 0.5


def test_the_right_keeper_is_the_original_of_a_pair_found() -> None:
    assert keepers(PLAN, log(a1=entry("duplicate", "a")), frozenset()) == {"jpeg": [1, 1]}
    assert keepers(PLAN, log(a=entry("duplicate", "a1")), frozenset()) == {"jpeg": [0, 1]}
    assert keepers(PLAN, log(), frozenset()) == {}
    # Similar to somebody else, the original still stays before its copy.
    beside = log(a1=entry("duplicate", "a"), a=entry("similar", "c", "similar"))
    assert keepers(PLAN, beside, frozenset()) == {"jpeg": [1, 1]}


def test_a_stripped_copy_is_worse_only_where_there_was_something_to_strip() -> None:
    plan = [item("a", ORIGINAL, 0), item("a1", COPY, 0, "metadata")]
    lost = {"a": entry("duplicate", "a1", "pixels"), "a1": entry()}
    assert keepers(plan, lost, frozenset("a")) == {}
    assert keepers(plan, lost, frozenset()) == {"metadata": [0, 1]}


def test_real_copies_are_told_apart_from_made_ones() -> None:
    plan = [*PLAN, item("r", REAL, 3, REAL, paired=False), item("r1", REAL, 3, REAL, paired=False)]
    entries = log(a1=entry("duplicate", "a"), r=entry(), r1=entry())
    told = tally(plan, entries, NOBODY) | {"keepers": keepers(plan, entries, frozenset())}
    assert told["recall"][REAL] == 0
    assert overall(told) == {"recall": 0.5, "right_keeper": 1.0, "right_keeper_pairs": 1.0}
