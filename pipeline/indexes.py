"""The search structures over one catalog and one model: derived, loaded when they are first needed.

The vector index is restored from its snapshot and replays what came after; whenever its count disagrees with the
catalog's it is rebuilt, because the catalog is right.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.catalog import Catalog
from store.errors import StateError
from store.hamming import HammingIndex
from store.records import Observation
from store.vectors import VectorIndex, Watermark

_REPLAY_ROWS = 20_000


class Indexes:
    """The Hamming index and the vector index."""

    def __init__(self, catalog: Catalog, folder: Path, model_id: str, dimension: int) -> None:
        self.model_id = model_id
        self._catalog = catalog
        self._dimension = dimension
        self._snapshot_path = folder / f"{model_id}.index"
        self._hashes: HammingIndex | None = None
        self._vectors: VectorIndex | None = None

    def load(self) -> None:
        """Load both now; to be called before the catalog changes, or a new row would be loaded and added."""
        _ = self.hashes, self.vectors

    @property
    def loaded(self) -> bool:
        """Whether the vector index is in memory."""
        return self._vectors is not None

    @property
    def hashes(self) -> HammingIndex:
        """The index of pHash and dHash."""
        if self._hashes is None:
            self._hashes = HammingIndex()
            self._hashes.add(*self._catalog.hash_rows())
        return self._hashes

    @property
    def vectors(self) -> VectorIndex:
        """The index of embeddings."""
        if self._vectors is None:
            self._vectors = self._load_vectors()
        return self._vectors

    def add_hashes(self, image_id: int, seen: Observation) -> None:
        """Make a new image findable by its hashes."""
        if seen.hashes.hashable:
            words = np.array([seen.hashes.phash], np.uint64), np.array([seen.hashes.dhash], np.uint64)
            self.hashes.add(np.array([image_id], np.int64), *words)

    def add_embeddings(self, image_ids: list[int], vectors: NDArray[np.float32]) -> None:
        """Store embeddings (float32 [n, d]) and make them findable, as precise as they are stored."""
        index = self.vectors
        for image_id, vector in zip(image_ids, vectors, strict=True):
            self._catalog.put_embedding(image_id, self.model_id, vector)
        index.add(np.array(image_ids, np.int64), vectors.astype(np.float16).astype(np.float32))

    def remove(self, image_ids: Iterable[int]) -> None:
        """Take deleted images out."""
        ids = np.array(list(image_ids), np.int64)
        if len(ids):
            self.hashes.remove(ids)
            self.vectors.remove(ids)

    def snapshot(self) -> None:
        """Write the vector index to disk, so that the next start is quick."""
        if self._vectors is not None:
            self._snapshot_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            newest = self._catalog.newest_embedding(self.model_id)
            self._vectors.snapshot(
                self._snapshot_path, Watermark(newest, self._catalog.count_removals(), len(self._vectors))
            )

    def grow(self) -> bool:
        """Change to a bigger kind of vector index where its size asks for one; tell whether it happened."""
        if self._vectors is None or not self._vectors.retrain_wanted:
            return False
        self._vectors = self._vectors.grown(lambda: self._embeddings_after(0))
        return True

    def _load_vectors(self) -> VectorIndex:
        removals = self._catalog.count_removals()
        try:
            index, mark = VectorIndex.restore(self._snapshot_path, self._dimension, self.model_id)
        except StateError:  # any doubt about the snapshot: the catalog has everything
            return self._rebuilt()
        self._replay(index, mark.last_image_id)
        if mark.removals != removals or len(index) != self._catalog.count_embeddings(self.model_id):
            return self._rebuilt()
        return index

    def _rebuilt(self) -> VectorIndex:
        return VectorIndex(self._dimension, self.model_id).grown(lambda: self._embeddings_after(0))

    def _replay(self, index: VectorIndex, after: int) -> None:
        for ids, vectors in self._embeddings_after(after):
            index.add(ids, vectors)

    def _embeddings_after(self, image_id: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        while True:
            ids, vectors = self._catalog.embeddings_after(self.model_id, image_id, _REPLAY_ROWS)
            if not len(ids):
                return
            yield ids, vectors
            image_id = int(ids[-1])
