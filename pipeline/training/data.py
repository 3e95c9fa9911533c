"""Training pictures: packed once into one array, sampled and augmented into batches.

Pictures are decoded once, shrunk to a short side of `PACK_SIDE_PIXELS` and written to one memory-mapped file, so
that every worker shares the same pages. Pairs that may be near-duplicates of each other (frames of one clip, shots
of one shelf) are found by their grey thumbnails and counted as *unlabelled*: never pushed apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.training.augment import Pixels, base_picture, strong_view, weak_view
from pipeline.training.scenes import rival_bases

PACK_SIDE_PIXELS = 160
THUMB_SIDE_PIXELS = 12
SAME_THUMB_CORRELATION = 0.9
LOOK_ALIKE_CORRELATIONS = (0.45, 0.8)
LOOK_ALIKES = 12
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))


@dataclass(frozen=True, slots=True)
class Pack:
    """Hold all pictures of a training run: flat pixels, where each lies, its set, its thumbnail."""

    pixels: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    sets: tuple[str, ...]
    set_of: NDArray[np.int32]
    thumbs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index` as RGB `[h, w, 3]` without copying."""
        height, width = (int(side) for side in self.sizes[index])
        start = int(self.offsets[index])
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold the views of one step: one weak and several strong views per base picture."""

    number: int
    ids: NDArray[np.int64]  # [n]; −1 where the base was drawn or blended
    weak: NDArray[np.uint8]  # [n, s, s, 3]
    strong: NDArray[np.uint8]  # [views * n, s, s, 3], all first views, then all second views
    donors: NDArray[np.int64]  # [views * n]; the picture that a strong view may show as well
    rivals: NDArray[np.int64]  # [n]; the row of another shot of the same scene, −1 for none


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """State how many base pictures a batch has, strong views of each, and which share are look-alikes of others.

    `rival_share` of them stand in pairs that show one scene and are strangers nevertheless: half of the pairs begin
    with a picture that has rivals, and where it has some, `real_share` of the pairs are real shots, the rest made.
    """

    bases: int = 128
    views: int = 2
    look_alike_share: float = 0.25
    rival_share: float = 0.0
    real_share: float = 0.7


@dataclass(frozen=True, slots=True)
class Sampling:
    """Hold what batches are drawn by: weights `[n]`, look-alikes `[n, k]` and rivals `[n, r]` (−1: none)."""

    weights: NDArray[np.float64]
    alike: NDArray[np.int64]
    rivals: NDArray[np.int64]


def list_pictures(folder: Path) -> list[Path]:
    """List the image files below `folder` in a stable order."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(path for path in found if path.is_file())


