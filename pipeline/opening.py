"""Open what is known, for the one writer and for readers alike, with the thresholds in force."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.embedding import EmbeddingSettings
from pipeline.keeper import KeeperSettings
from pipeline.knowledge import Knowledge
from pipeline.matching import MatchingSettings, Thresholds
from pipeline.serving import Models
from pipeline.settings import QualitySettings, VerifySettings
from store.catalog import Catalog
from store.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What the stages need to know."""

    quality: QualitySettings = QualitySettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    matching: MatchingSettings = MatchingSettings()
    second_look: VerifySettings = VerifySettings()
    keeper: KeeperSettings = KeeperSettings()


def open_knowledge(catalog: Catalog, folder: Path, settings: FlowSettings, models: Models | None = None) -> Knowledge:
    """Open what is known for the model that serves; for readers too, which change nothing."""
    facts = (models or Models(catalog, settings.embedding)).serving
    matching = settings.matching
    candidate, similar = matching.candidate_similarity, matching.similar_similarity
    candidate = facts.candidate_similarity if candidate is None else candidate
    similar = facts.similar_similarity if similar is None else similar
    if candidate > similar:
        raise ConfigError(
            f"[matching] candidate_similarity {candidate:g} lies above similar_similarity {similar:g}",
            "what is similar must be looked at: candidate_similarity is the lower one",
        )
    thresholds = Thresholds(matching.max_phash_bits, matching.max_dhash_bits, candidate, similar)
    model = (facts.model_id, facts.dimension)
    return Knowledge(catalog, folder, model, thresholds, settings.keeper, settings.second_look)
