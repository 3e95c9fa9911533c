"""Rows of the catalog ↔ facts: the columns to select, and what they become."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from store.records import CatalogFile, FileStat, Hashes, ImageState, Observation, Picture, Quality, Traces, VerdictKind

FILE_ROW = (
    "f.id, f.folder_id, d.protected, f.path, f.device, f.inode, f.size, f.mtime_ns, f.ctime_ns, f.image_id, "
    "f.verdict, f.lies_at, f.entry_id, f.returned_ns FROM files f JOIN folders d ON d.id = f.folder_id"
)
IMAGE_ROW = (
    "i.id, i.sha256, i.byte_size, i.reject, i.reject_reason, o.width, o.height, o.format, o.pixels_sha256, "
    "o.metadata_fields, o.sharpness, o.brightness, o.contrast, o.detail, o.entropy, o.sharpest, o.highlights, "
    "o.tones, o.phash, o.dhash, o.hashable, o.spectrum, o.overshoot, o.noise, o.clipped, o.stored_step, o.seen_step, "
    "o.colour, o.margin FROM images i LEFT JOIN observations o ON o.image_id = i.id"
)

# Traces that are rows of numbers share one column, `spectrum`, in this order; the last takes what is left.
_SERIES = ("spectrum", "rhythm", "levels", "patches", "blocks")
# Bytes of those that have one length. Of levels an earlier dedupd had one, two or, like patches, none; all it had then
# was shorter than these. Blocks have a header, and so many each: what is left of that is levels.
_SPECTRUM, _RHYTHM, _PATCHES, _BLOCKS_HEADER, _BLOCK = 20, 256, 64 + 16 * 144, 15, 30


@cache
def upsert(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that writes a row over the one with the same first column, or adds it.

    The library's own upsert builds it anew each time, which takes longer than carrying it out.
    """
    marks = ", ".join("?" * len(columns))
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT ({columns[0]}) DO UPDATE SET {sets}"
    )


def signed(value: int) -> int:
    """Fit an unsigned 64-bit number (a hash, a device, an inode) into SQLite's signed integer."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned(value: int) -> int:
    """Take such a number out again."""
    return value & 0xFFFF_FFFF_FFFF_FFFF


def file_of(row: Sequence[Any]) -> CatalogFile:
    """Make a file of a `FILE_ROW`."""
    stat = FileStat(os.fsdecode(row[3]), unsigned(row[4]), unsigned(row[5]), row[6], row[7], row[8])
    lies_at = None if row[11] is None else os.fsdecode(row[11])
    return CatalogFile(
        row[0], row[1], bool(row[2]), stat, row[9], VerdictKind(row[10]), lies_at, row[12], row[13] is not None
    )


def image_of(row: Sequence[Any]) -> ImageState:
    """Make an image of an `IMAGE_ROW`."""
    reject = None if row[3] is None else VerdictKind(row[3])
    observation = None
    if row[5] is not None:
        picture = Picture(row[5], row[6], row[7], bytes(row[8]), row[9])
        hashes = Hashes(bytes(row[1]), unsigned(row[18]), unsigned(row[19]), bool(row[20]))
        traces = None if row[21] is None else _traces_of(bytes(row[21]), row[22:29])
        observation = Observation(row[2], picture, Quality(*row[10:18]), hashes, traces)
    return ImageState(row[0], bytes(row[1]), row[2], reject, row[4], observation)


def row_of(image_id: int, seen: Observation) -> dict[str, Any]:
    """Make a row of `observations` by column."""
    quality, traces = seen.quality, seen.traces
    row = {
        "image_id": image_id, "width": seen.picture.width, "height": seen.picture.height,
        "format": seen.picture.format, "pixels_sha256": seen.picture.pixels_sha256,
        "metadata_fields": seen.picture.metadata_fields,
        "sharpness": quality.sharpness, "brightness": quality.brightness, "contrast": quality.contrast,
        "detail": quality.detail, "entropy": quality.entropy, "sharpest": quality.sharpest,
        "highlights": quality.highlights, "tones": quality.tones,
        "phash": signed(seen.hashes.phash), "dhash": signed(seen.hashes.dhash), "hashable": int(seen.hashes.hashable),
    }  # fmt: skip
    if traces is None:
        return row
    columns = {name: getattr(traces, name) for name in Traces.__slots__}
    series = [columns.pop(name) for name in _SERIES]
    return {**row, **columns, "spectrum": b"".join(series)}


def _traces_of(series: bytes, numbers: Sequence[Any]) -> Traces:
    """Take apart the series that stand in one column; what an earlier dedupd did not measure is empty."""
    spectrum, rhythm, rest = series[:_SPECTRUM], series[_SPECTRUM:][:_RHYTHM], series[_SPECTRUM + _RHYTHM :]
    if len(rest) < _PATCHES:
        return Traces(*(spectrum, *numbers, rhythm, rest))
    start = (len(rest) - _PATCHES - _BLOCKS_HEADER) % _BLOCK
    end = start + _PATCHES
    return Traces(*(spectrum, *numbers, rhythm, rest[end:], rest[:start], rest[start:end]))
