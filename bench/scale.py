"""Measure the indexes at several sizes: `python -m bench.scale --rows 10000 --rows 100000`.

Prints a table and writes JSON. The data are drawn: Zipf-weighted topics on a curved surface of 32 dimensions,
one row in ten a near-copy (cosine .90 to .99) of another, and a family of up to 20,000 frames of a stuck
camera. Recall counts the originals of planted copies that `range` finds.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from store.hamming import HammingIndex
from store.idset import Ids
from store.vectors import IndexSettings, VectorIndex, Watermark

T = TypeVar("T")
Floats = NDArray[np.float32]

_BLOCK = 20_000
_QUERIES = 200
_TOPICS = 4096
_ROWS_PER_FRAME = 5  # one row in five is a frame of the stuck camera, up to 20,000
_MIN_SIMILARITY = 0.88
_MAX_BITS = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured at one size; milliseconds (p50 and p99 of single calls) where not named seconds."""

    rows: int
    kind: str
    build_seconds: float
    search_p50: float
    search_p99: float
    search_add_p50: float
    batch_32_per_image: float
    range_p50: float
    range_p99: float
    range_family: float
    family_rows: int
    recall: float
    remove_1: float
    remove_1000: float
    snapshot_seconds: float
    restore_seconds: float
    replay_seconds_per_10k: float
    file_mib: float
    hamming_build_seconds: float
    hamming_p50: float
    hamming_p99: float
    hamming_family: float
    hamming_remove_1000: float


