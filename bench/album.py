"""An album with known truth: originals, edited copies of them as files, look-alikes, video frames, real copies.

First a plan (which file is made of what), then the files. Both follow from the folders and the seed alone, so that
a run can stop anywhere and go on later. Names and times of the files say nothing about what they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.copies import KINDS, edited_copy, random_grade, written
from bench.gallery import SEEN_THUMB_CORRELATION, SUFFIXES, Pixels, read_rgb, thumbnails

PAIRS, OTHERS = "pairs", "rest"  # what the parts of the album are called; in this order they are scanned
ORIGINAL, COPY, LOOKALIKE, REAL = "original", "copy", "look-alike", "real copy"
CLIPS = frozenset((".mp4", ".mov", ".avi", ".mkv"))
# Larger originals are shrunk to this first: copies of 24 megapixels take seconds each and show nothing else.
LONGEST_SIDE_PIXELS = 1280
FILES_PER_PART = 1000
DONOR_SHARE = 0.02
_KIND_STRIDE = 5  # without a common divisor with the number of kinds
# One picture in two folders at different sizes correlates at least this well; two pictures of one scene seldom do.
SAME_THUMB_CORRELATION = 0.995
_CODECS = {"jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "png": "PNG"}
_SUFFIX = {"JPEG": ".jpg", "WEBP": ".webp", "AVIF": ".avif", "PNG": ".png"}
_KIND = {kind.name: kind for kind in KINDS}
_FIRST_TIME, _SPAN_SECONDS = 1_500_000_000, 200_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One file of the album: what it is, what it was made of. Files of one family show one picture."""

    path: str  # inside the album, "rest-03/1a2b3c4d5e6f.jpg"
    role: str
    family: int
    source: str
    origin: str  # the file it was made of
    kind: str = ""  # of a copy: the name of its kind
    grade: int = 0
    frame: int = -1  # of a clip
    donor: str = ""  # the picture pasted in
    paired: bool = False  # an original, or the first copy made of it: they are judged alone first
    seen: bool = False  # whether a network was trained on it


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an album is made of. The same recipe over the same folders gives the same album."""

    folders: tuple[Path, ...]
    negatives: tuple[Path, ...] = ()
    truth: Path | None = None
    trained_on: tuple[Path, ...] = ()
    limit: int = 100
    copies: int = 3
    frames: int = 64
    seed: int = 0


def plan_album(recipe: Recipe, say: Callable[[str], None] = lambda line: None) -> list[Item]:
    """Decide which files the album holds: up to `limit` originals, spread over the folders.

    Left out are originals that a network was trained on, and look-alikes that lie in two of the folders.
    """
    rng = np.random.default_rng(recipe.seed)
    found = [[path for path in sorted(_pictures(folder)) if path.stat().st_size] for folder in recipe.folders]
    queues = [[folder[index] for index in rng.permutation(len(folder))] for folder in found]
    turns = [path for turn in range(max(map(len, queues), default=0)) for q in queues for path in q[turn : turn + 1]]
    seen = _Seen(recipe.trained_on)
    donors_wanted = max(1, round(DONOR_SHARE * min(recipe.limit, len(turns))))
    chosen: list[Path] = []
    rows: list[NDArray[np.float32]] = []
    for path in turns:
        if len(chosen) == recipe.limit + donors_wanted:
            break
        row = _thumb(path)
        if row is not None and not seen(path, row):
            chosen.append(path)
            rows.append(row)
    donors, originals = chosen[:donors_wanted], chosen[donors_wanted:]
    if not originals:
        raise SystemExit("no original left: name folders of pictures, none of them trained on")
    items = [_item(ORIGINAL, family, path, paired=True) for family, path in enumerate(originals)]
    items += _planned_copies(originals, donors, recipe)
    others = _look_alikes(recipe, chosen, np.stack(rows), seen, say)
    items += [replace(item, family=len(originals) + number) for number, item in enumerate(others)]
    items += _real_copies(recipe.truth, len(originals) + len(others))
    return _placed(items, recipe.seed)


def save_plan(items: Sequence[Item], path: Path) -> None:
    """Write a plan as JSON."""
    path.write_text(json.dumps([asdict(item) for item in items]), encoding="utf-8")


def load_plan(path: Path) -> list[Item]:
    """Read what `save_plan` wrote."""
    return [Item(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def write_album(
    items: Sequence[Item], folder: Path, seed: int, proceed: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write the files that are missing; `proceed(done, total)` is called before each and may raise to stop."""
    missing = [item for item in items if not (folder / item.path).exists()]
    done = len(items) - len(missing)
    missing.sort(key=lambda item: (item.origin, item.frame))
    clip = _Clip()
    made_of: tuple[str, Pixels] | None = None
    for item in missing:
        proceed(done, len(items))
        if item.frame >= 0:
            data = written(Image.fromarray(clip.frame(item.origin, item.frame)), "JPEG", 92)
        elif item.role != COPY:
            data = original_file(Path(item.origin))
        else:
            if made_of is None or made_of[0] != item.origin:
                made_of = item.origin, _pixels(original_file(Path(item.origin)))
            data = copied_file(item, made_of[1], seed)
        _put(folder / item.path, data, seed)
        done += 1


