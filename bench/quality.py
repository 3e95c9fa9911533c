"""The quality gate on good and bad pictures of every kind: how many good ones are lost, how many bad ones pass.

Good pictures are those of the folders given, as they are and turned into what single numbers mistake for junk (fog,
night, snow, bokeh, a product on white, line art, a screenshot, a sky). Bad ones are the same pictures defocused,
smeared, under- and over-exposed. Widths are pixels of the working picture; every picture goes through a JPEG of
random quality. Deterministic by seed.

    python -m bench.quality ../shared/photos/real
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, decode, shrink
from pipeline.quality import judge_quality, measure_quality
from pipeline.settings import DecodeSettings, QualitySettings
from store.errors import DecodeError
from store.records import VerdictKind

Random = np.random.Generator
Change = Callable[[Pixels, Random], Pixels]
_LARGEST = 1024  # long side of the pictures worked on


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(values.clip(0, 255), np.uint8)


def _noise(random: Random, shape: tuple[int, ...], sigma: float) -> NDArray[np.floating]:
    return random.normal(0, sigma, shape)


def _scale(rgb: Pixels) -> float:
    return max(1.0, float(max(rgb.shape[:2])) / 512)


def _soft(rgb: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma * _scale(rgb)), np.uint8)


def _defocus(rgb: Pixels, radius: float) -> Pixels:
    size = max(1, round(radius * _scale(rgb)))
    kernel = np.zeros((2 * size + 1, 2 * size + 1), np.float32)
    cv2.circle(kernel, (size, size), size, 1.0, -1, cv2.LINE_AA)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def _smear(rgb: Pixels, length: float, degrees: float) -> Pixels:
    size = round(length * _scale(rgb)) | 1
    kernel = np.zeros((size, size), np.float32)
    kernel[size // 2] = 1
    turn = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), degrees, 1)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (size, size)), np.float32)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def _ellipse(rgb: Pixels, random: Random, share: float, edge: float) -> NDArray[np.float32]:
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = int(width * random.uniform(0.35, 0.65)), int(height * random.uniform(0.35, 0.65))
    cv2.ellipse(mask, centre, (int(width * share), int(height * share)), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), edge * _scale(rgb)), np.float32)[..., None]


def _fog(rgb: Pixels, random: Random) -> Pixels:
    depth = np.linspace(random.uniform(0.75, 0.92), random.uniform(0.5, 0.75), rgb.shape[0])[:, None, None]
    return _bytes(rgb * (1 - depth) + random.uniform(170, 205) * depth + _noise(random, rgb.shape, 1.0))


def _night(rgb: Pixels, random: Random) -> Pixels:
    dark = rgb * random.uniform(0.01, 0.04) + _noise(random, rgb.shape, 1.2)
    for _ in range(int(random.integers(4, 25))):
        place = int(random.integers(rgb.shape[1])), int(random.integers(rgb.shape[0]))
        radius = round(random.uniform(2, 6) * _scale(rgb))
        cv2.circle(dark, place, radius, tuple(random.uniform(150, 255, 3).tolist()), -1, cv2.LINE_AA)
    return _bytes(dark)


def _snow(rgb: Pixels, random: Random) -> Pixels:
    return _bytes(255 * (rgb / 255.0) ** random.uniform(0.15, 0.25) - 4 + _noise(random, rgb.shape, 1.0))


def _bokeh(rgb: Pixels, random: Random) -> Pixels:
    mask = _ellipse(rgb, random, random.uniform(0.15, 0.25), 3)
    return _bytes(rgb * mask + _soft(rgb, random.uniform(5, 9)) * (1 - mask))


def _product(rgb: Pixels, random: Random) -> Pixels:
    mask = _ellipse(rgb, random, random.uniform(0.15, 0.28), 0.5)
    return _bytes(rgb * mask + 255 * (1 - mask))


def _line_art(rgb: Pixels, _: Random) -> Pixels:
    edges = cv2.Canny(_soft(rgb, 1.0), 60, 140)
    return np.asarray(cv2.cvtColor(255 - edges, cv2.COLOR_GRAY2RGB), np.uint8)


def _screenshot(rgb: Pixels, random: Random) -> Pixels:
    paper, ink = (250, 30) if random.random() < 0.6 else (28, 215)
    page = np.full((800, 1024, 3), paper, np.uint8)
    cv2.rectangle(page, (0, 0), (1024, 40), (90, 110, 140), -1)
    for line in range(int(random.integers(2, 20))):
        words = "".join(chr(int(code)) for code in random.integers(97, 123, 40))
        cv2.putText(page, words, (60, 100 + 34 * line), 0, 0.8, (ink, ink, ink), 1, cv2.LINE_AA)
    if random.random() < 0.5:
        page[560:760, 60:360] = cv2.resize(rgb, (300, 200), interpolation=cv2.INTER_AREA)
    return page


def _sky(rgb: Pixels, random: Random) -> Pixels:
    height, width = rgb.shape[:2]
    shade = np.linspace(random.uniform(90, 150), random.uniform(160, 215), height)[:, None, None]
    cloud = cv2.resize(random.normal(0, 6, (6, 8, 1)), (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return _bytes(shade * np.array([0.8, 0.95, 1.15]) + cloud + _noise(random, rgb.shape, random.uniform(0.5, 2)))


GOOD: dict[str, Change] = {
    "as it is": lambda rgb, _: rgb,
    "fog": _fog,
    "night": _night,
    "snow": _snow,
    "bokeh": _bokeh,
    "product": _product,
    "line art": _line_art,
    "screenshot": _screenshot,
    "sky": _sky,
    "low contrast": lambda rgb, r: _bytes(100 + rgb * r.uniform(0.15, 0.3)),
    "high key": lambda rgb, r: _bytes(90 + rgb * r.uniform(0.5, 0.62)),
    "small": lambda rgb, r: shrink(rgb, int(r.integers(120, 320))),
}
BAD: dict[str, tuple[VerdictKind, Change]] = {
    "gaussian 3-10": (VerdictKind.BLUR, lambda rgb, r: _soft(rgb, r.uniform(3, 10))),
    "defocus 5-12": (VerdictKind.BLUR, lambda rgb, r: _defocus(rgb, r.uniform(5, 12))),
    "smear 12-40": (VerdictKind.BLUR, lambda rgb, r: _smear(rgb, r.uniform(12, 40), r.uniform(0, 180))),
    "blur and noise": (
        VerdictKind.BLUR,
        lambda rgb, r: _bytes(_soft(rgb, r.uniform(3, 8)) + _noise(r, rgb.shape, r.uniform(1, 4))),
    ),
    "blurred fog": (VerdictKind.BLUR, lambda rgb, r: _soft(_fog(rgb, r), r.uniform(4, 8))),
    "under-exposed": (VerdictKind.DARK, lambda rgb, r: _bytes(rgb * r.uniform(0.005, 0.03))),
    "lens cap": (VerdictKind.DARK, lambda rgb, r: _bytes(r.uniform(0, 4) + _noise(r, rgb.shape, r.uniform(0, 3)))),
    "over-exposed": (VerdictKind.BRIGHT, lambda rgb, r: _bytes(rgb * r.uniform(4, 10))),
    "lifted": (VerdictKind.BRIGHT, lambda rgb, r: _bytes(rgb + r.uniform(140, 220))),
    "white": (VerdictKind.BRIGHT, lambda rgb, r: _bytes(r.uniform(250, 258) + _noise(r, rgb.shape, r.uniform(0, 2)))),
}


def _through_jpeg(rgb: Pixels, random: Random) -> Pixels:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(75, 97))])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def load(folder: Path, limit: int, random: Random) -> list[Pixels]:
    """Decode up to `limit` pictures, drawn at random from a folder and reduced to 1,024 pixels."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    pictures = []
    for index in random.permutation(len(files))[:limit]:
        try:
            pictures.append(shrink(decode(files[index].read_bytes(), DecodeSettings()).rgb, _LARGEST))
        except DecodeError:
            continue
    return pictures


