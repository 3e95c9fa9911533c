"""What worker processes are given to do: files to measure, pairs of stored previews to look at."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.decode import decode_preview
from pipeline.measuring import MeasureTask, measure
from pipeline.settings import DecodeSettings, QualitySettings
from pipeline.verify import Prepared, VerifySettings, prepare, verify
from store.errors import DecodeError
from store.previews import Previews
from store.records import Failure, Measurement, StoredLook

_PREPARED = 64  # 250 kB each

Seen = tuple[StoredLook | None, ...]  # None where a preview is missing


@dataclass(frozen=True, slots=True)
class LookTask:
    """Pairs of content hashes whose previews are to be compared, the smaller hash of each pair first."""

    folder: str  # of the previews
    pairs: tuple[tuple[bytes, bytes], ...]
    settings: VerifySettings
    path: str = ""  # of the file to blame: there is none
    noises: tuple[float, ...] = ()  # of compression, one for each pair: see `verify`; none known where empty


def work(
    task: MeasureTask | LookTask, decode_settings: DecodeSettings, quality_settings: QualitySettings
) -> Measurement | Failure | Seen:
    """Do a task."""
    if isinstance(task, MeasureTask):
        return measure(task, decode_settings, quality_settings)
    return look(task)


def look(task: LookTask) -> Seen:
    """Take a second look at each pair."""
    noises = task.noises or (0.0,) * len(task.pairs)
    return tuple(_look(task, *pair, noise) for pair, noise in zip(task.pairs, noises, strict=True))


def _look(task: LookTask, ours: bytes, theirs: bytes, noise: float) -> StoredLook | None:
    try:
        first, second = _prepared(task.folder, ours), _prepared(task.folder, theirs)
    except DecodeError:
        return None
    return compare(first, second, task.settings, noise)


@lru_cache(_PREPARED)
def _prepared(folder: str, sha256: bytes) -> Prepared:
    return prepare_stored(Previews(Path(folder)).read(sha256))


def prepare_stored(preview: bytes | None) -> Prepared:
    """Prepare a stored preview; raise DecodeError where it is missing or damaged, until `reindex` makes it anew."""
    if preview is None:
        raise DecodeError("a stored preview is missing")
    return prepare(decode_preview(preview))


def compare(first: Prepared, second: Prepared, settings: VerifySettings, noise: float = 0.0) -> StoredLook:
    """Look at two previews, the one whose content hash is smaller first; for `noise` see `verify`."""
    seen = verify(first, second, settings, noise)
    return StoredLook(seen.kind, seen.explanation, seen.lineage)