def original_file(path: Path) -> bytes:
    """Return the bytes of an original; one larger than `LONGEST_SIDE_PIXELS` is shrunk and keeps its EXIF data."""
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if max(picture.size) <= LONGEST_SIDE_PIXELS:
                return data
            exif = picture.getexif()
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except OSError:  # a real pair may hold what only the program can read, or nobody
        return data
    exif[0x0112] = 1
    upright.thumbnail((LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS), Image.Resampling.BOX)
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def copied_file(item: Item, original: Pixels, seed: int) -> bytes:
    """Return the bytes of a copy: codecs write the file themselves, other edits end in a JPEG of quality 80 to 95."""
    kind = _KIND[item.kind]
    if kind.name == "metadata":
        plain = stripped(original_file(Path(item.origin))) if item.grade == 0 else None
        return plain or written(Image.fromarray(original), "PNG", 0)
    if kind.name in _CODECS:
        return written(Image.fromarray(original), _CODECS[kind.name], int(kind.grades[item.grade]))
    donor = _pixels(original_file(Path(item.donor)))
    number = seed * 1_000_003 + item.family
    edited = edited_copy(original, kind, item.grade, number, donor)
    quality = int(np.random.default_rng((7, zlib.crc32(item.kind.encode()), number)).integers(80, 96))
    return written(Image.fromarray(edited), "JPEG", quality)


