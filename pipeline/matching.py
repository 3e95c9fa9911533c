"""Candidates from the indexes → proven matches with evidence.

Whether two images match is a pure, symmetric function of what is stored about the two, so that the order of arrivals
cannot matter. The indexes only make sure that no pair the function would accept is overlooked.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from zlib import crc32

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from pipeline.compression import FileFacts
from pipeline.frames import each_has_its_own
from pipeline.hashing import distance_bits
from pipeline.indexes import Indexes
from pipeline.measuring import MEASURER_VERSION
from pipeline.originals import Preference, find_original
from pipeline.settings import VerifySettings
from pipeline.tasks import LookTask, compare, prepare_stored
from pipeline.verify import Facts, Prepared
from store.catalog import Catalog
from store.errors import DecodeError
from store.previews import Previews
from store.records import Evidence, ImageState, MatchKind, Observation, StoredLook

# Raise it when the second look changes its mind: what older ones saw is then looked at again.
VERIFIER_VERSION = 19
_VERIFIER_KEY = "judged_by"
_MEASURER_KEY, _MEASURED_BEFORE_KEY = "measured_by", "measured_before"
_PREPARED = 32  # previews ready for a look, 250 kB each, some with a page: a service must soon hold all it ever will


@dataclass(frozen=True, slots=True)
class MatchingSettings:
    """When two images are worth a second look, and when they are called similar."""

    max_phash_bits: Annotated[int, Ge(0), Le(31)] = 10
    max_dhash_bits: Annotated[int, Ge(0), Le(31)] = 6
    candidate_similarity: Annotated[float, Ge(-1), Le(1)] | None = None  # None: the model's own
    similar_similarity: Annotated[float, Ge(-1), Le(1)] | None = None  # None: the model's own


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds in force, once the model's own are filled in."""

    max_phash_bits: int
    max_dhash_bits: int
    candidate_similarity: float
    similar_similarity: float


Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Remember the values made last, up to a number of entries."""

    def __init__(self, make: Callable[[Key], Value], entries: int) -> None:
        self._make = make
        self._entries = entries
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __call__(self, key: Key) -> Value:
        """Return the value for a key, made now if it is not remembered."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = self._make(key)
        if len(self._values) > self._entries:
            self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()


