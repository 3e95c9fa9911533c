"""Make previews again from the files that hold the images."""

from daemon.session import Session
from daemon.terminal import Advance
from daemon.workers import WorkerPool
from pipeline.measuring import MeasureTask
from store.records import Measurement


def remake_previews(session: Session, advance: Advance) -> tuple[int, int]:
    """Decode every image whose preview is missing; return (made, could not be made)."""
    previews, catalog = session.flow.knowledge.previews, session.catalog
    missing: dict[str, bytes] = {}
    ids = catalog.image_ids()
    for start in range(0, len(ids), 500):
        files = catalog.files_of(ids[start : start + 500])
        for image in catalog.images(ids[start : start + 500]).values():
            if image.observation is not None and not previews.has(image.sha256):
                file = files[image.id][0]
                missing[file.lies_at or file.stat.path] = image.sha256
    made, waiting, total = 0, list(missing), len(missing)
    with WorkerPool(session.settings.workers, session.settings.decode, session.settings.quality) as pool:
        while waiting or pool.pending:
            while waiting and pool.free:
                pool.submit(MeasureTask(waiting.pop(), session.flow.input_size))
            for task, result in pool.results(1.0):
                if isinstance(result, Measurement) and result.hashes.sha256 == missing[task.path]:
                    previews.write(result.hashes.sha256, result.preview)
                    made += 1
            advance(made, total)
    return made, total - made
