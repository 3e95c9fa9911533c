"""Make previews again from the files that hold the images; measure again what an earlier dedupd measured less of."""

from collections.abc import Set
from dataclasses import dataclass

from daemon.session import Session
from daemon.terminal import Advance
from daemon.workers import WorkerPool
from pipeline.matching import measured_by_another, remember_measurer
from pipeline.measuring import MeasureTask
from store.records import ImageState, Measurement, Observation

_LEVELS = 2  # bytes of them that are measured now


@dataclass(frozen=True, slots=True)
class Remade:
    """What came of it, in images."""

    made: int  # missing previews that are there now
    lost: int  # missing previews that could not be made
    measured: int  # measured again, with or without a preview
    left: int  # still as an earlier version measured them


def remake_previews(session: Session, advance: Advance) -> Remade:
    """Decode every image whose preview is missing, whose traces nobody looked for, or that another version measured."""
    previews, catalog = session.flow.knowledge.previews, session.catalog
    outdated = set(measured_by_another(catalog))
    wanted = _incomplete(session, outdated)
    lacking = {path for path, image in wanted.items() if not previews.has(image.sha256)}
    measured: set[int] = set()
    made, done, waiting = 0, 0, list(wanted)
    with WorkerPool(session.settings.workers, session.settings.decode, session.settings.quality) as pool:
        while waiting or pool.pending:
            while waiting and pool.free:
                pool.submit(MeasureTask(waiting.pop(), session.flow.input_size))
            for task, result in pool.results(1.0):
                done += 1
                if isinstance(result, Measurement) and result.hashes.sha256 == wanted[task.path].sha256:
                    previews.write(result.hashes.sha256, result.preview)
                    _measured_again(session, wanted[task.path].id, result)
                    made += task.path in lacking
                    measured.add(wanted[task.path].id)
            advance(done, len(wanted))
    left = outdated & {image.id for image in wanted.values()} - measured
    if outdated:
        remember_measurer(catalog, left)
    return Remade(made, len(lacking) - made, len(measured), len(left))


def catch_up(session: Session, advance: Advance) -> Remade:
    """Measure again what another version of dedupd measured: pictures are only compared as measured alike."""
    return remake_previews(session, advance) if measured_by_another(session.catalog) else Remade(0, 0, 0, 0)


def _incomplete(session: Session, outdated: Set[int]) -> dict[str, ImageState]:
    """Return, by the path of one of its files, every image that is outdated or lacks its preview or its traces."""
    previews, catalog = session.flow.knowledge.previews, session.catalog
    found: dict[str, ImageState] = {}
    ids = catalog.image_ids()
    for start in range(0, len(ids), 500):
        files = catalog.files_of(ids[start : start + 500])
        for image in catalog.images(ids[start : start + 500]).values():
            seen = image.observation
            if seen is None or not files.get(image.id):
                continue
            if image.id in outdated or _lacks_traces(seen) or not previews.has(image.sha256):
                file = files[image.id][0]
                found[file.lies_at or file.stat.path] = image
    return found


def _lacks_traces(seen: Observation) -> bool:
    """Tell whether an earlier dedupd looked for none, or for fewer; tiny pictures have no series of them."""
    traces = seen.traces
    return traces is None or bool(traces.spectrum and (not traces.patches or len(traces.levels) < _LEVELS))


def _measured_again(session: Session, image_id: int, result: Measurement) -> None:
    """Store what was measured; the judging that follows a remake goes by it."""
    seen = Observation(result.stat.size, result.picture, result.quality, result.hashes, result.traces)
    with session.catalog.transaction():
        session.catalog.put_observation(image_id, seen)
