"""Files → workers → flow: a torn file that changed a moment ago is not believed to be damaged."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from daemon.folders import look
from daemon.ingest import Ingest
from store.records import VerdictKind
from tests.faults.pictures import tiny
from tests.patience import wait_until
from tests.unit.daemon.opened import Clock, opened

SECOND_NS = 10**9


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[tuple[Ingest, Clock, int]]:
    clock = Clock()
    with opened(tmp_path, clock=clock) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        yield session.ingest, clock, folder.id


@pytest.mark.parametrize(
    ("age_seconds", "admitted"), [(1, False), (9, False), (11, True), (-5, True)], ids=["new", "young", "old", "ahead"]
)
def test_a_torn_file_must_have_been_at_rest(
    tmp_path: Path, ingest: tuple[Ingest, Clock, int], age_seconds: int, *, admitted: bool
) -> None:
    loop, clock, folder_id = ingest
    loop.torn_settle_seconds = 10.0
    path = tmp_path / "hot/a.png"
    path.parent.mkdir()
    path.write_bytes(tiny(1)[:-40])
    stat = look(str(path))
    assert stat is not None
    clock.now_ns = stat.ctime_ns + age_seconds * SECOND_NS
    assert sum(loop.run([(folder_id, str(path))])) == admitted
    file = loop.catalog.file(str(path))
    assert (file is not None and file.verdict is VerdictKind.CORRUPT) == admitted
    retries = [arrival.retry_ns for arrival in loop.arrivals.all()]
    assert retries == ([] if admitted else [stat.ctime_ns + 10 * SECOND_NS]), "as soon as it has been at rest"
    assert loop.busy == 0


def test_a_scan_believes_what_it_sees(tmp_path: Path, ingest: tuple[Ingest, Clock, int]) -> None:
    loop, clock, folder_id = ingest
    path = tmp_path / "hot/a.png"
    path.parent.mkdir()
    path.write_bytes(tiny(1)[:-40])
    clock.now_ns = path.stat().st_ctime_ns
    assert sum(loop.run([(folder_id, str(path))])) == 1


def test_workers_go_on_while_the_network_is_loaded(
    tmp_path: Path, ingest: tuple[Ingest, Clock, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, _, folder_id = ingest
    (tmp_path / "hot").mkdir()
    jobs = []
    for number in range(20):
        path = tmp_path / f"hot/{number}.png"
        path.write_bytes(tiny(number)[:-40])
        jobs.append((folder_id, str(path)))
    loading = loop.flow.load_model
    measured_meanwhile: list[int] = []

    def slowly() -> None:
        with suppress(AssertionError):  # told below
            wait_until(lambda: loop.measured >= 19)
        measured_meanwhile.append(loop.measured)
        loading()

    monkeypatch.setattr(loop.flow, "load_model", slowly)
    loader = Thread(target=loop.flow.warm_up)
    loader.start()
    assert sum(loop.run(jobs)) == 20
    loader.join()
    assert measured_meanwhile[0] >= 19