def stripped(jpeg: bytes) -> bytes | None:
    """Return the same JPEG without EXIF, XMP and comments; None for what is no upright JPEG."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        if picture.format != "JPEG" or picture.getexif().get(0x0112, 1) != 1:
            return None
    comment = b"passed on"
    out = [b"\xff\xd8\xff\xfe", (len(comment) + 2).to_bytes(2, "big"), comment]
    at = 2
    while jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big") + 2
        # APP0 and APP14 say how colours are coded; the other application segments and comments say nothing.
        if not (0xE1 <= jpeg[at + 1] <= 0xED or jpeg[at + 1] in (0xEF, 0xFE)):
            out.append(jpeg[at : at + length])
        at += length
    return b"".join((*out, jpeg[at:]))


class _Seen:
    """Tell whether a network was trained on a picture, at any size, by its thumbnail."""

    def __init__(self, folders: Iterable[Path]) -> None:
        paths = [path for folder in folders for path in _pictures(folder)]
        rows = [row for row in map(_thumb, paths) if row is not None]
        self._paths = frozenset(paths)
        self._rows = np.stack(rows) if rows else None

    def __call__(self, path: Path, row: NDArray[np.float32]) -> bool:
        if self._rows is None:
            return False
        return path in self._paths or float((self._rows @ row).max()) > SEEN_THUMB_CORRELATION


class _Clip:
    """Read frames of clips; forward is cheap."""

    def __init__(self) -> None:
        self._name = ""
        self._next = 0

    def frame(self, name: str, number: int) -> Pixels:
        if name != self._name or number < self._next:
            self._name, self._next = name, 0
            self._video = cv2.VideoCapture(name)
        while True:
            done, frame = self._video.read()
            if not done:
                raise SystemExit(f"{name} has no frame {number}")
            self._next += 1
            if self._next > number:
                return np.ascontiguousarray(frame[:, :, ::-1], np.uint8)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _thumb(path: Path) -> NDArray[np.float32] | None:
    image = read_rgb(path)
    return None if image is None else np.asarray(thumbnails([image])[0])


def _pixels(data: bytes) -> Pixels:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def _item(role: str, family: int, path: Path, **more: object) -> Item:
    suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ".jpg"
    return Item(suffix, role, family, path.parent.name, str(path), **more)  # type: ignore[arg-type]  # plain fields


def _planned_copies(originals: Sequence[Path], donors: Sequence[Path], recipe: Recipe) -> list[Item]:
    """Deal the kinds out evenly, never twice to one original, among first copies as well as among all."""
    if not 1 <= recipe.copies <= len(KINDS):
        raise SystemExit(f"copies of each original: 1 to {len(KINDS)}")
    items: list[Item] = []
    for turn in range(recipe.copies):
        for family, path in enumerate(originals):
            block, place = divmod(family, len(KINDS))
            deal = np.random.default_rng((recipe.seed, block)).permutation(len(KINDS))
            kind = KINDS[int(deal[(place + turn * _KIND_STRIDE) % len(KINDS)])]
            grade = random_grade(kind, recipe.seed * 1_000_003 + family)
            donor = donors[len(items) % len(donors)]
            item = _item(COPY, family, path, kind=kind.name, grade=grade, donor=str(donor), paired=turn == 0)
            form = _CODECS.get(kind.name, "JPEG")
            items.append(replace(item, path=".png" if kind.name == "metadata" and grade else _SUFFIX[form]))
    return items


def _look_alikes(
    recipe: Recipe, chosen: Sequence[Path], rows: NDArray[np.float32], seen: _Seen, say: Callable[[str], None]
) -> list[Item]:
    """List pictures and frames of which no copies are made. A picture that lies in two folders counts once."""
    used = set(chosen)
    folders = np.array([str(path.parent) for path in chosen])
    items: list[Item] = []
    dropped = 0
    for folder in recipe.negatives:
        for clip in sorted(path for path in folder.rglob("*") if path.suffix.lower() in CLIPS):
            frames = range(min(recipe.frames, _count_frames(clip)))
            items += [_item(LOOKALIKE, 0, clip, frame=frame) for frame in frames]
        taken, taken_rows = [], []
        for path in _pictures(folder):
            row = None if path in used else _thumb(path)
            if row is None:
                continue
            alike = folders[rows @ row > SAME_THUMB_CORRELATION]
            if (alike != str(path.parent)).any():
                dropped += 1
                continue
            items.append(_item(LOOKALIKE, 0, path, seen=seen(path, row)))
            taken.append(path)
            taken_rows.append(row)
        used |= set(taken)
        if taken:
            folders = np.concatenate([folders, [str(path.parent) for path in taken]])
            rows = np.concatenate([rows, np.stack(taken_rows)])
    if dropped:
        say(f"{dropped} look-alikes left out: the same picture lies in another folder too")
    return items


def _count_frames(clip: Path) -> int:
    video = cv2.VideoCapture(str(clip))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return count


def _real_copies(truth: Path | None, first: int) -> list[Item]:
    families = json.loads(truth.read_text(encoding="utf-8")) if truth is not None else {}
    items: list[Item] = []
    numbers = iter(range(first, 1 << 40))
    for group, members in families.items():
        for names in members:
            number = next(numbers)
            assert truth is not None
            items += [replace(_item(REAL, number, truth.parent / name), source=group, kind=REAL) for name in names]
    return [item for item in items if read_rgb(Path(item.origin)) is not None]


def _placed(items: Sequence[Item], seed: int) -> list[Item]:
    """Give every file a name that says nothing, in parts of `FILES_PER_PART` files; `paired` ones in their own."""
    order = np.random.default_rng((seed, 1)).permutation(len(items))
    taken: Counter[str] = Counter()
    placed: dict[int, Item] = {}
    for number in order.tolist():
        stratum = PAIRS if items[number].paired else OTHERS
        part = f"{stratum}-{taken[stratum] // FILES_PER_PART:02d}"
        taken[stratum] += 1
        placed[number] = replace(items[number], path=f"{part}/{_scrambled(f'{seed} {number}')}{items[number].path}")
    return [placed[number] for number in range(len(items))]


def _scrambled(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def _put(path: Path, data: bytes, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    when = _FIRST_TIME + zlib.crc32(f"{seed} {path.name}".encode()) % _SPAN_SECONDS
    os.utime(part, (when, when))
    part.replace(path)
