"""Images per second through the whole program, side by side with the way its forerunners work.

    dedupd bench speed [--pictures 1000] [--size 640] [--runs 3] [--forerunner 60] [--folder DIR]

Without a folder, pictures are drawn: of two dozen kinds of scene, all different, so that each has dozens of look-alikes
and many second looks are taken. With one, they are crops of its pictures; more than there are show scenes twice.

Each run is the real command, `dedupd scan`, with a fresh state: reading, decoding, quality, hashes, embedding, index,
second looks, report. The forerunner stands for one-shot scripts of the kind dedupd replaces: every file is decoded
again for blur, brightness, pHash, dHash and the network (ResNet-50, one picture at a time); its weights are random,
which costs the same. Ratios count; absolute figures belong to one machine at one moment.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_COMMAND = Path(sys.executable).with_name("dedupd")


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dedupd-bench-") as name:
        work = Path(name)
        folder = work / "pictures"
        print(f"{_make_pictures(folder, options.folder, options.pictures, options.size)} pictures of {options.size} px")
        runs = [_scan(folder, work / f"run{number}") for number in range(options.runs)]
        rescan = _rescan(folder, work / "run0")
        forerunner = _forerunner(sorted(folder.iterdir())[: options.forerunner]) if options.forerunner else None
    rates = [run["images_per_second"] for run in runs]
    result = {
        "pictures": options.pictures,
        "size": options.size,
        "images_per_second": rates,
        "median": statistics.median(rates),
        "rescan_seconds": rescan,
        "forerunner_images_per_second": forerunner,
        "ratio": None if forerunner is None else statistics.median(rates) / forerunner,
    }
    _print(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--size", type=int, default=640, help="side of the square JPEGs, in pixels")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--forerunner", type=int, default=60, help="pictures for the forerunner; 0 leaves it out")
    parser.add_argument("--folder", type=Path, help="take pictures from here instead of drawing them")
    parser.add_argument("--json", type=Path, help="also write the result here")
    return parser.parse_args()


def _make_pictures(folder: Path, source: Path | None, count: int, size: int) -> int:
    """Write `count` square JPEGs: drawn ones, all different, or crops of the pictures in a folder."""
    folder.mkdir()
    squares = _drawn(count, size) if source is None else _cropped(source, count, size)
    for number, square in enumerate(squares):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), square, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return count


def _drawn(count: int, size: int) -> Iterator[Any]:
    from tests.gallery import draw

    return (cv2.cvtColor(draw(seed, (size, size)), cv2.COLOR_RGB2BGR) for seed in range(count))


def _cropped(source: Path, count: int, size: int) -> Iterator[Any]:
    read = (cv2.imread(str(path)) for path in sorted(source.rglob("*.jpg")))
    originals = [picture for picture in read if picture is not None]
    random = np.random.default_rng(0)
    for number in range(count):
        picture = originals[number % len(originals)]
        height, width = picture.shape[:2]
        side = int(min(height, width) * random.uniform(0.6, 1.0))
        top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        part = picture[top : top + side, left : left + side]
        yield cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC)


def _scan(folder: Path, work: Path) -> dict[str, Any]:
    """Run the real command on a fresh state; the rate counts everything, the start of Python too."""
    started = time.monotonic()
    done = subprocess.run(_scan_words(folder, work), check=True, capture_output=True, text=True)
    seconds = time.monotonic() - started
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answer["images_per_second"] = answer["files"] / seconds
    return answer


def _scan_words(folder: Path, work: Path) -> list[str | Path]:
    return [_COMMAND, "scan", folder, "--output", work / "out", "--state", work / "state", "--json"]


def _rescan(folder: Path, work: Path) -> float:
    started = time.monotonic()
    subprocess.run(_scan_words(folder, work), check=True, capture_output=True)
    seconds = time.monotonic() - started
    shutil.rmtree(work)
    return seconds


def _forerunner(paths: list[Path]) -> float:
    """Work as a one-shot script does: one decode per question, one picture at a time through ResNet-50."""
    import imagehash
    import torch
    import torchvision
    from PIL import Image

    network = torchvision.models.resnet50(weights=None).eval()
    network.fc = torch.nn.Identity()
    started = time.monotonic()
    with torch.inference_mode():
        for path in paths:
            cv2.Laplacian(_grey(path), cv2.CV_64F).var()
            _grey(path).mean()
            cv2.Canny(_grey(path), 100, 200).mean()
            with Image.open(path) as picture:
                imagehash.phash(picture)
            with Image.open(path) as picture:
                imagehash.dhash(picture)
            with Image.open(path) as picture:
                square = np.asarray(picture.convert("RGB").resize((224, 224)), np.float32) / 255
            network(torch.from_numpy(square).permute(2, 0, 1)[None])
    return len(paths) / (time.monotonic() - started)


def _grey(path: Path) -> "np.ndarray[Any, Any]":
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture


def _print(result: dict[str, Any]) -> None:
    print(f"scan, fresh state   {', '.join(f'{rate:.1f}' for rate in result['images_per_second'])} images/s")
    print(f"             median {result['median']:.1f} images/s")
    print(f"scan, all known     {result['rescan_seconds']:.2f} s for {result['pictures']} files")
    if result["ratio"] is not None:
        print(f"forerunner          {result['forerunner_images_per_second']:.1f} images/s")
        print(f"ratio               {result['ratio']:.1f}×")


if __name__ == "__main__":
    main()
