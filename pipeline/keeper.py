"""Ordered criteria → the keeper, with its reasons.

The criteria make a total order over images: the first that tells two images apart decides, ties end at the content
hash. Protected images outrank all others.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from store.records import CatalogFile, ImageState, Rank

CriterionName = Literal["sharp_enough", "original", "detail", "pixels", "metadata", "bytes", "older", "newer", "path"]


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """How the best copy is chosen."""

    criteria: tuple[CriterionName, ...] = (
        "sharp_enough", "original", "detail", "pixels", "metadata", "bytes", "older", "path",
    )  # fmt: skip
    sharp_enough: Annotated[float, Ge(0)] = 50.0  # of the sharpest region: who passed the gate is sharp enough
    on_late_better: Literal["swap", "first"] = "swap"


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the table that explains a choice: what each image scored on one criterion."""

    criterion: str
    keeper: str
    extra: str
    decides: bool


def primary_file(files: Sequence[CatalogFile]) -> CatalogFile:
    """Choose the file that stands for an image: a protected one, one at home, the oldest, the shortest path."""

    def order(file: CatalogFile) -> tuple[object, ...]:
        return (not file.protected, file.lies_at is not None, file.stat.mtime_ns, _path_key(file.stat.path), file.id)

    return min(files, key=order)


def asks_for_originals(settings: KeeperSettings) -> bool:
    """Tell whether pairs are to be asked which of the two is the original."""
    return settings.on_late_better == "swap" and "original" in settings.criteria


def rank(image: ImageState, files: Sequence[CatalogFile], settings: KeeperSettings, *, rounds_won: int = 0) -> Rank:
    """Place an image in the total order; `key` greater outranks.

    `rounds_won` is the last round in which it was shown to be the original of the one above it, 0 for none. With
    `on_late_better = "first"` whatever was seen first stays, and the criteria do not count.
    """
    primary = primary_file(files)
    protected = primary.protected
    if settings.on_late_better == "first":
        return Rank(image.id, (protected, -image.id), protected)
    scores = tuple(
        rounds_won if name == "original" else _CRITERIA[name](image, primary, settings) for name in settings.criteria
    )
    return Rank(image.id, (protected, *scores, image.sha256), protected)


def explain(
    keeper: tuple[ImageState, Sequence[CatalogFile]],
    extra: tuple[ImageState, Sequence[CatalogFile]],
    settings: KeeperSettings,
    rounds_won: tuple[int, int] = (0, 0),
) -> list[Standing]:
    """Tabulate the criteria for a keeper and one of its extras, marking the one that decided.

    `rounds_won` says of both when they were last shown to be the original of the one above them.
    """
    rows, decided = [], False
    sides = [(image, primary_file(files)) for image, files in (keeper, extra)]
    names: list[str] = (
        ["protected", *settings.criteria] if settings.on_late_better == "swap" else ["protected", "first"]
    )
    for name in names:
        if name == "original":
            decides = not decided and rounds_won[0] != rounds_won[1]
            decided = decided or decides
            said = [f"round {count}" if count else "–" for count in rounds_won]
            rows.append(Standing(name, said[0], said[1], decides))
            continue
        ours, theirs = (_score(name, image, primary, settings) for image, primary in sides)
        decides = not decided and ours != theirs
        decided = decided or decides
        shown = [_show(name, image, primary) for image, primary in sides]
        if decides and shown[0] == shown[1] and name in _CLOSE:  # what people read is too coarse to tell them apart
            shown = [_CLOSE[name](primary) for _, primary in sides]
        rows.append(Standing(name.replace("_", " "), shown[0], shown[1], decides))
    return rows


