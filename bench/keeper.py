"""The right keeper: of an original and a degraded copy of it, which one stays?

Takes picture files as they are for originals, makes one copy of every kind (`bench.degraded`) from each, and lets the
program choose: the same measurement, the same second look, the same order. Both files get the same time and names that
say nothing, so only what the pictures show can decide. A pair that the second look does not join is counted apart: both
stay. Deterministic by seed.

    python -m bench.keeper ../shared/photos/real/clothing-dataset --limit 100
"""

import io
import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image, ImageOps

from bench.degraded import KINDS
from pipeline.compression import FileFacts
from pipeline.grouping import outranks
from pipeline.keeper import KeeperSettings, rank
from pipeline.measuring import MeasureTask, measure
from pipeline.originals import find_original
from pipeline.previewing import decode_preview
from pipeline.quality import judge_quality
from pipeline.settings import DecodeSettings, QualitySettings, VerifySettings
from pipeline.verify import Prepared, prepare, verify
from store.records import (
    CatalogFile,
    FileStat,
    ImageState,
    Lineage,
    Measurement,
    Observation,
    VerdictKind,
)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_LEAST_SIDE = 96  # pixels: smaller originals leave nothing to degrade
_SETTINGS = KeeperSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A measured picture."""

    image: ImageState
    files: list[CatalogFile]
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one pair."""

    source: str
    kind: str
    matched: bool
    right: bool
    reason: str


def see(data: bytes, number: int, place: Path) -> Seen | None:
    """Measure a picture; None where it cannot be read."""
    place.write_bytes(data)
    found = measure(MeasureTask(str(place), 96), DecodeSettings(), QualitySettings())
    if not isinstance(found, Measurement):
        return None
    kind, reason = judge_quality(found.quality, QualitySettings())
    reject = None if kind is VerdictKind.KEEP else kind
    seen = Observation(len(data), found.picture, found.quality, found.hashes, found.traces)
    image = ImageState(number, found.hashes.sha256, len(data), reject, reason, seen)
    stat = FileStat(f"/{number:08d}", 1, number, len(data), 1, 1)
    file = CatalogFile(number, 1, False, stat, number, VerdictKind.KEEP, None, None, False)
    return Seen(image, [file], prepare(decode_preview(found.preview)))


def choose(original: Seen, copy: Seen) -> tuple[bool, bool, str]:
    """Return whether the two match, whether the original stays, and why, as the two walks decide it."""
    ours, theirs = original.image.observation, copy.image.observation
    if ours is None or theirs is None:
        raise ValueError("both pictures must have been measured")
    if original.image.reject is not copy.image.reject:
        return True, original.image.reject is None, "quality"
    lineage = Lineage()
    if ours.picture.pixels_sha256 != theirs.picture.pixels_sha256:
        first, second = sorted((original, copy), key=lambda seen: seen.image.sha256)
        facts = FileFacts.of(ours), FileFacts.of(theirs)
        facts = facts if first is original else facts[::-1]
        look = verify(first.prepared, second.prepared, VerifySettings(), facts)
        if look.kind is None:
            return False, True, "not matched"
        turned = Lineage(look.lineage.relation, (0, 2, 1)[look.lineage.whole],
                         look.lineage.second_covered, look.lineage.first_covered)  # fmt: skip
        lineage = look.lineage if first is original else turned
    found = find_original(ours, theirs, lineage)
    upper, lower = rank(original.image, original.files, _SETTINGS), rank(copy.image, copy.files, _SETTINGS)
    stays = outranks(upper, lower)
    if found.original and (found.original == 1) != stays:
        flags = found.original == 1, found.original == 2
        upper, lower = (
            rank(seen.image, seen.files, _SETTINGS, rounds_won=int(flag))
            for seen, flag in zip((original, copy), flags, strict=True)
        )
        stays = outranks(upper, lower)
    return True, stays, found.reason or "by merit"


