"""Make previews again from the files that hold the images; measure again what an earlier dedupd measured less of."""

from daemon.session import Session
from daemon.terminal import Advance
from daemon.workers import WorkerPool
from pipeline.matching import is_measured_by_another, remember_measurer
from pipeline.measuring import MeasureTask
from store.records import ImageState, Measurement, Observation

_LEVELS = 2  # bytes of them that are measured now


def remake_previews(session: Session, advance: Advance) -> tuple[int, int]:
    """Decode every image whose preview is missing or whose traces nobody looked for, or only for some.

    A catalog measured by an earlier version is measured again as a whole, so far as its files are there. Return how
    many missing previews were made, and how many could not be.
    """
    previews = session.flow.knowledge.previews
    outdated = is_measured_by_another(session.catalog)
    wanted = _incomplete(session, all_of_them=outdated)
    measured = 0
    lacking = {path for path, image in wanted.items() if not previews.has(image.sha256)}
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
                    measured += 1
            advance(done, len(wanted))
    if outdated and measured == len(wanted):
        remember_measurer(session.catalog)
    return made, len(lacking) - made


def _incomplete(session: Session, *, all_of_them: bool) -> dict[str, ImageState]:
    """Return, by the path of one of its files, every image that lacks its preview or its traces, or every one."""
    previews, catalog = session.flow.knowledge.previews, session.catalog
    found: dict[str, ImageState] = {}
    ids = catalog.image_ids()
    for start in range(0, len(ids), 500):
        files = catalog.files_of(ids[start : start + 500])
        for image in catalog.images(ids[start : start + 500]).values():
            seen = image.observation
            if seen is not None and (all_of_them or _lacks_traces(seen) or not previews.has(image.sha256)):
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
