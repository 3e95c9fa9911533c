"""What the pipeline holds in memory over the catalog: indexes, standings, ranks. All of it can be made again."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.grouping import outranks
from pipeline.indexes import Indexes
from pipeline.keeper import KeeperSettings, asks_for_originals, rank
from pipeline.matching import Matcher, Recent, Thresholds
from pipeline.originals import Preference
from pipeline.rulings import RulingBook
from pipeline.settings import VerifySettings
from store.catalog import Catalog
from store.previews import Previews
from store.records import CatalogFile, ImageState, Level, Rank
from store.relations import Relations

Facts = Recent[int, tuple[ImageState, Sequence[CatalogFile]]]

ROUNDS = 3  # drafts before the standings that count: so often may a better one be found behind a keeper


class LiveStandings:
    """The standings of one level: an array in memory for filtering, written through to the catalog."""

    def __init__(self, relations: Relations, level: str) -> None:
        self._relations = relations
        self._level = level
        rows = relations.standings(level)
        self._keepers = np.zeros(int(rows[:, 0].max(initial=0)) + 1024, np.int64)  # 0: out of play
        self._keepers[rows[:, 0]] = rows[:, 1]

    def keeper_of(self, image_id: int) -> int | None:
        """Return the image's keeper, itself for a keeper, None when out of play."""
        if image_id >= len(self._keepers):
            return None
        return int(self._keepers[image_id]) or None

    def extras_of(self, keeper_id: int) -> list[int]:
        """List a keeper's extras."""
        return self._relations.extras_of(self._level, keeper_id)

    def put(self, image_id: int, keeper_id: int | None) -> None:
        """Set an image's keeper; None takes it out of play."""
        if image_id >= len(self._keepers):
            self._keepers = np.concatenate([self._keepers, np.zeros(image_id + 1, np.int64)])
        self._keepers[image_id] = keeper_id or 0
        self._relations.put_standing(self._level, image_id, keeper_id)

    def keepers_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keeper of each id, 0 where out of play: int64 [n]."""
        known = image_ids < len(self._keepers)
        return np.where(known, self._keepers[np.where(known, image_ids, 0)], 0)

    def clear(self) -> None:
        """Take every image out of play, in memory; the catalog is cleared by the caller."""
        self._keepers[:] = 0


class LevelView:
    """What the walk asks, answered at one level."""

    def __init__(
        self, level: Level, standings: LiveStandings, matcher: Matcher, ranks: "Ranks", rulings: RulingBook,
        *, draft: bool,
    ) -> None:  # fmt: skip
        """`draft` where nothing leaves by these standings: they only tell who is to be asked for the original."""
        self._draft = draft
        self._level = level
        self._standings = standings
        self._matcher = matcher
        self._ranks = ranks
        self._rulings = rulings

    def rank(self, image_id: int) -> Rank:
        """Return the image's place in the total order."""
        return self._ranks(image_id)

    def keepers_near(self, image_id: int) -> list[int]:
        """List keepers that may match."""
        ids = self._matcher.near(image_id)
        if not len(ids):
            return []
        found: list[int] = ids[self._standings.keepers_of(ids) == ids].tolist()
        return found

    def extras_near(self, image_id: int, keeper_below: Rank) -> list[int]:
        """List extras that may match and whose keeper ranks below `keeper_below`."""
        ids = self._matcher.near(image_id)
        if not len(ids):
            return []
        keepers = self._standings.keepers_of(ids)
        extras = (keepers != ids) & (keepers != 0)
        if not extras.any():
            return []
        behind = np.unique(keepers[extras])
        # A keeper that has just left play has no rank any more; its extras are under reconsideration as it is.
        standing = behind[self._standings.keepers_of(behind) == behind].tolist()
        lower = [keeper for keeper in standing if outranks(keeper_below, self._ranks(keeper))]
        found: list[int] = ids[extras & np.isin(keepers, lower)].tolist()
        return found

    def matches(self, extra: int, keeper: int) -> bool:
        """Decide whether two images match at this level and the keeper can stand for the extra."""
        if self._rulings.between(extra, keeper):
            return False
        if self._level is Level.SIMILAR and self._rulings.kept(extra) and self._rulings.kept(keeper):
            return False  # which of two to keep is asked about duplicates; as similar pictures both stay
        # What holds more than is seen stands behind nobody, but it is the original of stills, which must come out.
        if not self._draft and not self._matcher.stands_for(keeper, extra):
            return False
        evidence = self._matcher.evidence(extra, keeper)
        return evidence is not None and evidence.kind.level is self._level

    def apart_from(self, image_id: int) -> list[int]:
        """List the images that may not stand behind one keeper with this one; related pictures may."""
        return self._rulings.apart_from(image_id) if self._level is Level.DUPLICATES else []