class Matcher:
    """Find candidates and prove them, from the catalog's facts and previews."""

    def __init__(
        self,
        catalog: Catalog,
        previews: Previews,
        indexes: Indexes,
        thresholds: Thresholds,
        verify_settings: VerifySettings,
    ) -> None:
        self._catalog = catalog
        self._previews = previews
        self._indexes = indexes
        self.thresholds = thresholds
        self._verify_settings = verify_settings
        measured = catalog.remembered(_MEASURER_KEY)  # what was seen on previews made before is looked at again
        self._verifier = f"{VERIFIER_VERSION}-{crc32(repr((verify_settings, measured)).encode()):08x}"
        self._evidence: Recent[tuple[int, int], Evidence | None] = Recent(self._judge, 100_000)
        self._original: Recent[tuple[int, int], Preference] = Recent(self._ask, 100_000)
        self._near: Recent[int, NDArray[np.int64]] = Recent(self._search, 256)
        self._image: Recent[int, ImageState] = Recent(catalog.image, 4096)
        self._embedding: Recent[int, NDArray[np.float32] | None] = Recent(self._load_embedding, 4096)
        self._prepared: Recent[bytes, Prepared | None] = Recent(self._prepare, _PREPARED)

    def forget(self) -> None:
        """Drop what was remembered; to be called whenever images or embeddings were added or removed."""
        for memory in (self._evidence, self._original, self._near, self._image, self._embedding):
            memory.clear()

    def near(self, image_id: int) -> NDArray[np.int64]:
        """Return the ids of all images that may match this one, itself not among them: int64 [n], ascending."""
        return self._near(image_id)

    def evidence(self, a: int, b: int) -> Evidence | None:
        """Prove or refuse a pair; the order of the two does not matter."""
        return self._evidence((a, b) if a < b else (b, a))

    def stands_for(self, keeper: int, extra: int) -> bool:
        """Tell whether a picture, should it look like another, holds all that the other holds, so far as is known.

        Looks alone are compared: the other frames of an animation and what is transparent are not in them, nor is
        the corner that a file has lost. A person's ruling changes nothing about that.
        """
        ours, theirs = self._image(keeper).observation, self._image(extra).observation
        if ours is None or theirs is None:
            return False
        if ours.picture.pixels_sha256 == theirs.picture.pixels_sha256:
            return True
        return not theirs.picture.holds_more and (theirs.picture.cut_short or not ours.picture.cut_short)

    def similarity(self, a: int, b: int) -> float | None:
        """Return the cosine of the stored embeddings, None where one is missing."""
        ours, theirs = self._embedding(a), self._embedding(b)
        if ours is None or theirs is None:
            return None
        # Summed in float64 and rounded, so that no order of the pair and no build of BLAS can tip a threshold.
        return round(float((ours.astype(np.float64) * theirs).sum()), 6)

    def _search(self, image_id: int) -> NDArray[np.int64]:
        seen = self._image(image_id).observation
        if seen is None:
            return np.empty(0, np.int64)
        found = [np.array(self._catalog.same_pixels(seen.picture.pixels_sha256), np.int64)]
        if seen.hashes.hashable:
            bits = self.thresholds.max_phash_bits, self.thresholds.max_dhash_bits
            found.append(np.asarray(self._indexes.hashes.range(seen.hashes.phash, seen.hashes.dhash, *bits), np.int64))
        vector = self._embedding(image_id)
        if vector is not None and len(self._indexes.vectors):
            found.append(self._indexes.vectors.range(vector[None], self.thresholds.candidate_similarity)[0][0])
        ids = np.unique(np.concatenate(found))
        others: NDArray[np.int64] = ids[ids != image_id]
        return others

    def _judge(self, pair: tuple[int, int]) -> Evidence | None:
        a, b = (self._image(image_id) for image_id in pair)
        if a.observation is None or b.observation is None:
            return None
        ours, theirs = a.observation, b.observation
        phash = distance_bits(ours.hashes.phash, theirs.hashes.phash)
        dhash = distance_bits(ours.hashes.dhash, theirs.hashes.dhash)
        similarity = self.similarity(*pair)
        if ours.picture.pixels_sha256 == theirs.picture.pixels_sha256:
            return Evidence(MatchKind.PIXELS, phash, dhash, similarity, True, "the same pixels, pixel by pixel")
        if not self._worth_a_look(ours, theirs, similarity):
            return None
        look = self._look(a, b)
        first, second = (ours, theirs) if a.sha256 < b.sha256 else (theirs, ours)
        if look.kind is MatchKind.COPY and each_has_its_own(first, second, look.lineage):
            said = f"{look.explanation}; the part shows more detail"
            return Evidence(MatchKind.EDITED, phash, dhash, similarity, True, said)
        if look.kind is not None:
            return Evidence(look.kind, phash, dhash, similarity, True, look.explanation)
        if similarity is not None and similarity >= self.thresholds.similar_similarity:
            return Evidence(MatchKind.SIMILAR, phash, dhash, similarity, False, "alike as a whole, not point by point")
        return None

    def original_of(self, a: int, b: int) -> Preference:
        """Tell which of two matching images is the original: 1 for `a`, 2 for `b`, 0 where nothing tells."""
        return self._original((a, b)) if a < b else self._original((b, a)).turned()

    def _ask(self, pair: tuple[int, int]) -> Preference:
        a, b = pair
        ours, theirs = self._image(a), self._image(b)
        if ours.observation is None or theirs.observation is None:
            return Preference()
        same = ours.observation.picture.pixels_sha256 == theirs.observation.picture.pixels_sha256
        look = (
            StoredLook(MatchKind.PIXELS, "")
            if same
            else self._look(*sorted((ours, theirs), key=lambda image: image.id))
        )
        if look.kind is None:
            return Preference()
        if ours.sha256 < theirs.sha256:
            return find_original(ours.observation, theirs.observation, look.lineage)
        return find_original(theirs.observation, ours.observation, look.lineage).turned()

    def _look(self, a: ImageState, b: ImageState) -> StoredLook:
        """Take the second look, or recall it. The pair is ordered by id for storage, by content for looking."""
        stored = self._recall(a.id, b.id)
        if stored is not None:
            return stored
        first, second = sorted((a.sha256, b.sha256))
        ours, theirs = self._prepared(first), self._prepared(second)
        if ours is None or theirs is None:
            return StoredLook(None, "a preview is missing")
        look = compare(ours, theirs, self._verify_settings, _facts(*sorted((a, b), key=lambda image: image.sha256)))
        if not self._catalog.read_only:
            self.note_look(a.id, b.id, look)
        return look

    def unseen(self, image_id: int, others: Iterable[int]) -> list[int]:
        """List those of the others that would have to be looked at beside an image, the most similar one first."""
        own = self._image(image_id)
        wanted: list[tuple[float, int]] = []
        for other in map(self._image, others):
            seen = own.observation, other.observation
            if seen[0] is None or seen[1] is None or seen[0].picture.pixels_sha256 == seen[1].picture.pixels_sha256:
                continue
            similarity = self.similarity(image_id, other.id)
            pair = sorted((image_id, other.id))
            if self._worth_a_look(seen[0], seen[1], similarity) and self._recall(*pair) is None:
                wanted.append((-1.0 if similarity is None else similarity, other.id))
        return [other for _, other in sorted(wanted, reverse=True)]

    def look_task(self, pairs: Sequence[tuple[int, int]]) -> LookTask:
        """Describe a second look at pairs of images for those who take it elsewhere."""
        images = [sorted(map(self._image, pair), key=lambda image: image.sha256) for pair in pairs]
        hashes = tuple((first.sha256, second.sha256) for first, second in images)
        facts = tuple(_facts(first, second) for first, second in images)
        return LookTask(str(self._previews.folder), hashes, self._verify_settings, facts=facts)

    def note_look(self, a: int, b: int, look: StoredLook) -> None:
        """Put on record what a look at two images saw."""
        self._catalog.relations.put_look(min(a, b), max(a, b), self._verifier, look)

    def _recall(self, lower: int, higher: int) -> StoredLook | None:
        return self._catalog.relations.look(lower, higher, self._verifier)

    def _worth_a_look(self, ours: Observation, theirs: Observation, similarity: float | None) -> bool:
        limits = self.thresholds
        if ours.hashes.hashable and theirs.hashes.hashable:
            phash = distance_bits(ours.hashes.phash, theirs.hashes.phash)
            dhash = distance_bits(ours.hashes.dhash, theirs.hashes.dhash)
            if phash <= limits.max_phash_bits or dhash <= limits.max_dhash_bits:
                return True
        return similarity is not None and similarity >= limits.candidate_similarity

    def _prepare(self, sha256: bytes) -> Prepared | None:
        try:
            return prepare_stored(self._previews, sha256)
        except DecodeError:
            return None

    def _load_embedding(self, image_id: int) -> NDArray[np.float32] | None:
        return self._catalog.embedding(image_id, self._indexes.model_id)


