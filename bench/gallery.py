"""A gallery for accuracy figures: originals, edited copies of some of them, and which pairs say nothing.

Everything is kept as the JPEG previews that the program itself works from (long side ≤ 384 px), so that a figure
includes what the preview costs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.copies import KINDS, edited_copy, random_grade

Pixels = NDArray[np.uint8]

PREVIEW_LONG_SIDE_PIXELS = 384
PREVIEW_QUALITY = 88
# Originals are read at most this large: the preview throws the rest away, and editing 24 MP takes seconds.
WORKING_LONG_SIDE_PIXELS = 1024
# Two originals whose thumbnails agree this well may be the same picture: such pairs are neither right nor wrong.
ALIKE_THUMB_CORRELATION = 0.9
THUMB_SIDE_PIXELS = 12
# A picture whose thumbnail agrees this well with a training picture counts as trained on.
SEEN_THUMB_CORRELATION = 0.95
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))


@dataclass(frozen=True, slots=True)
class Gallery:
    """Hold JPEG previews of originals and copies; `own[i]` is the original that copy `i` was made of.

    A copy into which another original was pasted shows both: the pair with that one is neither right nor wrong.
    """

    originals: tuple[bytes, ...]
    copies: tuple[bytes, ...]
    own: NDArray[np.int64]
    kind: NDArray[np.int64]
    grade: NDArray[np.int64]
    source: NDArray[np.int64]
    sources: tuple[str, ...]
    silent: NDArray[np.bool_]
    pasted: NDArray[np.int64]  # the original that lies in copy `i` as well, −1 for none
    kind_names: tuple[str, ...] = tuple(kind.name for kind in KINDS)


def shrunk(image: Pixels, long_side: int) -> Pixels:
    """Shrink to a long side of at most `long_side` pixels."""
    scale = long_side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    smaller: Pixels = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return smaller


def read_rgb(path: Path) -> Pixels | None:
    """Read a picture as oriented RGB, or None where OpenCV cannot."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 32:
        return None
    return shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8), WORKING_LONG_SIDE_PIXELS)


def preview(image: Pixels) -> bytes:
    """Return the JPEG preview of RGB pixels."""
    small = shrunk(image, PREVIEW_LONG_SIDE_PIXELS)
    done, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])
    assert done
    return data.tobytes()


