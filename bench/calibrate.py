"""Measure the two thresholds on your own pictures and suggest values for the configuration.

    dedupd bench calibrate FOLDER [--catalog N] [--out FILE]

Draws pictures from the folder, makes edited copies of them in memory, and compares copies with their originals and
different pictures with each other. The suggestion follows the rule that chose the shipped thresholds (see
`bench.embedders.suggested_thresholds`). It is printed, or written to `--out`; no configuration is changed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.embedders import (
    CANDIDATE_PARTNERS,
    CATALOG_PICTURES,
    SIMILAR_MARGIN,
    SIMILAR_PARTNERS,
    Scores,
    describe_dhash,
    describe_phash,
    describe_with_settings,
    stranger_cosines,
    suggested_thresholds,
)
from bench.gallery import SUFFIXES, Gallery, make_gallery
from bench.growth import exceedance
from daemon.config import Settings, config_to_judge_with, load_settings, parse_settings
from daemon.terminal import progress, say, table, warn
from pipeline.embedding import model_facts
from store.errors import UsageError

FEWEST_PICTURES = 40
# Pictures this close in the folder's order may show one scene: they say nothing about clearly different ones.
NEIGHBOURS = 20
_HASH_BITS = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on a sample of pictures."""

    pictures: int
    right: Scores  # cosine of each copy with its original
    by_hash: NDArray[np.bool_]  # whether its hashes find it too
    apart: Scores  # cosines of different pictures
    clear: Scores  # of those that lie apart in the folder's order


@dataclass(frozen=True, slots=True)
class Expected:
    """What a pair of thresholds promises in a catalog of a given size, where every picture has one copy.

    Precision is that of the embedding alone: what is worth a second look is confirmed or refused by it.
    """

    candidate: float
    similar: float
    candidate_recall: float
    candidate_recall_with_hashes: float
    looks_per_picture: float
    candidate_precision: float
    similar_recall: float
    similar_strangers_per_picture: float
    similar_precision: float


