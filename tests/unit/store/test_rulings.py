"""Rulings in the catalog: by content, newest last, and no number twice."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.catalog import Catalog
from store.records import FileStat, Ruling, RulingKind

A, B, C = (hashlib.sha256(name).digest() for name in (b"a", b"b", b"c"))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    yield made
    made.close()


def test_rulings_come_back_oldest_first(catalog: Catalog) -> None:
    first = catalog.rulings.add(RulingKind.NOT_DUPLICATES, sorted([(A, "/hot/a"), (B, os.fsdecode(b"/hot/\xff"))]), 5)
    second = catalog.rulings.add(RulingKind.KEEP_THIS, [(C, "c")], 6)
    assert catalog.rulings.all() == [first, second]
    assert (first.kind, first.ruled_ns, set(first.hashes)) == (RulingKind.NOT_DUPLICATES, 5, {A, B})
    assert catalog.rulings.count() == 2


def test_a_number_is_never_used_again(catalog: Catalog) -> None:
    first = catalog.rulings.add(RulingKind.KEEP_ALL, [(A, "a")], 1)
    catalog.rulings.remove([first.id])
    assert catalog.rulings.all() == []
    assert catalog.rulings.add(RulingKind.KEEP_ALL, [(A, "a")], 2).id > first.id
    assert catalog.rulings.hashes_starting(A.hex()) == [A]


def test_hashes_are_found_by_their_first_digits(catalog: Catalog) -> None:
    catalog.add_image(A, 1, None, "")
    catalog.rulings.add(RulingKind.KEEP_ALL, [(B, "b")], 1)
    assert catalog.rulings.hashes_starting(A.hex()[:7]) == [A], "an odd number of digits too"
    assert catalog.rulings.hashes_starting(B.hex()) == [B], "what was ruled on is known by that"
    assert sorted(catalog.rulings.hashes_starting("")) == sorted([A, B])
    assert catalog.rulings.hashes_starting(C.hex()) == []


def test_a_ruling_outlives_the_image(catalog: Catalog) -> None:
    image_id = catalog.add_image(A, 1, None, "")
    ruling = catalog.rulings.add(RulingKind.KEEP_THIS, [(A, "a")], 1)
    catalog.mark_orphans([image_id], 1)
    assert catalog.forget_orphans(2) == [(image_id, A)]
    assert catalog.rulings.all() == [Ruling(ruling.id, RulingKind.KEEP_THIS, ((A, "a"),), 1)]


def test_a_file_taken_back_unseen_is_known_when_it_is_seen(catalog: Catalog) -> None:
    folder = catalog.put_folder("/hot", protected=False)
    image_id, other_id = catalog.add_image(A, 1, None, ""), catalog.add_image(B, 1, None, "")
    catalog.rulings.remember_return("/hot/a", A, 7)

    def put(path: str, image: int) -> bool:
        catalog.put_file(folder.id, FileStat(path, 1, 2, 3, 4, 5), image)
        file = catalog.file(path)
        assert file is not None
        return file.returned

    assert not put("/hot/b", image_id), "another place"
    assert not put("/hot/a", other_id), "another content"
    assert put("/hot/a", image_id)
    catalog.remove_file(catalog.files_of([image_id])[image_id][1].id)
    assert not put("/hot/a", image_id), "it is told once"
