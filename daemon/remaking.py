"""Make previews again from the files that hold the images; measure again what an earlier dedupd measured less of."""

import os
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from daemon.session import Session
from daemon.terminal import Advance
from daemon.workers import WorkerPool
from pipeline.flow import SETTINGS_KEY
from pipeline.matching import measured_by_another, remember_measurer
from pipeline.measuring import MeasureTask
from store.records import ImageState, Measurement, Observation

_LEVELS = 4  # bytes of them that are measured now


@dataclass(frozen=True, slots=True)
class Remade:
    """What came of it, in images."""

    made: int  # missing previews that are there now
    lost: int  # missing previews that could not be made
    measured: int  # measured again, with or without a preview
    left: int  # still as an earlier version measured them


def remake_previews(session: Session, advance: Advance) -> Remade:
    """Decode every image whose preview is missing, whose traces nobody looked for, or that another version measured."""
    previews = session.flow.knowledge.previews
    outdated = set(measured_by_another(session.catalog))

    def is_wanted(image: ImageState, seen: Observation) -> bool:
        return image.id in outdated or _lacks_traces(seen) or not previews.has(image.sha256)

    return _remake(session, _chosen(session, session.catalog.image_ids(), is_wanted), outdated, advance)


def catch_up(session: Session, advance: Advance) -> Remade:
    """Measure again what another version of dedupd measured: pictures are only compared as measured alike."""
    outdated = measured_by_another(session.catalog)
    return _remake(session, _chosen(session, outdated, lambda *_: True), set(outdated), advance)


def _remake(session: Session, wanted: Mapping[str, ImageState], outdated: Set[int], advance: Advance) -> Remade:
    previews = session.flow.knowledge.previews
    lacking = [image for image in wanted.values() if not previews.has(image.sha256)]
    there = [path for path in wanted if os.path.lexists(path)]
    measured = _measure(session, wanted, there, advance) if there else set()
    left = outdated & {image.id for image in wanted.values()} - measured
    if outdated:
        remember_measurer(session.catalog, left)
    made = sum(image.id in measured for image in lacking)
    return Remade(made, len(lacking) - made, len(measured), len(left))


def _measure(session: Session, wanted: Mapping[str, ImageState], paths: Sequence[str], advance: Advance) -> set[int]:
    """Measure files and store what was seen; return the images whose content was still there."""
    done, waiting = 0, list(paths)
    measured: set[int] = set()
    with WorkerPool(session.settings.workers, session.settings.decode, session.settings.quality) as pool:
        while waiting or pool.pending:
            while waiting and pool.free:
                pool.submit(MeasureTask(waiting.pop(), session.flow.input_size))
            for task, result in pool.results(1.0):
                done += 1
                image = wanted[task.path]
                if isinstance(result, Measurement) and result.hashes.sha256 == image.sha256:
                    _measured_again(session, image.id, result)
                    measured.add(image.id)
            advance(done, len(paths))
    return measured


def _chosen(
    session: Session, ids: Sequence[int], is_wanted: Callable[[ImageState, Observation], bool]
) -> dict[str, ImageState]:
    """Return, by the path of one of its files, every image that was measured once and is wanted."""
    catalog = session.catalog
    found: dict[str, ImageState] = {}
    for start in range(0, len(ids), 500):
        files = catalog.files_of(ids[start : start + 500])
        for image in catalog.images(ids[start : start + 500]).values():
            seen = image.observation
            if seen is not None and files.get(image.id) and is_wanted(image, seen):
                file = files[image.id][0]
                found[file.lies_at or file.stat.path] = image
    return found


def _lacks_traces(seen: Observation) -> bool:
    """Tell whether an earlier dedupd looked for none, or for fewer; tiny pictures have no series of them."""
    traces = seen.traces
    return traces is None or bool(traces.spectrum and (not traces.patches or len(traces.levels) < _LEVELS))


def _measured_again(session: Session, image_id: int, result: Measurement) -> None:
    """Store what was measured; the judging that follows a remake goes by it, and embeds what looks otherwise now."""
    seen = Observation(result.stat.size, result.picture, result.quality, result.hashes, result.traces)
    previews, sha256 = session.flow.knowledge.previews, result.hashes.sha256
    with session.catalog.transaction():
        session.catalog.put_observation(image_id, seen)
        session.catalog.remember(SETTINGS_KEY, "")  # judging is due, should all break off before
        if previews.read(sha256) != result.preview:
            session.catalog.drop_embeddings(image_id)
    previews.write(sha256, result.preview, result.page)  # last: should this break off, the old one tells that it is due
