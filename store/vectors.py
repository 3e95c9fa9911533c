"""Find the nearest embeddings: FAISS behind five calls (add, search, range, remove, snapshot). Rebuildable.

The only module that imports faiss, and late: importing it costs nothing but numpy.

Vectors are rounded to float16 on the way in, as SQLite keeps them, so a restart changes no similarity. FAISS
proposes in float32, whose last bits depend on batch size and index form; what is returned is computed again
in float64, where the inner product of two such vectors is *exact* (products are multiples of 2**-48, sums
stay below 2). So a pair has one similarity, whoever arrives first, in whatever batch: law 4 rests on it.

Up to `max_flat_floats` the search is exact (IDMap2 over Flat). Above that, `grown` makes an inverted file of
float16 lists. Half of sqrt(lists) probes find .998 and more of the near-duplicates (measured from 100,000 to
10 million rows); the other half makes up for centroids gone stale until `retrain_wanted`.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, BinaryIO

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from store.errors import StateError
from store.idset import Ids, IdSet
from store.text import printable

Vectors = NDArray[np.float32]
Rows = Callable[[], Iterator[tuple[Ids, NDArray[Any]]]]

_MAGIC = b"dedupdv1"
_HEADER_BYTES = 4096  # magic, length and SHA-256 of the JSON, the JSON, zeros; the FAISS bytes follow
_PREFIX = struct.Struct("<8sI32s")
_CHUNK_BYTES = 1 << 20
_EXACT_ROWS = 1024  # rows per float64 block: 2 MiB at 256 dimensions stay in the cache
_NORM_TOLERANCE = 0.01
_SAMPLES_PER_LIST = 64
_MAX_SAMPLE_FLOATS = 1 << 27  # 512 MiB
_TWO_LEVEL_LISTS = 4096  # from here on flat k-means takes minutes (95 s on one core at 4,096)
_REBUILD_HINT = "Nothing is lost: the index is rebuilt from the catalog."


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How the vector index searches."""

    max_flat_floats: Annotated[int, Ge(1)] = 25_000_000  # rows x dimension; 100 thousand rows of 256: 3.6 ms
    probes: Annotated[int, Ge(0)] = 0  # lists looked into per query; 0: sqrt(lists), at least 32
    threads: Annotated[int, Ge(1)] = 1  # of FAISS, per call


@dataclass(frozen=True, slots=True)
class Watermark:
    """How much of the catalog a snapshot holds; what came after it is replayed."""

    last_image_id: int
    removals: int
    count: int


@functools.cache
def load_faiss() -> ModuleType:
    """Import FAISS once, at the first index, and let batches of 8 queries and more take the matrix product.

    By default (128000, compared with queries x dimension) a batch of 32 scans like 32 single queries: 3.6 ms
    each over 100 thousand rows instead of 1.0.
    """
    import faiss

    faiss.cvar.distance_compute_blas_threshold = 2000
    return faiss


