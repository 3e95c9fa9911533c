"""The catalog's contract: every fact comes back as it was put in."""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.catalog import Catalog
from store.database import sqlite3
from store.errors import NoCatalogError
from store.records import (
    CatalogFile,
    FileStat,
    Hashes,
    Level,
    Lineage,
    MatchKind,
    Observation,
    Picture,
    Quality,
    Relation,
    StoredLook,
    Traces,
    VerdictKind,
)

U64 = st.integers(0, (1 << 64) - 1)
I63 = st.integers(0, (1 << 63) - 1)
SIDE = st.integers(1, 1 << 31)
REAL = st.floats(0, 1e6, allow_nan=False)
NAMES = st.binary(min_size=1, max_size=40).map(lambda raw: os.fsdecode(b"/hot/" + raw.replace(b"\0", b"0")))
ON_ONE_CATALOG = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    made.put_folder("/hot", protected=False)
    yield made
    made.close()


def sha(number: int) -> bytes:
    return number.to_bytes(32, "big")


def stat(path: str, inode: int = 1, mtime_ns: int = 1) -> FileStat:
    return FileStat(path, 1, inode, 10, mtime_ns, 2)


def observation(number: int, phash: int = 0, dhash: int = 0, *, hashable: bool = True) -> Observation:
    picture = Picture(640, 480, "JPEG", sha(number), 3)
    quality = Quality(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    return Observation(10, picture, quality, Hashes(sha(number), phash, dhash, hashable))


def put(catalog: Catalog, path: str, number: int, inode: int = 1) -> CatalogFile:
    """Put a file with content of a number at a path; return it."""
    image_id = catalog.image_id(sha(number)) or catalog.add_image(sha(number), 10, None, "")
    catalog.put_file(1, stat(path, inode), image_id)
    file = catalog.file(path)
    assert file is not None
    return file


@ON_ONE_CATALOG
@given(
    name=NAMES, device=U64, inode=U64, size=I63, mtime=st.integers(-(1 << 63), (1 << 63) - 1), ctime=I63,
    verdict=st.sampled_from(VerdictKind),
)  # fmt: skip
def test_files_come_back(
    catalog: Catalog, name: str, device: int, inode: int, size: int, mtime: int, ctime: int, verdict: VerdictKind
) -> None:
    image_id = catalog.image_id(sha(1)) or catalog.add_image(sha(1), 10, None, "")
    put_in = FileStat(name, device, inode, size, mtime, ctime)
    catalog.put_file(1, put_in, image_id)
    found = catalog.file(name)
    assert found is not None
    assert found.stat == put_in
    catalog.set_verdict(found.id, verdict)
    expected = dataclasses.replace(found, verdict=verdict)
    assert catalog.file_by_id(found.id) == expected
    assert expected in catalog.files_of([image_id])[image_id]
    assert expected in catalog.files_in(1)
    assert expected in catalog.files_with([verdict])
    same_body = catalog.file_with_body(put_in)
    assert same_body is not None
    assert same_body.stat.inode == inode


@ON_ONE_CATALOG
@given(
    st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), U64, U64, st.booleans(),
    st.builds(Quality, *[REAL] * 8), st.tuples(SIDE, SIDE), I63, st.integers(0, 65535),
)  # fmt: skip
def test_images_and_observations_come_back(
    catalog: Catalog, sha256: bytes, pixels: bytes, phash: int, dhash: int, hashable: bool, quality: Quality,
    size: tuple[int, int], byte_size: int, tags: int,
) -> None:  # fmt: skip
    if catalog.image_id(sha256) is not None:
        return
    image_id = catalog.add_image(sha256, byte_size, VerdictKind.BLUR, "soft")
    assert catalog.image(image_id).observation is None
    seen = Observation(byte_size, Picture(*size, "WEBP", pixels, tags), quality, Hashes(sha256, phash, dhash, hashable))
    catalog.put_observation(image_id, seen)
    image = catalog.image(image_id)
    assert image.observation == seen
    assert (image.sha256, image.byte_size, image.reject, image.reject_reason) == (
        sha256, byte_size, VerdictKind.BLUR, "soft",
    )  # fmt: skip
    assert catalog.images([image_id]) == {image_id: image}
    assert catalog.image_id(sha256) == image_id
    assert image_id in catalog.same_pixels(pixels)
    ids, phashes, dhashes = catalog.hash_rows()
    assert phashes.dtype == dhashes.dtype == np.dtype(np.uint64)
    rows = dict(zip(ids.tolist(), zip(phashes.tolist(), dhashes.tolist(), strict=True), strict=True))
    assert rows.get(image_id) == ((phash, dhash) if hashable else None)
    catalog.set_reject(image_id, None, "")
    assert catalog.image(image_id).reject is None


