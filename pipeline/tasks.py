"""What worker processes are given to do: files to measure, pairs of stored previews to look at."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.measuring import MeasureTask, measure
from pipeline.previewing import decode_preview
from pipeline.settings import DecodeSettings, QualitySettings, VerifySettings
from pipeline.verify import Facts, Prepared, prepare, verify
from store.errors import DecodeError
from store.previews import Previews
from store.records import Failure, Measurement, StoredLook

_PREPARED = 64  # 250 kB each, and up to 200 kB of a page

Seen = tuple[StoredLook | None, ...]  # None where a preview is missing


@dataclass(frozen=True, slots=True)
class LookTask:
    """Pairs of content hashes whose previews are to be compared, the smaller hash of each pair first."""

    folder: str  # of the previews
    pairs: tuple[tuple[bytes, bytes], ...]
    settings: VerifySettings
    path: str = ""  # of the file to blame: there is none
    facts: tuple[Facts, ...] = ()  # of the files of each pair, see `verify`; none known where empty


def work(
    task: MeasureTask | LookTask, decode_settings: DecodeSettings, quality_settings: QualitySettings
) -> Measurement | Failure | Seen:
    """Do a task."""
    if isinstance(task, MeasureTask):
        return measure(task, decode_settings, quality_settings)
    return look(task)


def look(task: LookTask) -> Seen:
    """Take a second look at each pair."""
    known = task.facts or (None,) * len(task.pairs)
    return tuple(_look(task, *pair, facts) for pair, facts in zip(task.pairs, known, strict=True))


def _look(task: LookTask, ours: bytes, theirs: bytes, facts: Facts) -> StoredLook | None:
    try:
        first, second = _prepared(task.folder, ours), _prepared(task.folder, theirs)
    except DecodeError:
        return None
    return compare(first, second, task.settings, facts)


@lru_cache(_PREPARED)
def _prepared(folder: str, sha256: bytes) -> Prepared:
    return prepare_stored(Previews(Path(folder)), sha256)


def prepare_stored(previews: Previews, sha256: bytes) -> Prepared:
    """Prepare a stored preview; raise DecodeError where it is missing or damaged, until `reindex` makes it anew."""
    preview = previews.read(sha256)
    if preview is None:
        raise DecodeError("a stored preview is missing")
    return prepare(decode_preview(preview), previews.read_page(sha256))


def compare(first: Prepared, second: Prepared, settings: VerifySettings, facts: Facts = None) -> StoredLook:
    """Look at two previews, the one whose content hash is smaller first; for `facts` see `verify`."""
    seen = verify(first, second, settings, facts)
    return StoredLook(seen.kind, seen.explanation, seen.lineage)
