"""How well do vectors and hashes find edited copies? Micro-AP and recall at high precision, overall and per kind.

    python -m bench.embedders FOLDER… [--embedder NAME[=WEIGHTS]]… [--json FILE]

All pairs copy × original of the gallery are ranked in one list by similarity, as a program with one threshold sees
them (micro average precision, as in the DISC challenge and SSCD). Pairs whose originals look alike as a whole are
left out: nobody can say whether they are the same picture. Hashes are ranked by Hamming distance.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.gallery import (
    Gallery,
    build_gallery,
    load_gallery,
    preview,
    read_rgb,
    save_gallery,
    unpacked,
    without_seen,
)
from bench.growth import tail_quantile

if TYPE_CHECKING:
    from pipeline.embedding import EmbeddingSettings

# The rule behind the shipped thresholds, in terms of one picture among `CATALOG_PICTURES`.
CATALOG_PICTURES = 10_000
CANDIDATE_PARTNERS = 0.5
SIMILAR_PARTNERS = 0.01
SIMILAR_MARGIN = 0.1
_BLOCK_ROWS = 1000

Scores = NDArray[np.float32]
Describe = Callable[[Sequence[bytes]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Hold the figures of one method over one set of copies."""

    micro_ap: float
    recall_99: float
    recall_999: float
    threshold_99: float
    copies: int


def measure(scores: Scores, own: NDArray[np.int64], silent: NDArray[np.bool_]) -> Figures:
    """Rank all pairs `[copies, originals]` in one list and read off precision and recall.

    Ties count as if every wrong pair came first, so that coarse distances gain nothing by luck.
    """
    copies = len(scores)
    order, above = _ranked(scores, own, silent)
    false_count = len(above) - np.searchsorted(above, order, side="left")
    found = np.arange(1, copies + 1)
    precision = found / (found + false_count)
    recalls, threshold = [], float("nan")
    for wanted in (0.99, 0.999):
        enough = np.flatnonzero(precision >= wanted)
        recalls.append(float(found[enough[-1]] / copies) if len(enough) else 0.0)
        if wanted == 0.99 and len(enough):
            threshold = float(order[enough[-1]])
    return Figures(float(precision.mean()), recalls[0], recalls[1], threshold, copies)


def _ranked(scores: Scores, own: NDArray[np.int64], silent: NDArray[np.bool_]) -> tuple[Scores, Scores]:
    """Return the scores of right pairs, falling, and those of wrong pairs that matter, rising."""
    copies = np.arange(len(scores))
    right = scores[copies, own]
    wrong = scores.copy()
    for start in range(0, len(scores), _BLOCK_ROWS):
        wrong[start : start + _BLOCK_ROWS][silent[own[start : start + _BLOCK_ROWS]]] = -np.inf
    wrong[copies, own] = -np.inf
    # Only wrong pairs above the worst right pair matter; the rest would fill memory for nothing.
    return np.sort(right)[::-1], np.sort(wrong[wrong >= right.min()])


def describe_with_embedder(weights: str, model: str, threads: int) -> tuple[Describe, str]:
    """Return the function that embeds previews with one of the program's embedders, and its model id."""
    from pipeline.embedding import EmbeddingSettings

    return describe_with_settings(EmbeddingSettings(model=model, weights=weights, threads=threads, device="cpu"))


def describe_with_settings(settings: EmbeddingSettings) -> tuple[Describe, str]:
    """Return the function that embeds previews with the embedder of a configuration, and its model id."""
    from pipeline.embedding import load_embedder

    embedder = load_embedder(settings)
    side = (embedder.input_size, embedder.input_size)

    def describe(previews: Sequence[bytes]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(previews), 64):
            part = [cv2.resize(unpacked(p), side, interpolation=cv2.INTER_AREA) for p in previews[start : start + 64]]
            rows.append(embedder.embed(np.stack(part).astype(np.uint8)))
        return np.concatenate(rows)

    return describe, embedder.model_id