def test_what_was_put_in_is_there_after_a_restart_for_readers_too(catalog: Catalog) -> None:
    file = put(catalog, "/hot/a", 1, inode=(1 << 64) - 1)
    reader = Catalog(catalog.path, read_only=True)
    assert reader.file("/hot/a") == file
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.set_verdict(file.id, VerdictKind.BLUR)
    reader.close()


def test_there_is_no_reading_without_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(NoCatalogError, match="no catalog"):
        Catalog(tmp_path / "none.sqlite3", read_only=True)


def test_unknown_things_are_none_and_an_unknown_image_is_an_error(catalog: Catalog) -> None:
    assert catalog.file("/hot/none") is None
    assert catalog.file_by_id(99) is None
    assert catalog.file_of_entry(99) is None
    assert catalog.file_lying_at("/q/none") is None
    assert catalog.image_id(sha(9)) is None
    assert catalog.embedding(9, "model") is None
    assert catalog.images([9]) == {}
    with pytest.raises(KeyError):
        catalog.image(9)


def test_a_quarantined_file_and_a_newcomer_share_a_home(catalog: Catalog) -> None:
    old = put(catalog, "/hot/a.jpg", 1)
    catalog.set_away(old.id, "/q/duplicates/a.jpg", 7)
    assert catalog.file("/hot/a.jpg") is None
    new = put(catalog, "/hot/a.jpg", 2)
    assert new.id != old.id
    assert new.entry_id is None
    away = catalog.file_lying_at("/q/duplicates/a.jpg")
    assert away is not None
    assert (away.id, away.stat.path, away.entry_id) == (old.id, "/hot/a.jpg", 7)
    assert catalog.file_of_entry(7) == away
    assert catalog.files_away() == [away]
    catalog.set_away(new.id, "/q/duplicates/a-2.jpg", 8)
    assert len(list(catalog.files_in(1))) == 2, "two away share a home as well"
    catalog.set_home(old.id, stat("/hot/a.jpg", 5), None)
    with pytest.raises(sqlite3.IntegrityError):
        catalog.set_home(new.id, stat("/hot/a.jpg", 6), None)


def test_a_copied_file_is_at_home_and_known_by_its_entry(catalog: Catalog) -> None:
    file = put(catalog, "/hot/a.jpg", 1)
    catalog.set_away(file.id, None, 3)
    found = catalog.file("/hot/a.jpg")
    assert found is not None
    assert (found.lies_at, found.entry_id) == (None, 3)
    again = put(catalog, "/hot/a.jpg", 1)
    assert again.entry_id == 3, "the same content seen again is the same file"
    changed = put(catalog, "/hot/a.jpg", 2)
    assert (changed.id, changed.entry_id) == (file.id, None), "other content at the path has no history"


def test_a_file_that_a_person_took_back_is_marked_until_its_content_changes(catalog: Catalog) -> None:
    file = put(catalog, "/hot/a.jpg", 1)
    catalog.set_away(file.id, "/q/a.jpg", 3)
    catalog.set_home(file.id, stat("/hot/a (2).jpg"), 99)
    back = catalog.file("/hot/a (2).jpg")
    assert back is not None
    assert (back.returned, back.entry_id, back.lies_at) == (True, None, None)
    assert put(catalog, "/hot/a (2).jpg", 1).returned
    assert not put(catalog, "/hot/a (2).jpg", 2).returned


def test_many_ids_go_through_in_chunks(catalog: Catalog) -> None:
    with catalog.transaction():
        ids = [put(catalog, f"/hot/{n}", n).image_id for n in range(1, 1300)]
    assert set(catalog.files_of(ids)) == set(catalog.images(ids)) == set(ids)
    assert catalog.image_ids() == ids


def test_folders_keep_their_id_and_take_a_new_role(catalog: Catalog) -> None:
    name = os.fsdecode(b"/media/caf\xe9")
    folder = catalog.put_folder(name, protected=False)
    assert catalog.put_folder(name, protected=True).id == folder.id
    assert [(f.path, f.protected) for f in catalog.folders()] == [("/hot", False), (name, True)]
    assert catalog.folder_identity(folder.id) == ("", None, None)
    catalog.note_identity(folder.id, "marker", 5, 6)
    assert catalog.folder_identity(folder.id) == ("marker", 5, 6)
    put(catalog, "/hot/a", 1)
    assert catalog.folder_counts() == {"/hot": 1, name: 0}


