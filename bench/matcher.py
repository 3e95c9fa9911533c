"""The whole matcher on an album that was scanned: candidates by hashes and embedding, then the second look.

Works on a copy of the scan's catalog through the modules that the program runs. Every copy meets every picture,
also those that quality rejected. What was looked at stays in that catalog, so that a run can go on later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.album import COPY, REAL, Item
from bench.copies import KINDS
from bench.gallery import Gallery, alike, unpacked
from bench.program import name_of
from daemon.config import Settings
from daemon.state import StateFolder
from pipeline.knowledge import Knowledge
from pipeline.measuring import remodel
from pipeline.opening import open_knowledge
from pipeline.serving import Models
from store.catalog import Catalog
from store.records import MatchKind

# What people are shown first: proven pairs by kind, then by similarity; each tier is one wide.
TIERS = {MatchKind.EXACT: 3, MatchKind.PIXELS: 3, MatchKind.COPY: 2, MatchKind.EDITED: 1, MatchKind.SIMILAR: 0}
NOT_MATCHED = -1.0
_TIER_NAMES = {3: "pixels", 2: "copy", 1: "edited", 0: "similar", -1: "none"}
_EMBED_ROWS = 256
_LOOKS_PER_COMMIT = 50
# A frame has hundreds of neighbours; those with the highest cosines are the ones that can be taken for it.
MOST_PARTNERS, MOST_STRANGERS = 30, 8


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A scanned album, ready to be asked: catalog ids of its files in the plan's order, 0 for those not measured."""

    items: tuple[Item, ...]
    ids: NDArray[np.int64]
    knowledge: Knowledge
    catalog: Catalog

    @property
    def distinct(self) -> NDArray[np.int64]:
        """Places of pictures that stand for themselves: originals, look-alikes, the first of each real family."""
        first: dict[int, int] = {}
        for place, item in enumerate(self.items):
            if item.role != COPY and self.ids[place]:
                first.setdefault(item.family, place)
        chosen = [p for p, i in enumerate(self.items) if i.role not in (COPY, REAL) or first.get(i.family) == p]
        return np.array([place for place in chosen if self.ids[place]], np.int64)

    @property
    def copies(self) -> NDArray[np.int64]:
        """Places of copies, made and real, whose original was measured."""
        distinct = self.distinct
        families = {self.items[place].family for place in distinct}
        standing = set(distinct.tolist())
        chosen = [
            place
            for place, item in enumerate(self.items)
            if item.role in (COPY, REAL) and place not in standing and self.ids[place] and item.family in families
        ]
        return np.array(chosen, np.int64)


def open_album(items: Sequence[Item], album: Path, state: Path, work: Path, settings: Settings) -> Opened:
    """Open a copy of a scan's catalog in `work`; embed there what the scan did not: pictures that quality rejected."""
    ours = work / StateFolder(state).catalog.name
    if not ours.exists():
        work.mkdir(parents=True, exist_ok=True)
        part = ours.with_suffix(".part")
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(StateFolder(state).catalog)) as scanned, closing(sqlite3.connect(part)) as copy:
            scanned.backup(copy)
        part.replace(ours)
    catalog = Catalog(ours)
    models = Models(catalog, settings.flow.embedding)
    knowledge = open_knowledge(catalog, state, settings.flow, models)
    root = album.resolve()
    files = [catalog.file(str(root / item.path)) for item in items]
    images = catalog.images(file.image_id for file in files if file is not None)
    measured = {image.id: image.sha256 for image in images.values() if image.observation is not None}
    _embed_missing(catalog, knowledge, models, measured)
    ids = [file.image_id if file is not None and file.image_id in measured else 0 for file in files]
    return Opened(tuple(items), np.array(ids, np.int64), knowledge, catalog)


def _embed_missing(catalog: Catalog, knowledge: Knowledge, models: Models, measured: Mapping[int, bytes]) -> None:
    model_id = models.wanted.model_id
    missing = [image_id for image_id in measured if catalog.embedding(image_id, model_id) is None]
    for start in range(0, len(missing), _EMBED_ROWS):
        read = [(image_id, knowledge.previews.read(measured[image_id])) for image_id in missing[start:][:_EMBED_ROWS]]
        ready = [(image_id, jpeg) for image_id, jpeg in read if jpeg is not None]
        if ready:
            vectors = models.embed_wanted([remodel(jpeg, models.wanted.input_size) for _, jpeg in ready])
            with catalog.transaction():
                for (image_id, _), vector in zip(ready, vectors, strict=True):
                    catalog.put_embedding(image_id, model_id, vector)


def gallery_of(opened: Opened, same: Collection[frozenset[str]] = frozenset()) -> Gallery:
    """Return the album's previews as a gallery: what hashes and embedders are judged on.

    Pairs of pictures that a person found to be the `same` (`bench.program.read_reviewed`) say nothing, either.
    """
    items, previews = opened.items, opened.knowledge.previews
    images = opened.catalog.images(opened.ids[opened.ids > 0].tolist())

    def preview(place: int) -> bytes:
        jpeg = previews.read(images[int(opened.ids[place])].sha256)
        assert jpeg is not None, "a scan leaves a preview of every picture"
        return jpeg

    distinct, copies = opened.distinct, opened.copies
    originals = tuple(preview(place) for place in distinct)
    place_of = {items[place].family: number for number, place in enumerate(distinct.tolist())}
    names = (*(kind.name for kind in KINDS), REAL)
    sources = tuple(sorted({items[place].source for place in distinct}))
    silent = alike(map(unpacked, originals))
    at = {name_of(items[place]): number for number, place in enumerate(distinct.tolist())}
    for first, second in map(tuple, same):
        if first in at and second in at:
            silent[[at[first], at[second]], [at[second], at[first]]] = True
    return Gallery(
        originals,
        tuple(preview(place) for place in copies),
        np.array([place_of[items[place].family] for place in copies], np.int64),
        np.array([names.index(items[place].kind) for place in copies], np.int64),
        np.array([items[place].grade for place in copies], np.int64),
        np.array([sources.index(items[place].source) for place in distinct], np.int64),
        sources,
        silent,
        np.full(len(copies), -1),  # what is pasted in comes from pictures outside of the album
        names,
    )