class Ranks:
    """The ranks of images, remembered until told otherwise."""

    def __init__(
        self,
        facts: "Facts",
        settings: KeeperSettings,
        rulings: RulingBook,
        later: tuple["Ranks", Callable[[int], int]] | None = None,
    ) -> None:
        """`later` holds, for the order of a later round, the order by merit alone and how to tell the rounds won."""
        self._facts = facts
        self._settings = settings
        self._rulings = rulings
        self._later = later
        self._known: Recent[int, Rank] = Recent(self._load, 50_000)

    def __call__(self, image_id: int) -> Rank:
        """Return an image's rank; it must have a file."""
        return self._known(image_id)

    def _load(self, image_id: int) -> Rank:
        won = 0
        if self._later is not None:
            by_merit, rounds_won = self._later
            won = rounds_won(image_id)
            if not won:  # as nearly all
                return by_merit(image_id)
        image, files = self._facts(image_id)
        return self._rulings.placed(rank(image, files, self._settings, rounds_won=won))

    def forget(self) -> None:
        """Drop what was remembered; to be called whenever files changed."""
        self._known.clear()


class Knowledge:
    """Indexes, standings, ranks, rulings and matcher over one catalog and one model."""

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
        self.rulings = RulingBook(catalog)
        self.rounds = ROUNDS if asks_for_originals(keeper_settings) else 0
        self._facts: Facts = Recent(self._load_facts, 50_000)  # the orders of all rounds share them
        self.ranks = Ranks(self._facts, keeper_settings, self.rulings)
        self.drafts = {
            level: [LiveStandings(catalog.drafts, f"{level} {number}") for number in range(ROUNDS)] for level in Level
        }
        self.standings = {level: LiveStandings(catalog.relations, level) for level in Level}
        self._orders = {level: self._orders_at(level, keeper_settings) for level in Level}
        self.draft_views = {
            level: [self._view(level, draft, number) for number, draft in enumerate(self.drafts[level])]
            for level in Level
        }
        self.views = {level: self._view(level, self.standings[level], self.rounds) for level in Level}

    def _load_facts(self, image_id: int) -> tuple[ImageState, Sequence[CatalogFile]]:
        return self.catalog.image(image_id), self.catalog.files_of([image_id])[image_id]

    def _orders_at(self, level: Level, settings: KeeperSettings) -> list["Ranks"]:
        """Make the order of each round: by merit at first, then by rounds won as well."""
        later = ((self.ranks, partial(self.rounds_won, level, number)) for number in range(1, ROUNDS + 1))
        return [self.ranks, *(Ranks(self._facts, settings, self.rulings, each) for each in later)]

    def _view(self, level: Level, standings: LiveStandings, number: int) -> LevelView:
        ranks = self._orders[level][number]
        return LevelView(level, standings, self.matcher, ranks, self.rulings, draft=number < self.rounds)

    def in_play(self, image_id: int) -> bool:
        """Tell whether an image takes part in the walks: it has files and pixels, and passed, or a person says so."""
        files = self.catalog.files_of([image_id]).get(image_id, [])
        image = self.catalog.image(image_id)
        wanted = any(file.protected for file in files) or self.rulings.kept(image_id) > 0
        return bool(files) and image.observation is not None and (image.reject is None or wanted)

    def rounds_won(self, level: Level, before: int, image_id: int) -> int:
        """Return the last round before one in which an image was the original of its keeper, counted from 1; else 0.

        That keeper won an earlier round at best, so whoever is its original ranks above it from then on.
        """
        for number in reversed(range(min(before, self.rounds))):
            keeper_id = self.drafts[level][number].keeper_of(image_id)
            behind = keeper_id is not None and keeper_id != image_id
            if behind and self.matcher.original_of(image_id, keeper_id or 0).original == 1:
                return number + 1
        return 0

    def end_round(self, level: Level, number: int) -> None:
        """Let the orders of later rounds follow from the standings of this one."""
        for ranks in self._orders[level][number + 1 :]:
            ranks.forget()

    def election(self, level: Level, keeper_id: int, extra_id: int) -> tuple[tuple[int, int], str]:
        """Return the last rounds that keeper and extra won, and what shows that the keeper is the original."""
        won = self.rounds_won(level, self.rounds, keeper_id), self.rounds_won(level, self.rounds, extra_id)
        found = self.matcher.original_of(keeper_id, extra_id) if won[0] > won[1] else Preference()
        return won, found.reason if found.original == 1 else ""

    def clear_standings(self) -> None:
        """Take every image out of play, before a full walk."""
        for relations in (self.catalog.relations, self.catalog.drafts):
            relations.clear_standings()
        for level in Level:
            for standings in (self.standings[level], *self.drafts[level]):
                standings.clear()

    def forget(self) -> None:
        """Drop remembered answers after a change of files, images or embeddings."""
        self.matcher.forget()
        self._facts.clear()
        for orders in self._orders.values():
            for ranks in orders:
                ranks.forget()
