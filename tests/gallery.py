"""An album with everything that goes wrong in one, and the truth about every file in it.

    python -m tests.gallery FOLDER [--seed N] [--count N]

draws originals (`tests.scenes`), and beside them copies as phones, messengers and editors make them, blurred,
dark, bright and broken files. Nothing is downloaded; the same seed gives the same bytes and the same times.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from store.records import MatchKind, VerdictKind
from tests.scenes import PAINTERS, draw
from tests.scenes.canvas import Image

__all__ = ["Album", "AlbumFile", "draw", "write_album"]

_SIZES = ((640, 480), (800, 600), (480, 640), (720, 480), (600, 600), (768, 512))
_FIRST_SHOT = 1_777_630_000  # seconds since the epoch, in May 2026; every copy is younger than every original


@dataclass(frozen=True, slots=True)
class AlbumFile:
    """One file, and what the default settings should make of it."""

    name: str  # relative to the album's folder; the last part is unique in the album
    made: str  # "original", "reencoded", …: how it came to be
    verdict: VerdictKind
    family: int | None  # files of one family show one picture; its original is the keeper
    match: MatchKind | None  # to the keeper


@dataclass(frozen=True, slots=True)
class Album:
    """A folder of pictures with the truth about each."""

    folder: Path
    files: tuple[AlbumFile, ...]

    def path(self, file: AlbumFile) -> Path:
        """Return where a file lies."""
        return self.folder / file.name

    def keeper(self, file: AlbumFile) -> AlbumFile | None:
        """Return the original of a file's family; None for a file without one."""
        family = (f for f in self.files if f.family == file.family and f.made == "original")
        return None if file.family is None else next(family)

    def waves(self, count: int) -> list[list[Path]]:
        """Deal the files into lists to drop one after the other; a copy may well come before its original."""
        order = np.random.default_rng(len(self.files)).permutation(len(self.files))
        paths = [self.path(self.files[index]) for index in order]
        return [paths[wave::count] for wave in range(count)]


@dataclass(frozen=True, slots=True)
class _Edit:
    made: str
    match: MatchKind
    suffix: str
    encode: Callable[[Image, bytes], bytes]  # from the original's decoded pixels and its bytes


def write_album(folder: Path, seed: int = 0, originals: int = 24) -> Album:
    """Draw an album into a folder, made if need be. Up to 24 originals are each a scene of its own kind."""
    files = []
    for at, (file, encoded) in enumerate(_pictures(seed, originals)):
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
        taken = _FIRST_SHOT + 60 * at + (0 if file.made == "original" else 30 * 86_400)
        os.utime(path, (taken, taken))
        files.append(file)
    return Album(folder, tuple(files))


def _pictures(seed: int, originals: int) -> Iterator[tuple[AlbumFile, bytes]]:
    edits = cycle(_EDITS)
    for family in range(originals):
        # Two edits, one, none, and again: families of three, of two, and pictures that stand alone.
        chosen = [next(edits) for _ in range(2 - family % 3)]
        drawn = draw(seed * len(PAINTERS) + family, _SIZES[family % len(_SIZES)])
        lossless = any(edit.made == "repacked" for edit in chosen)
        encoded = _png(drawn, 0) if lossless else _jpeg(drawn, 93, _camera_tags(family))
        stem = f"IMG_{seed % 100:02d}{family:02d}"
        suffix = "png" if lossless else "jpg"
        name = f"camera/{stem}.{suffix}"
        yield AlbumFile(name, "original", VerdictKind.KEEP, family, None), encoded
        pixels = drawn if lossless else _decoded(encoded)
        for edit in chosen:
            verdict = VerdictKind.SIMILAR if edit.match is MatchKind.EDITED else VerdictKind.DUPLICATE
            name = f"phone/{stem}-{edit.made}.{edit.suffix or suffix}"
            yield AlbumFile(name, edit.made, verdict, family, edit.match), edit.encode(pixels, encoded)
        if not chosen:
            yield _reject(family // 3, stem, pixels, encoded)


def _reject(turn: int, stem: str, pixels: Image, encoded: bytes) -> tuple[AlbumFile, bytes]:
    kind, made, suffix, spoil = _REJECTS[turn % len(_REJECTS)]
    return AlbumFile(f"camera/{stem}-{made}.{suffix}", made, kind, None, None), spoil(pixels, encoded)


def _jpeg(pixels: Image, quality: int, tags: Pillow.Exif | None = None) -> bytes:
    out = BytesIO()
    Pillow.fromarray(pixels).save(out, "JPEG", quality=quality, exif=tags or Pillow.Exif())
    return out.getvalue()


def _png(pixels: Image, level: int) -> bytes:
    out = BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG", compress_level=level)
    return out.getvalue()


def _decoded(encoded: bytes) -> Image:
    return np.asarray(Pillow.open(BytesIO(encoded)).convert("RGB"))


def _camera_tags(shot: int) -> Pillow.Exif:
    tags = Pillow.Exif()
    tags[0x010F], tags[0x0110] = "dedupd", "Paint box"
    tags[0x0132] = f"2026:05:{1 + shot % 28:02d} 10:{shot % 60:02d}:00"
    return tags


def _resized(pixels: Image, share: float) -> Image:
    return np.asarray(cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)


def _cropped(pixels: Image) -> Image:
    height, width = pixels.shape[:2]
    top, left = round(height * 0.04), round(width * 0.06)
    return pixels[top : top + round(height * 0.9), left : left + round(width * 0.9)]


def _turned(pixels: Image) -> bytes:
    tags = Pillow.Exif()
    tags[0x0112] = 6  # stored a quarter turn to the left, to be shown a quarter turn to the right
    return _jpeg(np.ascontiguousarray(np.rot90(pixels)), 88, tags)


def _with_sticker(pixels: Image) -> Image:
    """Put a label on a smaller version, as a shop or a friend would."""
    out = _resized(pixels, 0.85)
    height, width = out.shape[:2]
    left, top, right, low = (round(v) for v in (width * 0.06, height * 0.7, width * 0.62, height * 0.9))
    cv2.rectangle(out, (left, top), (right, low), (250, 214, 60), -1)
    cv2.rectangle(out, (left, top), (right, low), (30, 30, 34), 3)
    place = (left + round(width * 0.03), round(height * 0.835))
    scale = width / 420
    cv2.putText(out, "GREETINGS!", place, cv2.FONT_HERSHEY_DUPLEX, scale, (30, 30, 34), 2, cv2.LINE_AA)
    return out


def _blurred(pixels: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 90), np.uint8)


