"""Nearest pictures in the catalog to one measured image, by content, pixels, embedding and hash."""

from typing import Any

import numpy as np

from daemon.config import Settings
from daemon.reading import Reader
from pipeline.hashing import distance_bits
from pipeline.keeper import primary_file
from pipeline.measuring import remodel
from pipeline.previewing import decode_preview
from pipeline.serving import Models
from pipeline.verify import prepare, verify
from store.records import ImageState, Measurement

_MOST_LOOKS = 20  # second looks a search may take; they are what costs time


def search(reader: Reader, settings: Settings, seen: Measurement, count: int) -> list[dict[str, Any]]:
    """Return up to `count` results, best first: proven matches by kind, then by similarity."""
    similarities = _by_embedding(reader, settings, seen, count)
    nearest = reader.knowledge.indexes.hashes.nearest(seen.hashes.phash, count) if seen.hashes.hashable else []
    ids = {*similarities, *(image_id for image_id, _ in nearest)}
    ids |= set(reader.catalog.same_pixels(seen.picture.pixels_sha256))
    same = reader.catalog.image_id(seen.hashes.sha256)
    ids |= set() if same is None else {same}
    images = reader.catalog.images(ids)
    files = reader.catalog.files_of(ids)
    likely = sorted(
        (image for image in images.values() if image.id in files),
        key=lambda image: (-similarities.get(image.id, -1.0), _phash_distance(seen, image)),
    )
    results: list[dict[str, Any]] = []
    for place, image in enumerate(likely):
        similarity = similarities.get(image.id)
        kind = _kind(reader, settings, seen, image, similarity, look=place < _MOST_LOOKS)
        file = primary_file(files[image.id])
        results.append(
            {
                "path": file.lies_at or file.stat.path,
                "similarity": similarity,
                "kind": kind,
                "phash_distance": _phash_distance(seen, image),
                "verdict": file.verdict,
            }
        )
    order = ("exact", "pixels", "copy", "edited", "similar", "none")
    results.sort(key=lambda r: (order.index(str(r["kind"])), -(r["similarity"] or -1.0), r["phash_distance"]))
    return results[:count]


def _by_embedding(reader: Reader, settings: Settings, seen: Measurement, count: int) -> dict[int, float]:
    models = Models(reader.catalog, settings.embedding)
    if models.migrating:
        vectors = models.embed_serving([seen.preview])
    else:
        vectors = models.embed_wanted([remodel(seen.preview, models.wanted.input_size)])
    index = reader.knowledge.indexes.vectors
    if vectors is None or not len(index):
        return {}
    ids, similarities = index.search(vectors, min(count, len(index)))
    known = ids[0] >= 0
    rounded = np.round(similarities[0][known].astype(float), 4)
    return dict(zip(ids[0][known].tolist(), rounded.tolist(), strict=True))


def _kind(
    reader: Reader, settings: Settings, seen: Measurement, image: ImageState, similarity: float | None, *, look: bool
) -> str:
    """Say what a known image is to the searched one; "none" when it is merely the nearest there is."""
    if image.sha256 == seen.hashes.sha256:
        return "exact"
    if image.observation is not None and image.observation.picture.pixels_sha256 == seen.picture.pixels_sha256:
        return "pixels"
    preview = reader.knowledge.previews.read(image.sha256) if look else None
    if preview is not None:
        views = sorted(((seen.hashes.sha256, seen.preview), (image.sha256, preview)))
        first, second = (prepare(decode_preview(jpeg)) for _, jpeg in views)
        found = verify(first, second, settings.second_look)
        if found.kind is not None:
            return str(found.kind)
    limit = reader.knowledge.matcher.thresholds.similar_similarity
    return "similar" if similarity is not None and similarity >= limit else "none"


def _phash_distance(seen: Measurement, image: ImageState) -> int:
    if image.observation is None:
        return 64
    return distance_bits(seen.hashes.phash, image.observation.hashes.phash)