def _facts(first: ImageState, second: ImageState) -> Facts:
    """Give what the files of two images tell, where both were measured."""
    if first.observation is None or second.observation is None:
        return None
    return FileFacts.of(first.observation), FileFacts.of(second.observation)


def remember_verifier(catalog: Catalog) -> None:
    """Note which second look all that a catalog says was judged by."""
    catalog.remember(_VERIFIER_KEY, str(VERIFIER_VERSION))


def remember_measurer(catalog: Catalog, but_for: Iterable[int] = ()) -> None:
    """Note by which version all images of a catalog were measured, but for some by an earlier one."""
    with catalog.transaction():
        catalog.remember(_MEASURED_BEFORE_KEY, json.dumps(sorted(but_for)))
        catalog.remember(_MEASURER_KEY, str(MEASURER_VERSION))


def measured_by_another(catalog: Catalog) -> list[int]:
    """List the images of a catalog that were measured by another version than this one."""
    if catalog.remembered(_MEASURER_KEY) != str(MEASURER_VERSION):
        return list(catalog.image_ids())
    left = json.loads(catalog.remembered(_MEASURED_BEFORE_KEY) or "[]")
    return sorted(set(left) & set(catalog.image_ids())) if left else []


def is_judged_by_another(catalog: Catalog) -> bool:
    """Tell whether a catalog was judged by another second look than this one, which will judge again."""
    return catalog.count_images() > 0 and catalog.remembered(_VERIFIER_KEY) != str(VERIFIER_VERSION)
