"""What the pipeline holds in memory over the catalog: indexes, standings, ranks. All of it can be made again."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.grouping import outranks
from pipeline.indexes import Indexes
from pipeline.keeper import KeeperSettings, rank
from pipeline.matching import Matcher, Recent, Thresholds
from pipeline.verify import VerifySettings
from store.catalog import Catalog
from store.previews import Previews
from store.records import Level, Rank


class LiveStandings:
    """The standings of one level: an array in memory for filtering, written through to the catalog."""

    def __init__(self, catalog: Catalog, level: Level) -> None:
        self._catalog = catalog
        self._level = level
        rows = catalog.relations.standings(level)
        self._keepers = np.zeros(int(rows[:, 0].max(initial=0)) + 1024, np.int64)  # 0: out of play
        self._keepers[rows[:, 0]] = rows[:, 1]

    def keeper_of(self, image_id: int) -> int | None:
        """Return the image's keeper, itself for a keeper, None when out of play."""
        if image_id >= len(self._keepers):
            return None
        return int(self._keepers[image_id]) or None

    def extras_of(self, keeper_id: int) -> list[int]:
        """List a keeper's extras."""
        return self._catalog.relations.extras_of(self._level, keeper_id)

    def put(self, image_id: int, keeper_id: int | None) -> None:
        """Set an image's keeper; None takes it out of play."""
        if image_id >= len(self._keepers):
            self._keepers = np.concatenate([self._keepers, np.zeros(image_id + 1, np.int64)])
        self._keepers[image_id] = keeper_id or 0
        self._catalog.relations.put_standing(self._level, image_id, keeper_id)

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
        behind = np.unique(keepers[extras])
        # A keeper that has just left play has no rank any more; its extras are under reconsideration as it is.
        standing = behind[self._standings.keepers_of(behind) == behind].tolist()
        lower = [keeper for keeper in standing if outranks(keeper_below, self._ranks(keeper))]
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
    """Indexes, standings, ranks and matcher over one catalog and one model."""

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
        self.model_id = model[0]
        self.previews = Previews(folder / "previews")
        self.indexes = Indexes(catalog, folder / "vectors", *model)
        self.matcher = Matcher(catalog, self.previews, self.indexes, thresholds, verify_settings)
        self.ranks = Ranks(catalog, keeper_settings)
        self.standings = {level: LiveStandings(catalog, level) for level in Level}
        self.views = {level: LevelView(level, self.standings[level], self.matcher, self.ranks) for level in Level}

    def forget(self) -> None:
        """Drop remembered answers after a change of files, images or embeddings."""
        self.matcher.forget()
        self.ranks.forget()
