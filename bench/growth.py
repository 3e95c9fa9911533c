"""How unrelated matches grow with the catalog: the upper tail of the cosines of strangers, measured and extrapolated.

At a fixed threshold every picture meets (pictures - 1) · P(cosine > threshold) strangers. P is counted where there are
enough pairs; beyond, a generalised Pareto distribution is fitted to the exceedances (peaks over threshold; Hosking
and Wallis 1987, by moments).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIT_SHARE = 1e-3
FIT_PAIRS = 50  # exceedances below which nothing is fitted
COUNTED_PAIRS = 20  # pairs from which a share is counted, not fitted
CATALOGS = tuple(10**power for power in range(3, 9))
MOST_LOOKS = 50  # second looks per new picture that are bearable: about half a second
MOST_UNPROVEN = 0.01  # strangers called similar, per picture
_BLOCK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper tail of cosines: `share` of the pairs exceed `start`; beyond, a generalised Pareto law."""

    start: float
    share: float
    shape: float
    scale: float

    def exceeding(self, cosine: float) -> float:
        """Return the share of pairs above a cosine ≥ `start`."""
        reach = (cosine - self.start) / self.scale
        if abs(self.shape) < 1e-6:
            return self.share * math.exp(-reach)
        inner = 1 + self.shape * reach
        return self.share * float(inner ** (-1 / self.shape)) if inner > 0 else 0.0

    def cosine_at(self, share: float) -> float:
        """Return the cosine that `share` ≤ `self.share` of the pairs exceed."""
        if abs(self.shape) < 1e-6:
            return self.start + self.scale * math.log(self.share / share)
        return self.start + self.scale * float((self.share / share) ** self.shape - 1) / self.shape


def fitted(cosines: NDArray[np.float32]) -> Tail:
    """Fit the tail of the cosines of different pictures: float32 [pairs]; at least 500 pairs."""
    count = max(round(len(cosines) * FIT_SHARE), min(FIT_PAIRS, len(cosines) // 10))
    top = np.sort(np.partition(cosines, len(cosines) - count - 1)[-count - 1 :]).astype(np.float64)
    start, over = float(top[0]), top[1:] - top[0]
    mean, variance = float(over.mean()), float(over.var()) or 1e-12
    ratio = mean * mean / variance
    return Tail(start, count / len(cosines), 0.5 * (1 - ratio), max(0.5 * mean * (1 + ratio), 1e-9))


def tail_quantile(cosines: NDArray[np.float32], share: float) -> float:
    """Return the cosine that `share` of the pairs exceed: counted where at least `COUNTED_PAIRS` do, else fitted."""
    if share * len(cosines) >= COUNTED_PAIRS or len(cosines) < 10 * FIT_PAIRS:
        return float(np.quantile(cosines, 1 - share))
    return fitted(cosines).cosine_at(share)


def exceedance(cosines: NDArray[np.float32], threshold: float) -> float:
    """Return the share of pairs above a threshold, counted or fitted as in `tail_quantile`."""
    count = int((cosines > threshold).sum())
    if count >= COUNTED_PAIRS or len(cosines) < 10 * FIT_PAIRS:
        return count / len(cosines)
    tail = fitted(cosines)
    return tail.exceeding(threshold) if threshold > tail.start else count / len(cosines)


def most_likely_at_most(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the rate that is not exceeded with this confidence, after `events` in `trials` (Poisson)."""
    if trials == 0:
        return 1.0
    low, high = 0.0, 10.0 * events + 20.0
    for _ in range(60):
        middle = (low + high) / 2
        term, total = math.exp(-middle), 0.0
        for number in range(events + 1):
            total += term
            term *= middle / (number + 1)
        low, high = (middle, high) if total > 1 - confidence else (low, middle)
    return min(high / trials, 1.0)


@dataclass(frozen=True, slots=True)
class Looks:
    """How often the second look was asked about different pictures, and how often it called them the same."""

    pairs: int
    wrong: int


def shares(clear: NDArray[np.float32], candidate: float, similar: float, by_hash: float) -> dict[str, float]:
    """Return the shares of stranger pairs that become candidates (by cosine, by hash) and that count as similar."""
    return {"cosine": exceedance(clear, candidate), "hash": by_hash, "similar": exceedance(clear, similar)}


def forecast(share: dict[str, float], looks: Looks, catalogs: Sequence[int] = CATALOGS) -> dict[str, Any]:
    """Say what a picture meets in catalogs of growing size, and up to which size the thresholds hold."""
    rate, at_most = looks.wrong / max(looks.pairs, 1), most_likely_at_most(looks.wrong, looks.pairs)
    rows = []
    for pictures in catalogs:
        partners = (pictures - 1) * (share["cosine"] + share["hash"])
        rows.append(
            {
                "pictures": pictures,
                "candidates": partners,
                "similar": (pictures - 1) * share["similar"],
                # Where nothing was looked at nothing is known.
                "wrong_per_10k": 1e4 * min(partners * rate, 1.0) if looks.pairs else None,
                "wrong_per_10k_at_most": 1e4 * min(partners * at_most, 1.0) if looks.pairs else None,
            }
        )
    return {
        "shares": share,
        "looked_at": looks.pairs,
        "called_the_same": looks.wrong,
        "rows": rows,
        "candidate_holds": MOST_LOOKS / max(share["cosine"] + share["hash"], 1e-15),
        "similar_holds": MOST_UNPROVEN / max(share["similar"], 1e-15),
    }


def hash_share(
    phash: NDArray[np.uint64], dhash: NDArray[np.uint64], most: tuple[int, int], silent: NDArray[np.bool_]
) -> float:
    """Return the share of pairs (not silent) whose pHash or dHash differ in at most `most` bits."""
    hits = pairs = 0
    for start in range(0, len(phash), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        close = np.bitwise_count(phash[block, None] ^ phash) <= most[0]
        close |= np.bitwise_count(dhash[block, None] ^ dhash) <= most[1]
        apart = ~silent[block]
        hits += int((close & apart).sum())
        pairs += int(apart.sum())
    return hits / max(pairs, 1)


def tail_points(cosines: NDArray[np.float32], steps: int = 60) -> dict[str, list[tuple[float, float]]]:
    """Return the upper tail for a chart: (cosine, share of pairs above), counted and fitted."""
    top = np.sort(np.partition(cosines, -max(len(cosines) // 10, 1))[-max(len(cosines) // 10, 1) :])[::-1]
    ranks = np.unique(np.geomspace(1, len(top), steps).astype(int))
    counted = [(round(float(top[rank - 1]), 4), float(rank / len(cosines))) for rank in ranks]
    law = fitted(cosines)
    wanted = np.geomspace(law.share, 1e-9, steps)
    return {"counted": counted, "fitted": [(round(law.cosine_at(float(s)), 4), float(s)) for s in wanted]}