def unpacked(data: bytes) -> Pixels:
    """Decode a preview to RGB."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)


def build_gallery(folders: Sequence[Path], per_kind: int, per_folder: int, seed: int) -> Gallery:
    """Read up to `per_folder` originals of each folder and make `per_kind` copies of every kind."""
    rng = np.random.default_rng(seed)
    paths, source = _chosen_paths(folders, per_folder, rng)
    return make_gallery(paths, source, tuple(folder.name for folder in folders), per_kind, seed, rng)


def make_gallery(
    paths: Sequence[Path], source: Sequence[int], sources: tuple[str, ...], per_kind: int, seed: int,
    rng: np.random.Generator,
) -> Gallery:  # fmt: skip
    """Read the originals that OpenCV can read, each with the number of its source, and make copies of every kind."""
    images = [read_rgb(path) for path in paths]
    usable = [index for index, image in enumerate(images) if image is not None]
    pictures = [image for image in images if image is not None]
    copies: list[bytes] = []
    own, kinds, grades, pasted = [], [], [], []
    for number, kind in enumerate(KINDS):
        for index in rng.choice(len(pictures), min(per_kind, len(pictures)), replace=False):
            other = (int(index) + 1 + int(rng.integers(0, len(pictures) - 1))) % len(pictures)
            grade = random_grade(kind, seed * 1_000_003 + int(index))
            copies.append(preview(edited_copy(pictures[index], kind, grade, seed + int(index), pictures[other])))
            own.append(int(index))
            kinds.append(number)
            grades.append(grade)
            pasted.append(other if kind.pastes else -1)
    return Gallery(
        tuple(preview(image) for image in pictures),
        tuple(copies),
        np.array(own),
        np.array(kinds),
        np.array(grades),
        np.array(source)[usable],
        sources,
        alike(pictures),
        np.array(pasted),
    )


def _chosen_paths(folders: Sequence[Path], per_folder: int, rng: np.random.Generator) -> tuple[list[Path], list[int]]:
    paths: list[Path] = []
    source: list[int] = []
    for number, folder in enumerate(folders):
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        keep = rng.permutation(len(found))[:per_folder]
        paths.extend(found[index] for index in sorted(keep))
        source.extend([number] * len(keep))
    return paths, source


def thumbnails(pictures: Iterable[Pixels]) -> NDArray[np.float32]:
    """Return grey thumbnails as unit rows without mean, so that their product is a correlation."""
    rows = []
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (THUMB_SIDE_PIXELS,) * 2, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        rows.append((small - small.mean()) / max(float(np.linalg.norm(small - small.mean())), 1e-6))
    return np.stack(rows).astype(np.float32)


def alike(pictures: Iterable[Pixels]) -> NDArray[np.bool_]:
    """Mark pairs of originals `[n, n]` that look alike as a whole, by the correlation of grey thumbnails."""
    rows = thumbnails(pictures)
    return np.concatenate(
        [part @ rows.T > ALIKE_THUMB_CORRELATION for part in np.array_split(rows, len(rows) // 1000 + 1)]
    )


def without_seen(gallery: Gallery, trained_on: Sequence[Path]) -> Gallery:
    """Leave out originals, and their copies, that also lie (at any size) in folders a network was trained on."""
    paths = sorted(path for folder in trained_on for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    seen = thumbnails(image for image in map(read_rgb, paths) if image is not None)
    closest = (thumbnails(map(unpacked, gallery.originals)) @ seen.T).max(axis=1)
    keep = np.flatnonzero(closest <= SEEN_THUMB_CORRELATION)
    place = np.full(len(gallery.originals), -1)
    place[keep] = np.arange(len(keep))
    rows = np.flatnonzero(place[gallery.own] >= 0)
    return replace(
        gallery,
        originals=tuple(gallery.originals[index] for index in keep),
        copies=tuple(gallery.copies[index] for index in rows),
        own=place[gallery.own[rows]],
        kind=gallery.kind[rows],
        grade=gallery.grade[rows],
        source=gallery.source[keep],
        silent=gallery.silent[np.ix_(keep, keep)],
        pasted=np.where(gallery.pasted[rows] < 0, -1, place[gallery.pasted[rows]]),
    )


def save_gallery(gallery: Gallery, path: Path) -> None:
    """Write a gallery to one .npz file, to measure several embedders on the same pictures."""
    blob = b"".join((*gallery.originals, *gallery.copies))
    lengths = [len(data) for data in (*gallery.originals, *gallery.copies)]
    np.savez(
        path, blob=np.frombuffer(blob, np.uint8), lengths=lengths, count=len(gallery.originals), own=gallery.own,
        kind=gallery.kind, grade=gallery.grade, source=gallery.source, silent=gallery.silent,
        pasted=gallery.pasted,
        sources=np.frombuffer(json.dumps(gallery.sources).encode(), np.uint8),
    )  # fmt: skip


def load_gallery(path: Path) -> Gallery:
    """Read what `save_gallery` wrote."""
    data = np.load(path)
    blob, ends = data["blob"].tobytes(), np.cumsum(data["lengths"])
    parts = [blob[end - length : end] for end, length in zip(ends, data["lengths"], strict=True)]
    count = int(data["count"])
    return Gallery(
        tuple(parts[:count]), tuple(parts[count:]), data["own"], data["kind"], data["grade"], data["source"],
        tuple(json.loads(data["sources"].tobytes())), data["silent"], data["pasted"],
    )  # fmt: skip
