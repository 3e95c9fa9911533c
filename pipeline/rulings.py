"""What people ruled, held in memory over the catalog and asked by image.

Rulings are stored by content, so they hold wherever and whenever that content turns up. Of two that disagree the
newer one holds: a picture that is to stay gives way only to a picture that matches it and was chosen later.
"""

from dataclasses import replace
from itertools import permutations

from pipeline.matching import Recent
from store.catalog import Catalog
from store.records import Rank, RulingKind


class RulingBook:
    """Answer what was ruled on an image; `load` after rulings changed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._hash_of: Recent[int, bytes] = Recent(lambda image_id: catalog.image(image_id).sha256, 50_000)
        self.load()

    def load(self) -> None:
        """Take the rulings from the catalog."""
        self._apart: dict[bytes, dict[bytes, int]] = {}
        self._kept: dict[RulingKind, dict[bytes, int]] = {RulingKind.KEEP_ALL: {}, RulingKind.KEEP_THIS: {}}
        for ruling in self._catalog.rulings.all():  # oldest first: newer ones overwrite
            if ruling.kind is RulingKind.NOT_DUPLICATES:
                for one, other in permutations(ruling.hashes, 2):
                    self._apart.setdefault(one, {})[other] = ruling.id
            else:
                self._kept[ruling.kind].update(dict.fromkeys(ruling.hashes, ruling.id))

    def apart_from(self, image_id: int) -> list[int]:
        """List the known images that are no duplicates of this one."""
        if not self._apart:
            return []
        others = self._apart.get(self._hash_of(image_id), ())
        return [found for other in others if (found := self._catalog.image_id(other)) is not None]

    def between(self, a: int, b: int) -> int:
        """Return the ruling that two images are no duplicates of each other, 0 for none."""
        if not self._apart:
            return 0
        return self._apart.get(self._hash_of(a), {}).get(self._hash_of(b), 0)

    def kept(self, image_id: int) -> int:
        """Return the newest ruling that an image stays, 0 for none."""
        return max(self._newest(kind, image_id) for kind in self._kept)

    def chosen(self, image_id: int) -> int:
        """Return the newest ruling that an image is the one to keep, 0 for none."""
        return self._newest(RulingKind.KEEP_THIS, image_id)

    def all_files_kept(self, image_id: int) -> int:
        """Return the ruling that every file of the image stays, 0 for none or where a later one chose one of them."""
        kept = self._newest(RulingKind.KEEP_ALL, image_id)
        return kept if kept > self.chosen(image_id) else 0

    def placed(self, rank: Rank) -> Rank:
        """Put what was ruled on an image into its rank: what was chosen outranks all else, the newest first."""
        kept, chosen = self.kept(rank.image_id), self.chosen(rank.image_id)
        return replace(rank, key=(chosen, *rank.key), kept=kept, chosen=chosen)

    def _newest(self, kind: RulingKind, image_id: int) -> int:
        known = self._kept[kind]
        return known.get(self._hash_of(image_id), 0) if known else 0
