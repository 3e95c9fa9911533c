"""Which model answers now, and which one is being prepared.

A catalog is served by one model at a time. When the configuration names another, arrivals are embedded by both, the
rest is embedded again from previews in the background, and the old index keeps answering until the new one is whole.
"""

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pipeline.embedding import Embedder, EmbeddingSettings, load_embedder, model_facts
from pipeline.measuring import remodel
from store.catalog import Catalog
from store.errors import ModelError

_KEY = "serving_model"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What must be known of a model to go on using its embeddings, even when its weights are gone."""

    name: str
    model_id: str
    dimension: int
    input_size: int
    candidate_similarity: float
    similar_similarity: float

    @classmethod
    def wanted(cls, settings: EmbeddingSettings) -> "ServedModel":
        """Describe the model that the configuration asks for."""
        facts = model_facts(settings)
        thresholds = facts.candidate_similarity, facts.similar_similarity
        return cls(facts.name, facts.model_id, facts.dimension, facts.input_size, *thresholds)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import torch without looking for garbage in its million objects over and over: a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Models:
    """The serving model and the wanted one; usually the same."""

    def __init__(self, catalog: Catalog, settings: EmbeddingSettings) -> None:
        self._catalog = catalog
        self._settings = settings
        self.wanted = ServedModel.wanted(settings)
        stored = catalog.remembered(_KEY)
        self.serving = self.wanted if stored is None else ServedModel(**json.loads(stored))
        if self.serving.model_id == self.wanted.model_id:
            self.serving = self.wanted  # thresholds may have moved since
        self._embedders: dict[str, Embedder | None] = {}
        self._loading = Lock()

    @property
    def migrating(self) -> bool:
        """Whether the wanted model is not yet the serving one."""
        return self.serving.model_id != self.wanted.model_id

    def serve_wanted(self) -> None:
        """Make the wanted model the serving one and remember it."""
        self.serving = self.wanted
        self._catalog.remember(_KEY, json.dumps(asdict(self.wanted)))

    def embed_wanted(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed model inputs (uint8 [s, s, 3] each) with the wanted model: float32 [n, d]."""
        return self.load().embed(np.stack(squares))

    def load(self) -> Embedder:
        """Load the wanted model, or wait until another thread has: importing torch takes seconds."""
        with self._loading:
            embedder = self._embedders.get(self.wanted.model_id)
            if embedder is None:
                with _uncollected():
                    embedder = self._embedders[self.wanted.model_id] = load_embedder(self._settings)
            return embedder

    def embed_serving(self, previews: Sequence[bytes]) -> NDArray[np.float32] | None:
        """Embed previews with a serving model that is on its way out; None where its weights are gone.

        Without it, arrivals meet the older images by their hashes until the wanted model takes over.
        """
        facts = self.serving
        if facts.model_id not in self._embedders:
            self._embedders[facts.model_id] = self._load_outgoing(facts)
        embedder = self._embedders[facts.model_id]
        if embedder is None:
            return None
        return embedder.embed(np.stack([remodel(preview, facts.input_size) for preview in previews]))

    def _load_outgoing(self, facts: ServedModel) -> Embedder | None:
        settings = replace(self._settings, model=facts.name, weights="", sha256="")
        try:
            embedder = load_embedder(settings)
        except ModelError:
            return None
        return embedder if embedder.model_id == facts.model_id else None
