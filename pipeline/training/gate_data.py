"""What the quality gate learns from: good pictures, the same ones spoilt by optics, and drawn ones, as features.

No picture is kept: each becomes the features that the shipped gate would see (`pipeline.octaves`,
`pipeline.spectrum`, `pipeline.exposure`). One shard per set of pictures, written whole, so that an interrupted run
goes on with the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline import exposure, octaves, spectrum
from pipeline.decode import Pixels, decode, shrink
from pipeline.quality import blur_features, working_grey
from pipeline.settings import DecodeSettings
from pipeline.training.drawn import NATURE
from pipeline.training.gate_drawn import SCREENS, SOFTER
from pipeline.training.looks import LOOKS, cut_out
from pipeline.training.optics import BLURS, EXPOSURES, blurred, clear_spread, developed, disc, overexposed
from pipeline.training.papers import PAPERS
from pipeline.training.plots import PLOTS, saved
from pipeline.training.soft import SOFT
from pipeline.training.whites import BLANKS, BURNT, ON_WHITE, SHEETS
from store.errors import DecodeError

Floats = NDArray[np.float32]
Spoilt = tuple[str, Pixels]  # "good", "sharp" and "white" (good, shown to one gate: blur, exposure), "blur" or "blown"

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
BLUR_FEATURES = octaves.FEATURES + spectrum.RINGS + spectrum.POLAR
_LARGEST = 400  # long side of the pictures worked on: the features are measured at 256
_SMALLEST = 64  # short side
_FARTHEST = 1 / 30  # of the long side: the widest blur
_SPOILT = "confetti"  # the one drawn kind with structure everywhere: it can be spoilt
_TIMES = 3  # for one drawn picture of another kind: few other good ones have much white, or no edge at all
THREEFOLD = frozenset((_SPOILT, *PAPERS, *SOFT))
_WHITE_LOOKS = ("product", "line art", "screenshot", "snow", "high key")
_TINY = (72, 130)  # long side of the thumbnails
_TINY_EVERY = 6
_SLIGHT_EVERY = 2
_SLIGHT = (0.15, 0.4)  # of the spread from which a picture is blurred: a good one may be that soft
_COARSE_EVERY = 3
_COARSE = (30, 70)  # JPEG quality
_NARROW = 1.5  # power of the evenly drawn share of the way from the least to the widest blur: more near the least
_PLAIN, _CURVED = BLURS[:3], BLURS[3:]
_LOOKED_AT = 256  # pixels
_DOUBLINGS = 3.3  # of the least blur: as far as programs are made to blur
_CLIPPED = (0.55, 0.99)  # share of the picture that over-exposure clips
_DRESSED = ("product", "line art", "screenshot", "snow", "low contrast", "high key", "low key")
_FEW_EDGES = frozenset(("logo", "product", "pale thing", "wash", "few words"))  # blurred, they may be suns or lamps
_GRAINY_EVERY = 2
_GRAIN = (3, 12)  # grey levels of noise: more than `developed` draws
_FAINTEST = 3.0  # grey levels of deviation: below it, a blurred sheet is an empty one
_NEGATIVE = 0.3  # share of the sheets shown light on dark
_EDITED = 0.3  # share of the over-exposed pictures that come from a program, as charts do, not from a camera
_LAID, _RAISED = 3, 4  # ways of laying a picture on white, and of raising its exposure, drawn for each
_PAPER, _MOST_PAPER = 250, 0.2  # lowest channel; share of the picture
_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Hold features and what they are features of; those of exposure only where a picture has enough white."""

    blur: Floats  # [n, BLUR_FEATURES]
    blurred: NDArray[np.bool_]  # [n]
    blur_original: NDArray[np.int32]  # [n]: which original; those of one are never on both sides of a split
    blown: Floats  # [m, exposure.FEATURES]
    blown_out: NDArray[np.bool_]  # [m]
    blown_original: NDArray[np.int32]  # [m]


@dataclass(frozen=True, slots=True)
class GateSet:
    """Name the originals of one shard: files, or none for the drawn set."""

    name: str
    files: tuple[Path, ...]
    drawn: int  # pictures of each kind
    seed: tuple[int, int]
    charts: bool = False  # the drawn ones are those that programs save
    others: tuple[Path, ...] = ()  # of which only those with much white are looked at, by the exposure gate


