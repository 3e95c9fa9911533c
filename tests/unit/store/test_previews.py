"""Previews: found by content, torn ones noticed, nothing of another's touched."""

import hashlib
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import StateError
from store.previews import Previews

JPEG = b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"


def key(number: int) -> bytes:
    return hashlib.sha256(bytes([number])).digest()


@pytest.fixture
def previews(tmp_path: Path) -> Previews:
    return Previews(tmp_path / "previews")


def test_keeps_what_is_written_where_it_says(previews: Previews) -> None:
    assert previews.read(key(1)) is None
    assert not previews.has(key(1))
    previews.write(key(1), JPEG)
    assert previews.read(key(1)) == JPEG
    assert previews.has(key(1))
    name = key(1).hex()
    assert previews.path_of(key(1)) == previews.folder / name[:2] / f"{name}.jpg"
    assert previews.bytes_used() == len(JPEG)
    previews.remove(key(1))
    previews.remove(key(1))
    assert not previews.has(key(1))


def test_keeps_a_page_beside_a_preview(previews: Previews) -> None:
    page = JPEG[:2] + b"page" + JPEG[-2:]
    assert previews.read_page(key(1)) == b""
    previews.write(key(1), JPEG, page)
    previews.write(key(2), JPEG, page)
    assert previews.read(key(1)) == JPEG and previews.read_page(key(1)) == page
    assert previews.bytes_used() == 2 * (len(JPEG) + len(page))
    assert previews.prune(lambda sha256: sha256 == key(1)) == 2
    assert previews.read_page(key(1)) == page and not previews.read_page(key(2))
    previews.write(key(1), JPEG)  # measured again, it is no page
    assert previews.read_page(key(1)) == b"" and previews.has(key(1))
    previews.write(key(1), JPEG, page)
    previews.remove(key(1))
    assert previews.read_page(key(1)) == b"" and not previews.bytes_used()


def test_a_torn_page_is_none(previews: Previews) -> None:
    previews.write(key(1), JPEG, JPEG)
    next(previews.folder.rglob("*.page")).write_bytes(JPEG[:-1])
    assert previews.read_page(key(1)) == b""
    with pytest.raises(ValueError, match="whole"):
        previews.write(key(1), JPEG, JPEG[:-1])


@given(st.binary(max_size=40).filter(lambda sha256: len(sha256) != 32))
def test_only_a_sha256_names_a_preview(sha256: bytes) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Previews(Path()).path_of(sha256)


def test_only_the_owner_reads(previews: Previews) -> None:
    former = os.umask(0)
    try:
        previews.write(key(1), JPEG)
    finally:
        os.umask(former)
    for path in [previews.folder, *previews.folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_the_same_bytes_are_not_written_again(previews: Previews) -> None:
    previews.write(key(1), JPEG)
    before = previews.path_of(key(1)).stat()
    previews.write(key(1), JPEG)
    assert previews.path_of(key(1)).stat().st_ino == before.st_ino
    assert previews.path_of(key(1)).stat().st_mtime_ns == before.st_mtime_ns
    other = JPEG[:50] + b"\xff\xd9"
    previews.write(key(1), other)
    assert previews.read(key(1)) == other


def test_every_cut_is_noticed_and_made_good(previews: Previews) -> None:
    previews.write(key(1), JPEG)
    path = previews.path_of(key(1))
    for length in range(len(JPEG)):
        path.write_bytes(JPEG[:length])
        assert previews.read(key(1)) is None, length
    path.write_bytes(JPEG[:100] + bytes(len(JPEG) - 100))  # the length was on disk, the rest was not
    assert previews.read(key(1)) is None
    path.write_bytes(bytes(len(JPEG)))
    assert previews.read(key(1)) is None
    previews.write(key(1), JPEG)
    assert previews.read(key(1)) == JPEG


@pytest.mark.parametrize("wrong", [b"", b"\xff\xd8", b"\xff\xd8\xff", JPEG[:-1], b"GIF89a"])
def test_refuses_what_is_no_jpeg(previews: Previews, wrong: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        previews.write(key(1), wrong)
    assert not previews.has(key(1))


def test_prunes_what_is_not_kept_and_what_crashes_left(previews: Previews) -> None:
    for number in range(6):
        previews.write(key(number), JPEG)
    left = previews.path_of(key(1)).parent / "tmp123.part"
    left.write_bytes(JPEG[:9])
    foreign = previews.path_of(key(1)).parent / "notes.txt"
    foreign.write_text("mine")
    kept = {key(0), key(3)}
    assert previews.prune(kept.__contains__) == 5
    assert [number for number in range(6) if previews.has(key(number))] == [0, 3]
    assert foreign.exists()
    assert not left.exists()


def test_nothing_there_is_no_error(previews: Previews) -> None:
    assert previews.bytes_used() == 0
    assert previews.prune(lambda _: False) == 0


def test_a_full_disk_leaves_no_part(previews: Previews) -> None:
    previews.write(key(1), JPEG)
    large = JPEG[:2] + bytes(100_000) + JPEG[-2:]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StateError, match="cannot write the preview") as caught:
            previews.write(key(1), large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint
    assert previews.read(key(1)) == JPEG
    assert [path.name for path in previews.folder.rglob("*.part")] == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "previews").write_text("a file")
    with pytest.raises(StateError, match="cannot write the preview"):
        Previews(tmp_path / "previews").write(key(1), JPEG)
    assert Previews(tmp_path / "previews").read(key(1)) is None


def test_what_an_interrupted_write_left_is_in_nobodys_way(previews: Previews) -> None:
    part = previews.path_of(key(1)).with_suffix(".jpg.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of it")
    previews.write(key(1), JPEG)
    assert previews.read(key(1)) == JPEG
    assert not part.exists()
