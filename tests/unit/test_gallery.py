"""The album tells the truth about its files: everything else is tested against it."""

from io import BytesIO
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from store.records import MatchKind, VerdictKind
from tests.gallery import Album, AlbumFile, draw, write_album
from tests.scenes import PAINTERS

# One worker draws the album once for all tests of this file.
pytestmark = pytest.mark.xdist_group("gallery")


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    return write_album(tmp_path_factory.mktemp("album"), seed=7)


def pixels(album: Album, file: AlbumFile) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Pillow.open(album.path(file)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def of(album: Album, made: str) -> list[AlbumFile]:
    found = [file for file in album.files if file.made == made]
    assert found, made
    return found


def original(album: Album, file: AlbumFile) -> AlbumFile:
    keeper = album.keeper(file)
    assert keeper is not None
    return keeper


def test_every_kind_of_trouble_is_there(album: Album) -> None:
    assert {file.verdict for file in album.files} == set(VerdictKind)
    assert {file.match for file in album.files} == {
        None,
        MatchKind.EXACT,
        MatchKind.PIXELS,
        MatchKind.COPY,
        MatchKind.EDITED,
    }
    assert sum(file.made == "original" for file in album.files) == 24


def test_names_are_unique_even_without_their_folder(album: Album) -> None:
    assert len({album.path(file).name for file in album.files}) == len(album.files)
    assert sorted(path for path in album.folder.rglob("*") if path.is_file()) == sorted(
        album.path(file) for file in album.files
    )


def test_originals_are_far_apart_for_hashes(album: Album) -> None:
    hashes = [imagehash.phash(Pillow.fromarray(pixels(album, file))) for file in of(album, "original")]
    nearest = min(one - other for index, one in enumerate(hashes) for other in hashes[:index])
    assert nearest > 12


def test_exact_copies_have_the_same_bytes(album: Album) -> None:
    for file in of(album, "copied"):
        assert album.path(file).read_bytes() == album.path(original(album, file)).read_bytes()


@pytest.mark.parametrize("made", ["repacked", "stripped"])
def test_pixel_copies_have_other_bytes_and_the_same_pixels(album: Album, made: str) -> None:
    for file in of(album, made):
        keeper = original(album, file)
        assert album.path(file).stat().st_size < album.path(keeper).stat().st_size
        assert np.array_equal(pixels(album, file), pixels(album, keeper))


def test_turned_copies_stand_upright_once_their_tag_is_read(album: Album) -> None:
    for file in of(album, "turned"):
        keeper = pixels(album, original(album, file))
        with Pillow.open(album.path(file)) as stored:
            assert stored.size == keeper.shape[:2]
        assert np.abs(pixels(album, file).astype(int) - keeper).mean() < 6


def test_edited_copies_differ_in_one_place_only(album: Album) -> None:
    for file in of(album, "sticker"):
        copy = pixels(album, file)
        height, width = copy.shape[:2]
        keeper = cv2.resize(pixels(album, original(album, file)), (width, height), interpolation=cv2.INTER_AREA)
        far = cv2.blur(np.abs(copy.astype(np.int16) - keeper).mean(axis=2), (9, 9)) > 25
        assert 0.04 < far.mean() < 0.3
        assert far[: int(height * 0.6)].mean() < 0.02


def test_rejects_are_far_beyond_the_limits(album: Album) -> None:
    for file in album.files:
        if file.verdict is VerdictKind.CORRUPT:
            with pytest.raises(OSError), Pillow.open(BytesIO(album.path(file).read_bytes())) as picture:
                picture.load()
            continue
        grey = cv2.cvtColor(pixels(album, file), cv2.COLOR_RGB2GRAY)
        sharpness, brightness = float(cv2.Laplacian(grey, cv2.CV_64F).var()), float(grey.mean())
        assert (brightness < 10) == (file.verdict is VerdictKind.DARK)
        assert (brightness > 220) == (file.verdict is VerdictKind.BRIGHT)
        dull = (VerdictKind.BLUR, VerdictKind.DARK, VerdictKind.BRIGHT)
        assert sharpness < 10 if file.verdict in dull else sharpness > 75, file


def test_originals_outrank_their_copies(album: Album) -> None:
    for file in album.files:
        if file.match is None:
            continue
        keeper = original(album, file)
        assert album.path(keeper).stat().st_mtime_ns < album.path(file).stat().st_mtime_ns
        assert album.path(keeper).stat().st_size >= album.path(file).stat().st_size
        assert pixels(album, keeper).size >= pixels(album, file).size


def test_waves_deal_every_file_once(album: Album) -> None:
    waves = album.waves(3)
    assert [len(wave) > 10 for wave in waves] == [True] * 3
    assert sorted(path for wave in waves for path in wave) == sorted(album.path(f) for f in album.files)


def test_the_same_seed_draws_the_same_album(tmp_path: Path) -> None:
    first, again, other = (write_album(tmp_path / name, seed, 4) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert first.files == again.files
    for file in first.files:
        assert first.path(file).read_bytes() == again.path(file).read_bytes()
        assert first.path(file).stat().st_mtime_ns == again.path(file).stat().st_mtime_ns
    assert {first.path(f).read_bytes() for f in first.files}.isdisjoint(other.path(f).read_bytes() for f in other.files)


@pytest.mark.parametrize("size", [(64, 48), (97, 31), (31, 97)])
def test_every_scene_can_be_drawn_at_odd_sizes(size: tuple[int, int]) -> None:
    for seed in range(len(PAINTERS)):
        picture = draw(seed, size)
        assert picture.shape == (size[1], size[0], 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 10
