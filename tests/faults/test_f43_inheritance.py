"""F43: a decoding process starts while the catalog is open. It inherits nothing of it."""

import ast
import time
from pathlib import Path

import pytest

import daemon
from daemon.workers import WorkerPool, WorkerSettings
from pipeline.measuring import MeasureTask
from pipeline.settings import DecodeSettings, QualitySettings
from store.catalog import Catalog
from tests.faults.conftest import Record
from tests.faults.living import descriptors
from tests.faults.pictures import put_tiny
from tests.patience import PATIENCE_SECONDS

FIGURE = "inherited descriptors 0"
ROOMS = Path(daemon.__file__).parents[1]


@pytest.mark.fault("F43", injected="decoding processes started inside an open transaction", figure=FIGURE)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_decoding_process_has_nothing_of_the_catalog(tmp_path: Path, record: Record) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    settings = WorkerSettings(processes=2)
    with WorkerPool(settings, DecodeSettings(), QualitySettings()) as pool, catalog.transaction():
        catalog.remember("a", "1")
        for seed in range(4):
            pool.submit(MeasureTask(str(put_tiny(tmp_path / f"{seed}.png", seed)), 64))
        done = 0
        until = time.monotonic() + PATIENCE_SECONDS
        while done < 4 and time.monotonic() < until:
            done += len(pool.results(1.0))
        inherited = [
            target
            for worker in pool._workers
            for target in descriptors(worker.process.pid)
            if str(tmp_path) in target and not target.endswith(".png")
        ]
        started = len(pool._workers)
    assert done == 4
    assert inherited == []
    assert catalog.remembered("a") == "1"
    catalog.close()
    record(started)


@pytest.mark.fault("F43", injected="a search of the source for anything that forks", figure=FIGURE)
def test_nothing_forks(record: Record) -> None:
    forking, seen = [], 0
    for room in ("store", "pipeline", "daemon"):
        for path in (ROOMS / room).rglob("*.py"):
            if "training" in path.parts:  # a program of its own, without a catalog
                continue
            seen += 1
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
                if name in ("fork", "forkpty", "ProcessPoolExecutor", "Process", "get_context"):
                    forking.append(f"{path.name}: {name}")
    assert forking == []
    record(seen, 0, f"{seen} modules")
