"""One file, one read, one decode: everything, or a Failure of the right kind."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pipeline.decode
from pipeline.measuring import MeasureTask, measure, remodel
from pipeline.previewing import decode_preview
from pipeline.settings import DecodeSettings, QualitySettings
from store.records import Failure, FailureKind, Measurement, Observation
from store.rows import IMAGE_ROW, image_of, row_of
from tests.unit.pipeline.test_hashing import scene


def measured(path: Path, **limits: int) -> Measurement | Failure:
    return measure(MeasureTask(os.fsdecode(path), 128), DecodeSettings(**limits), QualitySettings())


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), scene(3, 700, 500)[..., ::-1])
    return path


def test_a_picture_gives_everything(photo: Path) -> None:
    result = measured(photo)
    assert isinstance(result, Measurement)
    assert (result.picture.width, result.picture.height, result.picture.format) == (700, 500, "JPEG")
    assert result.hashes.sha256 == hashlib.sha256(photo.read_bytes()).digest()
    assert result.hashes.hashable
    assert result.stat.size == photo.stat().st_size
    assert max(decode_preview(result.preview).shape) == 384
    assert result.model_input.shape == (128, 128, 3)
    assert np.array_equal(result.model_input, remodel(result.preview, 128))
    assert result.quality.detail == pytest.approx(0.35, rel=0.1)


def test_measuring_twice_gives_the_same(photo: Path) -> None:
    first, second = measured(photo), measured(photo)
    assert isinstance(first, Measurement) and isinstance(second, Measurement)
    assert (first.picture, first.quality, first.hashes, first.preview) == (
        second.picture, second.quality, second.hashes, second.preview,
    )  # fmt: skip


def test_names_that_are_no_text_are_measured(photo: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(photo.parent) + b"/-\xff\n\x1b.jpg"))
    photo.rename(odd)
    result = measured(odd)
    assert isinstance(result, Measurement)
    assert result.stat.path == os.fsdecode(odd)


def test_each_trouble_has_its_kind(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(photo.read_bytes()[:-500])
    (tmp_path / "page.jpg").write_bytes(b"<html></html>")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 64)
    os.mkfifo(tmp_path / "pipe.jpg")
    kinds = {name: measured(tmp_path / name) for name in ("cut.jpg", "page.jpg", "phone.heic", "pipe.jpg", "none.jpg")}
    assert {name: failure.kind for name, failure in kinds.items() if isinstance(failure, Failure)} == {
        "cut.jpg": FailureKind.CORRUPT,
        "page.jpg": FailureKind.CORRUPT,
        "phone.heic": FailureKind.UNREADABLE,
        "pipe.jpg": FailureKind.VANISHED,
        "none.jpg": FailureKind.VANISHED,
    }
    cut = kinds["cut.jpg"]
    assert isinstance(cut, Failure) and cut.stat is not None and cut.sha256 is not None and cut.reason
    for limits in ({"max_pixels": 1000}, {"max_bytes": 1000}):
        failure = measured(photo, **limits)
        assert isinstance(failure, Failure) and failure.kind is FailureKind.TOO_LARGE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_unreadable(photo: Path) -> None:
    photo.chmod(0)
    failure = measured(photo)
    assert isinstance(failure, Failure) and failure.kind is FailureKind.UNREADABLE


def test_want_of_memory_is_a_verdict(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline.decode, "decode", decode)
    failure = measured(photo)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.reason) == (FailureKind.TOO_LARGE, "needs too much memory")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(place=st.floats(0.02, 0.98), junk=st.binary(min_size=1, max_size=40))
def test_no_damage_raises(photo: Path, tmp_path: Path, place: float, junk: bytes) -> None:
    data = bytearray(photo.read_bytes())
    start = int(len(data) * place)
    data[start : start + len(junk)] = junk
    (tmp_path / "damaged.jpg").write_bytes(data)
    assert isinstance(measured(tmp_path / "damaged.jpg"), Measurement | Failure)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5), (64, 31)])
def test_the_smallest_and_thinnest_pictures_are_measured(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "thin.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8))
    result = measured(path)
    assert isinstance(result, Measurement)
    assert np.isfinite([result.quality.sharpest, result.quality.detail, result.quality.entropy]).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (16, 16), (33, 90), (160, 120), (701, 503)])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_what_was_measured_comes_back_from_its_row(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), cv2.resize(scene(3), size, interpolation=cv2.INTER_AREA))
    seen = measure(MeasureTask(str(path), 64), DecodeSettings(), QualitySettings())
    assert isinstance(seen, Measurement)
    observation = Observation(seen.stat.size, seen.picture, seen.quality, seen.hashes, seen.traces)
    row = row_of(1, observation)
    columns = [name.strip().split(".") for name in IMAGE_ROW.split(" FROM ")[0].split(",")]
    head = [1, seen.hashes.sha256, seen.stat.size, None, None]
    assert image_of([*head, *(row.get(name) for table, name in columns if table == "o")]).observation == observation