def stripped(data: bytes) -> bytes | None:
    """Return a JPEG without its metadata, its pixels untouched; None for another format or where there is none."""
    if data[:2] != b"\xff\xd8":
        return None
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if not 0xE1 <= data[place + 1] <= 0xEF and data[place + 1] != 0xFE:
            kept.append(data[place:end])
        place = end
    found = b"".join((*kept, data[place:]))
    return found if len(found) < len(data) - 100 else None


def degraded(data: bytes, seed: int, number: int) -> Iterator[tuple[str, bytes]]:
    """Yield a copy of every kind."""
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    bare = stripped(data)
    if bare is not None:
        yield "metadata stripped", bare
    for kind, degrade in KINDS.items():
        yield kind, degrade(image, np.random.default_rng((seed, number, zlib.crc32(kind.encode()))))


def outcomes(files: list[Path], seed: int, kinds: frozenset[str]) -> Iterator[Outcome]:
    """Try every kind on every file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "picture"
        for number, path in enumerate(files):
            data = path.read_bytes()
            names = np.random.default_rng((seed, number)).permutation(1000)
            original = see(data, int(names[0]), place)
            if original is None or min(original.prepared.grey.shape) < _LEAST_SIDE or original.image.reject:
                continue
            for count, (kind, made) in enumerate(degraded(data, seed, number), 1):
                copy = see(made, int(names[count]), place) if not kinds or kind in kinds else None
                if copy is not None:
                    yield Outcome(str(path), kind, *choose(original, copy))


def pictures(folder: Path, limit: int, seed: int) -> list[Path]:
    """Draw up to `limit` files from a folder at random."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    chosen = np.random.default_rng(seed).permutation(len(files))[:limit]
    return [files[index] for index in sorted(chosen)]


def tabulate(found: list[Outcome]) -> dict[str, dict[str, float]]:
    """Count by kind, with all of them last: pairs, matched ones, and the share (per cent) where the original stays."""
    table: dict[str, dict[str, float]] = {}
    for kind in [*dict.fromkeys(outcome.kind for outcome in found), "all"]:
        rows = [outcome for outcome in found if kind in (outcome.kind, "all")]
        matched = [outcome for outcome in rows if outcome.matched]
        right = 100 * sum(outcome.right for outcome in matched) / max(len(matched), 1)
        table[kind] = {"pairs": len(rows), "matched": len(matched), "right": right}
    return table


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--limit", default=50, help="Originals from each folder.")
@click.option("--seed", default=0)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(["metadata stripped", *KINDS]))
@click.option("--json", "as_json", is_flag=True)
def main(folders: tuple[Path, ...], limit: int, seed: int, kinds: tuple[str, ...], as_json: bool) -> None:
    """Print how often the original stays, by kind and by folder."""
    cv2.setNumThreads(1)
    found: dict[str, list[Outcome]] = {}
    for folder in folders:
        found[folder.name] = list(outcomes(pictures(folder, limit, seed), seed, frozenset(kinds)))
    every = [outcome for rows in found.values() for outcome in rows]
    wrong = [outcome for outcome in every if outcome.matched and not outcome.right]
    if as_json:
        tables = {name: tabulate(rows) for name, rows in found.items()}
        listed = [{"source": row.source, "kind": row.kind, "reason": row.reason} for row in wrong]
        print(json.dumps({"schema": 1, "seed": seed, "all": tabulate(every), "folders": tables, "wrong": listed}))
        return
    for kind, row in tabulate(every).items():
        print(f"{kind:20s} {row['pairs']:5.0f} pairs {row['matched']:5.0f} matched {row['right']:6.1f} % right")
    for name, rows in found.items():
        print(f"{name:30s} {tabulate(rows)['all']['right']:6.2f} %")
    for (kind, reason), count in Counter((row.kind, row.reason) for row in wrong).most_common(15):
        print(f"  wrong: {kind}: {reason} ({count})")


if __name__ == "__main__":
    main()