def _bits(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Turn bits into ±1/√n, so that the cosine falls linearly with the Hamming distance."""
    signs = np.stack([np.asarray(row).ravel() for row in rows]).astype(np.float32) * 2 - 1
    return signs / np.float32(np.sqrt(signs.shape[1]))


def describe_phash(previews: Sequence[bytes]) -> NDArray[np.float32]:
    """Return 64-bit perceptual hashes (imagehash) as signs."""
    import imagehash
    from PIL import Image

    return _bits([imagehash.phash(Image.fromarray(unpacked(p))).hash for p in previews])


def describe_dhash(previews: Sequence[bytes]) -> NDArray[np.float32]:
    """Return 64-bit difference hashes (imagehash) as signs."""
    import imagehash
    from PIL import Image

    return _bits([imagehash.dhash(Image.fromarray(unpacked(p))).hash for p in previews])


def describe_pdq(previews: Sequence[bytes]) -> NDArray[np.float32]:
    """Return 256-bit PDQ hashes as signs."""
    import pdqhash

    return _bits([pdqhash.compute(unpacked(p))[0] for p in previews])


HASHES: dict[str, Describe] = {"phash": describe_phash, "dhash": describe_dhash, "pdq": describe_pdq}


def curve(scores: Scores, own: NDArray[np.int64], silent: NDArray[np.bool_], points: int = 120) -> list[list[float]]:
    """Return [recall, precision] along the ranking that `measure` judges, thinned to about `points`."""
    right, above = _ranked(scores, own, silent)
    found = np.arange(1, len(right) + 1)
    precision = found / (found + len(above) - np.searchsorted(above, right, side="left"))
    # What a threshold can reach: precision at least this good at this recall or a higher one.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    picked = np.unique(np.linspace(0, len(right) - 1, min(points, len(right))).astype(int))
    return [[round(float(found[i] / len(right)), 4), round(float(best[i]), 5)] for i in picked]


def unclear_pairs(gallery: Gallery, bursts: Sequence[str]) -> NDArray[np.bool_]:
    """Mark pairs of originals `[n, n]` that say nothing, and those inside sources that repeat scenes."""
    repeated = np.isin(gallery.source, [gallery.sources.index(name) for name in bursts if name in gallery.sources])
    unclear: NDArray[np.bool_] = np.equal.outer(gallery.source, gallery.source)
    unclear &= repeated[:, None]
    unclear |= gallery.silent
    return unclear


def judge_scores(gallery: Gallery, scores: Scores, unclear: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the figures of a table of scores `[copies, originals]`: overall, per kind, per source.

    `clear` are the overall figures without the unclear pairs; the figures per kind and per source leave these out
    as well.
    """
    scores = scores.copy()
    rows = np.flatnonzero(gallery.pasted >= 0)
    scores[rows, gallery.pasted[rows]] = -np.inf
    result: dict[str, Any] = {"all": _plain(measure(scores, gallery.own, gallery.silent)), "kinds": {}, "sources": {}}
    result["clear"] = _plain(measure(scores, gallery.own, unclear))
    for number, name in enumerate(gallery.kind_names):
        rows = gallery.kind == number
        if rows.any():
            result["kinds"][name] = _plain(measure(scores[rows], gallery.own[rows], unclear))
    for number, source in enumerate(gallery.sources):
        rows = gallery.source[gallery.own] == number
        if rows.any():
            result["sources"][source] = _plain(measure(scores[rows], gallery.own[rows], unclear))
    return result


def judge(gallery: Gallery, describe: Describe, bursts: Sequence[str] = ()) -> dict[str, Any]:
    """Describe the whole gallery and return all figures: overall, per kind, per source, and strangers.

    `bursts` names the sources that repeat scenes, which `clear` leaves out (see `judge_scores`).
    """
    originals, copies = describe(gallery.originals), describe(gallery.copies)
    scores = copies @ originals.T
    unclear = unclear_pairs(gallery, bursts)
    result = judge_scores(gallery, scores, unclear)
    apart, clearly_apart = (stranger_cosines(originals, unknown) for unknown in (gallery.silent, unclear))
    for name, pairs in (("strangers", apart), ("clear_strangers", clearly_apart)):
        marks = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
        result[name] = {f"{mark:g}": float(np.quantile(pairs, 1 - mark)) for mark in marks} | {"pairs": len(pairs)}
    result["thresholds"] = suggested_thresholds(clearly_apart)
    right = scores[np.arange(len(copies)), gallery.own]
    result["copies"] = {f"{mark:g}": float(np.quantile(right, mark)) for mark in (0.01, 0.05, 0.1, 0.25, 0.5)}
    result["trade"] = trade_off(right, apart)
    return result


def stranger_cosines(vectors: NDArray[np.float32], silent: NDArray[np.bool_]) -> Scores:
    """Return the cosines of all pairs of different pictures that are not silent: float32 [pairs]."""
    parts = []
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS] @ vectors.T
        parts += [row[at + 1 :][~silent[at, at + 1 :]] for at, row in enumerate(block, start)]
    return np.concatenate(parts)


