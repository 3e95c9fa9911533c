"""The vector index against brute force, in both forms, and against everything that can happen to its file."""

import itertools
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from store import vectors as module
from store.errors import StateError
from store.idset import Ids
from store.vectors import IndexSettings, VectorIndex, Watermark

DIMENSION = 16
FLAT = IndexSettings()
EVERY_LIST = IndexSettings(max_flat_floats=1, probes=10**6)  # an inverted file that misses nothing
FORMS = pytest.mark.parametrize("form", [FLAT, EVERY_LIST], ids=["flat", "ivf"])

EDGES = ["no", "on", "above"]
Array = NDArray[Any]


def drawn(count: int, seed: int = 0, dimension: int = DIMENSION) -> Array:
    """Unit vectors float32 [count, dimension] in a few bundles, so that there are near ones."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((5, dimension))
    return unit(centres[rng.integers(0, 5, count)] + 0.3 * rng.standard_normal((count, dimension)))


def unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def stored(vectors: Array) -> Array:
    return vectors.astype(np.float16).astype(np.float64)


def built(form: IndexSettings, ids: Array, vectors: Array) -> VectorIndex:
    def rows() -> Iterator[tuple[Ids, Array]]:
        for start in range(0, len(ids), 300):
            yield ids[start : start + 300], vectors[start : start + 300]

    return VectorIndex(vectors.shape[1], "model-a", form).grown(rows)


def oracle(query: Array, held: dict[int, Array], min_similarity: float) -> list[tuple[int, float]]:
    """Every id of at least that similarity, best first, by numpy alone."""
    similarity = {key: float(np.float32(stored(query) @ stored(vector))) for key, vector in held.items()}
    near = [(key, value) for key, value in similarity.items() if value >= min_similarity]
    return sorted(near, key=lambda pair: (-pair[1], pair[0]))


class Life(RuleBasedStateMachine):
    """Any order of calls leaves the index equal to a dictionary searched by brute force."""

    folder: Path

    @initialize(form=st.sampled_from([FLAT, EVERY_LIST]), base=st.sampled_from([0, 2**41, 2**62]))
    def start(self, form: IndexSettings, base: int) -> None:
        self.form, self.next_id = form, base + 1000
        ids, vectors = np.arange(base, base + 40), drawn(40)
        self.held: dict[int, Array] = dict(zip(ids.tolist(), vectors, strict=True))
        self.index = built(form, ids, vectors)

    @rule(count=st.integers(0, 6), seed=st.integers(0, 30), backwards=st.booleans())
    def add(self, count: int, seed: int, backwards: bool) -> None:
        ids = np.arange(self.next_id, self.next_id + count, dtype=np.int64)
        self.next_id += count
        if backwards:  # also descending, and below what is held
            ids = ids[::-1] - 940
        ids = np.array([key for key in ids.tolist() if key not in self.held], np.int64)
        vectors = drawn(len(ids), seed)  # small seeds repeat: equal vectors occur
        self.index.add(ids, vectors)
        self.held.update(zip(ids.tolist(), vectors, strict=True))

    @rule(data=st.data())
    def add_known_id(self, data: st.DataObject) -> None:
        if self.held:
            known = data.draw(st.sampled_from(sorted(self.held)))
            with pytest.raises(ValueError, match="already"):
                self.index.add(np.array([self.next_id, known]), drawn(2))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from([*sorted(self.held), 7]), max_size=5))
        gone = {key for key in ids if self.held.pop(key, None) is not None}
        assert self.index.remove(np.array(ids, np.int64)) == len(gone)

    @rule(seed=st.integers(0, 30), min_similarity=st.floats(-1.1, 1.1), edge=st.sampled_from(EDGES))
    def range(self, seed: int, min_similarity: float, edge: str) -> None:
        queries = drawn(3, seed)
        if edge != "no" and self.held:  # the threshold is exactly what one pair has, or the next number
            min_similarity = oracle(queries[0], self.held, -2)[len(self.held) // 2][1]
        if edge == "above":
            min_similarity = float(np.nextafter(min_similarity, 2))
        for query, (ids, similarity) in zip(queries, self.index.range(queries, min_similarity), strict=True):
            found = list(zip(ids.tolist(), similarity.tolist(), strict=True))
            assert found == oracle(query, self.held, min_similarity)

    @rule(seed=st.integers(0, 30), k=st.integers(1, 60))
    def search(self, seed: int, k: int) -> None:
        queries = drawn(2, seed)
        all_ids, all_similarity = self.index.search(queries, k)
        for query, ids, similarity in zip(queries, all_ids, all_similarity, strict=True):
            everything = oracle(query, self.held, -2)
            best, exact = everything[:k], dict(everything)
            np.testing.assert_allclose(similarity[: len(best)], [value for _, value in best], atol=1e-6)
            assert (ids[len(best) :] == -1).all()
            assert np.isneginf(similarity[len(best) :]).all()
            for key, value in zip(ids[: len(best)].tolist(), similarity.tolist(), strict=False):
                assert exact[key] == value

    @rule()
    def restart(self) -> None:
        path = self.folder / "index"
        mark = Watermark(self.next_id, 3, len(self.held))
        self.index.snapshot(path, mark)
        self.index, read = VectorIndex.restore(path, DIMENSION, "model-a", self.form)
        assert read == mark

    @rule()
    def grow(self) -> None:
        ids = np.array(list(self.held), np.int64)
        vectors = np.array(list(self.held.values()), np.float32).reshape(-1, DIMENSION)
        self.index = self.index.grown(lambda: iter([(ids, vectors)]))

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "held"):
            assert len(self.index) == len(self.held)


def test_any_life_equals_brute_force(tmp_path: Path) -> None:
    Life.folder = tmp_path
    few = settings(max_examples=60, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(Life, settings=few)


@given(seed=st.integers(0, 1000), dimension=st.sampled_from([16, 255, 256]))
@settings(max_examples=20, deadline=None)
def test_a_pair_has_one_similarity(seed: int, dimension: int) -> None:
    vectors = drawn(40, seed, dimension)
    ids = np.arange(40)
    table = stored(vectors) @ stored(vectors).T
    for form in (FLAT, EVERY_LIST):
        index = built(form, ids, vectors)
        together = index.range(vectors, -2)
        alone = [index.range(vector[np.newaxis], -2)[0] for vector in vectors]
        for row, ((ids_a, values_a), (ids_b, values_b)) in enumerate(zip(together, alone, strict=True)):
            assert (ids_a == ids_b).all()
            assert (values_a == values_b).all()
            assert (values_a == table[row, ids_a].astype(np.float32)).all()
            assert (values_a == table[ids_a, row].astype(np.float32)).all()


@pytest.mark.parametrize("form", [FLAT, IndexSettings(max_flat_floats=1)], ids=["flat", "ivf"])
def test_default_probes_find_near_copies(form: IndexSettings) -> None:
    surface = np.random.default_rng(2).standard_normal((8, 32))  # pictures vary in fewer ways than they could
    vectors = unit(drawn(6000, 3, 8) @ surface)
    copies = unit(vectors[:300] + 0.3 * drawn(300, 4, 32))
    index = built(form, np.arange(6000), vectors)
    near = (stored(copies) * stored(vectors[:300])).sum(axis=1) >= 0.95
    assert near.sum() > 250
    found = index.range(copies, 0.95)
    recall = np.mean([number in found[number][0] for number in np.flatnonzero(near)])
    assert recall == 1 if form is FLAT else recall >= 0.99


@FORMS
def test_large_ids_survive_a_restart(form: IndexSettings, tmp_path: Path) -> None:
    ids = np.arange(2**62, 2**62 + 100)
    index = built(form, ids, drawn(100))
    index.remove(ids[:60])  # leaves lists empty
    index.snapshot(tmp_path / "index", Watermark(0, 60, 40))
    restored, _ = VectorIndex.restore(tmp_path / "index", DIMENSION, "model-a", form)
    assert sorted(restored.range(drawn(1), -2)[0][0].tolist()) == ids[60:].tolist()
    with pytest.raises(ValueError, match="already"):
        restored.add(ids[60:61], drawn(1))


@FORMS
def test_twenty_thousand_frames_of_a_stuck_camera(form: IndexSettings) -> None:
    frame = drawn(1)
    ids = np.arange(2**40, 2**40 + 20_000)
    index = built(form, np.append(ids, 5), np.vstack((np.repeat(frame, 20_000, axis=0), -frame)))
    found, similarity = index.range(frame, 0.99)[0]
    assert (found == ids).all()
    assert len(np.unique(similarity)) == 1
    assert index.remove(ids[::2]) == 10_000
    assert (index.range(frame, 0.99)[0][0] == ids[1::2]).all()


@FORMS
def test_nothing_in_nothing_out(form: IndexSettings) -> None:
    index = VectorIndex(DIMENSION, "model-a", form)
    assert (len(index), index.kind, index.retrain_wanted) == (0, "flat", False)
    ids, similarity = index.search(drawn(2), 3)
    assert (ids == -1).all()
    assert np.isneginf(similarity).all()
    assert [len(found) for found, _ in index.range(drawn(2), -2)] == [0, 0]
    assert index.range(drawn(0), 0.5) == []
    assert index.remove(np.array([1, 2])) == 0
    index.add(np.empty(0, np.int64), drawn(0))
    assert len(index.grown(lambda: iter([]))) == 0


def test_refuses_what_is_no_embedding() -> None:
    index = VectorIndex(DIMENSION, "model-a")
    spoilt = drawn(2)
    spoilt[1, 3] = np.nan
    for vectors in (spoilt, drawn(2) * 2, drawn(2, dimension=8), drawn(2)[0], np.zeros((2, DIMENSION))):
        with pytest.raises(ValueError, match="vectors"):
            index.add(np.arange(2), vectors)
    with pytest.raises(ValueError, match="ids for 2 vectors"):
        index.add(np.arange(3), drawn(2))
    with pytest.raises(ValueError, match="twice"):
        index.add(np.array([4, 4]), drawn(2))
    with pytest.raises(ValueError, match="negative"):
        index.add(np.array([4, -1]), drawn(2))
    assert len(index) == 0


def test_asks_to_grow_and_to_train_again() -> None:
    few = IndexSettings(max_flat_floats=100 * DIMENSION)
    index = built(few, np.arange(100), drawn(100))
    assert (index.kind, index.retrain_wanted) == ("flat", False)
    index.add(np.arange(100, 101), drawn(1))
    assert index.retrain_wanted
    grown = built(few, np.arange(120), drawn(120))
    assert grown.kind == "ivf32-fp16"  # the power of two below 4 * sqrt(2 * 120)
    assert not grown.retrain_wanted
    grown.add(np.arange(120, 479), drawn(359, 1))
    assert not grown.retrain_wanted
    grown.add(np.arange(479, 480), drawn(1, 2))
    assert grown.retrain_wanted
    swollen = built(EVERY_LIST, np.arange(500), drawn(500))
    swollen.add(np.arange(500, 900), np.repeat(drawn(1), 400, axis=0))  # all into one list
    assert swollen.retrain_wanted


def test_two_level_training_gives_as_many_lists_as_wanted() -> None:
    sample = drawn(300)
    sample[:150] = sample[0]  # a family that fills one part
    centroids = module._two_level(sample, 64)
    assert centroids.shape == (64, DIMENSION)
    assert np.isfinite(centroids).all()
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-3)


def test_two_level_training_serves_large_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TWO_LEVEL_LISTS", 64)
    index = built(EVERY_LIST, np.arange(2000), vectors := drawn(2000))
    assert index.kind == "ivf128-fp16"
    assert [ids[0] for ids, _ in index.range(vectors[:20], 0.998)] == list(range(20))


def test_sample_is_drawn_from_all_rows_alike() -> None:
    def rows() -> Iterator[tuple[Ids, Array]]:
        for start, stop in itertools.pairwise((0, 70, 700, 1000)):
            yield np.arange(start, stop), np.arange(start, stop, dtype=np.float32)[:, np.newaxis]

    sample = module._sampled(rows, 1000, 400)[:, 0]
    assert len(np.unique(sample)) == 400
    assert np.histogram(sample, bins=4, range=(0, 1000))[0].min() > 70


def spoilt(data: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    """A hundred and more ways in which a snapshot can be wrong."""
    body = 4096
    for length in (*range(0, 4200, 300), *np.linspace(4097, len(data) - 1, 20, dtype=int)):
        yield f"cut to {length}", data[:length]
    places = (*range(0, 60, 2), 200, 500, 4095, *np.linspace(body, len(data) - 1, 30, dtype=int))
    for place in places:
        yield f"bit flipped at {place}", data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
    yield "header of another", other[:body] + data[body:]
    yield "body of another", data[:body] + other[body:]
    yield "appended", data + b"\0"
    yield "zeros at the end", data[:-512] + bytes(512)
    yield "no header", data[body:]
    for length in range(1, 10):
        yield f"{length} bytes lost within", data[: 2 * body] + data[2 * body + length :]


@FORMS
def test_a_spoilt_snapshot_is_noticed(form: IndexSettings, tmp_path: Path) -> None:
    path = tmp_path / "index"
    built(form, np.arange(200, 401), drawn(201)).snapshot(path, Watermark(1, 2, 201))
    other = path.read_bytes()
    built(form, np.arange(200), drawn(200)).snapshot(path, Watermark(1, 2, 200))
    data = path.read_bytes()
    ways = 0
    for way, wrong in spoilt(data, other):
        path.write_bytes(wrong)
        with pytest.raises(StateError) as caught:
            VectorIndex.restore(path, DIMENSION, "model-a", form)
        assert caught.value.hint, way
        ways += 1
    assert ways >= 100
    path.write_bytes(data)
    assert len(VectorIndex.restore(path, DIMENSION, "model-a", form)[0]) == 200


def test_a_snapshot_of_another_index_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with pytest.raises(StateError, match="No such file"):
        VectorIndex.restore(path, DIMENSION, "model-a")
    built(FLAT, np.arange(9), drawn(9)).snapshot(path, Watermark(8, 0, 9))
    with pytest.raises(StateError, match="model-a with 16 dimensions"):
        VectorIndex.restore(path, DIMENSION, "model-b")
    with pytest.raises(StateError, match="model-a with 16 dimensions"):
        VectorIndex.restore(path, 32, "model-a")
    with pytest.raises(StateError, match="directory"):
        VectorIndex.restore(tmp_path, DIMENSION, "model-a")


def test_a_snapshot_that_disagrees_with_the_catalog_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="holds 9 vectors, the catalog 8"):
        built(FLAT, np.arange(9), drawn(9)).snapshot(tmp_path / "index", Watermark(8, 0, 8))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_former_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = built(FLAT, np.arange(500), drawn(500))
    index.snapshot(path, Watermark(1, 0, 500))
    index.add(np.arange(500, 5000), drawn(4500))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StateError, match="cannot write the index snapshot"):
            index.snapshot(path, Watermark(2, 0, 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]
    restored, mark = VectorIndex.restore(path, DIMENSION, "model-a")
    assert (len(restored), mark.last_image_id, restored.generation) == (500, 1, 1)
    index.snapshot(path, Watermark(2, 0, 5000))
    assert VectorIndex.restore(path, DIMENSION, "model-a")[0].generation == 2


def test_a_snapshot_is_private_and_replaces_what_a_crash_left(tmp_path: Path) -> None:
    path = tmp_path / "index"
    (tmp_path / "index.part").write_bytes(b"half")
    built(FLAT, np.arange(9), drawn(9)).snapshot(path, Watermark(8, 0, 9))
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]
    assert path.stat().st_mode & 0o077 == 0


@FORMS
def test_threads_never_see_a_torn_index(form: IndexSettings, tmp_path: Path) -> None:
    settled = drawn(300)
    index = built(form, np.arange(300), settled)
    fresh = itertools.count(1000, 10)

    def change(rounds: int) -> None:
        for _ in range(rounds):
            ids = np.arange(first := next(fresh), first + 10)
            index.add(ids, drawn(10, first))
            index.remove(ids)

    def look(rounds: int) -> None:
        for number in range(rounds):
            found, similarity = index.range(settled[number : number + 1], 0.998)[0]
            assert number in found
            assert (similarity.astype(np.float64) >= 0.998).all()
            assert (index.search(settled[number : number + 1], 5)[0] >= 0).all()

    def save(rounds: int) -> None:
        for _ in range(rounds):
            with index._lock:  # the count must hold until it is written
                mark = Watermark(0, 0, len(index))
                index.snapshot(tmp_path / "index", mark)
            assert VectorIndex.restore(tmp_path / "index", DIMENSION, "model-a", form)[1] == mark

    jobs = [(change, 60), (change, 60), (look, 100), (look, 100), (save, 5)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(work, rounds) for work, rounds in jobs]:
            job.result()
    assert len(index) == 300


def test_importing_is_cheap() -> None:
    code = "import sys, store.vectors, store.hamming; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