def drawn(folder: Path, limit: int, per_kind: int, seed: int) -> Gallery:
    """Draw up to `limit` pictures of a folder and make `per_kind` copies of every kind; `source` is their place."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    rng = np.random.default_rng(seed)
    places = np.sort(rng.permutation(len(found))[:limit])
    if len(places) < FEWEST_PICTURES:
        raise UsageError(
            f"{folder} holds {len(found)} pictures, too few to tell anything",
            f"name a folder with at least {FEWEST_PICTURES}, better some hundred",
        )
    return make_gallery([found[place] for place in places], places.tolist(), (), per_kind, seed, rng)


def measured(gallery: Gallery, settings: Settings) -> Measured:
    """Describe a gallery with the configured model and hashes."""
    describe, _ = describe_with_settings(settings.embedding)
    originals, copies = describe(gallery.originals), describe(gallery.copies)
    near = np.zeros(len(copies), bool)
    limits = settings.matching.max_phash_bits, settings.matching.max_dhash_bits
    for hashes, most in zip((describe_phash, describe_dhash), limits, strict=True):
        ours, theirs = hashes(gallery.copies), hashes(gallery.originals)[gallery.own]
        near |= _HASH_BITS * (1 - (ours * theirs).sum(axis=1)) / 2 <= most + 0.5
    close = np.abs(np.subtract.outer(gallery.source, gallery.source)) <= NEIGHBOURS
    return Measured(
        len(gallery.originals),
        (copies * originals[gallery.own]).sum(axis=1),
        near,
        stranger_cosines(originals, gallery.silent),
        stranger_cosines(originals, gallery.silent | close),
    )


def expected(found: Measured, candidate: float, similar: float, catalog_pictures: int) -> Expected:
    """Say what thresholds promise in a catalog of so many pictures."""
    looks = (catalog_pictures - 1) * exceedance(found.apart, candidate)
    strangers = (catalog_pictures - 1) * exceedance(found.clear, similar)
    recalls = [float((found.right >= threshold).mean()) for threshold in (candidate, similar)]
    return Expected(
        candidate=candidate,
        similar=similar,
        candidate_recall=recalls[0],
        candidate_recall_with_hashes=float(((found.right >= candidate) | found.by_hash).mean()),
        looks_per_picture=looks,
        candidate_precision=recalls[0] / max(recalls[0] + looks, 1e-12),
        similar_recall=recalls[1],
        similar_strangers_per_picture=strangers,
        similar_precision=recalls[1] / max(recalls[1] + strangers, 1e-12),
    )


def snippet(found: Measured, promise: Expected, model_id: str, catalog_pictures: int) -> str:
    """Return the suggestion as TOML, with its reason."""
    among, share = f"{catalog_pictures:,}", promise.candidate_recall_with_hashes
    return "\n".join(
        (
            f"# Measured by `dedupd bench calibrate` on {found.pictures} pictures and {len(found.right)} copies,",
            f"# with {model_id}. Rule: {CANDIDATE_PARTNERS:g} of {among} clearly different pictures",
            f"# exceed the candidate; similar: {SIMILAR_MARGIN:g} above what {SIMILAR_PARTNERS:g} of them exceed.",
            "[matching]",
            f"candidate_similarity = {promise.candidate:.2f}  # finds {share:.1%} of edited copies",
            f"similar_similarity = {promise.similar:.2f}  # precision {promise.similar_precision:.2%}",
            "",
        )
    )


def rows(now: Expected, then: Expected) -> list[tuple[str, str, str]]:
    """Return the table: what the thresholds in force promise, and what the suggested ones would."""
    labels = (
        ("candidate threshold (cosine)", "candidate", "{:.2f}"),
        ("copies worth a second look", "candidate_recall", "{:.1%}"),
        ("the same, with the hashes", "candidate_recall_with_hashes", "{:.1%}"),
        ("second looks per picture", "looks_per_picture", "{:.2g}"),
        ("precision before the second look", "candidate_precision", "{:.1%}"),
        ("similar threshold (cosine)", "similar", "{:.2f}"),
        ("copies above it", "similar_recall", "{:.1%}"),
        ("clearly different pictures above it, per picture", "similar_strangers_per_picture", "{:.2g}"),
        ("precision", "similar_precision", "{:.2%}"),
    )
    return [(label, shape.format(getattr(now, key)), shape.format(getattr(then, key))) for label, key, shape in labels]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="dedupd bench calibrate", description=(__doc__ or "").split("\n")[0])
    made.add_argument("folder", type=Path, help="your pictures")
    made.add_argument("--catalog", type=int, default=CATALOG_PICTURES, help="pictures the thresholds are to serve")
    made.add_argument("--limit", type=int, default=300, help="pictures to draw [300]")
    made.add_argument("--per-kind", type=int, default=12, help="copies of every kind of edit [12]")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--config", type=Path, help="configuration with the model to measure [the one in use]")
    made.add_argument("--out", type=Path, help="file for the suggested lines [printed]")
    made.add_argument("--json", type=Path, help="file for all figures")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print what the thresholds in force and the suggested ones promise, and hand out the suggestion."""
    options = parser().parse_args(arguments)
    if not options.folder.is_dir():
        raise UsageError(f"no such folder: {options.folder}", "name a folder of your pictures")
    path = config_to_judge_with(options.config)
    settings = parse_settings({}, "defaults") if path is None else load_settings(path)
    facts = model_facts(settings.embedding)
    with progress("drawing and editing") as advance:
        advance(0, 1)
        gallery = drawn(options.folder, options.limit, options.per_kind, options.seed)
    with progress("measuring") as advance:
        advance(0, 1)
        found = measured(gallery, settings)
    wanted = suggested_thresholds(found.clear, options.catalog)
    now = expected(found, *_in_force(settings), options.catalog)
    then = expected(found, wanted["candidate"], wanted["similar"], options.catalog)
    say(f"{found.pictures} pictures, {len(found.right)} copies, {len(found.apart):,} pairs of different pictures.")
    say(f"Expected in a catalog of {options.catalog:,} pictures, each with one edited copy:\n")
    table(("", "in force", "suggested"), rows(now, then), right=(1, 2))
    expected_pairs = len(found.clear) * CANDIDATE_PARTNERS / options.catalog
    if expected_pairs < 1:
        enough = math.ceil(math.sqrt(2 * options.catalog / CANDIDATE_PARTNERS))
        warn(
            f"{found.pictures} pictures are few: in {len(found.clear):,} pairs hardly one lies where the suggestion "
            f"does, which is an extrapolation. Some {enough:,} pictures tell it (--limit {enough})."
        )
    text = snippet(found, then, facts.model_id, options.catalog)
    if options.out is None:
        say(f"\nTo use the suggestion, put this into your configuration:\n\n{text}")
    else:
        options.out.write_text(text, encoding="utf-8")
        say(f"\nThe suggestion lies in {options.out}; copy it into your configuration to use it.")
    if options.json is not None:
        sample = {"pictures": found.pictures, "copies": len(found.right), "catalog": options.catalog}
        sides = {"in_force": asdict(now), "suggested": asdict(then)}
        answer: dict[str, Any] = {"schema": 1, "model": facts.model_id, "seed": options.seed, **sample, **sides}
        options.json.write_text(json.dumps(answer, indent=1), encoding="utf-8")
    return 0


def _in_force(settings: Settings) -> tuple[float, float]:
    facts, matching = model_facts(settings.embedding), settings.matching
    chosen = matching.candidate_similarity, matching.similar_similarity
    defaults = facts.candidate_similarity, facts.similar_similarity
    candidate, similar = (own if own is not None else default for own, default in zip(chosen, defaults, strict=True))
    return float(candidate), float(similar)


if __name__ == "__main__":
    raise SystemExit(main())
