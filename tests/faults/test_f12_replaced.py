"""F12: a file is replaced or rewritten between hash, decode and move."""

import hashlib
import itertools
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import pytest

from pipeline.actions import apply
from pipeline.measuring import MeasureTask, measure
from pipeline.settings import DecodeSettings, QualitySettings
from store.errors import ActionError
from store.records import Failure
from tests.faults.conftest import Record
from tests.faults.racing import meanwhile
from tests.gallery import draw
from tests.unit.pipeline.room import Room


class Racer:
    """Write new content under one name, once or twice, by rename, or in place, mtime kept.

    `seconds` is what a move takes, more or less: one that is measured may have stood still. So half of the moments are
    drawn from twice as long, evenly, the others from every octave down to a thousandth.
    """

    def __init__(self, path: Path, chance: random.Random, seconds: float) -> None:
        self.path, self.aside = path, path.with_name("newcomer.tmp")
        self.written = {path.read_bytes()}
        self.in_place = chance.random() < 0.5
        self.pauses = [
            seconds * chance.choice((chance.uniform(0, 2), 2 ** chance.uniform(-10, 1)))
            for _ in range(chance.randint(1, 2))
        ]

    def __call__(self) -> None:
        if not self.pauses:
            time.sleep(0.001)
            return
        time.sleep(self.pauses.pop())
        content = b"version %06d" % len(self.pauses)
        self.written.add(content)
        if not self.in_place:
            self.aside.write_bytes(content)
            self.aside.replace(self.path)
            return
        status = self.path.stat()
        with self.path.open("r+b") as file:
            file.write(content)
        os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _seconds_of_a_move(room: Room) -> float:
    """Time a few moves that nobody disturbs: disks differ by a factor of a hundred."""
    actions = [room.action(room.file(f"calm {number}.jpg")) for number in range(5)]
    seconds = []
    for action in actions:
        started = time.monotonic()
        apply(action, room.ledger, 1_000)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


@pytest.mark.fault(
    "F12",
    injected="content replaced by rename or rewritten in place, mtime kept, while its file is moved",
    figure="wrong content moved 0/1,000",
)
@pytest.mark.parametrize("across", [False, True], ids=["rename", "copy"])
def test_only_what_was_judged_is_moved(
    tmp_path: Path, far: Path, record: Record, times: Callable[[int, int], int], *, across: bool
) -> None:
    room = Room(far, tmp_path / "quarantine" if across else None)
    ends: Counter[str] = Counter()
    chance, count, seconds = random.Random(12), times(500, 25), _seconds_of_a_move(room)
    numbers = itertools.takewhile(lambda n: n < count or (n < 20 * count and len(ends) < 2), itertools.count())
    for number in numbers:
        path = room.file(f"{number}.jpg", b"version ......")
        action, racer = room.action(path), Racer(path, chance, seconds)
        with meanwhile(racer):
            try:
                entry = apply(action, room.ledger, 1_000)
            except ActionError:
                ends["refused"] += 1
            else:
                ends["moved"] += 1
                assert hashlib.sha256(Path(entry.target).read_bytes()).digest() == action.sha256
        for left in room.home.glob(f"{number}*.jpg"):
            assert left.read_bytes() in racer.written
    assert (room.lost_property(), room.ledger.unfinished()) == ([], [])
    assert set(ends) == {"moved", "refused"}, "the racer was never in time, or always"
    record(ends.total(), 0, f"wrong content moved 0/{ends.total()} (moved {ends['moved']}, refused {ends['refused']})")


@pytest.mark.fault(
    "F12", injected="file replaced while it is read and decoded", figure="facts of two files mixed 0/1,000"
)
def test_measured_facts_belong_to_one_file(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    path, versions = tmp_path / "a.png", {}
    for seed in range(3):
        done, data = cv2.imencode(".png", draw(seed, (64 + 16 * seed, 48)))
        assert done
        versions[len(data)] = hashlib.sha256(data.tobytes()).digest(), 64 + 16 * seed
        (tmp_path / f"{seed}.png").write_bytes(data.tobytes())
    turns = itertools.cycle(range(3))

    def swap() -> None:
        os.link(tmp_path / f"{next(turns)}.png", tmp_path / "next")
        (tmp_path / "next").replace(path)

    swap()
    seen: Counter[str] = Counter()
    count = times(1000, 60)
    with meanwhile(swap):
        while seen.total() < count or (seen.total() < 50 * count and not seen["measured"]):
            with suppress(FileNotFoundError):
                result = measure(MeasureTask(str(path), 32), DecodeSettings(), QualitySettings())
                if isinstance(result, Failure):
                    seen[result.kind] += 1
                    continue
                sha256, width = versions[result.stat.size]
                assert (result.hashes.sha256, result.picture.width) == (sha256, width)
                seen["measured"] += 1
    assert seen["measured"], "it was never left alone for as long as a measurement takes"
    record(seen.total(), 0, f"mixed 0/{seen['measured']}")