def suggested_thresholds(clearly_apart: Scores, catalog_pictures: int = CATALOG_PICTURES) -> dict[str, float]:
    """Return the thresholds by the rule of the model card, from cosines of different pictures.

    Candidate: `CANDIDATE_PARTNERS` of `catalog_pictures` clearly different ones lie above it: so many second looks
    a picture costs in vain, besides those at other pictures of its scene. Similar: `SIMILAR_MARGIN` above the cosine
    that `SIMILAR_PARTNERS` of them exceed, for nothing else checks those and so far out the tail is known from a
    handful of pairs. Both are rounded up to 0.01.
    """
    candidate = tail_quantile(clearly_apart, CANDIDATE_PARTNERS / catalog_pictures)
    similar = tail_quantile(clearly_apart, SIMILAR_PARTNERS / catalog_pictures) + SIMILAR_MARGIN
    similar = min(max(similar, candidate), 0.99)
    return {"candidate": math.ceil(candidate * 100) / 100, "similar": math.ceil(similar * 100) / 100}


def trade_off(right: Scores, apart: Scores) -> list[dict[str, float]]:
    """Tabulate, per threshold, the share of copies found and the wrong partners among 10,000 other pictures."""
    ordered = np.sort(apart)
    rows = []
    for threshold in np.round(np.arange(0.2, 0.96, 0.05), 2):
        share = 1 - np.searchsorted(ordered, threshold) / len(ordered)
        found = float((right >= threshold).mean())
        rows.append({"threshold": float(threshold), "recall": found, "partners_at_10k": share * 1e4})
    return rows


def judge_families(truth: Path, describe: Describe) -> dict[str, dict[str, float]]:
    """Compare pictures of one family and of different families, for every group of a truth file.

    The file maps a group to families, each a list of paths beside it; files that OpenCV cannot read are left out.
    """
    result = {}
    for group, families in json.loads(truth.read_text(encoding="utf-8")).items():
        previews, family = [], []
        for number, names in enumerate(families):
            for name in names:
                image = read_rgb(truth.parent / name)
                if image is not None:
                    previews.append(preview(image))
                    family.append(number)
        vectors = describe(previews)
        scores = vectors @ vectors.T
        same = np.equal.outer(family, family)
        inside = scores[np.triu(same, 1)]
        between = scores[np.triu(~same, 1)]
        result[group] = {
            "pairs": float(len(inside)),
            "least_inside": float(inside.min()),
            "most_between": float(between.max()),
            "found_before_the_first_wrong": float((inside > between.max()).mean()),
        }
    return result


def _plain(figures: Figures) -> dict[str, float]:
    return {name: round(float(getattr(figures, name)), 4) for name in Figures.__slots__}


