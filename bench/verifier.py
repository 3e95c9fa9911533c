"""How well the second look decides: copies, edited pictures, look-alikes and video frames, with the time
each takes.

Three trials: edited copies of every kind and grade of `bench.copies`; look-alikes (nearest neighbours by
the shipped embedder within each folder, at different paths, not known to be the same); consecutive
frames of image sequences and clips. Prints a table and writes JSON; `--sheets` also writes a side-by-side
picture of every look-alike or frame pair called a copy, because some sets hold true near-duplicates and
only a person can tell.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m bench.verifier --originals 40 --lookalikes 3000 --frames 120
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.copies import KINDS, edited_copy
from pipeline.decode import DecodeSettings
from pipeline.embedding import EmbeddingSettings, load_embedder
from pipeline.previewing import decode_preview, model_input, preview
from pipeline.settings import VerifySettings
from pipeline.verify import Prepared, SecondLook, prepare, verify

Pixels = NDArray[np.uint8]
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
ORIGINALS = tuple(
    f"real/{name}" for name in ("coco128", "clothing-dataset", "grocery-train", "odm-seneca", "brighton-beach")
)
SEQUENCES = ("real/fod-a-sequence", "train/fod-a", "train/gtea", "real/grocery-train")
CHUNK = 32
_DECODING = DecodeSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two pictures and the trial they belong to."""

    trial: str
    name: str
    a: Pixels
    b: Pixels


@dataclass(frozen=True, slots=True)
class Row:
    """What the second look said of one pair, and the CPU milliseconds it took."""

    trial: str
    name: str
    look: SecondLook
    verify_ms: float
    prepare_ms: float  # of one picture
    corners_ms: float | None  # of one picture; None where the look needed none