class VectorIndex:
    """Embeddings of one model by SQLite row id. Safe to share between threads: one lock serialises the calls.

    Vectors must be L2-normalised ([n, d], float32 or float16); others raise ValueError, as do known ids.
    Similarity is the inner product of the vectors rounded to float16: higher is closer, 1 ± 0.001 for equals.
    """

    def __init__(self, dimension: int, model_id: str, settings: IndexSettings | None = None) -> None:
        faiss = load_faiss()
        flat = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._take(flat, dimension, model_id, settings or IndexSettings())

    def _take(self, index: Any, dimension: int, model_id: str, settings: IndexSettings) -> None:
        self.dimension, self.model_id, self.settings = dimension, model_id, settings
        self.generation = 0  # of the last snapshot written or restored
        self._index = index
        self._lock = threading.RLock()
        self._ids = IdSet(_ids_of(index))
        self._trained_rows, self._trained_imbalance = 0, 1.0
        if self._lists:
            index.nprobe = min(settings.probes or max(32, math.isqrt(self._lists)), self._lists)

    @property
    def _lists(self) -> int:
        return int(getattr(self._index, "nlist", 0))

    @property
    def kind(self) -> str:
        """The form of the index: "flat", or "ivf1024-fp16" with its number of lists."""
        return f"ivf{self._lists}-fp16" if self._lists else "flat"

    @property
    def retrain_wanted(self) -> bool:
        """Whether `grown` would search faster: flat and too large, or grown fourfold or twice as uneven."""
        with self._lock:
            if not self._lists:
                return len(self) * self.dimension > self.settings.max_flat_floats
            uneven: float = self._index.invlists.imbalance_factor()
            return len(self) >= 4 * self._trained_rows or uneven > 2 * self._trained_imbalance

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Ids, vectors: NDArray[Any]) -> None:
        """Add vectors [n, d] under new row ids [n], all or none."""
        ids, rows = np.ascontiguousarray(ids, np.int64), self._rounded(vectors)
        if ids.shape != (len(rows),):
            raise ValueError(f"{ids.shape} ids for {len(rows)} vectors")
        if (ids < 0).any():
            raise ValueError("a negative id")  # FAISS says -1 for "none"
        with self._lock:
            self._ids.fresh(ids)
            self._engine().add_with_ids(rows, ids)
            self._ids.add(ids)

    def search(self, vectors: NDArray[Any], k: int) -> tuple[Ids, NDArray[np.float32]]:
        """Return the k nearest of each vector, best first: ids [n, k], similarity [n, k].

        Padded with -1 and -inf. Among equals at the end of the list the choice is arbitrary.
        """
        queries = self._rounded(vectors)
        ids = np.full((len(queries), k), -1, np.int64)
        similarity = np.full((len(queries), k), -np.inf, np.float32)
        with self._lock:
            wanted = min(k, len(self))
            if not wanted or not len(queries):
                return ids, similarity
            _, found = self._engine().search(queries, wanted)
            for row, query in enumerate(queries):
                best, values = self._exact(query, found[row][found[row] >= 0])
                ids[row, : len(best)], similarity[row, : len(best)] = best, values
        return ids, similarity

    def range(self, vectors: NDArray[Any], min_similarity: float) -> list[tuple[Ids, NDArray[np.float32]]]:
        """Return for each vector all (ids, similarity) of at least min_similarity, best first, ties by id.

        Complete when flat: FAISS is asked with a margin that covers its float32 rounding (n * 2**-24 for n
        products, Higham, "Accuracy and Stability of Numerical Algorithms", 3.1; taken twice), then the exact
        value decides. Over lists, a neighbour in a list that was not looked into stays unseen.
        """
        queries = self._rounded(vectors)
        margin = self.dimension * 2.0**-23
        with self._lock:
            if not len(self) or not len(queries):
                return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
            limits, _, found = self._engine().range_search(queries, min_similarity - margin)
            results = []
            for row, query in enumerate(queries):
                ids, similarity = self._exact(query, found[limits[row] : limits[row + 1]])
                near = similarity.astype(np.float64) >= min_similarity
                results.append((ids[near], similarity[near]))
        return results

    def remove(self, ids: Ids) -> int:
        """Remove row ids [n], ignoring unknown ones; return how many were held. Worth batching."""
        with self._lock:
            known = self._ids.remove(np.asarray(ids, np.int64))
            if len(known):
                self._engine().remove_ids(known)
            return len(known)

    def grown(self, fetch_all: Rows) -> "VectorIndex":
        """Build the index that fits the rows `fetch_all()` yields, beside this one, which goes on serving.

        `fetch_all` yields (ids [n], vectors [n, d]) in blocks, the whole catalog each time, and is called to
        count, to draw a uniform sample (the first rows are never representative) and to add. The caller
        replays what changed meanwhile and swaps the reference. Also the way to rebuild from nothing:
        `VectorIndex(dimension, model_id).grown(fetch_all)`.
        """
        new = VectorIndex(self.dimension, self.model_id, self.settings)
        count = sum(len(ids) for ids, _ in fetch_all())
        if count * self.dimension > self.settings.max_flat_floats:
            lists = 1 << int(math.log2(4 * math.sqrt(2 * count)))
            size = min(count, lists * _SAMPLES_PER_LIST, max(lists, _MAX_SAMPLE_FLOATS // self.dimension))
            sample = self._rounded(_sampled(fetch_all, count, size))
            load_faiss().omp_set_num_threads(self.settings.threads)
            lists = min(lists, len(sample))
            new._take(_inverted_file(sample, lists), self.dimension, self.model_id, self.settings)
        for ids, vectors in fetch_all():
            new.add(ids, vectors)
        if new._lists:
            new._trained_rows, new._trained_imbalance = len(new), new._index.invlists.imbalance_factor()
        new.generation = self.generation
        return new

    def snapshot(self, path: Path, watermark: Watermark) -> None:
        """Write the index to one file: temporary file, fsync, rename, fsync of the folder.

        One container with a checked header, so no crash can pair the header of one snapshot with the body of
        another. Raise StateError, with the former snapshot intact, when the disk refuses or when the index
        does not hold the watermark's count.
        """
        part = path.with_name(path.name + ".part")
        try:
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                self._write(file, watermark)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
            self.generation += 1
        except OSError as error:
            raise StateError(
                f"cannot write the index snapshot {printable(str(path))}: {error.strerror}",
                "The former snapshot is intact; free space or fix the permissions of the state folder.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _write(self, file: BinaryIO, watermark: Watermark) -> None:
        faiss = load_faiss()
        body = hashlib.sha256()

        def write(data: bytes) -> int:
            body.update(data)
            return file.write(data)

        with self._lock:
            if watermark.count != len(self):
                found = f"the index holds {len(self)} vectors, the catalog {watermark.count}"
                raise StateError(found, _REBUILD_HINT)
            file.write(bytes(_HEADER_BYTES))
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(write, _CHUNK_BYTES))
            header = {
                "generation": self.generation + 1,
                "kind": self.kind,
                "model_id": self.model_id,
                "dimension": self.dimension,
                "watermark": asdict(watermark),
                "trained": [self._trained_rows, self._trained_imbalance],
                "sha256": body.hexdigest(),
            }
        text = json.dumps(header).encode()
        if _PREFIX.size + len(text) > _HEADER_BYTES:
            raise ValueError(f"a model id of {len(self.model_id)} characters")
        file.seek(0)
        file.write(_PREFIX.pack(_MAGIC, len(text), hashlib.sha256(text).digest()) + text)

    @classmethod
    def restore(
        cls, path: Path, dimension: int, model_id: str, settings: IndexSettings | None = None
    ) -> tuple["VectorIndex", Watermark]:
        """Read a snapshot back; FAISS sees no byte of it before its checksum is right.

        Raise StateError when it is missing, cut, altered, of another model or dimension.
        """
        try:
            with path.open("rb") as file:
                header = _read_header(file)
                watermark = Watermark(**header["watermark"])
                if (header["dimension"], header["model_id"]) != (dimension, model_id):
                    raise _Unfit(f"it is of {header['model_id']} with {header['dimension']} dimensions")
                faiss = load_faiss()
                index = faiss.read_index(faiss.PyCallbackIOReader(file.read, _CHUNK_BYTES))
        except (OSError, RuntimeError, _Unfit) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StateError(f"no index from {printable(str(path))}: {reason}", _REBUILD_HINT) from error
        found = cls.__new__(cls)
        found._take(index, dimension, model_id, settings or IndexSettings())
        counts = {index.ntotal, len(found), watermark.count}
        if len(counts) > 1 or found.kind != header["kind"] or index.d != dimension:
            raise StateError(f"no index from {printable(str(path))}: its parts disagree", _REBUILD_HINT)
        found._trained_rows, found._trained_imbalance = header["trained"]
        found.generation = header["generation"]
        return found, watermark

    def _engine(self) -> Any:
        # OpenMP keeps the number of threads per calling thread, so it is set anew on every call.
        load_faiss().omp_set_num_threads(self.settings.threads)
        return self._index

    def _rounded(self, vectors: NDArray[Any]) -> Vectors:
        rows = np.ascontiguousarray(np.asarray(vectors).astype(np.float16), np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ValueError(f"vectors of shape {rows.shape}, wanted [n, {self.dimension}]")
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        if not (np.abs(norms - 1) < _NORM_TOLERANCE).all():  # written so that NaN fails too
            raise ValueError("vectors are not L2-normalised")
        return rows

    def _exact(self, query: Vectors, ids: Ids) -> tuple[Ids, NDArray[np.float32]]:
        """Order candidates by their exact similarity, best first, ties by id."""
        wide = query.astype(np.float64)
        similarity = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _EXACT_ROWS):
            block = slice(start, start + _EXACT_ROWS)
            similarity[block] = self._index.reconstruct_batch(ids[block]).astype(np.float64) @ wide
        order = np.lexsort((ids, -similarity))
        return ids[order], similarity[order]


class _Unfit(Exception):
    """A snapshot that is not what it should be; becomes a StateError with its path."""


def _read_header(file: BufferedReader) -> dict[str, Any]:
    """Check header and body against their checksums; leave the file at the first byte of the body."""
    head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        raise _Unfit("it is cut short")
    magic, length, digest = _PREFIX.unpack_from(head)
    text = head[_PREFIX.size : _PREFIX.size + length]
    if magic != _MAGIC or hashlib.sha256(text).digest() != digest or any(head[_PREFIX.size + length :]):
        raise _Unfit("its header is damaged")
    header: dict[str, Any] = json.loads(text)
    if hashlib.file_digest(file, "sha256").hexdigest() != header["sha256"]:
        raise _Unfit("its body is cut or damaged")
    file.seek(_HEADER_BYTES)
    return header


def _ids_of(index: Any) -> Ids:
    faiss = load_faiss()
    if not hasattr(index, "nlist"):
        return np.asarray(faiss.vector_to_array(index.id_map), np.int64)
    lists = index.invlists
    sizes = ((number, lists.list_size(number)) for number in range(index.nlist))
    # FAISS shows an empty list as float64, which would round every id above 2**53.
    views = [faiss.rev_swig_ptr(lists.get_ids(number), size) for number, size in sizes if size]
    return np.concatenate([np.empty(0, np.int64), *views])


def _sampled(fetch_all: Rows, count: int, size: int) -> NDArray[Any]:
    """Draw `size` of `count` rows uniformly over all blocks."""
    chosen = np.sort(np.random.default_rng(count).choice(count, size, replace=False))
    parts, start = [], 0
    for ids, vectors in fetch_all():
        first, last = np.searchsorted(chosen, (start, start + len(ids)))
        parts.append(np.asarray(vectors)[chosen[first:last] - start])
        start += len(ids)
    return np.concatenate(parts)


def _inverted_file(sample: Vectors, lists: int) -> Any:
    """Train an empty IVF of float16 rows; its map from id to place makes reading and removing a row cheap."""
    faiss = load_faiss()
    coarse = faiss.IndexFlatIP(sample.shape[1])
    coarse.add(_two_level(sample, lists) if lists >= _TWO_LEVEL_LISTS else _kmeans(sample, lists))
    index = faiss.IndexIVFScalarQuantizer(
        coarse, sample.shape[1], lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.train(sample[:1])  # the centroids are there and float16 needs no training: this only marks it ready
    index.set_direct_map_type(faiss.DirectMap.Hashtable)
    return index


def _kmeans(sample: Vectors, centroids: int) -> Vectors:
    limits = {"min_points_per_centroid": 1, "max_points_per_centroid": len(sample)}
    found = load_faiss().Kmeans(sample.shape[1], centroids, niter=10, spherical=True, **limits)
    found.train(sample)
    return np.asarray(found.centroids, np.float32)


def _two_level(sample: Vectors, lists: int) -> Vectors:
    """Cluster into sqrt(lists) parts, then each part in proportion to its rows: lists**1.5, not lists**2."""
    faiss = load_faiss()
    coarse = faiss.IndexFlatIP(sample.shape[1])
    coarse.add(_kmeans(sample, math.isqrt(lists)))
    part = coarse.search(sample, 1)[1][:, 0]
    rows = np.bincount(part, minlength=coarse.ntotal)
    shares = np.diff(np.cumsum(rows) * lists // len(sample), prepend=0)
    return np.concatenate([_kmeans(sample[part == n], int(share)) for n, share in enumerate(shares) if share])


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
