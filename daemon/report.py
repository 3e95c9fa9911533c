"""What a run found, written for people (`cleaning_report.html`) and for programs (`cleaning_log.json`).

Both files are derived: they can be deleted and come back the same from the catalog. The page needs no server,
loads nothing from elsewhere and reads without script. Names of files are hostile input: every value that
reaches the page goes through `printable` and Jinja2's autoescape; a content security policy backs both.
"""

import json
import math
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from daemon.report_facts import LogEntry, Report, ReportFile, ReportGroup
from store.errors import AccessError, StateError
from store.records import Evidence
from store.text import printable

__all__ = ["LogEntry", "Report", "ReportFile", "ReportGroup", "write_log", "write_report"]

REPORT_NAME = "cleaning_report.html"
PREVIEWS_NAME = "cleaning_report_files"
LOG_NAME = "cleaning_log.json"
SCHEMA = 1

Previews = Callable[[bytes], bytes | None]


def write_report(folder: Path, contents: Report, previews: Previews) -> Path:
    """Write `cleaning_report.html` and the previews it shows, and return the page's path.

    `previews` gives the JPEG bytes for a content hash, or None; a preview file that is there already stays.
    The page appears whole or not at all (temporary file, fsync, rename). Raises AccessError, StateError.
    """
    from daemon.report_page import pictured, render  # here: who only writes the log needs no Jinja2

    with _plain_errors(folder):
        shown = _write_previews(folder / PREVIEWS_NAME, pictured(contents), previews)
        with _whole_file(folder / REPORT_NAME) as out:
            out.writelines(render(contents, os.fspath(folder), (PREVIEWS_NAME, LOG_NAME), shown))
    return folder / REPORT_NAME


def write_log(folder: Path, entries: Iterable[LogEntry]) -> Path:
    """Write `cleaning_log.json`, one line per entry, without holding more than one; return its path.

    Pure ASCII: a name that is no UTF-8 stands as escaped surrogates, and `os.fsencode` of the parsed string
    gives its exact bytes back. The file appears whole or not at all. Raises AccessError, StateError.
    """
    with _plain_errors(folder), _whole_file(folder / LOG_NAME) as out:
        out.write(f'{{"schema":{SCHEMA},"files":[')
        separator = "\n"
        for entry in entries:
            out.write(separator + json.dumps(_record(entry), separators=(",", ":"), allow_nan=False))
            separator = ",\n"
        out.write("\n]}\n")
    return folder / LOG_NAME


def _record(entry: LogEntry) -> dict[str, object]:
    verdict, scores = entry.verdict, entry.scores
    return {
        "path": verdict.path,
        "verdict": verdict.kind.value,
        "reason": verdict.reason,
        "keeper": verdict.keeper,
        "evidence": _evidence(verdict.evidence),
        "scores": scores
        and {
            "sharpness": _number(scores.sharpest),  # what `min_sharpness` is held against and reasons speak of
            "brightness": _number(scores.brightness),
            "detail": _number(scores.detail),
            "laplacian": _number(scores.sharpness),
        },
        "action": entry.action,
        "target": entry.target,
    }


def _evidence(evidence: Evidence | None) -> dict[str, object] | None:
    if evidence is None:
        return None
    return {
        "kind": evidence.kind.value,
        "phash_distance": evidence.phash_distance,
        "dhash_distance": evidence.dhash_distance,
        "similarity": None if evidence.similarity is None else _number(evidence.similarity),
        "verified": evidence.verified,
        "explanation": evidence.explanation,
    }


def _number(value: float) -> float | None:
    # JSON has no NaN and no infinity; one odd score must not cost the whole log.
    return round(float(value), 4) if math.isfinite(value) else None


def _write_previews(folder: Path, wanted: Iterable[bytes], previews: Previews) -> frozenset[bytes]:
    """Write the previews that are missing; return the hashes for which one lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {entry.name for entry in os.scandir(folder) if entry.stat().st_size > 0}
    shown: set[bytes] = set()
    for sha256 in wanted:
        if sha256 in shown:
            continue
        name = f"{sha256.hex()}.jpg"
        if name not in there:
            preview = previews(sha256)
            if preview is None:
                continue
            # No fsync: a preview lost in a power cut is empty, and an empty one is written again.
            temporary = folder / f".{name}.{secrets.token_hex(4)}.tmp"
            temporary.write_bytes(preview)
            temporary.replace(folder / name)
        shown.add(sha256)
    return frozenset(shown)


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """Open a temporary file beside `path`; it takes the name only when everything is written and on disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except PermissionError as error:
        raise AccessError(
            f"cannot write the report into {printable(os.fspath(folder))}: {error.strerror}",
            "choose another --output, or give this user the right to write there",
        ) from error
    except OSError as error:
        raise StateError(
            f"the report could not be written into {printable(os.fspath(folder))}: {error.strerror or error}",
            "make room or choose another --output, then run `dedupd report` to write it again",
        ) from error
