"""Files that every viewer shows whole are pictures; those that break off are not."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.decode import DecodeSettings, LimitError, decode
from pipeline.mending import from_signature, with_end, without_damaged_notes
from store.errors import DecodeError
from tests.unit.pipeline.test_decode import encode
from tests.unit.pipeline.test_hashing import scene

SETTINGS = DecodeSettings()
PHOTO = Image.fromarray(scene(3, 480, 360))
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (320, 400, 3), np.uint8))
MODES: dict[str, dict[str, object]] = {
    "plain": {},
    "progressive": {"progressive": True},
    "all colours": {"subsampling": 0},
    "own tables": {"optimize": True},
    "restarts": {"restart_marker_blocks": 4},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("colours", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_mark_is_whole(mode: str, colours: str, missing: int) -> None:
    data = encode(PHOTO.convert(colours), "JPEG", **MODES[mode])
    whole, ended = decode(data, SETTINGS), decode(data[:-missing], SETTINGS)
    assert ended.format == "JPEG"
    assert np.array_equal(whole.rgb, ended.rgb)


@pytest.mark.parametrize("mode", ["plain", "all colours", "own tables"])
def test_a_jpeg_that_lost_a_block_is_a_picture_that_says_so(mode: str) -> None:
    data = encode(NOISE, "JPEG", **MODES[mode])
    whole, cut = decode(data, SETTINGS), decode(data[:-20], SETTINGS)
    assert cut.format == "JPEG, cut short"
    differing = (whole.rgb != cut.rgb).any(2)
    assert not differing[:-18].any() and differing.mean() < 0.005


@pytest.mark.parametrize("image", [PHOTO, NOISE, Image.new("RGB", (400, 300), (200, 200, 200))])
@pytest.mark.parametrize("mode", MODES)
def test_a_jpeg_that_breaks_off_is_damaged(image: Image.Image, mode: str) -> None:
    data = encode(image, "JPEG", **MODES[mode])
    for percent in range(10, 98, 8):
        with pytest.raises(DecodeError):
            decode(data[: len(data) * percent // 100], SETTINGS)


def test_a_jpeg_that_ends_before_a_restart_is_damaged() -> None:
    data = encode(PHOTO, "JPEG", restart_marker_blocks=4)
    restarts = [at for at in range(len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert len(restarts) > 100
    for at in restarts[::9]:
        for end in (at, at + 1, at + 2):
            assert with_end(data[:end]) is None


def test_a_jpeg_that_ends_between_two_scans_is_damaged() -> None:
    data = encode(PHOTO, "JPEG", progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans:
        assert with_end(data[:at]) is None
        with pytest.raises(DecodeError):
            decode(data[:at], SETTINGS)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
@pytest.mark.parametrize("before", [b"\n", b"\r\n", b"  \n"])
def test_line_ends_before_a_picture_do_not_count(name: str, before: bytes) -> None:
    data = encode(PHOTO, name)
    assert np.array_equal(decode(before + data, SETTINGS).rgb, decode(data, SETTINGS).rgb)


@pytest.mark.parametrize("before", [b"", b"\n" * 17, b"\nx", b"x"])
def test_anything_else_before_a_picture_counts(before: bytes) -> None:
    data = before + encode(PHOTO, "JPEG")
    assert from_signature(data) == data


@given(st.text("\n\r x", max_size=20))
def test_blanks_alone_are_left_alone(text: str) -> None:
    assert from_signature(text.encode()) == text.encode()


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


NOTES = [chunk(b"tEXt", b"Comment\0hello", 1), chunk(b"tIME", bytes(7), 9), chunk(b"prVt", b"what", 1)]


@pytest.mark.parametrize("note", NOTES)
def test_a_png_with_a_damaged_note_is_whole(note: bytes) -> None:
    data = encode(PHOTO, "PNG")
    for at in (33, len(data) - 12):
        found = decode(data[:at] + note + data[at:], SETTINGS)
        assert np.array_equal(found.rgb, np.asarray(PHOTO))


@pytest.mark.parametrize("kind", [b"IHDR", b"tRNS"])
def test_a_png_whose_picture_is_damaged_stays_so(kind: bytes) -> None:
    data = bytearray(encode(PHOTO, "PNG", transparency=(1, 2, 3)))
    at = data.index(kind)
    end = at + 4 + struct.unpack_from(">I", data, at - 4)[0]
    data[end] ^= 1
    note = chunk(b"tEXt", b"Comment\0hello", 1)
    for damaged in (bytes(data), bytes(data[:33]) + note + bytes(data[33:])):
        with pytest.raises(DecodeError):
            decode(damaged, SETTINGS)


def test_a_mended_picture_is_held_to_the_limits() -> None:
    png = encode(PHOTO, "PNG")
    with pytest.raises(LimitError):
        decode(png[:33] + NOTES[0] + png[33:], DecodeSettings(max_pixels=480 * 360 - 1))
    with pytest.raises(LimitError):
        decode(encode(PHOTO, "JPEG")[:-2], DecodeSettings(max_pixels=480 * 360 - 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12), st.floats(0, 1))
def test_chunks_that_lie_end_the_walk(changes: list[tuple[float, int]], share: float) -> None:
    data = bytearray(encode(Image.new("RGB", (9, 9)), "PNG") + NOTES[0])
    for place, value in changes:
        data[8 + int(place * (len(data) - 9))] = value
    mended = without_damaged_notes(bytes(data[: 8 + int(share * (len(data) - 8))]))
    assert mended is None or len(mended) < len(data)
