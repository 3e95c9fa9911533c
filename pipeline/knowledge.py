"""What the pipeline holds in memory over the catalog: indexes, standings, ranks. All of it can be made again.

The vector index is restored from its snapshot and replays what came after; whenever its count disagrees with the
catalog's it is rebuilt, because the catalog is right.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.grouping import outranks
from pipeline.keeper import KeeperSettings, rank
from pipeline.matching import Matcher, Recent, Thresholds
from pipeline.verify import VerifySettings
from store.catalog import Catalog
from store.errors import StateError
from store.hamming import HammingIndex
from store.previews import Previews
from store.records import Level, Observation, Rank
from store.vectors import VectorIndex, Watermark

_REPLAY_ROWS = 20_000


class LiveStandings:
    """The standings of one level: an array in memory for filtering, written through to the catalog."""

    def __init__(self, catalog: Catalog, level: Level) -> None:
        self._catalog = catalog
        self._level = level
        rows = catalog.standings(level)
        self._keepers = np.zeros(int(rows[:, 0].max(initial=0)) + 1024, np.int64)  # 0: out of play
        self._keepers[rows[:, 0]] = rows[:, 1]

    def keeper_of(self, image_id: int) -> int | None:
        """Return the image's keeper, itself for a keeper, None when out of play."""
        if image_id >= len(self._keepers):
            return None
        return int(self._keepers[image_id]) or None

    def extras_of(self, keeper_id: int) -> list[int]:
        """List a keeper's extras."""
        return self._catalog.extras_of(self._level, keeper_id)

    def put(self, image_id: int, keeper_id: int | None) -> None:
        """Set an image's keeper; None takes it out of play."""
        if image_id >= len(self._keepers):
            self._keepers = np.concatenate([self._keepers, np.zeros(image_id + 1, np.int64)])
        self._keepers[image_id] = keeper_id or 0
        self._catalog.put_standing(self._level, image_id, keeper_id)

    def keepers_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keeper of each id, 0 where out of play: int64 [n]."""
        known = image_ids < len(self._keepers)
        return np.where(known, self._keepers[np.where(known, image_ids, 0)], 0)

    def clear(self) -> None:
        """Take every image out of play, in memory; the catalog is cleared by the caller."""
        self._keepers[:] = 0


class LevelView:
    """What the walk asks, answered at one level."""

    def __init__(self, level: Level, standings: LiveStandings, matcher: Matcher, ranks: "Ranks") -> None:
        self._level = level
        self._standings = standings
        self._matcher = matcher
        self._ranks = ranks

    def rank(self, image_id: int) -> Rank:
        """Return the image's place in the total order."""
        return self._ranks(image_id)

    def keepers_near(self, image_id: int) -> list[int]:
        """List keepers that may match."""
        ids = self._matcher.near(image_id)
        found: list[int] = ids[self._standings.keepers_of(ids) == ids].tolist()
        return found

    def extras_near(self, image_id: int, keeper_below: Rank) -> list[int]:
        """List extras that may match and whose keeper ranks below `keeper_below`."""
        ids = self._matcher.near(image_id)
        keepers = self._standings.keepers_of(ids)
        extras = (keepers != ids) & (keepers != 0)
        lower = [k for k in np.unique(keepers[extras]).tolist() if outranks(keeper_below, self._ranks(k))]
        found: list[int] = ids[extras & np.isin(keepers, lower)].tolist()
        return found

    def matches(self, a: int, b: int) -> bool:
        """Decide whether two images match at this level."""
        evidence = self._matcher.evidence(a, b)
        return evidence is not None and evidence.kind.level is self._level