class Album:
    """Drawn embeddings, float16 [n, d], and hashes, the same for the same size."""

    def __init__(self, rows: int, dimension: int) -> None:
        self._rng = np.random.default_rng(rows)
        self._first = self._normal((32, 128)) / 4
        self._second = self._normal((128, dimension)) / 8
        self._topics = self._normal((_TOPICS, 32))
        weights = 1 / np.arange(1, _TOPICS + 1)
        self._weights = weights / weights.sum()
        self.family = min(20_000, rows // _ROWS_PER_FRAME)
        blocks = [self._scenes(min(_BLOCK, rows - start)) for start in range(0, rows, _BLOCK)]
        self.vectors = np.concatenate(blocks)
        self.vectors[: self.family] = self.vectors[0]
        self.ids = np.arange(1, rows + 1, dtype=np.int64)
        self.hashes = self._rng.integers(0, 2**64, (2, rows), dtype=np.uint64)
        self.hashes[:, : self.family] = self.hashes[:, :1]

    def _normal(self, shape: tuple[int, ...]) -> Floats:
        return self._rng.standard_normal(shape, dtype=np.float32)

    def _scenes(self, count: int) -> NDArray[np.float16]:
        topics = self._topics[self._rng.choice(_TOPICS, count, p=self._weights)]
        latent = topics + np.float32(0.6) * self._normal((count, 32))
        surface = np.tanh(latent @ self._first) @ self._second
        vectors = _unit(surface + np.float32(0.02) * self._normal(surface.shape))
        copies = count // 10
        vectors[count - copies :] = self._near(vectors[:copies])
        return vectors.astype(np.float16)

    def _near(self, vectors: Floats) -> Floats:
        cosine = self._rng.uniform(0.90, 0.99, (len(vectors), 1)).astype(np.float32)
        noise = self._normal(vectors.shape)
        noise = _unit(noise - (noise * vectors).sum(axis=1, keepdims=True) * vectors)
        return _unit(cosine * vectors + np.sqrt(1 - cosine**2) * noise)

    def copies(self, count: int) -> tuple[Ids, Floats]:
        """Return originals' ids [n] and near-copies [n, d] of them, none from the family."""
        chosen = self._rng.choice(np.arange(self.family, len(self.ids)), count, replace=False)
        return self.ids[chosen], self._near(self.vectors[chosen].astype(np.float32))

    def blocks(self, start: int = 0) -> Iterator[tuple[Ids, NDArray[np.float16]]]:
        """Yield ids and vectors as the catalog would."""
        for first in range(start, len(self.ids), _BLOCK):
            yield self.ids[first : first + _BLOCK], self.vectors[first : first + _BLOCK]


def _unit(vectors: NDArray[Any]) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _percentiles(call: Callable[[T], object], items: Iterable[T]) -> tuple[float, float]:
    times = [_seconds(lambda item=item: call(item)) * 1e3 for item in items]  # type: ignore[misc]  # bound early
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def measure_search(index: VectorIndex, album: Album) -> dict[str, Any]:
    """Time and check the reading calls, and adding one by one."""
    originals, copies = album.copies(_QUERIES)
    singles = [copy[np.newaxis] for copy in copies]
    search = _percentiles(lambda one: index.search(one, 10), singles)
    ranged = _percentiles(lambda one: index.range(one, _MIN_SIMILARITY), singles)
    found = index.range(copies, _MIN_SIMILARITY)
    batch = min(_seconds(lambda: index.search(copies[:32], 10)) for _ in range(5))
    family = min(_seconds(lambda: index.range(album.vectors[:1], _MIN_SIMILARITY)) for _ in range(5))
    new_ids = len(album.ids) + np.arange(1, _QUERIES + 1)

    def search_and_add(number: int) -> None:
        index.search(singles[number], 10)
        index.add(new_ids[number : number + 1], singles[number])

    added = _percentiles(search_and_add, range(_QUERIES))
    remove_one = _seconds(lambda: index.remove(new_ids[:1]))
    index.remove(new_ids)
    return {
        "search_p50": search[0],
        "search_p99": search[1],
        "search_add_p50": added[0],
        "batch_32_per_image": batch * 1e3 / 32,
        "range_p50": ranged[0],
        "range_p99": ranged[1],
        "range_family": family * 1e3,
        "family_rows": album.family,
        "recall": float(np.mean([key in ids for key, (ids, _) in zip(originals, found, strict=True)])),
        "remove_1": remove_one * 1e3,
    }


def measure_restart(index: VectorIndex, album: Album, path: Path) -> dict[str, Any]:
    """Take the last rows off, snapshot, restore, and replay them."""
    replayed = min(10_000, len(album.ids) // 2)
    late = len(album.ids) - replayed
    removed = _seconds(lambda: index.remove(album.ids[late : late + 1000]))
    index.remove(album.ids[late:])
    snapshot = _seconds(lambda: index.snapshot(path, Watermark(late, 0, late)))
    start = time.perf_counter()
    restored, _ = VectorIndex.restore(path, index.dimension, index.model_id, index.settings)
    restore = time.perf_counter() - start
    start = time.perf_counter()
    for ids, vectors in album.blocks(late):
        restored.add(ids, vectors)
    return {
        "remove_1000": removed * 1e3,
        "snapshot_seconds": snapshot,
        "restore_seconds": restore,
        "replay_seconds_per_10k": (time.perf_counter() - start) * 10_000 / replayed,
        "file_mib": path.stat().st_size / 2**20,
    }


def measure_hashes(album: Album) -> dict[str, Any]:
    """Run every call of the Hamming index."""
    index = HammingIndex()
    build = _seconds(lambda: index.add(album.ids, *album.hashes))

    def within(pair: list[int]) -> list[int]:
        return index.range(pair[0], pair[1], _MAX_BITS, _MAX_BITS)

    ranged = _percentiles(within, album.hashes[:, -_QUERIES:].T.tolist())
    frame = album.hashes[:, 0].tolist()
    family = min(_seconds(lambda: within(frame)) for _ in range(5))
    return {
        "hamming_build_seconds": build,
        "hamming_p50": ranged[0],
        "hamming_p99": ranged[1],
        "hamming_family": family * 1e3,
        "hamming_remove_1000": _seconds(lambda: index.remove(album.ids[-1000:])) * 1e3,
    }


def measure(rows: int, dimension: int, settings: IndexSettings) -> Figures:
    """Draw an album of this size and run everything over it."""
    album = Album(rows, dimension)
    start = time.perf_counter()
    index = VectorIndex(dimension, "bench", settings).grown(album.blocks)
    build = time.perf_counter() - start
    search = measure_search(index, album)
    with tempfile.TemporaryDirectory() as folder:
        restart = measure_restart(index, album, Path(folder) / "vectors.index")
    return Figures(rows=rows, kind=index.kind, build_seconds=build, **search, **restart, **measure_hashes(album))


@click.command()
@click.option("--rows", multiple=True, type=click.IntRange(1000), default=(10_000, 100_000))
@click.option("--dimension", type=click.IntRange(2), default=256, show_default=True)
@click.option("--max-flat-floats", type=click.IntRange(1), default=IndexSettings().max_flat_floats)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), default=Path("bench/results/scale.json"))
def main(rows: tuple[int, ...], dimension: int, max_flat_floats: int, threads: int, path: Path) -> None:
    """Measure vector and Hamming index at each size."""
    settings = IndexSettings(max_flat_floats=max_flat_floats, threads=threads)
    results = [asdict(measure(count, dimension, settings)) for count in rows]
    table = Table("figure", *(f"{count:,} rows" for count in rows))
    for name in list(results[0])[1:]:
        values = (result[name] for result in results)
        table.add_row(name, *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))
    Console().print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"schema": 1, "dimension": dimension, "threads": threads, "results": results}
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