def pictures(folder: Path) -> list[Path]:
    """List the pictures below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def load(path: Path) -> Pixels | None:
    """Read a picture as RGB; None where it does not decode."""
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if read is None else np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


def edited_pairs(photos: Path, count: int, seed: int) -> Iterator[Pair]:
    """Pair originals with every kind and grade of edit; each original meets a share of them."""
    places = [path for name in ORIGINALS for path in pictures(photos / name)]
    chosen = np.random.default_rng(seed).permutation(len(places))
    for kind in KINDS:
        for grade, strength in enumerate(kind.grades):
            start = (len(kind.grades) * 31 + grade) * count
            for turn in range(count):
                index = int(chosen[(start + turn) % len(chosen)])
                original, donor = load(places[index]), load(places[(index + 7) % len(places)])
                if original is None or donor is None:
                    continue
                copy = edited_copy(_at_most(original, 1024), kind, grade, seed + turn, _at_most(donor, 1024))
                yield Pair(f"{kind.name} {strength:g}", places[index].name, original, copy)


def lookalike_pairs(photos: Path, count: int) -> Iterator[Pair]:
    """Pair each picture with the three that the shipped embedder finds nearest in its folder; the `count` nearest."""
    found: list[tuple[float, Path, Path]] = []
    embedder = load_embedder(EmbeddingSettings())
    for folder in sorted({path.parent for path in pictures(photos / "real") + pictures(photos / "train")}):
        paths, inputs = [], []
        for path in pictures(folder):
            read = load(path)
            if read is not None:
                paths.append(path)
                inputs.append(model_input(decode_preview(preview(read, _DECODING)), embedder.input_size))
        chunks = range(0, len(inputs), CHUNK)
        vectors = np.concatenate([embedder.embed(np.stack(inputs[start : start + CHUNK])) for start in chunks])
        alike = np.triu(vectors @ vectors.T, 1)
        for row, nearest in enumerate(np.argsort(-alike, axis=1)[:, :3]):
            found += [(float(alike[row, other]), paths[row], paths[other]) for other in nearest]
    for _, first, second in sorted(found, key=lambda item: -item[0])[:count]:
        a, b = load(first), load(second)
        if a is not None and b is not None:
            yield Pair(f"look-alike {first.parent.name}", f"{_short(first)} {_short(second)}", a, b)


def frame_pairs(photos: Path, count: int) -> Iterator[Pair]:
    """Pair frames that follow each other at once, and some frames later."""
    for sequence in SEQUENCES:
        found = pictures(photos / sequence)
        stride = max(2 * len(found) // count, 1)
        for gap in (1, 5):
            for i in range(0, len(found) - gap, stride):
                a, b = load(found[i]), load(found[i + gap])
                if a is not None and b is not None:
                    yield Pair(f"frames {sequence} +{gap}", f"{found[i].name} {found[i + gap].name}", a, b)
    for clip in sorted((photos / "video").glob("*.mp4")):
        yield from _clip_pairs(clip, count)


def _clip_pairs(clip: Path, count: int) -> Iterator[Pair]:
    video = cv2.VideoCapture(str(clip))
    frames: list[Pixels] = []
    while True:
        more, frame = video.read()
        if not more:
            break
        frames.append(_at_most(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8), 640))
    video.release()
    stride = max(3 * len(frames) // count, 1)
    for gap in (1, 5, 25):
        for i in range(0, len(frames) - gap, stride):
            yield Pair(f"frames {clip.stem} +{gap}", f"{clip.stem} {i} {i + gap}", frames[i], frames[i + gap])


def truth_pairs(photos: Path) -> Iterator[Pair]:
    """Pair the pictures of each known family with its first."""
    truth = photos / "pairs" / "truth.json"
    families = json.loads(truth.read_text(encoding="utf-8")) if truth.exists() else {}
    for name, groups in families.items():
        for group in groups:
            for other in group[1:]:
                a, b = load(photos / "pairs" / group[0]), load(photos / "pairs" / other)
                if a is not None and b is not None:
                    yield Pair(f"truth {name}", f"{group[0]} {other}", a, b)


def _short(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"


def _at_most(pixels: Pixels, long_side: int) -> Pixels:
    scale = long_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def examine(pair: Pair, settings: VerifySettings) -> tuple[Row, Prepared, Prepared]:
    """Look at one pair as the daemon does: from the stored previews."""
    previews = [decode_preview(preview(pixels, _DECODING)) for pixels in (pair.a, pair.b)]
    start = time.thread_time()
    a, b = prepare(previews[0]), prepare(previews[1])
    ready = time.thread_time()
    look = verify(a, b, settings)
    done = time.thread_time()
    searched = sum("points" in vars(each) for each in (a, b))
    if not searched:
        return Row(pair.trial, pair.name, look, (done - ready) * 1e3, (ready - start) * 5e2, None), a, b
    verify(a, b, settings)  # the corners are known now, as they are of most pictures in a run
    again = time.thread_time() - done
    corners = (done - ready - again) / searched * 1e3
    return Row(pair.trial, pair.name, look, again * 1e3, (ready - start) * 5e2, corners), a, b


def sheet(pair: Pair, row: Row, folder: Path, number: int) -> None:
    """Write both pictures side by side under what was said of them."""
    shown = [_at_most(pixels, 480) for pixels in (pair.a, pair.b)]
    height = max(pixels.shape[0] for pixels in shown) + 24
    canvas = np.full((height, sum(pixels.shape[1] for pixels in shown) + 8, 3), 255, np.uint8)
    left = 0
    for pixels in shown:
        canvas[24 : 24 + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        left += pixels.shape[1] + 8
    said = f"{pair.name} {row.look.explanation}"
    cv2.putText(canvas, said, (4, 16), cv2.FONT_HERSHEY_PLAIN, 0.8, (0, 0, 0))
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{pair.trial}-{number}".replace("/", "-").replace(" ", "-")
    cv2.imwrite(str(folder / f"{name}.jpg"), cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))


def table(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Sum up each trial: shares of copy, edited and none, and milliseconds."""
    trials: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        trials[row.trial].append(row)
    out: list[dict[str, object]] = []
    for trial, members in trials.items():
        kinds = [str(row.look.kind) for row in members]
        times = np.percentile([row.verify_ms for row in members], [50, 95])
        out.append(
            {
                "trial": trial,
                "pairs": len(members),
                **{name: round(kinds.count(name) / len(kinds), 4) for name in ("copy", "edited", "None")},
                "verify_ms_p50": round(float(times[0]), 2),
                "verify_ms_p95": round(float(times[1]), 2),
                "prepare_ms_p50": round(float(np.median([row.prepare_ms for row in members])), 2),
                "corners_ms_p50": round(float(np.median([row.corners_ms or 0.0 for row in members])), 2),
                "corners_needed": round(sum(row.corners_ms is not None for row in members) / len(members), 3),
            }
        )
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials, print the table, write JSON and, where asked, sheets of what was called a copy."""
    made = argparse.ArgumentParser(prog="python -m bench.verifier", description=main.__doc__)
    made.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    made.add_argument("--originals", type=int, default=40, help="originals per kind and grade")
    made.add_argument("--lookalikes", type=int, default=3000, help="pairs of look-alikes")
    made.add_argument("--frames", type=int, default=120, help="pairs per sequence or clip, about")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--sheets", type=Path, help="folder for pairs called a copy, to be looked at")
    made.add_argument("--out", type=Path, default=Path("bench/results/verifier.json"))
    options = made.parse_args(arguments)
    cv2.setNumThreads(1)
    trials: list[Iterator[Pair]] = [truth_pairs(options.photos)]
    if options.originals:
        trials.append(edited_pairs(options.photos, options.originals, options.seed))
    if options.lookalikes:
        trials.append(lookalike_pairs(options.photos, options.lookalikes))
    if options.frames:
        trials.append(frame_pairs(options.photos, options.frames))
    rows: list[Row] = []
    for trial in trials:
        for pair in trial:
            row, _, _ = examine(pair, VerifySettings())
            rows.append(row)
            doubtful = pair.trial.startswith(("look-alike", "frames"))
            if options.sheets and doubtful and str(row.look.kind) == "copy":
                sheet(pair, row, options.sheets, len(rows))
    summary = table(rows)
    print(f"{'trial':34s} pairs   copy edited   none   verify p50/p95 ms  prepare  corners ms  needed")
    for line in summary:
        print(
            f"{line['trial']:34s} {line['pairs']:5d} {line['copy']:6.3f} {line['edited']:6.3f}"
            f" {line['None']:6.3f}"
            f"   {line['verify_ms_p50']:6.1f} {line['verify_ms_p95']:6.1f}    {line['prepare_ms_p50']:6.1f}"
            f"      {line['corners_ms_p50']:6.1f}  {line['corners_needed']:6.2f}"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    written = {"schema": 1, "seed": options.seed, "trials": summary}
    options.out.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