def build_pack(folders: Sequence[Path], target: Path) -> None:
    """Decode, shrink and store every picture below `folders` at `target` (.npy files and an index)."""
    target.mkdir(parents=True, exist_ok=True)
    offsets, sizes, set_of, thumbs, position = [], [], [], [], 0
    with (target / "pixels.tmp").open("wb") as sink:
        for number, folder in enumerate(folders):
            for path in list_pictures(folder):
                image = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if image is None or min(image.shape[:2]) < 16:
                    continue
                small = _fit(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                sink.write(small.tobytes())
                offsets.append(position)
                sizes.append(small.shape[:2])
                set_of.append(number)
                thumbs.append(_thumb(small))
                position += small.size
    if not offsets:
        raise ValueError("no readable picture in the folders given")
    np.savez(target / "index.npz", offsets=offsets, sizes=sizes, set_of=set_of, thumbs=np.stack(thumbs))
    (target / "sets.json").write_text(json.dumps([folder.name for folder in folders]), encoding="utf-8")
    os.replace(target / "pixels.tmp", target / "pixels.bin")


def open_pack(target: Path) -> Pack:
    """Open a pack written by `build_pack`; the pixels stay on disk, memory-mapped."""
    index = np.load(target / "index.npz")
    pixels: NDArray[np.uint8] = np.memmap(target / "pixels.bin", dtype=np.uint8, mode="r")
    sets = tuple(json.loads((target / "sets.json").read_text(encoding="utf-8")))
    return Pack(
        pixels,
        index["offsets"].astype(np.int64),
        index["sizes"].astype(np.int32),
        sets,
        index["set_of"].astype(np.int32),
        index["thumbs"].astype(np.float32),
    )


def _fit(image: NDArray[Any]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = PACK_SIDE_PIXELS / min(height, width)
    if scale >= 1.0:
        return np.ascontiguousarray(image, dtype=np.uint8)
    # Very long pictures would fill memory without teaching anything: the long side stops at three short ones.
    size = (min(round(width * scale), 3 * PACK_SIDE_PIXELS), min(round(height * scale), 3 * PACK_SIDE_PIXELS))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _thumb(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    side = (THUMB_SIDE_PIXELS, THUMB_SIDE_PIXELS)
    small = cv2.resize(grey, side, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    result: NDArray[np.float32] = small / max(float(np.linalg.norm(small)), 1e-6)
    return result


def unlabelled_pairs(pack: Pack, block_rows: int = 1024) -> NDArray[np.bool_]:
    """Mark pairs `[n, n]` that must not serve as negatives: the picture itself and possible near-duplicates."""
    count = len(pack)
    mask = np.zeros((count, count), np.bool_)
    for start in range(0, count, block_rows):
        rows = slice(start, start + block_rows)
        mask[rows] = pack.thumbs[rows] @ pack.thumbs.T > SAME_THUMB_CORRELATION
    np.fill_diagonal(mask, True)
    return mask


def look_alikes(pack: Pack, block_rows: int = 1024) -> NDArray[np.int64]:
    """Return for every picture up to `LOOK_ALIKES` others of similar layout, `[n, LOOK_ALIKES]` (−1: none).

    Their thumbnails correlate, but less than those of possible near-duplicates: hard strangers, safe to push apart.
    """
    count = min(LOOK_ALIKES, len(pack) - 1)
    found = np.full((len(pack), LOOK_ALIKES), -1, np.int64)
    low, high = LOOK_ALIKE_CORRELATIONS
    for start in range(0, len(pack), block_rows):
        cosines = pack.thumbs[start : start + block_rows] @ pack.thumbs.T
        cosines[(cosines < low) | (cosines > high)] = -2.0
        nearest = np.argpartition(-cosines, count, axis=1)[:, :count]
        kept = np.take_along_axis(cosines, nearest, axis=1) > -2.0
        found[start : start + len(nearest), :count] = np.where(kept, nearest, -1)
    return found


def sampling_weights(pack: Pack, most_per_set: int) -> NDArray[np.float64]:
    """Weigh pictures so that no set counts for more than `most_per_set` pictures."""
    counts = np.bincount(pack.set_of, minlength=len(pack.sets)).astype(np.float64)
    per_set = np.minimum(counts, most_per_set) / np.maximum(counts, 1)
    weights = per_set[pack.set_of]
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def choose(sampling: Sampling, plan: BatchPlan, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Choose the base pictures `[bases]` of a batch, and the row of the rival of each (−1: none).

    The last are look-alikes of the first; between them lie the pairs of rivals.
    """
    weights, alike = sampling.weights, sampling.alike
    chosen = rng.choice(len(weights), plan.bases, replace=False, p=weights).astype(np.int64)
    rivals = np.full(plan.bases, -1, np.int64)
    look_alikes_wanted = round(plan.bases * plan.look_alike_share)
    for place in range(look_alikes_wanted):
        other = int(alike[chosen[place], int(rng.integers(0, alike.shape[1]))])
        if other >= 0 and other not in chosen:
            chosen[plan.bases - 1 - place] = other
    pairs = min(round(plan.bases * plan.rival_share), plan.bases - 2 * look_alikes_wanted) // 2
    for place in range(look_alikes_wanted, look_alikes_wanted + pairs):
        _pair_up(chosen, rivals, (place, place + pairs), sampling, plan, rng)
    return chosen, rivals


def _pair_up(
    chosen: NDArray[np.int64],
    rivals: NDArray[np.int64],
    rows: tuple[int, int],
    sampling: Sampling,
    plan: BatchPlan,
    rng: np.random.Generator,
) -> None:
    """Let two rows of a batch be shots of one scene: two real ones, or one picture that is to be made into two."""
    first, second = rows
    bursts = np.flatnonzero(sampling.rivals[:, 0] >= 0)
    if len(bursts) and rng.random() < 0.5:
        shares = sampling.weights[bursts] / sampling.weights[bursts].sum()
        begin = int(rng.choice(bursts, p=shares))
        chosen[first] = begin if begin not in chosen else chosen[first]
    known = sampling.rivals[chosen[first]]
    known = known[(known >= 0) & ~np.isin(known, chosen)]
    real = len(known) > 0 and rng.random() < plan.real_share
    chosen[second] = rng.choice(known) if real else chosen[first]
    rivals[first], rivals[second] = second, first


def make_batch(
    pack: Pack, sampling: Sampling, number: int, seed: int, plan: BatchPlan, side: int, severity: float
) -> Batch:
    """Build batch `number`: a pure function of its arguments."""
    rng = np.random.default_rng((seed, number))
    chosen, rivals = choose(sampling, plan, rng)
    weak = np.empty((plan.bases, side, side, 3), np.uint8)
    strong = np.empty((plan.views, plan.bases, side, side, 3), np.uint8)
    donors = rng.integers(0, len(pack), (plan.views, plan.bases))
    bases, ids = _bases(pack, chosen, rivals, rng)
    for row, base in enumerate(bases):
        weak[row] = weak_view(base, rng, side)
        for view in range(plan.views):
            strong[view, row] = strong_view(base, pack.picture(donors[view, row]), rng, side, severity)
    return Batch(number, ids, weak, strong.reshape(-1, side, side, 3), donors.ravel(), rivals)


def _bases(
    pack: Pack, chosen: NDArray[np.int64], rivals: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[Pixels], NDArray[np.int64]]:
    """Make a new original out of every picture chosen, and of two rivals two of one scene; −1 names one drawn."""
    bases: list[Pixels] = []
    ids = chosen.copy()
    made: dict[int, Pixels] = {}
    for row, index in enumerate(chosen):
        donor = pack.picture(int(rng.integers(0, len(pack))))
        if row in made:
            base = made.pop(row)
        elif rivals[row] >= 0:
            other = int(chosen[rivals[row]])
            shots = pack.picture(index), pack.picture(other)
            base, made[int(rivals[row])] = rival_bases(shots, donor, rng, move=other == index)
        else:
            base, known = base_picture(pack.picture(index), donor, rng)
            ids[row] = index if known else -1
        bases.append(base)
    return bases, ids