def match(
    opened: Opened, proceed: Callable[[int, int], None] = lambda done, total: None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Ask the matcher about all pairs; `proceed(done, total)` is called now and then and may raise to stop.

    Returns scores `[copies, distinct]` (tier plus a share of the cosine, `NOT_MATCHED` where it sees nothing) and
    pairs of distinct pictures that became candidates, `[pairs, 4]`: two places among the distinct, score, cosine.
    """
    distinct, copies = opened.distinct, opened.copies
    column = {int(opened.ids[place]): number for number, place in enumerate(distinct)}
    scores = np.full((len(copies), len(distinct)), NOT_MATCHED, np.float32)
    first = {opened.items[place].family: number for number, place in enumerate(distinct.tolist())}
    originals = [first[opened.items[place].family] for place in copies.tolist()]
    strangers: list[tuple[float, ...]] = []
    met: set[tuple[int, int]] = set()
    queries = [*((row, int(opened.ids[place])) for row, place in enumerate(copies)), *((-1, i) for i in column)]
    for start in range(0, len(queries), _LOOKS_PER_COMMIT):
        proceed(start, len(queries))
        with opened.catalog.transaction():
            for row, image_id in queries[start : start + _LOOKS_PER_COMMIT]:
                own = column.get(image_id, -1)
                near = _nearest(opened.knowledge, image_id, column, MOST_PARTNERS if row >= 0 else MOST_STRANGERS)
                if row >= 0 and (original := originals[row]) not in near:
                    near = [*near, original]
                for other in near:
                    score, cosine = _judged(opened.knowledge, image_id, int(opened.ids[distinct[other]]))
                    if row >= 0:
                        scores[row, other] = score
                    elif (other, own) not in met:
                        met.add((own, other))
                        strangers.append((own, other, score, cosine))
    return scores, np.array(strangers, np.float64).reshape(-1, 4)


def _nearest(knowledge: Knowledge, image_id: int, column: Mapping[int, int], most: int) -> list[int]:
    """List the columns of the pictures that came up as candidates of an image, the `most` nearest of them."""
    found = [other for other in knowledge.matcher.near(image_id).tolist() if other in column]
    if len(found) > most:
        found.sort(key=lambda other: -(knowledge.matcher.similarity(image_id, other) or 0.0))
    return [column[other] for other in found[:most]]


def _judged(knowledge: Knowledge, a: int, b: int) -> tuple[float, float]:
    """Return (score, cosine) of a pair; a pair that is no candidate has no evidence."""
    evidence = knowledge.matcher.evidence(a, b)
    cosine = knowledge.matcher.similarity(a, b) or 0.0
    return (NOT_MATCHED if evidence is None else TIERS[evidence.kind] + 0.499 * (1 + cosine)), cosine


def tier_names(scores: NDArray[np.floating[Any]]) -> list[str]:
    """Name what scores stand for: pixels, copy, edited, similar or none."""
    return [_TIER_NAMES[tier] for tier in np.floor(scores).astype(int).tolist()]


def outcomes(gallery: Gallery, scores: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Return, per kind, the share of copies that end as pixels, copy, edited, similar or none with their original."""
    right = np.array(tier_names(scores[np.arange(len(scores)), gallery.own]))
    table = {}
    for number, name in enumerate(gallery.kind_names):
        rows = gallery.kind == number
        if rows.any():
            table[name] = {tier: float((right[rows] == tier).mean()) for tier in _TIER_NAMES.values()}
    return table


def accepted(gallery: Gallery, scores: NDArray[np.float32], unclear: NDArray[np.bool_]) -> dict[str, float]:
    """Return recall and precision of what the matcher accepts as it stands, no threshold moved.

    Right is a pair called the same picture; for kinds that add something locally also one called edited. Wrong is
    a pair with another picture called the same picture, pairs that say nothing left out.
    """
    rows = np.arange(len(scores))
    right = scores[rows, gallery.own]
    local = np.isin(gallery.kind, [number for number, kind in enumerate(KINDS) if kind.local])
    made = gallery.kind < len(KINDS)
    found = (right >= TIERS[MatchKind.COPY]) | (local & (right >= TIERS[MatchKind.EDITED]))
    wrong = scores >= TIERS[MatchKind.COPY]
    wrong[rows, gallery.own] = False
    everywhere = int((wrong & ~gallery.silent[gallery.own]).sum())
    clearly = int((wrong & ~unclear[gallery.own]).sum())
    hits = int(found.sum())
    return {
        "recall": float(found[made].mean()),
        "wrong": everywhere,
        "wrong_clear": clearly,
        "precision": hits / max(hits + everywhere, 1),
        "precision_clear": hits / max(hits + clearly, 1),
    }