def gate_sets(
    folders: Sequence[Path], limit: int, drawn: int, seed: int, leave_out: Sequence[str], whole: Sequence[str] = ()
) -> list[GateSet]:
    """Draw up to `limit` pictures from each folder, all from those named in `whole`.

    `leave_out` holds ends of paths, "set/name.jpg".
    """
    sets = [
        GateSet(f"{name}-{drawn}-{seed}", (), drawn, (seed, 0), charts=name == "charts") for name in ("drawn", "charts")
    ]
    for number, folder in enumerate(folders, 1):
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        files = [path for path in files if not path.as_posix().endswith(tuple(leave_out) or ("\0",))]
        mixed = [files[index] for index in np.random.default_rng([seed, number]).permutation(len(files))]
        count = len(mixed) if folder.name in whole else min(limit, len(mixed))
        name = f"{number:02d}-{folder.name}-{count}-{seed}"
        sets.append(GateSet(name, tuple(mixed[:count]), 0, (seed, number), others=tuple(mixed[count:])))
    return sets


def toned(levels: NDArray[np.floating], rng: Generator) -> NDArray[np.floating]:
    """Change colour, gamma and contrast in part: exposure and taste vary."""
    if rng.random() < 0.15:
        levels = np.repeat(levels @ _LUMA, 3, 2)
    if rng.random() < 0.4:
        levels = 255 * (levels.clip(0, 255) / 255) ** rng.uniform(0.6, 1.7)
    if rng.random() < 0.4:
        levels = (levels - 128) * rng.uniform(0.35, 1.2) + 128 + rng.uniform(-30, 30)
    return levels


def spoilt(rgb: Pixels, number: int, rng: Generator) -> Iterator[Spoilt]:
    """Make the good and bad pictures of one original, RGB uint8."""
    yield "good", rgb
    yield "good", developed(toned(rgb.astype(np.float32), rng), rng)
    look = LOOKS[str(rng.choice(list(LOOKS)))](rgb, rng)
    yield "good", developed(look.astype(np.float32), rng, float(rng.choice((0, rng.uniform(0, 2)))))
    least = clear_spread(rgb)
    if number % _TINY_EVERY == 0:
        yield "good", developed(shrink(rgb, int(rng.integers(*_TINY))).astype(np.float32), rng, 0)
    if number % _SLIGHT_EVERY == 0:
        slight = blurred(rgb, str(rng.choice(BLURS)), least * rng.uniform(*_SLIGHT), rng)
        yield "good", developed(toned(slight, rng), rng)
    if number % _COARSE_EVERY == 0:
        yield "good", developed(toned(rgb.astype(np.float32), rng), rng, 0, int(rng.integers(*_COARSE)))
    for kind in (*_CURVED, str(rng.choice(_CURVED)), *rng.permutation(_PLAIN)[:2]):
        yield "blur", developed(toned(blurred(rgb, str(kind), _spread(rgb, rng), rng), rng), rng)
    yield from exposed(rgb, rng)


def exposed(rgb: Pixels, rng: Generator) -> Iterator[Spoilt]:
    """Make pictures that are white by right and, of one that has little white, over-exposed ones."""
    yield "white", developed(cut_out(_in_part_grey(rgb, rng), rng).astype(np.float32), rng, float(rng.choice((0, 1))))
    for name in rng.permutation(_WHITE_LOOKS)[:2]:
        look = LOOKS[str(name)](_in_part_grey(rgb, rng), rng)
        yield "white", developed(look.astype(np.float32), rng, float(rng.choice((0, 1))))
    for name in rng.permutation(list(ON_WHITE))[:_LAID]:
        levels = ON_WHITE[str(name)](_in_part_grey(rgb, rng), rng)
        yield "white", developed(levels, rng, float(rng.choice((0, rng.uniform(0, 1.5)))))
    if (rgb.min(2) >= _PAPER).mean() > _MOST_PAPER:
        return  # nothing tells the product on white from the same one, paler
    for how in rng.permutation(EXPOSURES)[:_RAISED]:
        levels = overexposed(_in_part_grey(rgb, rng), rng.uniform(*_CLIPPED), str(how), rng)
        noise = float(rng.choice((0, rng.uniform(0, 3))))
        yield "blown", saved(levels, rng) if rng.random() < _EDITED else developed(levels, rng, noise)


def smoothed(rgb: Pixels, number: int, rng: Generator) -> Pixels:
    """Blur as programs do: in levels, at the size the gate looks at, without noise; far wider than a lens would."""
    grey = shrink(working_grey(rgb), _LOOKED_AT)
    sigma = clear_spread(grey) * 2 ** rng.uniform(0, _DOUBLINGS)
    if number % 2:
        blurry = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    else:
        blurry = cv2.filter2D(grey, -1, disc(2 * sigma), borderType=cv2.BORDER_REFLECT)
    soft = np.asarray(blurry, np.uint8)
    if rng.random() < 0.7:
        data = cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 98))])[1]
        soft = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.repeat(soft[..., None], 3, 2)


