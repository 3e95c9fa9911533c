"""F18, F19: small files that want to be enormous, and headers that lie."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, PngImagePlugin

from daemon.workers import WorkerSettings
from store.records import Failure, FailureKind, Measurement
from tests.faults.conftest import Record
from tests.faults.measured import Watched
from tests.faults.pictures import tiny

MIB = 1 << 20


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, rows: bytes | None = None) -> bytes:
    """Return a PNG that claims a size; its rows are zeros unless given."""
    body = zlib.compress(bytes((1 + width * 3) * height) if rows is None else rows, 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def jpeg(width: int, height: int) -> bytes:
    """Return a JPEG of one block whose frame header claims a size."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    body = b"VP8L" + struct.pack("<I", 8) + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(3)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def gif_of_one_frame(width: int, height: int) -> bytes:
    """Return a GIF whose frame is larger than its screen, and is to be wiped out afterwards."""
    screen = struct.pack("<6sHHBBB", b"GIF89a", 32, 32, 0xF1, 3, 0) + bytes(12)
    control = b"\x21\xf9\x04" + bytes([2 << 2, 0, 0, 0, 0])
    return screen + control + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


BOMBS: dict[str, Callable[[], bytes]] = {
    "frame of 65000 x 65000.gif": lambda: gif_of_one_frame(65_000, 65_000),
    "60000 x 60000.png": lambda: png(60_000, 60_000, rows=b""),
    "16000 x 16000.png": lambda: png(16_000, 16_000, rows=bytes(48_001 * 100)),
    "2147483647 x 1.png": lambda: png(2_147_483_647, 1, rows=b""),
    "65500 x 65500.jpg": lambda: jpeg(65_500, 65_500),
    "60000 x 60000.bmp": lambda: bmp(60_000, 60_000),
    "16384 x 16384.webp": lambda: webp(16_384, 16_384),
}


@pytest.mark.fault("F18", injected="headers of up to 4 gigapixels in files of a few bytes", figure="parent RSS +0")
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, record: Record) -> None:
    (tmp_path / "warm.png").write_bytes(tiny(1))
    paths = [tmp_path / "warm.png"]  # it waits for its process
    for name, build in BOMBS.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(build())
    before = psutil.Process().memory_info().rss
    watched = Watched(WorkerSettings(processes=1))
    results = watched.measure(paths)
    grown = psutil.Process().memory_info().rss - before
    assert isinstance(results.pop("warm.png"), Measurement)
    for name, result in results.items():
        assert isinstance(result, Failure), name
        assert result.kind in (FailureKind.TOO_LARGE, FailureKind.CORRUPT), name
    assert sum(result.kind is FailureKind.TOO_LARGE for result in results.values() if isinstance(result, Failure)) >= 4
    assert watched.peak_bytes < 400 * MIB
    assert grown < 20 * MIB
    start = watched.seconds.pop("warm.png")
    assert max(watched.seconds.values()) < max(10, 10 * start), "less than ten starts of a process, on any machine"
    record(len(results), 0, f"worker at most {watched.peak_bytes // MIB} MiB, parent +{max(0, grown) // MIB} MiB")


@pytest.mark.fault(
    "F18", injected="10,000 x 10,000 pixels, within our limit, in a worker of 4 GiB", figure="worker RSS < limit"
)
@pytest.mark.slow
def test_what_is_allowed_fits(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(10_000, 10_000))
    watched = Watched(WorkerSettings(processes=1))
    result = watched.measure([path])[path.name]
    assert isinstance(result, Measurement)
    assert watched.peak_bytes < 4096 * MIB
    record(1, 0, f"100 megapixels: {watched.peak_bytes // MIB} MiB, {watched.seconds[path.name]:.0f} s")


def frames(kind: str, count: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    first, second = (Image.new("P", (16, 16), colour) for colour in (1, 2))
    if kind in ("WEBP", "TIFF"):
        first, second = first.convert("RGB"), second.convert("RGB")
    others = ((first, second)[number % 2] for number in range(1, count))
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def many_gif_frames(count: int) -> bytes:
    """Repeat the frame blocks of a small GIF; an encoder would need minutes for as many."""
    data = frames("GIF", 3, duration=10)
    start, end = data.index(b"\x21\xf9"), data.rindex(b"\x3b")
    return data[:start] + data[start:end] * (count // 2) + data[end:]


def text_chunks(count: int, length: int) -> bytes:
    packed = zlib.compress(bytes(length), 6)
    return b"".join(chunk(b"zTXt", b"k%d\0\0" % number + packed) for number in range(count))


def with_info(**options: object) -> bytes:
    buffer = io.BytesIO()
    blocks = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(blocks).resize((64, 64)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def with_exif() -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "x" * 60_000
    Image.new("RGB", (64, 64), "teal").save(buffer, "JPEG", exif=exif)
    data = buffer.getvalue()
    app = data[2 : 4 + int.from_bytes(data[4:6], "big")]
    return data[:2] + app * 200 + data[2:]  # 12 MB of metadata before the picture


def long_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("note", "x" * 900_000, zip=True)
    return with_info(pnginfo=info)


LIARS: dict[str, Callable[[], bytes]] = {
    "100000 frames.gif": lambda: many_gif_frames(100_000),
    "500 frames.webp": lambda: frames("WEBP", 500, duration=10),
    "500 frames.png": lambda: frames("PNG", 500),
    "5000 pages.tif": lambda: frames("TIFF", 5000),
    "text 2 GB packed.png": lambda: png(32, 32, text_chunks(32, 64 << 20)),
    "text 64 MB in one.png": lambda: png(32, 32, text_chunks(1, 64 << 20)),
    "text 900 KB.png": long_text,
    "profile 8 MB.png": lambda: with_info(icc_profile=bytes(8 << 20)),
    "exif 12 MB.jpg": with_exif,
    "size of 1 GB claimed.bmp": lambda: bmp(10_000, 10_000) + bytes(100),
}


@pytest.mark.fault(
    "F19",
    injected="100,000 frames, 5,000 pages, metadata of 12 MB, 2 GB of packed text, sizes that lie",
    figure="seconds per file <= 10",
)
@pytest.mark.slow
def test_headers_that_lie_cost_little(tmp_path: Path, record: Record) -> None:
    warm = tmp_path / "warm.png"
    warm.write_bytes(tiny(1))
    paths = [warm]
    for name, build in LIARS.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(build())
    watched = Watched(WorkerSettings(processes=1))
    results = watched.measure(paths)
    slowest = max(list(watched.seconds.values())[1:])
    assert slowest <= 10
    assert watched.peak_bytes < 1024 * MIB
    assert len(watched.workers) == 1, "nobody died of it"
    for name in ("100000 frames.gif", "500 frames.webp", "500 frames.png", "5000 pages.tif", "text 900 KB.png"):
        assert isinstance(results[name], Measurement), name
    record(len(LIARS), 0, f"slowest {slowest:.1f} s, worker at most {watched.peak_bytes // MIB} MiB")
