"""The quality gate on good and bad pictures of every kind: how many good ones are lost, how many bad ones pass.

Good pictures are those of the folders given, as they are and turned into what single numbers mistake for junk (fog,
night, snow, bokeh, a product on white, line art, a screenshot), and drawn ones (`tests/scenes/plain.py`). Bad ones are
the same pictures blurred, shaken, over- and under-exposed by physical models (`pipeline/training/optics.py`), and
damaged files. A blur counts as bad from a spread of 1/200 of the long side (a disc with a radius of 1/100) and 1.5
pixels; weaker ones and blurred fog are borderline, reported and counted on neither side. Deterministic by seed.

    python -m bench.quality ../shared/photos/real
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from pipeline.decode import Pixels, decode, shrink
from pipeline.quality import judge_quality, measure_quality
from pipeline.settings import DecodeSettings, QualitySettings
from pipeline.training.looks import LOOKS, fog
from pipeline.training.optics import BLURS, EXPOSURES, blurred, clear_spread, developed, overexposed
from store.errors import DecodeError
from store.records import VerdictKind
from tests.scenes.plain import PAINTERS, draw_plain

Random = np.random.Generator
Change = Callable[[Pixels, Random], Pixels]
Table = dict[str, dict[str, float]]

_LARGEST = 1024  # long side of the pictures worked on
_FARTHEST = 1 / 40  # of the long side
_DRAWN = 12  # of each kind
_BLURRED_LOOKS = ("product", "line art", "screenshot", "snow", "high key", "low key")


BAD: dict[str, Change] = {
    "over-exposed": lambda rgb, r: developed(overexposed(rgb, r.uniform(0.6, 0.98), str(r.choice(EXPOSURES)), r), r),
    "white": lambda rgb, r: developed(np.full(rgb.shape, r.uniform(250, 258)), r, r.uniform(0, 2)),
    "under-exposed": lambda rgb, r: developed(rgb * r.uniform(0.005, 0.03), r, r.uniform(0, 2)),
    "lens cap": lambda rgb, r: developed(np.full(rgb.shape, r.uniform(0, 4)), r),
}


def load(folders: tuple[Path, ...], limit: int, random: Random) -> list[Pixels]:
    """Decode up to `limit` pictures, drawn at random from each folder and reduced to 1,024 pixels."""
    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".avif"}
    pictures = []
    for folder in folders:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
        for index in random.permutation(len(files))[:limit]:
            try:
                rgb = shrink(decode(files[index].read_bytes(), DecodeSettings()).rgb, _LARGEST)
            except DecodeError:
                continue
            if min(rgb.shape[:2]) >= 64:
                pictures.append(rgb)
    return pictures


def _spreads(rgb: Pixels, random: Random) -> tuple[float, float]:
    """Draw the width of a clear blur and of a borderline one, in pixels."""
    least = clear_spread(rgb)
    farthest = max(_FARTHEST * max(rgb.shape[:2]), 1.5 * least)
    return float(np.exp(random.uniform(np.log(least), np.log(farthest)))), least * random.uniform(0.4, 0.95)


def _variants(rgb: Pixels, number: int, random: Random) -> Iterator[tuple[str, Pixels]]:
    """Make the good, bad and borderline pictures of one original, each with the name of its row."""
    yield "good: as it is", rgb
    for name in random.permutation(list(LOOKS))[:3]:
        yield f"good: {name}", developed(LOOKS[name](rgb, random).astype(np.float32), random, random.choice((0, 1.5)))
    for turn in range(2):
        kind = BLURS[(number + turn) % len(BLURS)]
        clear, slight = _spreads(rgb, random)
        yield f"bad: {kind}", developed(blurred(rgb, kind, clear, random), random)
        if turn == 0:
            yield f"borderline: {kind}", developed(blurred(rgb, kind, slight, random), random)
    name = list(BAD)[number // 2 % len(BAD)] if number % 2 else "over-exposed"
    yield f"bad: {name}", BAD[name](rgb, random)
    if number % 4 == 0:
        yield "borderline: blurred fog", developed(blurred(fog(rgb, random), "gaussian", clear, random), random)
    name = _BLURRED_LOOKS[number % len(_BLURRED_LOOKS)]
    look = LOOKS[name](rgb, random)
    clear, _ = _spreads(look, random)
    yield f"bad: blurred {name}", developed(blurred(look, BLURS[number % len(BLURS)], clear, random), random)


def _rejected(rgb: Pixels) -> bool:
    return judge_quality(measure_quality(rgb), QualitySettings())[0] is not VerdictKind.KEEP


def _broken(rgb: Pixels, random: Random) -> bool:
    """Whether a file cut off or overwritten in its head is refused."""
    data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    damaged = data[: int(len(data) * random.uniform(0.02, 0.9))] if random.random() < 0.7 else bytes(400) + data[400:]
    try:
        return _rejected(decode(damaged, DecodeSettings()).rgb)
    except DecodeError:
        return True


def measure_gate(pictures: list[Pixels], seed: int) -> Table:
    """Return, for each kind, the number of pictures and the share (per cent) that was rejected."""
    counts: dict[str, list[bool]] = {}
    for number, rgb in enumerate(pictures):
        random = np.random.default_rng([seed, number])
        for row, picture in _variants(rgb, number, random):
            counts.setdefault(row, []).append(_rejected(picture))
        if number % 8 == 0:
            counts.setdefault("bad: broken file", []).append(_broken(rgb, random))
    for name in PAINTERS:
        for number in range(_DRAWN):
            random = np.random.default_rng([seed, number])
            size = (640, 480) if number % 3 else (200, 267)
            drawn = draw_plain(name, 100 * seed + number, size, random.choice((0.0, 1.5)))
            counts.setdefault(f"good: drawn {name}", []).append(
                _rejected(developed(drawn.astype(np.float32), random, 0))
            )
    return {
        row: {"pictures": len(counts[row]), "rejected": 100 * sum(counts[row]) / len(counts[row])}
        for row in sorted(counts)
    }


def summary(table: Table) -> dict[str, float]:
    """Return the two figures that matter, in per cent: good pictures rejected, bad ones passed."""
    shares = {}
    for side in ("good", "bad"):
        rows = [row for name, row in table.items() if name.startswith(f"{side}:")]
        total = sum(row["pictures"] for row in rows)
        shares[side] = sum(row["rejected"] * row["pictures"] for row in rows) / max(1, total)
    return {"good_rejected": shares["good"], "bad_passed": 100 - shares["bad"]}


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", default=100, show_default=True, help="Pictures drawn from each folder.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the table here as well.")
def main(folders: tuple[Path, ...], limit: int, seed: int, target: Path | None) -> None:
    """Measure the quality gate on the pictures of FOLDERS; they should be good ones."""
    cv2.setNumThreads(1)
    pictures = load(folders, limit, np.random.default_rng(seed))
    if not pictures:
        sys.exit("no picture in these folders")
    table = measure_gate(pictures, seed)
    for name, row in table.items():
        print(f"{name:26s} {row['pictures']:6.0f} {row['rejected']:7.2f} % rejected")
    figures = summary(table)
    print(f"good pictures rejected: {figures['good_rejected']:.2f} %")
    print(f"bad pictures passed: {figures['bad_passed']:.2f} %")
    if target is not None:
        target.write_text(json.dumps({"schema": 1, **figures, "kinds": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