def dressed(rgb: Pixels, number: int, rng: Generator) -> Iterator[Spoilt]:
    """Make a good picture that is no plain photograph and the same blurred; of one in two originals also grainy ones.

    What is laid on white or drawn there is blurred when its edges are, whatever the rest of it is like.
    """
    name = str(rng.choice([*_DRESSED, *ON_WHITE, "cut out"]))
    levels = cut_out(rgb, rng) if name == "cut out" else {**LOOKS, **ON_WHITE}[name](rgb, rng)
    yield from sharp_and_blurred(np.asarray(levels, np.float32), rng)
    if number % _GRAINY_EVERY:
        return
    blurry = blurred(rgb, str(rng.choice(BLURS)), _spread(rgb, rng), rng)
    yield "blur", developed(toned(blurry, rng), rng, rng.uniform(*_GRAIN))
    yield "sharp", developed(toned(rgb.astype(np.float32), rng), rng, rng.uniform(*_GRAIN))


def sharp_and_blurred(levels: NDArray[np.floating], rng: Generator) -> Iterator[Spoilt]:
    """Save a picture, RGB levels not yet clipped, as it is and blurred, in part without noise."""
    yield "sharp", developed(levels, rng, float(rng.choice((0, rng.uniform(0, 3)))))
    picture = np.asarray(levels.clip(0, 255), np.uint8)
    blurry = blurred(picture, str(rng.choice(BLURS)), _spread(picture, rng), rng)
    if blurry.std() >= _FAINTEST:
        yield "blur", developed(blurry, rng, float(rng.choice((0, rng.uniform(0, 3)))), int(rng.integers(60, 97)))


def _spread(rgb: Pixels, rng: Generator) -> float:
    """Draw how far a blur spreads a point, in pixels: more near the least."""
    least = clear_spread(rgb)
    farthest = max(_FARTHEST * max(rgb.shape[:2]), 1.5 * least)
    return float(least * (farthest / least) ** (rng.random() ** _NARROW))


def _in_part_grey(rgb: Pixels, rng: Generator) -> Pixels:
    return LOOKS["black and white"](rgb, rng) if rng.random() < 0.25 else rgb


def _drawn(count: int, seed: tuple[int, int]) -> Iterator[tuple[int, Spoilt]]:
    for kind, (name, painter) in enumerate({**NATURE, **PAPERS, **SOFT}.items()):
        for number in range(count * (_TIMES if name in THREEFOLD else 1)):
            rng = np.random.default_rng([*seed, kind, number])
            levels = painter(rng)
            if rng.random() < 0.2:
                levels = np.repeat(levels.astype(np.float32) @ _LUMA, 3, 2)
            picture = developed(levels, rng, float(rng.choice((0, rng.uniform(0, 2.5)))))
            original = kind * _TIMES * count + number
            if name == _SPOILT:
                yield from ((original, made) for made in spoilt(picture, number, rng))
            else:
                yield original, ("good", picture)
    yield from _sheets(count * _TIMES, seed, original + 1)
    yield from _looked_at(count * _TIMES, seed, original + 1 + count * _TIMES * len({**SHEETS, **BLANKS}))


def _sheets(count: int, seed: tuple[int, int], first: int) -> Iterator[tuple[int, Spoilt]]:
    """Draw what the exposure gate alone is shown."""
    for kind, (name, painter) in enumerate({**SHEETS, **BLANKS}.items()):
        for number in range(count):
            rng = np.random.default_rng([*seed, kind, number, 1])
            picture = developed(painter(rng), rng, float(rng.choice((0, rng.uniform(0, 2)))))
            yield first + kind * count + number, ("blown" if name in BLANKS else "white", picture)


def _charts(count: int, seed: tuple[int, int]) -> Iterator[tuple[int, Spoilt]]:
    """Draw charts, maps and sheets as programs save them, and burnt scenes, for the exposure network alone."""
    painters = {**PLOTS, **PAPERS, **SHEETS, **SCREENS, **BURNT}
    for kind, (name, painter) in enumerate(painters.items()):
        for number in range(count * (2 if name in BURNT else 1)):
            rng = np.random.default_rng([*seed, kind, number, 3])
            levels = painter(rng)
            if name in BURNT:
                made = "blown", developed(levels, rng, float(rng.choice((0, rng.uniform(0, 2)))))
            else:
                made = "white", saved(levels, rng)
            yield 2 * count * kind + number, made