def test_a_folder_on_a_file_system_with_64_bit_inodes(catalog: Catalog) -> None:
    huge = (1 << 64) - 2
    catalog.note_identity(1, "marker", huge, huge - 1)
    assert catalog.folder_identity(1) == ("marker", huge, huge - 1)


def test_embeddings_are_kept_as_float16_and_found_in_order(catalog: Catalog) -> None:
    ids = [put(catalog, f"/hot/{n}", n).image_id for n in range(1, 5)]
    vectors = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    for image_id, vector in zip(reversed(ids), vectors[::-1], strict=True):
        catalog.put_embedding(image_id, "m1", vector)
    rounded = vectors.astype(np.float16).astype(np.float32)
    stored = catalog.embedding(ids[0], "m1")
    assert stored is not None
    assert np.array_equal(stored, rounded[0])
    found, rows = catalog.embeddings_after("m1", ids[0], 2)
    assert found.tolist() == ids[1:3]
    assert np.array_equal(rows, rounded[1:3])
    assert catalog.embeddings_after("m1", ids[-1], 2)[0].tolist() == []
    assert catalog.count_embeddings("m1") == 4
    assert catalog.newest_embedding("m1") == ids[-1]
    assert (catalog.count_embeddings("m2"), catalog.newest_embedding("m2")) == (0, 0)


def test_models_do_not_mix(catalog: Catalog) -> None:
    image_id = put(catalog, "/hot/a", 1).image_id
    catalog.put_observation(image_id, observation(1))
    catalog.put_embedding(image_id, "m1", np.ones(4, np.float32))
    assert catalog.without_embedding("m1", 9) == []
    assert catalog.without_embedding("m2", 9) == [(image_id, sha(1))]
    catalog.put_embedding(image_id, "m2", np.zeros(4, np.float32))
    assert catalog.drop_other_models("m2") == 1
    assert (catalog.count_embeddings("m1"), catalog.count_embeddings("m2")) == (0, 1)


def test_rejects_need_no_embedding_unless_protected(catalog: Catalog) -> None:
    image_id = catalog.add_image(sha(1), 10, VerdictKind.DARK, "dark")
    catalog.put_observation(image_id, observation(1))
    catalog.put_file(1, stat("/hot/a"), image_id)
    assert catalog.without_embedding("m", 9) == []
    archive = catalog.put_folder("/archive", protected=True)
    catalog.put_file(archive.id, stat("/archive/a"), image_id)
    assert catalog.without_embedding("m", 9) == [(image_id, sha(1))]


def test_a_model_whose_first_embedding_was_rolled_back_can_be_used_again(catalog: Catalog) -> None:
    image_id = put(catalog, "/hot/a", 1).image_id
    with pytest.raises(KeyboardInterrupt), catalog.transaction():
        catalog.put_embedding(image_id, "m", np.ones(4, np.float32))
        raise KeyboardInterrupt
    catalog.put_embedding(image_id, "m", np.ones(4, np.float32))
    assert catalog.count_embeddings("m") == 1


def test_images_without_a_file_are_forgotten_in_time(catalog: Catalog) -> None:
    file = put(catalog, "/hot/a", 1)
    other = put(catalog, "/hot/b", 2).image_id
    catalog.put_observation(file.image_id, observation(1))
    catalog.put_embedding(file.image_id, "m", np.ones(4, np.float32))
    catalog.relations.put_look(file.image_id, other, "v", StoredLook(None, "unlike"))
    catalog.remove_file(file.id)
    catalog.mark_orphans([file.image_id, other], 100)
    catalog.mark_orphans([file.image_id], 200)  # it stays an orphan since the first time
    assert catalog.count_images() == 1
    assert catalog.forget_orphans(100) == []
    assert catalog.forget_orphans(101) == [(file.image_id, sha(1))]
    assert (catalog.count_removals(), catalog.count_embeddings("m")) == (1, 0)
    assert catalog.relations.look(file.image_id, other, "v") is None
    fresh = catalog.add_image(sha(3), 10, None, "")
    assert fresh > max(file.image_id, other), "ids are never used twice"


def test_an_image_that_comes_back_is_no_orphan(catalog: Catalog) -> None:
    file = put(catalog, "/hot/a", 1)
    catalog.remove_file(file.id)
    catalog.mark_orphans([file.image_id], 100)
    put(catalog, "/hot/b", 1)
    catalog.mark_orphans([file.image_id], 200)
    assert catalog.forget_orphans(1000) == []


