"""READ THIS FIRST. The stages in order, top to bottom.

    arrival ─ decode ─ quality, hashing ─► Measurement          in a worker process    (measuring.measure)
    Measurement ─ embedding ─► Observation                      here, in batches       (Flow._embed)
    Observation ─ matching, verify ─ grouping, keeper ─► Verdict  here, one writer     (walking.walk)
    Verdict ─ actions ─► ledger                                 after the commit       (planning, actions)

`Flow.admit` takes what the workers measured and brings the catalog to the state that the laws ask for, in one
transaction per batch. Everything in memory follows the catalog: whatever goes wrong, it is made again from there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.knowledge import Knowledge
from pipeline.looking import Ask, look_ahead
from pipeline.matching import VERIFIER_VERSION, remember_measurer, remember_verifier
from pipeline.measuring import remodel
from pipeline.opening import FlowSettings, open_knowledge
from pipeline.quality import judge_quality
from pipeline.serving import Models
from pipeline.verdicts import Judge
from pipeline.walking import walk
from store.catalog import Catalog
from store.errors import DecodeError, DedupdError
from store.records import (
    CatalogFile,
    Failure,
    FailureKind,
    FileStat,
    Level,
    Measurement,
    Observation,
    Rank,
    VerdictKind,
)

__all__ = ["Flow", "FlowSettings", "Seen", "open_knowledge"]

_EMBED_BATCH = 32
SETTINGS_KEY = "judged_with"  # by which rules a catalog was judged
_ALL = 1 << 40


@dataclass(frozen=True, slots=True)
class Seen:
    """A measured file and the folder it was found in."""

    folder_id: int
    result: Measurement | Failure


class Flow:
    """Admit observations one batch at a time. One instance per catalog, used by one thread at a time."""

    def __init__(self, catalog: Catalog, folder: Path, settings: FlowSettings) -> None:
        self._catalog = catalog
        self._folder = folder
        self._settings = settings
        self._models = Models(catalog, settings.embedding)
        self._warming = False
        self.ask: Ask | None = None  # worker processes that take second looks, where there are any
        if catalog.remembered(SETTINGS_KEY) is None:
            remember_measurer(catalog)
            self._remember_settings()
        self._open()

    @property
    def input_size(self) -> int:
        """The side in pixels of the square that workers prepare for the network."""
        return self._models.wanted.input_size

    @property
    def needs_rejudging(self) -> bool:
        """Whether settings or model changed since the catalog was judged, so that `rejudge` is due."""
        return self._models.migrating or self._catalog.remembered(SETTINGS_KEY) != self._fingerprint()

    def admit(self, batch: Sequence[Seen], now_ns: int) -> list[CatalogFile]:
        """Take in measured files; return every file whose verdict changed."""
        self._knowledge.indexes.load()
        with self._all_or_nothing():
            before: dict[int, Rank | None] = {}
            touched: dict[int, None] = {}
            measured: dict[int, Measurement] = {}
            for seen in batch:
                image_id = self._image_of(seen.result)
                stat = seen.result.stat
                if image_id is None or stat is None:
                    continue
                self._note_rank(image_id, before)
                displaced = self._displaced_by(stat, image_id)
                if displaced is not None:
                    self._note_rank(displaced, before)
                    touched[displaced] = None
                self._catalog.put_file(seen.folder_id, stat, image_id)
                touched[image_id] = None
                if isinstance(seen.result, Measurement):
                    measured[image_id] = seen.result
            fresh = {image_id: m for image_id, m in measured.items() if self._unembedded(image_id)}
            self._embed({image_id: (m.model_input, m.preview) for image_id, m in fresh.items()})
            return self._settle(list(touched), before, now_ns, self.ask)

    def forget_files(self, files: Iterable[CatalogFile], now_ns: int) -> list[CatalogFile]:
        """Let go of files that a person deleted; return every file whose verdict changed."""
        with self._all_or_nothing():
            before: dict[int, Rank | None] = {}
            for file in files:
                self._note_rank(file.image_id, before)
                self._catalog.remove_file(file.id)
            return self._settle(list(before), before, now_ns)

    def rename_file(self, file: CatalogFile, stat: FileStat, folder_id: int, now_ns: int) -> list[CatalogFile]:
        """Follow a file to its new name; everything known about its content stays."""
        return self._note_place(file, lambda: self._catalog.relocate(file.id, folder_id, stat), now_ns, stat.path)

    def note_place(
        self, file: CatalogFile, note: Callable[[], object], now_ns: int, *, at: str | None = None
    ) -> list[CatalogFile]:
        """Let `note` write where a file lies now; return every file whose verdict changed.

        What the catalog believed to lie `at` that home is gone. Which file stands for an image, and with it the image's
        rank, may hang on where its files lie; where another file stands for it before and after, nothing does.
        """
        before = self._catalog.primary_of(file.image_id)
        foreign = None if at is None else self._catalog.file(at)
        alone = foreign is None or foreign.id == file.id
        linked = before is not None and before.stat.inode == file.stat.inode
        if before is None or before.id == file.id or linked or not alone:
            return self._note_place(file, note, now_ns, at)
        with self._all_or_nothing():
            note()
            if self._catalog.primary_of(file.image_id) == before:
                return []
            return self._settle([file.image_id], {}, now_ns)

    def _note_place(
        self, file: CatalogFile, note: Callable[[], object], now_ns: int, at: str | None
    ) -> list[CatalogFile]:
        with self._all_or_nothing():
            before: dict[int, Rank | None] = {}
            self._note_rank(file.image_id, before)
            overwritten = None if at is None else self._catalog.file(at)
            if overwritten is not None and overwritten.id != file.id:
                self._note_rank(overwritten.image_id, before)
                self._catalog.remove_file(overwritten.id)
            note()
            self._embed_stored([file.image_id])
            return self._settle(list(before), before, now_ns)

    def rule(self, hashes: Iterable[bytes], change: Callable[[], object], now_ns: int) -> list[CatalogFile]:
        """Let `change` write to the rulings on these contents; return every file whose verdict changed."""
        self._knowledge.indexes.load()
        with self._all_or_nothing():
            change()
            self._knowledge.rulings.load()
            touched = [found for sha256 in hashes if (found := self._catalog.image_id(sha256)) is not None]
            self._embed_stored(touched)
            return self._settle(touched, {}, now_ns)

    def forget_unseen(self, before_ns: int) -> int:
        """Delete what is known of images that no file has held since `before_ns`; return how many."""
        if not self._catalog.has_orphans(before_ns):
            return 0
        self._knowledge.indexes.load()
        with self._all_or_nothing():
            gone = self._catalog.forget_orphans(before_ns)
            self._knowledge.indexes.remove(image_id for image_id, _ in gone)
            self._knowledge.forget()
        for _, sha256 in gone:
            self._knowledge.previews.remove(sha256)
        return len(gone)

    def rejudge(
        self, now_ns: int, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> list[CatalogFile]:
        """Judge everything again from stored facts, after a change of settings or model; nothing is decoded.

        Embeddings that are missing for the model are made from previews first.
        """
        self._requalify()
        done, total = 0, len(self._lacking(_ALL))
        while step := self.embed_some():
            done += step
            progress(done, total)
        with self._all_or_nothing():
            self._remember_settings()
            self._open()
            self._knowledge.clear_standings()
            return self._settle(self._catalog.image_ids(), {}, now_ns)

    def embed_some(self) -> int:
        """Embed, from previews, the next few images that lack the wanted model's embedding; return how many.

        With 0 the wanted model is ready to take over: call `rejudge`.
        """
        found = [(image_id, self._stored_input(sha256)) for image_id, sha256 in self._lacking(_EMBED_BATCH)]
        ready = [(image_id, stored) for image_id, stored in found if stored is not None]
        # An image without a preview matches by its hashes until its file is read again.
        self._unpreviewed.update(image_id for image_id, stored in found if stored is None)
        if ready:
            vectors = self._models.embed_wanted([square for _, (square, _) in ready])
            with self._catalog.transaction():
                for (image_id, _), vector in zip(ready, vectors, strict=True):
                    self._catalog.put_embedding(image_id, self._models.wanted.model_id, vector)
        return len(found)

    @property
    def migrating(self) -> bool:
        """Whether another model is being prepared to take over."""
        return self._models.migrating

    @property
    def judge(self) -> Judge:
        """The one who explains verdicts."""
        return self._judge

    def warm_up(self) -> None:
        """Load the network ahead of its first use, from any thread; what is wrong with it is told at that use."""
        self._warming = True
        try:
            with suppress(DedupdError):
                self.load_model()
        finally:
            self._warming = False

    @property
    def warming(self) -> bool:
        """Whether `warm_up` is at work, so that admitting would have to wait for it."""
        return self._warming

    def load_model(self) -> None:
        """Load the network now. Raises ModelError for weights that are missing or of another model."""
        self._models.load()

    def snapshot(self) -> None:
        """Write the vector index to disk, and change to a bigger kind first where its size asks for one."""
        if self._knowledge.indexes.grow():
            self._knowledge.forget()
        self._knowledge.indexes.snapshot()

    @property
    def knowledge(self) -> Knowledge:
        """The indexes and standings in memory."""
        return self._knowledge

    # -- stages -----------------------------------------------------------------------------------------------------

    def _image_of(self, result: Measurement | Failure) -> int | None:
        """Find or make the image behind a result; None for bytes that could not be read."""
        if isinstance(result, Failure):
            return self._failed_image(result)
        known = self._catalog.image_id(result.hashes.sha256)
        if known is not None and self._catalog.image(known).observation is not None:
            self._knowledge.previews.write(result.hashes.sha256, result.preview, result.page)
            return known
        observation = Observation(result.stat.size, result.picture, result.quality, result.hashes, result.traces)
        kind, reason = judge_quality(result.quality, self._settings.quality, result.picture)
        reject = None if kind is VerdictKind.KEEP else kind
        if known is None:
            known = self._catalog.add_image(result.hashes.sha256, result.stat.size, reject, reason if reject else "")
        else:  # it failed when it was seen first, and a newer decoder reads it
            self._catalog.set_reject(known, reject, reason if reject else "")
        self._catalog.put_observation(known, observation)
        self._knowledge.previews.write(result.hashes.sha256, result.preview, result.page)
        self._knowledge.indexes.add_hashes(known, observation)
        return known

    def _failed_image(self, failure: Failure) -> int | None:
        if not failure.kind.of_content or failure.sha256 is None or failure.stat is None:
            return None
        known = self._catalog.image_id(failure.sha256)
        if known is not None:
            return known
        # Only bytes that are proven to be no picture are rejected; what merely could not be judged here stays.
        reject = VerdictKind.CORRUPT if failure.kind is FailureKind.CORRUPT else None
        reason = failure.reason if reject else f"not judged ({failure.kind}): {failure.reason}"
        return self._catalog.add_image(failure.sha256, failure.stat.size, reject, reason)

    def _embed_stored(self, image_ids: Iterable[int]) -> None:
        """Embed, from previews, images that came into play without being measured."""
        found = {i: self._stored_input(self._catalog.image(i).sha256) for i in image_ids if self._unembedded(i)}
        self._embed({image_id: stored for image_id, stored in found.items() if stored is not None})

    def _stored_input(self, sha256: bytes) -> tuple[NDArray[np.uint8], bytes] | None:
        """Make the network's input from a stored preview: (input, preview); None where it is missing or damaged."""
        preview = self._knowledge.previews.read(sha256)
        try:
            return None if preview is None else (remodel(preview, self.input_size), preview)
        except DecodeError:
            return None

    def _embed(self, fresh: Mapping[int, tuple[NDArray[np.uint8], bytes]]) -> None:
        """Embed (model input, preview) by image, in batches, with the serving model and one that is to take over."""
        waiting = list(fresh.items())
        for start in range(0, len(waiting), _EMBED_BATCH):
            part = waiting[start : start + _EMBED_BATCH]
            image_ids = [image_id for image_id, _ in part]
            vectors = self._models.embed_wanted([square for _, (square, _) in part])
            if not self._models.migrating:
                self._knowledge.indexes.add_embeddings(image_ids, vectors)
                continue
            for image_id, vector in zip(image_ids, vectors, strict=True):
                self._catalog.put_embedding(image_id, self._models.wanted.model_id, vector)
            outgoing = self._models.embed_serving([preview for _, (_, preview) in part])
            if outgoing is not None:
                self._knowledge.indexes.add_embeddings(image_ids, outgoing)

    def _settle(
        self, touched: Sequence[int], before: dict[int, Rank | None], now_ns: int, ask: Ask | None = None
    ) -> list[CatalogFile]:
        """Walk both levels around the touched images, then write the verdicts that changed."""
        self._knowledge.forget()
        self._catalog.mark_orphans(touched, now_ns)
        restless = {image_id for image_id in touched if self._restless(image_id, before.get(image_id))}
        if ask is not None:
            look_ahead(self._knowledge, restless, ask)
        return self._write_verdicts({*touched, *walk(self._knowledge, restless)})

    def _write_verdicts(self, image_ids: Iterable[int]) -> list[CatalogFile]:
        changed = []
        for file, _, verdict in self._judge.verdicts(sorted(image_ids)):
            if file.verdict is not verdict.kind:
                self._catalog.set_verdict(file.id, verdict.kind)
                changed.append(file)
        return changed

    # -- what the stages ask ----------------------------------------------------------------------------------------

    def _unembedded(self, image_id: int) -> bool:
        """Tell whether an image in play lacks its embedding; a rejected one needs none."""
        missing = self._catalog.embedding(image_id, self._models.wanted.model_id) is None
        return missing and self._knowledge.in_play(image_id)

    def _note_rank(self, image_id: int, before: dict[int, Rank | None]) -> None:
        """Remember an image's rank before its files change; None for one out of play."""
        if image_id not in before:
            standing = self._knowledge.standings[Level.DUPLICATES].keeper_of(image_id)
            before[image_id] = None if standing is None else self._knowledge.ranks(image_id)

    def _restless(self, image_id: int, before: Rank | None) -> bool:
        """Tell whether an image's standing may differ now: it came, went, or changed rank."""
        if before is None:
            return True
        return not self._knowledge.in_play(image_id) or self._knowledge.ranks(image_id) != before

    def _displaced_by(self, stat: FileStat, image_id: int) -> int | None:
        file = self._catalog.file(stat.path)
        return None if file is None or file.image_id == image_id else file.image_id

    # -- settings, model, recovery ----------------------------------------------------------------------------------

    def _requalify(self) -> None:
        """Judge quality again from stored numbers."""
        with self._catalog.transaction():
            for image in map(self._catalog.image, self._catalog.image_ids()):
                seen = image.observation
                if seen is None:
                    continue
                kind, reason = judge_quality(seen.quality, self._settings.quality, seen.picture)
                reject = None if kind is VerdictKind.KEEP else kind
                if reject is not image.reject:
                    self._catalog.set_reject(image.id, reject, reason if reject else "")

    def _lacking(self, limit: int) -> list[tuple[int, bytes]]:
        wanted = self._catalog.without_embedding(self._models.wanted.model_id, limit + len(self._unpreviewed))
        return [pair for pair in wanted if pair[0] not in self._unpreviewed][:limit]

    def _remember_settings(self) -> None:
        self._models.serve_wanted()
        self._catalog.remember(SETTINGS_KEY, self._fingerprint())
        remember_verifier(self._catalog)

    def _open(self) -> None:
        self._unpreviewed: set[int] = set()
        self._knowledge = open_knowledge(self._catalog, self._folder, self._settings, self._models)
        self._judge = Judge(self._knowledge, self._settings.keeper)

    def _fingerprint(self) -> str:
        """Everything a verdict depends on besides the images."""
        settings = self._settings
        protected = [folder.id for folder in self._catalog.folders() if folder.protected]
        model = self._models.wanted
        looks = VERIFIER_VERSION, settings.second_look
        return repr((settings.quality, settings.matching, looks, settings.keeper, model, protected))

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        serving = self._models.serving
        try:
            with self._catalog.transaction():
                yield
        except BaseException:
            self._models.serving = serving
            self._open()  # the indexes in memory may be ahead of the catalog, which was rolled back
            raise
