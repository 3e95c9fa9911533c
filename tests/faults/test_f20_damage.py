"""F20, F24: cut, corrupt, random and mutated files."""

import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daemon.workers import WorkerSettings
from pipeline.decode import DecodeSettings, decode
from store.errors import DecodeError
from store.records import Failure, Measurement
from tests.faults.conftest import FULL, Record
from tests.faults.measured import Watched
from tests.gallery import draw

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"
needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photos are not here")
SMALL = DecodeSettings(max_pixels=10_000_000)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")


def encoded(name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(3, (96, 72))).save(buffer, name, **options)
    return buffer.getvalue()


def decoded_or_refused(data: bytes) -> bool:
    """Decode; tell whether it is a picture. Any error but the declared one is a finding."""
    try:
        found = decode(data, SMALL)
    except DecodeError as error:
        assert error.message
        return False
    assert found.rgb.ndim == 3
    assert found.rgb.dtype == np.uint8
    return True


@pytest.mark.fault("F20", injected="nine formats, cut at every 1 %", figure="unhandled 0/1,000")
def test_no_cut_file_is_a_picture(record: Record) -> None:
    whole = {name: encoded(name) for name in FORMATS}
    whole |= {"progressive JPEG": encoded("JPEG", progressive=True), "interlaced GIF": encoded("GIF", interlace=1)}
    passed: Counter[str] = Counter()
    count = 0
    for name, data in whole.items():
        assert decoded_or_refused(data), name
        for percent in range(100):
            count += 1
            passed[name] += decoded_or_refused(data[: len(data) * percent // 100])
    taken = {name: number for name, number in passed.items() if number}
    assert not taken.keys() - {"JPEG2000"}, taken
    record(count, 0, f"unhandled 0/{count}; cut files taken for whole {sum(taken.values())} {taken or ''}".strip())


@pytest.mark.fault("F20", injected="the real pictures of many formats, cut at random", figure="unhandled 0/1,000")
@pytest.mark.photos
@needs_photos
@pytest.mark.slow
def test_real_pictures_cut_at_random(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    sources = [path for path in sorted((PHOTOS / "formats").rglob("*")) if path.is_file()]
    chance, paths = random.Random(20), []
    for number in range(times(1000, 60)):
        source = chance.choice(sources)
        data = source.read_bytes()[: 4 << 20]
        paths.append(tmp_path / f"{number}{source.suffix}")
        paths[-1].write_bytes(data[: chance.randrange(len(data))])
    results = Watched(WorkerSettings(processes=1, timeout_seconds=30)).measure_together(paths)
    assert len(results) == len(paths)
    kinds = Counter(str(r.kind) if isinstance(r, Failure) else "picture" for r in results.values())
    assert not kinds.keys() & {"crashed", "timeout"}, kinds
    record(len(paths), 0, f"unhandled 0/{len(paths)} ({dict(kinds)})")


@pytest.mark.fault(
    "F24",
    injected="every file of shared/photos/bad through real decoding processes",
    figure="new exception types 0; parent crashes 0",
)
@pytest.mark.photos
@needs_photos
@pytest.mark.slow
def test_the_hostile_corpus(record: Record) -> None:
    paths = [path for path in sorted((PHOTOS / "bad").rglob("*")) if path.is_file()]
    watched = Watched(WorkerSettings(processes=1, timeout_seconds=30))
    results = watched.measure_together(paths)
    assert len(results) == len({path.name for path in paths})
    kinds = Counter(str(r.kind) if isinstance(r, Failure) else "picture" for r in results.values())
    assert not kinds.keys() & {"crashed", "timeout", "vanished"}, kinds  # unreadable: kinds that are not decoded
    assert kinds["picture"] > 50
    record(len(paths), 0, f"{len(paths)} files: {dict(kinds)}; parent crashes 0")


SEEDS = [encoded(name) for name in FORMATS]
EXAMPLES = 3000 if FULL else 100


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=12),
    st.floats(0.2, 1),
)
def _mutated(data: bytes, changes: list[tuple[float, bytes]], share: float) -> None:
    mutated = bytearray(data)
    for place, change in changes:
        at = int(place * (len(mutated) - 1))
        mutated[at : at + len(change)] = change
    decoded_or_refused(bytes(mutated[: int(share * len(mutated)) + 1]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from([data[:24] for data in SEEDS] + [b"", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x1cftypheic"]), st.binary())
def _random(start: bytes, rest: bytes) -> None:
    decoded_or_refused(start + rest)


@pytest.mark.fault(
    "F24", injected="mutated pictures of nine formats, random bytes behind their signatures",
    figure="new exception types 0",
)  # fmt: skip
def test_mutated_and_random_bytes(record: Record) -> None:
    _mutated()
    _random()
    record(2 * EXAMPLES, 0, "exceptions other than the declared 0")


@pytest.mark.fault("F20", injected="a damaged file twice, and changed", figure="re-tried only if the file changes")
def test_a_measurement_is_never_made_of_a_damaged_file(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(SEEDS[1][:-30])
    first = Watched(WorkerSettings(processes=1)).measure([path])["a.png"]
    assert isinstance(first, Failure)
    assert first.kind.of_content and first.sha256 is not None, "a verdict on this content, remembered by its hash"
    path.write_bytes(SEEDS[1])
    assert isinstance(Watched(WorkerSettings(processes=1)).measure([path])["a.png"], Measurement)
    record(1)