def reason(
    keeper: tuple[ImageState, Sequence[CatalogFile]],
    extra: tuple[ImageState, Sequence[CatalogFile]],
    settings: KeeperSettings,
    rounds_won: tuple[int, int] = (0, 0),
    shown: str = "",
) -> str:
    """Say in a few words why the keeper outranks the extra; `shown` is what shows that it is the original."""
    for row in explain(keeper, extra, settings, rounds_won):
        if row.decides and row.criterion == "original":
            return f"it is the original{': ' if shown else ''}{shown}"
        if row.decides:
            return f"{_IN_WORDS.get(row.criterion, row.criterion)} ({row.keeper} against {row.extra})"
    return "equal in everything, first by content"


def _score(name: str, image: ImageState, primary: CatalogFile, settings: KeeperSettings) -> object:
    if name == "protected":
        return primary.protected
    if name == "first":
        return -image.id
    return _CRITERIA[name](image, primary, settings)


def _path_key(path: str) -> tuple[int, bytes]:
    raw = os.fsencode(path)
    return len(raw), raw


def _sharp_enough(image: ImageState, _: CatalogFile, settings: KeeperSettings) -> bool:
    return image.observation is not None and image.observation.quality.sharpest >= settings.sharp_enough


def _detail(image: ImageState, _: CatalogFile, __: KeeperSettings) -> float:
    return 0.0 if image.observation is None else image.observation.quality.detail


def _pixels(image: ImageState, _: CatalogFile, __: KeeperSettings) -> int:
    return 0 if image.observation is None else image.observation.picture.width * image.observation.picture.height


def _metadata(image: ImageState, _: CatalogFile, __: KeeperSettings) -> int:
    return 0 if image.observation is None else image.observation.picture.metadata_fields


def _shorter_path(_: ImageState, primary: CatalogFile, __: KeeperSettings) -> tuple[int, bytes]:
    # Greater outranks, so the order of bytes is turned round; the end mark keeps a prefix ahead of its longer kin.
    length, raw = _path_key(primary.stat.path)
    return -length, bytes(255 - byte for byte in raw) + b"\xff"


_CRITERIA: dict[str, Callable[[ImageState, CatalogFile, KeeperSettings], object]] = {
    "sharp_enough": _sharp_enough,
    "detail": _detail,
    "pixels": _pixels,
    "bytes": lambda image, _, __: image.byte_size,
    "metadata": _metadata,
    "older": lambda _, primary, __: -primary.stat.mtime_ns,
    "newer": lambda _, primary, __: primary.stat.mtime_ns,
    "path": _shorter_path,
}

_CLOSE: dict[str, Callable[[CatalogFile], str]] = {
    "older": lambda primary: f"{primary.stat.mtime_ns / 1e9:.9f} s",
    "newer": lambda primary: f"{primary.stat.mtime_ns / 1e9:.9f} s",
    "path": lambda primary: primary.stat.path,
}

_IN_WORDS = {
    "protected": "it lies in a protected folder",
    "first": "it was there first",
    "sharp enough": "it is sharp",
    "detail": "it shows more detail",
    "pixels": "it has more pixels",
    "bytes": "it has more bytes",
    "metadata": "it carries more metadata",
    "older": "it is older",
    "newer": "it is newer",
    "path": "its path is shorter or comes first",
}


def _show(name: str, image: ImageState, primary: CatalogFile) -> str:
    from datetime import UTC, datetime

    if name == "protected":
        return "yes" if primary.protected else "no"
    if name in ("older", "newer"):
        return datetime.fromtimestamp(primary.stat.mtime_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if name == "path":
        return f"{len(os.fsencode(primary.stat.path))} bytes long"
    if name == "bytes":
        return f"{image.byte_size:,}"
    if name == "first":
        return f"number {image.id}"
    seen = image.observation
    if seen is None:
        return "unknown"
    return {
        "sharp_enough": f"{seen.quality.sharpest:.0f}",
        "detail": f"{seen.quality.detail:.3g} MP",
        "pixels": f"{seen.picture.width}×{seen.picture.height}",
        "metadata": f"{seen.picture.metadata_fields} tags",
    }[name]
