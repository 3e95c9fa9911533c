"""The total order of keepers, and its reasons."""

import itertools
import os
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grouping import outranks
from pipeline.keeper import (
    CriterionName,
    KeeperSettings,
    asks_for_originals,
    explain,
    primary_file,
    rank,
    reason,
)
from store.records import (
    CatalogFile,
    FileStat,
    Hashes,
    ImageState,
    Observation,
    Picture,
    Quality,
    VerdictKind,
)

DEFAULT = KeeperSettings()
CRITERIA = typing.get_args(CriterionName)
Candidate = tuple[ImageState, list[CatalogFile]]


def make_file(path: str = "/hot/a.jpg", mtime_ns: int = 1, *, protected: bool = False, file_id: int = 1) -> CatalogFile:
    stat = FileStat(path, 1, 1, 10, mtime_ns, 1)
    return CatalogFile(file_id, 1, protected, stat, 1, VerdictKind.KEEP, None, None, False)


def make(
    number: int, path: str = "/hot/a.jpg", mtime_ns: int = 1, *, protected: bool = False, sharpness: float = 200.0,
    detail: float = 1.0, width: int = 640, byte_size: int = 1000, tags: int = 0,
) -> Candidate:  # fmt: skip
    sha256 = number.to_bytes(32, "big")
    quality = Quality(sharpness, 120.0, 50.0, detail, 7.0, sharpness, 0.5, 200.0)
    picture = Picture(width, 480, "JPEG", sha256, tags)
    seen = Observation(byte_size, picture, quality, Hashes(sha256, 0, 0, True))
    image = ImageState(number, sha256, byte_size, None, "", seen)
    return image, [make_file(path, mtime_ns, protected=protected)]


def before(a: Candidate, b: Candidate, settings: KeeperSettings = DEFAULT) -> bool:
    return outranks(rank(*a, settings), rank(*b, settings))


candidates = st.builds(
    make,
    st.integers(1, 4),
    st.sampled_from(("/hot/a", "/hot/ab", "/hot/b", os.fsdecode(b"/hot/\xff"), "/hot/é")),
    st.integers(1, 2),
    protected=st.booleans(),
    sharpness=st.sampled_from((30.0, 150.0, 900.0)),
    detail=st.sampled_from((1.0, 2.0)),
    width=st.sampled_from((640, 800)),
    byte_size=st.sampled_from((1000, 2000)),
    tags=st.integers(0, 1),
)
orders = st.lists(st.sampled_from(CRITERIA), unique=True).map(lambda names: KeeperSettings(criteria=tuple(names)))


@given(candidates, candidates, orders)
def test_of_two_contents_exactly_one_outranks(a: Candidate, b: Candidate, settings: KeeperSettings) -> None:
    if a[0].sha256 == b[0].sha256:
        return
    assert before(a, b, settings) != before(b, a, settings)


@given(st.lists(candidates, min_size=3, max_size=3, unique_by=lambda c: c[0].sha256), orders)
def test_the_order_is_transitive(three: list[Candidate], settings: KeeperSettings) -> None:
    for a, b, c in itertools.permutations(three):
        assert not (before(a, b, settings) and before(b, c, settings)) or before(a, c, settings)


@given(candidates, candidates, orders)
def test_the_table_decides_what_the_order_decides(a: Candidate, b: Candidate, settings: KeeperSettings) -> None:
    if a[0].sha256 == b[0].sha256:
        return
    best, other = (a, b) if before(a, b, settings) else (b, a)
    rows = explain(best, other, settings)
    assert [row.criterion for row in rows] == ["protected", *(name.replace("_", " ") for name in settings.criteria)]
    decisive = [row for row in rows if row.decides]
    assert len(decisive) <= 1
    said = reason(best, other, settings)
    if decisive:
        assert decisive[0].keeper in said
    else:
        assert said == "equal in everything, first by content"
        assert best[0].sha256 > other[0].sha256