class Ranks:
    """The ranks of images, remembered until told otherwise."""

    def __init__(self, catalog: Catalog, settings: KeeperSettings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._known: Recent[int, Rank] = Recent(self._load, 50_000)

    def __call__(self, image_id: int) -> Rank:
        """Return an image's rank; it must have a file."""
        return self._known(image_id)

    def _load(self, image_id: int) -> Rank:
        return rank(self._catalog.image(image_id), self._catalog.files_of([image_id])[image_id], self._settings)

    def forget(self) -> None:
        """Drop what was remembered; to be called whenever files changed."""
        self._known.clear()


class Knowledge:
    """Indexes, standings and matcher over one catalog and one model."""

    def __init__(
        self,
        catalog: Catalog,
        folder: Path,
        model: tuple[str, int],
        thresholds: Thresholds,
        keeper_settings: KeeperSettings,
        verify_settings: VerifySettings,
    ) -> None:
        self.catalog = catalog
        self.model_id, self.dimension = model
        self.previews = Previews(folder / "previews")
        self._snapshot_path = folder / "vectors" / f"{self.model_id}.index"
        self.hashes = HammingIndex()
        self.hashes.add(*catalog.hash_rows())
        self.vectors, self._removals = self._load_vectors()
        self.matcher = Matcher(catalog, self.previews, self.hashes, self.vectors, thresholds, verify_settings)
        self.ranks = Ranks(catalog, keeper_settings)
        self.standings = {level: LiveStandings(catalog, level) for level in Level}
        self.views = {level: LevelView(level, self.standings[level], self.matcher, self.ranks) for level in Level}

    def forget(self) -> None:
        """Drop remembered answers after a change of files, images or embeddings."""
        self.matcher.forget()
        self.ranks.forget()

    def add_hashes(self, image_id: int, seen: Observation) -> None:
        """Make a new image findable by its hashes."""
        if seen.hashes.hashable:
            words = np.array([seen.hashes.phash], np.uint64), np.array([seen.hashes.dhash], np.uint64)
            self.hashes.add(np.array([image_id], np.int64), *words)

    def add_embeddings(self, image_ids: list[int], vectors: NDArray[np.float32]) -> None:
        """Store embeddings (float32 [n, d]) and make them findable, as precise as they are stored."""
        for image_id, vector in zip(image_ids, vectors, strict=True):
            self.catalog.put_embedding(image_id, self.model_id, vector)
        self.vectors.add(np.array(image_ids, np.int64), vectors.astype(np.float16).astype(np.float32))

    def remove_images(self, image_ids: Iterable[int]) -> None:
        """Take deleted images out of the indexes."""
        ids = np.array(list(image_ids), np.int64)
        if len(ids):
            self.hashes.remove(ids)
            self.vectors.remove(ids)
            self._removals += len(ids)
            self.forget()

    def snapshot(self) -> None:
        """Write the vector index to disk, so that the next start is quick."""
        self._snapshot_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = self.catalog.newest_embedding(self.model_id)
        self.vectors.snapshot(self._snapshot_path, Watermark(newest, self._removals, len(self.vectors)))

    def grow(self) -> bool:
        """Change to a bigger kind of vector index where the catalog asks for one; tell whether it happened."""
        if not self.vectors.retrain_wanted:
            return False
        grown = self.vectors.grown(lambda: self._embeddings_after(0))
        self.vectors = grown
        self.matcher.use_vectors(grown)
        return True

    def _load_vectors(self) -> tuple[VectorIndex, int]:
        index, mark = VectorIndex(self.dimension, self.model_id), Watermark(0, 0, 0)
        with contextlib.suppress(StateError):  # any doubt about the snapshot: start empty and replay everything
            index, mark = VectorIndex.restore(self._snapshot_path, self.dimension, self.model_id)
        self._replay(index, mark.last_image_id)
        if len(index) != self.catalog.count_embeddings(self.model_id):
            index = VectorIndex(self.dimension, self.model_id)
            self._replay(index, 0)
        if index.retrain_wanted:
            index = index.grown(lambda: self._embeddings_after(0))
        return index, mark.removals

    def _replay(self, index: VectorIndex, after: int) -> None:
        for ids, vectors in self._embeddings_after(after):
            index.add(ids, vectors)

    def _embeddings_after(self, image_id: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        while True:
            ids, vectors = self.catalog.embeddings_after(self.model_id, image_id, _REPLAY_ROWS)
            if not len(ids):
                return
            yield ids, vectors
            image_id = int(ids[-1])
