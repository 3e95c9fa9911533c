"""Which training pictures are one picture, and which only look it: frames of a clip, shots of one shelf.

Thumbnails alone cannot say. So every pair that is near by its thumbnail or by the vectors of an earlier network gets
the program's second look, once. What is no copy by it becomes a *rival*: a stranger, and one worth meeting often.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.settings import VerifySettings
from pipeline.training.data import SAME_THUMB_CORRELATION, Pack, open_pack
from pipeline.verify import Prepared, SecondLook, prepare, verify
from store.records import MatchKind

# Pairs above this cosine are looked at and may be rivals.
NEAR_COSINE = 0.5
RIVALS = 8
# What agrees everywhere but for one place may well be a copy with something drawn on it: better neither than wrong.
DOUBTFUL_OVERLAP = DOUBTFUL_AGREEMENT = 0.97
RIVALS_FILE = "rivals.npz"
_KEPT_LOOKS = 1024


@dataclass(frozen=True, slots=True)
class Rivals:
    """Hold the pairs that are, or may be, one picture `[m, 2]`, and the rivals of every picture `[n, RIVALS]` (−1)."""

    same: NDArray[np.int64]
    near: NDArray[np.int64]

    def unlabelled(self) -> NDArray[np.bool_]:
        """Mark pairs `[n, n]` that must not serve as negatives: the picture itself and its possible copies."""
        mask = np.eye(len(self.near), dtype=np.bool_)
        mask[self.same[:, 0], self.same[:, 1]] = mask[self.same[:, 1], self.same[:, 0]] = True
        return mask


def may_be_one(look: SecondLook) -> bool:
    """Say whether a second look leaves it open that both are one picture."""
    agree = look.overlap >= DOUBTFUL_OVERLAP and look.agreement >= DOUBTFUL_AGREEMENT
    return look.kind is MatchKind.COPY or (look.kind is MatchKind.EDITED and agree)


def near_pairs(pack: Pack, vectors: NDArray[np.float32], block_rows: int = 1024) -> Iterator[tuple[int, int, float]]:
    """Give the pairs (first < second, cosine) that are near by thumbnail or by `vectors` `[n, d]`."""
    for start in range(0, len(pack), block_rows):
        rows = slice(start, start + block_rows)
        cosines = vectors[rows] @ vectors.T
        near = (cosines > NEAR_COSINE) | (pack.thumbs[rows] @ pack.thumbs.T > SAME_THUMB_CORRELATION)
        for row, other in np.argwhere(near):
            if start + row < other:
                yield int(start + row), int(other), float(cosines[row, other])


def find_rivals(pack: Pack, vectors: NDArray[np.float32]) -> Rivals:
    """Look at every near pair: 25 ms each."""
    settings = VerifySettings()

    @lru_cache(_KEPT_LOOKS)
    def prepared(index: int) -> Prepared:
        return prepare(pack.picture(index))

    same: list[tuple[int, int]] = []
    found: list[list[tuple[float, int]]] = [[] for _ in range(len(pack))]
    for first, second, cosine in near_pairs(pack, vectors):
        if may_be_one(verify(prepared(first), prepared(second), settings)):
            same.append((first, second))
        elif cosine > NEAR_COSINE:
            found[first].append((cosine, second))
            found[second].append((cosine, first))
    near = np.full((len(pack), RIVALS), -1, np.int64)
    for index, others in enumerate(found):
        chosen = [other for _, other in sorted(others, reverse=True)[:RIVALS]]
        near[index, : len(chosen)] = chosen
    return Rivals(np.array(same, np.int64).reshape(-1, 2), near)


def describe(pack: Pack, weights: Path, side: int, rows: int = 64) -> NDArray[np.float32]:
    """Embed every picture of a pack with earlier weights: float32 `[n, d]`."""
    import torch

    from pipeline.embedding import load_compact

    net = load_compact(weights).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pack), rows):
            indices = range(start, min(start + rows, len(pack)))
            views = [cv2.resize(pack.picture(i), (side, side), interpolation=cv2.INTER_AREA) for i in indices]
            parts.append(net(torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)).numpy())
    return np.concatenate(parts).astype(np.float32)


def build_rivals(pack_folder: Path, weights: Path, side: int) -> None:
    """Find the rivals of a pack once and keep them beside it."""
    pack = open_pack(pack_folder)
    rivals = find_rivals(pack, describe(pack, weights, side))
    partial = pack_folder / f"partial-{RIVALS_FILE}"
    np.savez(partial, same=rivals.same, near=rivals.near)
    os.replace(partial, pack_folder / RIVALS_FILE)


def open_rivals(pack_folder: Path) -> Rivals | None:
    """Read what `build_rivals` kept, or None where nothing was."""
    path = pack_folder / RIVALS_FILE
    if not path.exists():
        return None
    with np.load(path) as data:
        return Rivals(data["same"].astype(np.int64), data["near"].astype(np.int64))