@pytest.mark.parametrize(
    ("better", "worse", "criterion"),
    [
        (make(1, protected=True), make(2, detail=9.0), "protected"),
        (make(1, sharpness=50.0), make(2, sharpness=49.0, detail=9.0), "sharp enough"),
        (make(1, detail=2.0, sharpness=101.0), make(2, sharpness=900.0, width=4000), "detail"),
        (make(1, width=800), make(2, byte_size=9999), "pixels"),
        (make(1, tags=3, mtime_ns=9), make(2, byte_size=9999), "metadata"),
        (make(1, byte_size=2000, mtime_ns=9), make(2), "bytes"),
        (make(1, "/hot/long-name.jpg", 1), make(2, "/b.jpg", 2), "older"),
        (make(1, "/hot/a.jpg"), make(2, "/hot/aa.jpg"), "path"),
        (make(1, "/hot/a.jpg"), make(2, "/hot/b.jpg"), "path"),
    ],
)
def test_the_default_order(better: Candidate, worse: Candidate, criterion: str) -> None:
    assert before(better, worse)
    assert [row.criterion for row in explain(better, worse, DEFAULT) if row.decides] == [criterion]


def test_an_original_outranks_what_merit_would_prefer_if_it_is_sharp_enough() -> None:
    original, copy = make(1), make(2, detail=9.0, byte_size=9999)
    assert before(copy, original)
    assert outranks(rank(*original, DEFAULT, rounds_won=1), rank(*copy, DEFAULT))
    soft = make(3, sharpness=10.0)
    assert outranks(rank(*copy, DEFAULT), rank(*soft, DEFAULT, rounds_won=1))
    rows = explain(original, copy, DEFAULT, (1, 0))
    assert [(row.criterion, row.keeper, row.extra) for row in rows if row.decides] == [("original", "round 1", "–")]
    assert reason(original, copy, DEFAULT, (1, 0), "the other is enlarged") == (
        "it is the original: the other is enlarged"
    )
    assert reason(original, copy, DEFAULT, (1, 0)) == "it is the original"


def test_originals_count_only_where_they_are_asked_for() -> None:
    assert asks_for_originals(DEFAULT)
    assert not asks_for_originals(KeeperSettings(criteria=("older",)))
    assert not asks_for_originals(KeeperSettings(on_late_better="first"))
    oldest = KeeperSettings(criteria=("older",))
    assert rank(*make(1), oldest, rounds_won=1) == rank(*make(1), oldest)


def test_ties_end_at_the_content() -> None:
    assert before(make(2), make(1))
    assert reason(make(2), make(1), DEFAULT) == "equal in everything, first by content"


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [("metadata", make(1, tags=3), make(2, tags=2)), ("newer", make(1, mtime_ns=9), make(2, mtime_ns=1))],
)
def test_the_criteria_that_are_not_default(name: CriterionName, better: Candidate, worse: Candidate) -> None:
    assert before(better, worse, KeeperSettings(criteria=(name,)))


def test_an_image_that_cannot_be_decoded_ranks_below_any_other() -> None:
    unseen = ImageState(9, b"\xff" * 32, 10**9, VerdictKind.CORRUPT, "noise", None)
    assert before(make(1, sharpness=1.0, detail=0.001), (unseen, [make_file()]))


def test_first_keeps_what_was_there_first_but_for_protected_ones() -> None:
    first = KeeperSettings(on_late_better="first")
    assert before(make(1), make(2, detail=99.0), first)
    assert before(make(3, protected=True), make(1), first)
    assert [row.criterion for row in explain(make(1), make(2, detail=99.0), first) if row.decides] == ["first"]
    assert "first" in reason(make(1), make(2), first)


def test_the_primary_file_is_protected_then_oldest_then_shortest() -> None:
    files = [
        make_file("/hot/b", 2, file_id=1),
        make_file("/hot/a/long", 1, file_id=2),
        make_file("/hot/é", 1, file_id=3),
        make_file("/hot/xx", 1, file_id=4),
    ]
    assert primary_file(files).id == 4, "of two equally long in bytes the first"
    assert primary_file(files[:3]).id == 3
    guard = make_file("/archive/very/long/name", 99, protected=True, file_id=9)
    for order in itertools.permutations([*files, guard]):
        assert primary_file(order) == guard


def test_more_files_of_one_image_never_change_the_rank_but_by_the_primary() -> None:
    image, files = make(1, "/hot/a", 5)
    assert rank(image, [*files, make_file("/hot/z", 9, file_id=2)], DEFAULT) == rank(image, files, DEFAULT)
    assert rank(image, [*files, make_file("/hot/z", 1, file_id=2)], DEFAULT).key > rank(image, files, DEFAULT).key
