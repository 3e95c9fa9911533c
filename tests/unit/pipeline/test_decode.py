"""Decoding: every orientation and mode, every kind of damage, limits before allocation."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from pipeline.decode import (
    Decoded,
    DecodeSettings,
    LimitError,
    UnsupportedError,
    decode,
    pixels_sha256,
    read_regular,
    shrink,
    sniff,
)
from store.errors import DecodeError

PHOTOS = Path(__file__).parents[4] / "shared" / "photos"
SETTINGS = DecodeSettings()


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Four quarters of different colours: no turn or mirror image looks like another."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 200, 30), (width // 2, 0, width, height // 2))
    image.paste((30, 30, 200), (0, height // 2, width // 2, height))
    return image


def encode(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def oriented(image: Image.Image, orientation: int, name: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, name, exif=exif, **({"quality": 95, "subsampling": 0} if name == "JPEG" else {}))


STORED = {  # what a camera stores for a scene, by orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_once(name: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = picture() if turn is None else picture().transpose(turn)
    decoded = decode(oriented(stored, orientation, name), SETTINGS)
    assert decoded.rgb.shape == (32, 48, 3)
    difference = np.abs(decoded.rgb.astype(int) - np.asarray(picture()).astype(int))
    assert float(difference.mean()) < 8


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_nonsense_orientation_counts_as_upright(orientation: int) -> None:
    assert decode(oriented(picture(), orientation, "PNG"), SETTINGS).rgb.shape == (32, 48, 3)


def test_metadata_changes_fields_but_not_pixels() -> None:
    plain = encode(picture(), "JPEG", quality=90)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    rich = encode(picture(), "JPEG", quality=90, exif=exif)
    first, second = decode(plain, SETTINGS), decode(rich, SETTINGS)
    assert (first.metadata_fields, second.metadata_fields) == (0, 2)
    assert pixels_sha256(first.rgb) == pixels_sha256(second.rgb)


def test_what_libraries_write_about_pixels_is_no_metadata() -> None:
    exif = Image.Exif()
    for tag, value in ((0x0112, 1), (0x011A, 72.0), (0x011B, 72.0), (0x0128, 2), (0x0213, 1)):
        exif[tag] = value
    layout = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, text in ((0x9000, b"0210"), (0x9101, b"\1\2\3\0"), (0xA000, b"0100")):
        layout[tag] = text
    layout.update({0xA001: 65535, 0xA002: 48, 0xA003: 32})
    assert decode(encode(picture(), "JPEG", exif=exif), SETTINGS).metadata_fields == 0
    layout[0x829A], exif[0x010F] = 0.01, "Maker"
    assert decode(encode(picture(), "JPEG", exif=exif), SETTINGS).metadata_fields == 2


@pytest.mark.parametrize(("sample_format", "bits"), [(3, 32), (2, 32), (3, 64)])
def test_a_tiff_of_pixels_that_no_decoder_knows_is_not_damaged(sample_format: int, bits: int) -> None:
    """Reads as floats or integers of 32 bits and more, in three primaries, which Pillow does not open."""
    side, each = 4, bits // 8
    pixels = bytes(side * side * 3 * each)
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 8 + 2), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 0),
        (277, 3, 1, 3), (278, 4, 1, side), (279, 4, 1, len(pixels)), (284, 3, 1, 1), (339, 3, 3, 8 + 2 + 6),
    ]  # fmt: skip
    values = struct.pack("<2x3H3H", bits, bits, bits, *[sample_format] * 3)
    start = 8 + len(values)
    end = start + 2 + 12 * len(entries) + 4
    packed = [struct.pack("<HHII", tag, kind, many, end if tag == 273 else value) for tag, kind, many, value in entries]
    data = struct.pack("<2sHI", b"II", 42, start) + values + struct.pack("<H", len(entries)) + b"".join(packed)
    with pytest.raises(UnsupportedError, match="TIFF"):
        decode(data + bytes(4) + pixels, SETTINGS)
    with pytest.raises(DecodeError) as damaged:
        decode(data[:20], SETTINGS)
    assert not isinstance(damaged.value, UnsupportedError)


def test_pixels_hash_knows_the_shape() -> None:
    flat = np.zeros((4, 6, 3), np.uint8)
    assert pixels_sha256(flat) != pixels_sha256(flat.reshape(6, 4, 3))


@pytest.mark.parametrize(
    ("mode", "name"),
    [("1", "PNG"), ("L", "JPEG"), ("P", "GIF"), ("LA", "PNG"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("RGB", "BMP"),
     ("RGB", "PPM"), ("RGB", "AVIF"), ("RGB", "JPEG2000"), ("YCbCr", "JPEG"), ("LAB", "TIFF")],
)  # fmt: skip
def test_every_mode_becomes_rgb(mode: str, name: str) -> None:
    decoded = decode(encode(picture().convert("RGB").convert(mode), name), SETTINGS)
    assert decoded.rgb.shape == (32, 48, 3) and decoded.rgb.dtype == np.uint8
    assert decoded.format == name


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    palette = Image.new("RGB", (8, 8)).quantize(4)
    assert decode(encode(clear, "PNG"), SETTINGS).rgb.min() == 255
    assert decode(encode(palette, "PNG", transparency=palette.getpixel((0, 0))), SETTINGS).rgb.min() == 255


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[-100.0, 0.0, 100.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, np.nan, 1.0]], np.float32), [0, 0, 255]),
    ],
)
def test_deep_grey_is_scaled(values: np.ndarray, expected: list[int]) -> None:
    decoded = decode(encode(Image.fromarray(np.repeat(values, 3, 0)), "TIFF"), SETTINGS)
    assert decoded.rgb[0, :, 0].tolist() == pytest.approx(expected, abs=1)


def logo(colour: tuple[int, int, int, int], ground: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Image.Image:
    image = Image.new("RGBA", (40, 30), ground)
    image.paste(colour, (10, 10, 30, 20))
    return image


def test_what_is_light_is_laid_on_black() -> None:
    white, black = (decode(encode(logo(colour), "PNG"), SETTINGS).rgb for colour in ((255,) * 4, (0, 0, 0, 255)))
    assert (white[0, 0, 0], white[15, 15, 0], black[0, 0, 0], black[15, 15, 0]) == (0, 255, 255, 0)
    faint = decode(encode(logo((255, 255, 255, 60)), "PNG"), SETTINGS).rgb  # as a watermark is
    assert faint[0, 0, 0] == 0 and faint[15, 15, 0] == 60


def window(ink: int = 20) -> Image.Image:
    """Draw a white window with words in it and below it; all else is clear, as a diagram or a screenshot is."""
    image = Image.new("RGBA", (80, 60), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (5, 5, 75, 45))
    image.paste((ink, ink, ink, 255), (20, 20, 40, 22))
    image.paste((ink, ink, ink, 255), (30, 50, 50, 54))
    return image


@pytest.mark.parametrize("ink", [20, 150, 185])
def test_dark_words_beside_a_light_window_stay_legible(ink: int) -> None:
    image = window(ink)
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    seen = decode(encode(image, "PNG"), SETTINGS).rgb
    assert seen[52, 40, 0] == ink and seen[52, 10, 0] == 255, "on black the words below would be lost"
    assert np.array_equal(seen, decode(encode(flat, "PNG"), SETTINGS).rgb), "as it is when others flatten it"


@pytest.mark.parametrize("shade", [120, 200])
def test_a_light_logo_with_hardly_any_shade_is_laid_on_black(shade: int) -> None:
    image = logo((250, 250, 250, 255))
    image.paste((shade, shade, shade, 255), (12, 12, 13, 15) if shade < 192 else (12, 12, 20, 20))
    assert decode(encode(image, "PNG"), SETTINGS).rgb[0, 0, 0] == 0


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_told_and_counts_as_pixels(name: str) -> None:
    lossless = {"lossless": True, "exact": True} if name == "WEBP" else {}

    def seen(image: Image.Image) -> tuple[str, bytes]:
        decoded = decode(encode(image, name, **lossless), SETTINGS)
        return decoded.format, pixels_sha256(decoded.rgb, decoded.unseen)

    opaque, clear = seen(logo((9, 9, 9, 255), (255, 255, 255, 255))), seen(logo((9, 9, 9, 255)))
    assert (opaque[0], clear[0]) == (name, f"{name}, transparent")
    assert opaque[1] != clear[1]
    assert clear == seen(logo((9, 9, 9, 255), (70, 80, 90, 0))), "a colour that nobody sees"
    written = logo((9, 9, 9, 255))
    written.paste((255, 255, 255, 255), (2, 2, 9, 6))
    assert clear[1] != seen(written)[1], "white on what is laid on white"


def test_equal_transparency_is_equal_however_it_is_turned() -> None:
    upright, turned = logo((9, 9, 9, 255)), Image.Exif()
    turned[0x0112] = 6
    first = decode(encode(upright, "PNG"), SETTINGS)
    second = decode(encode(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=turned), SETTINGS)
    assert pixels_sha256(first.rgb, first.unseen) == pixels_sha256(second.rgb, second.unseen)


def several(name: str, *others: str) -> bytes:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", *others)]
    lossless = {"lossless": True} if name == "WEBP" else {}
    return encode(frames[0], name, save_all=True, append_images=frames[1:], **lossless)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF", "PNG", "AVIF", "MPO"])
def test_several_pictures_are_told_and_equal_nothing_but_their_bytes(name: str) -> None:
    first, second = (decode(several(name, *colours), SETTINGS) for colours in (("green", "blue"), ("blue", "black")))
    told = "JPEG" if name == "MPO" else name
    assert first.format == second.format == f"{told}, several pictures"
    assert np.array_equal(first.rgb, second.rgb)
    assert pixels_sha256(first.rgb, first.unseen) != pixels_sha256(second.rgb, second.unseen)
    still = decode(encode(Image.new("RGB", (9, 9), "red"), told), SETTINGS)
    assert (still.format, still.unseen) == (told, b"")


def test_what_phones_put_behind_a_jpeg_is_told() -> None:
    plain = encode(picture(), "JPEG")
    assert decode(plain, SETTINGS).format == "JPEG"
    for note in (b'<x hdrgm:Version="1.0"/>', b'<x GCamera:MotionPhoto="1"/>'):
        assert decode(encode(picture(), "JPEG", xmp=note), SETTINGS).format == "JPEG, several pictures"
    assert decode(plain + b"MotionPhoto_Data\0\0\0\x18ftypmp42", SETTINGS).format == "JPEG, several pictures"


def test_a_larger_thumbnail_is_no_second_picture() -> None:
    data = bytearray(several("MPO", "blue"))
    at = data.index(b"MPF\0") + 4 + 50 + 16  # the attribute of the second entry in the list
    data[at : at + 4] = struct.pack("<I", 0x010001)
    assert decode(bytes(data), SETTINGS).format == "JPEG"


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "green", "blue")]
    for name in ("GIF", "WEBP", "TIFF", "PNG"):
        data = encode(
            frames[0], name, save_all=True, append_images=frames[1:], **({"lossless": True} if name == "WEBP" else {})
        )
        assert decode(data, SETTINGS).rgb[4, 4].tolist() == [255, 0, 0], name


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_no_cut_file_is_a_picture(name: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8))
    data = encode(noise, name)
    for percent in range(0, 100, 4):
        with pytest.raises(DecodeError):
            decode(data[: len(data) * percent // 100], SETTINGS)


def test_a_png_overwritten_inside_is_no_picture() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8))
    data = bytearray(encode(noise, "PNG"))
    data[len(data) // 2 :: 97] = bytes(len(data[len(data) // 2 :: 97]))
    with pytest.raises(DecodeError):
        decode(bytes(data), SETTINGS)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_breaks_off_before_its_end_is_no_picture(mode: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)).convert(mode)
    data = encode(noise, "JPEG")
    for percent in (30, 60, 90):
        with pytest.raises(DecodeError, match="breaks off"):
            decode(data[: len(data) * percent // 100] + b"\xff\xd9", SETTINGS)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_whose_corner_is_middle_grey_is_whole(mode: str) -> None:
    grey = Image.new("RGB", (80, 64), (128, 128, 128))
    grey.paste((200, 30, 30), (8, 8, 40, 32))
    data = encode(grey.convert(mode), "JPEG")
    assert (decode(data, SETTINGS).rgb[-8:, -8:] == 128).all()
    assert decode(data + encode(picture(), "JPEG"), SETTINGS).rgb.shape == (64, 80, 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_trailer_is_whole(progressive: bool) -> None:
    data = encode(picture(), "JPEG", progressive=progressive)
    assert decode(data + b"\0" * 100 + encode(picture(), "JPEG"), SETTINGS).rgb.shape == (32, 48, 3)


def png_of_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(LimitError, match="limit of 250,000,000"):
        decode(png_of_size(60_000, 60_000), SETTINGS)
    with pytest.raises(LimitError):
        decode(encode(picture(), "PNG"), DecodeSettings(max_pixels=48 * 32 - 1))
    assert isinstance(decode(encode(picture(), "PNG"), DecodeSettings(max_pixels=48 * 32)), Decoded)


def test_a_frame_beyond_its_screen_is_refused_before_it_is_there() -> None:
    screen = struct.pack("<6sHHBBB", b"GIF89a", 32, 32, 0xF1, 3, 0) + bytes(12)
    control = b"\x21\xf9\x04" + bytes([2 << 2, 0, 0, 0, 0])  # afterwards its place is filled: that takes memory
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 50_000, 65_280, 65_535, 0) + b"\x02\x02\x44\x01\x00;"
    with pytest.raises(LimitError):
        decode(screen + control + frame, DecodeSettings(max_pixels=4_000_000))
    with pytest.raises(LimitError):
        decode(screen + control + frame, SETTINGS)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"<svg xmlns='x'/>", b"#!/bin/sh\n", b"%PDF-1.7", b"\0" * 4096],
)
def test_what_is_no_picture_is_refused_by_content(data: bytes) -> None:
    with pytest.raises(DecodeError):
        sniff(data)


def test_heic_and_raw_are_unsupported_rather_than_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(UnsupportedError, match="pillow-heif"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, SETTINGS)
    with pytest.raises(UnsupportedError, match="raw"):
        decode(encode(picture(), "TIFF", tiffinfo={254: 1}), SETTINGS)


VALID = [encode(picture(), name) for name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(VALID), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_mutated_bytes_raise_declared_errors_only(data: bytes, changes: list[tuple[float, int]]) -> None:
    mutated = bytearray(data)
    for place, value in changes:
        mutated[int(place * (len(mutated) - 1))] = value
    try:
        decoded = decode(bytes(mutated), DecodeSettings(max_pixels=10_000_000))
    except DecodeError:
        return
    assert decoded.rgb.ndim == 3 and decoded.rgb.dtype == np.uint8


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_declared_errors_only(data: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x1cftypavif"):
        with pytest.raises(DecodeError):
            decode(start + data + b"\0", SETTINGS)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photos are not here")
def test_the_hostile_corpus_raises_declared_errors_only() -> None:
    files = [path for path in sorted((PHOTOS / "bad").rglob("*")) if path.is_file()]
    assert len(files) > 500
    decoded = 0
    for path in files:
        try:
            decode(path.read_bytes(), SETTINGS)
            decoded += 1
        except DecodeError as error:
            assert error.message
    assert decoded > 50


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photos are not here")
def test_the_eight_orientations_of_one_photo_look_the_same() -> None:
    for scene in ("Landscape", "Portrait"):
        files = sorted((PHOTOS / "formats" / "exif-orientation").glob(f"{scene}_[1-8].jpg"))
        small = [shrink(decode(path.read_bytes(), SETTINGS).rgb, 64).astype(int) for path in files]
        assert len(files) == 8
        assert all(float(np.abs(other - small[0]).mean()) < 6 for other in small)


def test_read_regular_returns_bytes_and_stat(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    status, data = read_regular(str(path), 10)
    assert data == b"12345"
    assert (status.path, status.size, status.inode) == (str(path), 5, path.stat().st_ino)


def test_read_regular_keeps_away_from_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "real.jpg").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    for name in ("pipe.jpg", "folder.jpg", "none.jpg", "link.jpg"):
        with pytest.raises(OSError):
            read_regular(str(tmp_path / name), 10)
    with pytest.raises(LimitError):
        read_regular(str(tmp_path / "real.jpg"), 0)


def test_read_regular_notices_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    real, calls = os.fstat, []

    def growing(descriptor: int) -> os.stat_result:
        calls.append(descriptor)
        if len(calls) == 2:
            path.write_bytes(b"123456")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", growing)
    with pytest.raises(FileNotFoundError, match="changed"):
        read_regular(str(path), 10)


@given(st.integers(1, 700), st.integers(1, 700), st.integers(16, 200))
@settings(max_examples=40, deadline=None)
def test_shrink_holds_the_limit_and_never_enlarges(width: int, height: int, long_side: int) -> None:
    small = shrink(np.full((height, width, 3), 77, np.uint8), long_side)
    assert max(small.shape[:2]) <= max(long_side, 1) and min(small.shape[:2]) >= 1
    assert small.min() == small.max() == 77
    if max(width, height) <= long_side:
        assert small.shape == (height, width, 3)


@pytest.mark.parametrize("start", [b"\xff\x0a", b"8BPS", b"FUJIFILMCCD-RAW", b"\0\0\0\x18ftypisom"])
def test_other_whole_files_are_unsupported_rather_than_damaged(start: bytes) -> None:
    with pytest.raises(UnsupportedError):
        sniff(start + b"\0" * 40)


def test_limits_hold_for_one_decode_and_for_nobody_else() -> None:
    before = Image.MAX_IMAGE_PIXELS
    stream = io.BytesIO()
    Image.new("RGB", (40, 40)).save(stream, "PNG")
    with pytest.raises(LimitError):
        decode(stream.getvalue(), DecodeSettings(max_pixels=100))
    assert before == Image.MAX_IMAGE_PIXELS