def test_standings_and_looks_come_back(catalog: Catalog) -> None:
    a, b = (put(catalog, f"/hot/{n}", n).image_id for n in (1, 2))
    relations = catalog.relations
    relations.put_standing(Level.DUPLICATES, a, a)
    relations.put_standing(Level.DUPLICATES, b, b)
    relations.put_standing(Level.DUPLICATES, b, a)
    relations.put_standing(Level.SIMILAR, a, a)
    assert relations.standings(Level.DUPLICATES).tolist() == [[a, a], [b, a]]
    assert relations.keeper_of(Level.DUPLICATES, b) == a
    assert relations.keeper_of(Level.SIMILAR, b) is None
    assert relations.extras_of(Level.DUPLICATES, a) == [b]
    assert relations.count_extras(Level.DUPLICATES) == {a: 1}
    assert relations.count_extras(Level.SIMILAR) == {}
    assert catalog.count_groups() == 1
    relations.put_standing(Level.DUPLICATES, b, None)
    assert relations.standings(Level.DUPLICATES).tolist() == [[a, a]]
    relations.clear_standings()
    assert relations.standings(Level.SIMILAR).shape == (0, 2)
    lineage = Lineage(Relation.MARKED, 2, 0.75, 1.0)
    for look in (StoredLook(MatchKind.EDITED, "a sticker", lineage), StoredLook(None, "unlike")):
        relations.put_look(a, b, "v1", look)
        assert relations.look(a, b, "v1") == look
        assert relations.look(a, b, "v2") is None, "another verifier looks for itself"


def test_drafts_are_kept_apart_from_standings(catalog: Catalog) -> None:
    a, b = (put(catalog, f"/hot/{n}", n).image_id for n in (1, 2))
    catalog.drafts.put_standing(Level.DUPLICATES, a, b)
    assert catalog.relations.standings(Level.DUPLICATES).shape == (0, 2)
    assert catalog.drafts.keeper_of(Level.DUPLICATES, a) == b
    assert catalog.count_groups() == 0
    catalog.relations.clear_standings()
    assert catalog.drafts.extras_of(Level.DUPLICATES, b) == [a]
    catalog.drafts.clear_standings()
    assert catalog.drafts.standings(Level.DUPLICATES).shape == (0, 2)


def test_traces_come_back_and_may_be_missing(catalog: Catalog) -> None:
    image_id = put(catalog, "/hot/a", 1).image_id
    catalog.put_observation(image_id, observation(1))
    assert catalog.image(image_id).observation == observation(1)
    traces = Traces(bytes(range(20)), 0.2, 1.5, 0.01, 2.5, 8.25, 31.0, 0.125)
    full = replace(traces, rhythm=bytes(range(256)), blocks=b"blocks")
    blocks, patches = bytes(15 + 30 * 64), bytes(range(256)) * 9 + bytes(64)
    fullest = replace(full, levels=b"\x07\x0a\x80\x20", patches=patches, blocks=blocks)
    small = replace(fullest, blocks=blocks[: 15 + 30 * 48])
    tiny = replace(traces, spectrum=b"")
    earlier = (replace(fullest, levels=levels) for levels in (b"\x07", b"\x07\x0a"))  # as an earlier dedupd wrote them
    for each in (traces, full, replace(full, blocks=blocks), fullest, small, *earlier, tiny):
        traced = replace(observation(1), traces=each)
        catalog.put_observation(image_id, traced)
        assert catalog.image(image_id).observation == traced


def test_memory_of_settings(catalog: Catalog) -> None:
    assert catalog.remembered("key") is None
    catalog.remember("key", "one")
    catalog.remember("key", "two ü")
    assert catalog.remembered("key") == "two ü"


def test_counts_by_verdict(catalog: Catalog) -> None:
    for n, verdict in enumerate((VerdictKind.KEEP, VerdictKind.KEEP, VerdictKind.BLUR)):
        catalog.set_verdict(put(catalog, f"/hot/{n}", n + 1).id, verdict)
    assert catalog.verdict_counts() == {"keep": 2, "blur": 1}


def test_integrity_is_checked(catalog: Catalog) -> None:
    assert catalog.integrity_problems() == []
    file = put(catalog, "/hot/a", 1)
    catalog.database.conn.execute("PRAGMA foreign_keys=OFF")
    catalog.database.conn.execute("DELETE FROM images WHERE id = ?", (file.image_id,))
    assert any("references" in problem for problem in catalog.integrity_problems())
