"""F34–F36: the vector index damaged, half saved, or used by many at once."""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from store.errors import StateError
from store.vectors import IndexSettings, VectorIndex, Watermark
from tests.faults.conftest import FULL, Record
from tests.faults.disks import mount_memory
from tests.faults.holding import hold_all, hold_house, told, undisturbed_house
from tests.faults.stories import lay_out_house
from tests.faults.strike import strike
from tests.laws.synthetic import Content, FakeEmbedder, Place, World, stand_ins
from tests.unit.store.test_vectors import DIMENSION, FORMS, built, drawn


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with stand_ins():
        made = World(tmp_path / "state")
        files = {
            f"/hot/{n}.jpg": Place(Content(n, pixels=n, direction=n % 6, degrees=n % 90), n + 1) for n in range(300)
        }
        made.admit(files)
        made.flow.snapshot()
        yield made
        made.close()


def neighbours(world: World) -> list[list[int]]:
    """Return whom each image finds."""
    return [sorted(world.flow.knowledge.matcher.near(image).tolist()) for image in world.catalog.image_ids()]


def ways(data: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Cut, flip, lose, double and mix bytes, at random."""
    chance = random.Random(34)
    for number in range(count):
        at, length = chance.randrange(len(data)), chance.randrange(1, 512)
        flipped = bytes(byte ^ chance.randrange(1, 256) for byte in data[at : at + length])
        yield (
            ("cut", data[:at]),
            ("flipped", data[:at] + flipped + data[at + len(flipped) :]),
            ("lost within", data[:at] + data[at + length :]),
            ("doubled", data[:at] + data[at : at + length] + data[at:]),
            ("zeroed", data[:at] + bytes(len(flipped)) + data[at + len(flipped) :]),
        )[number % 5]


@pytest.mark.fault(
    "F34",
    injected="snapshot cut, flipped, doubled, zeroed, missing, older, of another model or dimension; then a start",
    figure="noticed 100/100; recall after rebuild = before",
)
def test_a_damaged_index_is_made_again(world: World, record: Record, times: Callable[[int, int], int]) -> None:
    path = world.state / f"vectors/{FakeEmbedder.model_id}.index"
    sound, before, count = path.read_bytes(), neighbours(world), times(1000, 30)
    noticed = 0
    for way, data in ways(sound, count):
        if data == sound:
            continue
        path.write_bytes(data)
        with pytest.raises(StateError):
            VectorIndex.restore(path, world.flow.knowledge.indexes.vectors.dimension, FakeEmbedder.model_id)
        noticed += 1
        if noticed % 50 == 1:
            world.restart()
            assert neighbours(world) == before, way
    path.unlink()
    world.restart()
    assert neighbours(world) == before, "missing"
    world.flow.snapshot()
    world.admit({"/hot/late.jpg": Place(Content(1000, pixels=1000, direction=1, degrees=3), 1)})
    world.restart()
    late = neighbours(world)
    world.lose_indexes()
    assert neighbours(world) == late, "older than the catalog"
    record(noticed + 3, 0, f"noticed {noticed}/{noticed}; neighbours as before in every rebuild")


@pytest.mark.fault(
    "F35", injected="SIGKILL, and errors, at every call of a day with snapshots", figure="loadable 100 %"
)
@pytest.mark.needs("strace")
@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC"])
def test_a_snapshot_is_whole_or_the_old_one(tmp_path: Path, far: Path, record: Record, fault: str) -> None:
    lay_out_house(far / "template")
    ending = undisturbed_house(far / "undisturbed", tmp_path / "undisturbed")
    specs = ["write:1", "rename:1"] if FULL else ["rename:4"]
    if "error" in fault:
        specs = [f"{spec}:{25 if 'write' in spec else 8}" for spec in specs]
    story = "house" if "KILL" in fault else "service_in_spite"
    points = strike(story, far, tmp_path, specs, fault=fault)
    hold_all(far, tmp_path, partial(hold_house, ending=ending))
    record(sum(points.values()), 0, f"{fault}: {told(points)}; loadable 100 %")


@pytest.mark.fault("F35", injected="disk full while the index is saved", figure="loadable 100 %")
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
def test_a_full_disk_keeps_the_old_index(tmp_path: Path, record: Record) -> None:
    mount_memory(tmp_path / "small", 1 << 20)
    path = tmp_path / "small/index"
    index = built(IndexSettings(), np.arange(2000), drawn(2000))
    index.snapshot(path, Watermark(1, 0, 2000))
    index.add(np.arange(2000, 40_000), drawn(38_000))
    for _ in range(3):
        with pytest.raises(StateError, match="No space"):
            index.snapshot(path, Watermark(2, 0, 40_000))
        assert [item.name for item in path.parent.iterdir()] == ["index"]
        assert len(VectorIndex.restore(path, DIMENSION, "model-a")[0]) == 2000
    subprocess.run(["umount", path.parent], check=True)
    record(3, 0, "loadable 3/3")


@pytest.mark.fault(
    "F36",
    injected="8 threads search, range, add, remove and save at once",
    figure="crashes 0; missing neighbours 0",
)
@FORMS
def test_many_at_once_see_whole_results(
    form: IndexSettings, tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    settled, seconds = drawn(300), times(30, 1)
    index = built(form, np.arange(300), settled)
    until, failures, calls = time.monotonic() + seconds, list[BaseException](), [0] * 8

    def change(number: int) -> None:
        first = 10_000 * (number + 1)
        index.add(np.arange(first, first + 10), drawn(10, first))
        index.remove(np.arange(first, first + 10))

    def look(number: int) -> None:
        query = (calls[number] * 7 + number) % 300
        found, similarity = index.range(settled[query : query + 1], 0.998)[0]
        assert query in found, "a missing neighbour"
        assert (similarity.astype(np.float64) >= 0.998).all()
        assert (index.search(settled[query : query + 1], 5)[0] >= 0).all()

    def save(_number: int) -> None:
        with index._lock:
            mark = Watermark(0, 0, len(index))
            index.snapshot(tmp_path / "index", mark)
        assert VectorIndex.restore(tmp_path / "index", DIMENSION, "model-a", form)[1] == mark

    def work(number: int) -> None:
        task = (change, look, change, look, change, look, look, save)[number]
        try:
            while (time.monotonic() < until or not calls[number]) and not failures:
                task(number)
                calls[number] += 1
        except (AssertionError, StateError, ValueError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(index) == 300
    assert min(calls) > 0
    record(sum(calls), 0, f"{sum(calls)} calls in {seconds} s: crashes 0, missing neighbours 0")