def _looked_at(count: int, seed: tuple[int, int], first: int) -> Iterator[tuple[int, Spoilt]]:
    """Draw sheets and screens, sharp and blurred, in part light on dark; good ones alone of what has few edges."""
    for kind, (name, painter) in enumerate({**PAPERS, **SHEETS, **SCREENS, **SOFTER}.items()):
        for number in range(count):
            rng = np.random.default_rng([*seed, kind, number, 2])
            levels, original = painter(rng), first + kind * count + number
            if name in SOFTER or name in _FEW_EDGES:
                yield original, ("sharp", developed(levels, rng, float(rng.choice((0, rng.uniform(0, 2.5))))))
                continue
            if name not in SCREENS and rng.random() < _NEGATIVE:
                levels = 255 - levels
            yield from ((original, made) for made in sharp_and_blurred(levels, rng))


def _photographed(files: Sequence[Path], seed: tuple[int, int]) -> Iterator[tuple[int, Spoilt]]:
    for number, path in enumerate(files):
        try:
            rgb = shrink(decode(path.read_bytes(), DecodeSettings()).rgb, _LARGEST)
        except DecodeError:
            continue
        if min(rgb.shape[:2]) >= _SMALLEST:
            yield from ((number, made) for made in spoilt(rgb, number, np.random.default_rng([*seed, number])))
            yield number, ("blur", smoothed(rgb, number, np.random.default_rng([*seed, number, 1])))
            yield from ((number, made) for made in dressed(rgb, number, np.random.default_rng([*seed, number, 2])))


def _on_paper(files: Sequence[Path], first: int) -> Iterator[tuple[int, Spoilt]]:
    """Find the pictures that have much white as they are: there are few, and no drawn one is quite like them."""
    for number, path in enumerate(files, first):
        try:
            rgb = shrink(decode(path.read_bytes(), DecodeSettings()).rgb, _LARGEST)
        except DecodeError:
            continue
        if min(rgb.shape[:2]) >= _SMALLEST:
            yield number, ("white", rgb)


def measured(gate_set: GateSet) -> Examples:
    """Return the features of all pictures made from one set."""
    blur: list[Floats] = []
    blown: list[Floats] = []
    marks: dict[str, list[tuple[bool, int]]] = {"blur": [], "blown": []}
    photographs = _photographed(gate_set.files, gate_set.seed), _on_paper(gate_set.others, len(gate_set.files))
    drawn = (
        _charts(gate_set.drawn * _TIMES, gate_set.seed) if gate_set.charts else _drawn(gate_set.drawn, gate_set.seed)
    )
    for original, (kind, rgb) in chain(*photographs) if gate_set.files else drawn:
        if kind in ("good", "sharp", "blur"):
            blur.append(blur_features(working_grey(rgb)))
            marks["blur"].append((kind == "blur", original))
        white = exposure.exposure_features(rgb) if kind not in ("sharp", "blur") else None
        if white is not None:
            blown.append(white)
            marks["blown"].append((kind == "blown", original))
    return Examples(
        *_table(blur, BLUR_FEATURES, marks["blur"]),
        *_table(blown, exposure.FEATURES, marks["blown"]),
    )


def _table(
    rows: list[Floats], width: int, marks: list[tuple[bool, int]]
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int32]]:
    table = np.array(marks, np.int32).reshape(len(rows), 2)
    return np.array(rows, np.float32).reshape(len(rows), width), table[:, 0].astype(np.bool_), table[:, 1]


def write_shard(gate_set: GateSet, folder: Path) -> Path:
    """Measure one set and write its features; a shard that is there already is left as it is."""
    target = folder / f"{gate_set.name}.npz"
    if not target.exists():
        cv2.setNumThreads(1)
        examples = measured(gate_set)
        half = target.with_suffix(".half.npz")
        np.savez(half, **{name: getattr(examples, name) for name in Examples.__slots__})
        os.replace(half, target)
    return target


def build_examples(sets: Sequence[GateSet], folder: Path, processes: int = 1) -> Examples:
    """Measure all sets, the missing ones in `processes` processes, and return their features together."""
    folder.mkdir(parents=True, exist_ok=True)
    if processes == 1:
        shards = [write_shard(gate_set, folder) for gate_set in sets]
    else:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            shards = list(pool.map(write_shard, sets, [folder] * len(sets)))
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Examples.__slots__}
    first = 0
    for shard in shards:
        with np.load(shard) as arrays:
            for name in Examples.__slots__:
                parts[name].append(arrays[name] + first if name.endswith("original") else arrays[name])
            first += 1 + int(max(arrays["blur_original"].max(initial=0), arrays["blown_original"].max(initial=0)))
    return Examples(**{name: np.concatenate(arrays) for name, arrays in parts.items()})