def judge_all(
    methods: dict[str, Describe], gallery: Gallery, truth: Path | None, bursts: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Judge every method on the same gallery and, if there is one, on the truth file."""
    results: dict[str, dict[str, Any]] = {}
    for name, describe in methods.items():
        started = time.perf_counter()
        results[name] = judge(gallery, describe, bursts)
        if truth is not None:
            results[name]["families"] = judge_families(truth, describe)
        results[name]["seconds"] = round(time.perf_counter() - started, 1)
    return results


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print one column per method: micro-AP and recall at 99 % and 99.9 % precision overall, then AP per kind."""
    names = list(results)
    print(f"{'':18s}" + "".join(f"{name[:16]:>18s}" for name in names))
    for pairs in ("all", "clear"):
        for label, key in (("micro-AP", "micro_ap"), ("recall @P99", "recall_99"), ("recall @P99.9", "recall_999")):
            line = "".join(f"{results[name][pairs][key]:18.3f}" for name in names)
            print(f"{label + ('' if pairs == 'all' else ' clear'):20s}{line}")
    for group in ("kinds", "sources"):
        print(f"-- micro-AP / recall @P99, {group}")
        for label in results[names[0]][group]:
            cells = [results[name][group][label] for name in names]
            print(f"{label:18s}" + "".join(f"{c['micro_ap']:11.3f} {c['recall_99']:6.3f}" for c in cells))
    for group in results[names[0]].get("families", {}):
        facts = [results[name]["families"][group] for name in names]
        print(f"-- {group}, {facts[0]['pairs']:.0f} true pairs: lowest inside, highest between, share in order")
        keys = ("least_inside", "most_between", "found_before_the_first_wrong")
        print(" " * 18 + "".join("".join(f"{f[key]:6.2f}" for key in keys) for f in facts))


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.embedders", description=__doc__)
    made.add_argument("folders", type=Path, nargs="*", help="folders of originals, none of them trained on")
    made.add_argument("--embedder", action="append", default=[], help="NAME or NAME=WEIGHTS; default: the shipped one")
    made.add_argument("--hashes", nargs="*", default=sorted(HASHES), choices=sorted(HASHES))
    made.add_argument("--per-kind", type=int, default=100)
    made.add_argument("--per-folder", type=int, default=100_000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--gallery", type=Path, help="file to keep the gallery in, or to read it from")
    made.add_argument("--bursts", nargs="*", default=[], help="sources that repeat scenes (figures `clear`)")
    made.add_argument("--trained-on", type=Path, nargs="*", default=[], help="leave out what lies in these, too")
    made.add_argument("--truth", type=Path, help="truth.json of families of real copies")
    made.add_argument("--json", type=Path, default=Path("bench/results/embedders.json"))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or read the gallery, judge every method, print the table and write the JSON."""
    options = parser().parse_args(arguments)
    if options.gallery and options.gallery.exists():
        gallery = load_gallery(options.gallery)
    else:
        gallery = build_gallery(options.folders, options.per_kind, options.per_folder, options.seed)
        if options.gallery:
            save_gallery(gallery, options.gallery)
    if options.trained_on:
        gallery = without_seen(gallery, options.trained_on)
    print(f"{len(gallery.originals)} originals of {len(gallery.sources)} sources, {len(gallery.copies)} copies")
    methods: dict[str, Describe] = {}
    for entry in options.embedder or ["dedupd-compact-1"]:
        model, _, weights = entry.partition("=")
        describe, model_id = describe_with_embedder(weights, model, options.threads)
        methods[model_id] = describe
    methods |= {name: HASHES[name] for name in options.hashes}
    results = judge_all(methods, gallery, options.truth, options.bursts)
    print_table(results)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    facts = {"seed": options.seed, "originals": len(gallery.originals), "copies": len(gallery.copies)}
    options.json.write_text(json.dumps({**facts, "results": results}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