def _verdicts(pictures: list[Pixels], change: Change, seed: int) -> tuple[list[VerdictKind], list[float]]:
    kinds, brightness = [], []
    for number, rgb in enumerate(pictures):
        random = np.random.default_rng([seed, number])
        quality = measure_quality(_through_jpeg(change(rgb, random), random))
        kinds.append(judge_quality(quality, QualitySettings())[0])
        brightness.append(quality.brightness)
    return kinds, brightness


def measure_gate(pictures: list[Pixels], seed: int) -> dict[str, dict[str, float]]:
    """Return, for each kind, the number of pictures and the share (per cent) that was judged wrongly."""
    table: dict[str, dict[str, float]] = {}
    for name, change in GOOD.items():
        kinds, _ = _verdicts(pictures, change, seed)
        wrong = sum(kind is not VerdictKind.KEEP for kind in kinds)
        table[f"good: {name}"] = {"pictures": len(kinds), "wrong": 100 * wrong / len(kinds)}
    for name, (verdict, change) in BAD.items():
        kinds, brightness = _verdicts(pictures, change, seed)
        if verdict is VerdictKind.BRIGHT:  # a black shirt takes more than that to be blown out
            kinds = [kind for kind, mean in zip(kinds, brightness, strict=True) if mean > 220]
        wrong = sum(kind is VerdictKind.KEEP for kind in kinds)
        table[f"bad: {name}"] = {"pictures": len(kinds), "wrong": 100 * wrong / max(1, len(kinds))}
    return table


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", default=300, show_default=True, help="Pictures drawn from the folder.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the table here as well.")
def main(folder: Path, limit: int, seed: int, target: Path | None) -> None:
    """Measure the quality gate on the pictures of FOLDER."""
    cv2.setNumThreads(1)
    pictures = load(folder, limit, np.random.default_rng(seed))
    if not pictures:
        sys.exit(f"no picture in {folder}")
    table = measure_gate(pictures, seed)
    for name, row in table.items():
        print(f"{name:24s} {row['pictures']:6.0f} {row['wrong']:7.2f} % wrong")
    for side, word in (("good", "rejected"), ("bad", "passed")):
        rows = [row for name, row in table.items() if name.startswith(side)]
        total = sum(row["pictures"] for row in rows)
        share = sum(row["wrong"] * row["pictures"] for row in rows) / total
        print(f"{side} pictures {word}: {share:.2f} % of {total:.0f}")
    if target is not None:
        target.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