def _scaled(pixels: Image, gain: float, offset: float) -> Image:
    return np.asarray(np.clip(pixels * gain + offset, 0, 255), np.uint8)


def _noise(size: int) -> bytes:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()


_EDITS = (
    _Edit("reencoded", MatchKind.COPY, "jpg", lambda pixels, _: _jpeg(pixels, 60)),
    _Edit("resized", MatchKind.COPY, "jpg", lambda pixels, _: _jpeg(_resized(pixels, 0.5), 88)),
    _Edit("copied", MatchKind.EXACT, "", lambda _, encoded: encoded),
    _Edit("sticker", MatchKind.EDITED, "jpg", lambda pixels, _: _jpeg(_with_sticker(pixels), 85)),
    _Edit("cropped", MatchKind.COPY, "jpg", lambda pixels, _: _jpeg(_cropped(pixels), 88)),
    _Edit("repacked", MatchKind.PIXELS, "png", lambda pixels, _: _png(pixels, 9)),
    _Edit("mirrored", MatchKind.COPY, "jpg", lambda pixels, _: _jpeg(np.ascontiguousarray(pixels[:, ::-1]), 88)),
    _Edit("turned", MatchKind.COPY, "jpg", lambda pixels, _: _turned(pixels)),
    _Edit("stripped", MatchKind.PIXELS, "jpg", lambda _, encoded: _without_tags(encoded)),
)

_REJECTS: tuple[tuple[VerdictKind, str, str, Callable[[Image, bytes], bytes]], ...] = (
    (VerdictKind.BLUR, "blurred", "jpg", lambda pixels, _: _jpeg(_blurred(pixels), 90)),
    (VerdictKind.DARK, "dark", "jpg", lambda pixels, _: _jpeg(_scaled(pixels, 0.02, 0), 90)),
    (VerdictKind.BRIGHT, "bright", "jpg", lambda pixels, _: _jpeg(_scaled(pixels, 0.03, 247), 90)),
    (VerdictKind.CORRUPT, "truncated", "jpg", lambda _, encoded: encoded[: len(encoded) * 2 // 5]),
    (VerdictKind.CORRUPT, "noise", "jpg", lambda pixels, _: _noise(20_000 + pixels.shape[0])),
    (VerdictKind.CORRUPT, "headless", "png", lambda pixels, _: _png(pixels, 1)[:33]),
)


def _without_tags(encoded: bytes) -> bytes:
    """Cut the EXIF segment out of a JPEG: other bytes, the same pixels."""
    at = encoded.index(b"\xff\xe1")
    return encoded[:at] + encoded[at + 2 + int.from_bytes(encoded[at + 2 : at + 4], "big") :]


def main() -> None:
    """Draw an album from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pictures")
    parser.add_argument("--count", type=int, default=24, help="number of originals")
    chosen = parser.parse_args()
    album = write_album(chosen.folder, chosen.seed, chosen.count)
    kept = sum(file.verdict is VerdictKind.KEEP for file in album.files)
    sys.stdout.write(f"{len(album.files)} files in {chosen.folder}, of which {kept} should stay\n")


if __name__ == "__main__":
    main()
