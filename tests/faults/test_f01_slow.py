"""F01: files written slowly, by writers that pause; also by such as close the file in between."""

import heapq
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.e2e.command import dedupd, running, write_config
from tests.faults.conftest import Record
from tests.faults.pictures import BY_HASH, tiny

AT_ONCE = 100


@dataclass
class Writer:
    """Write one picture in pieces, with pauses."""

    path: Path
    content: bytes
    chance: random.Random
    closing: bool
    stream: BinaryIO | None = None
    done: int = 0
    pieces: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pieces = sorted(self.chance.sample(range(1, len(self.content)), self.chance.randint(1, 4)))

    def step(self) -> float | None:
        """Write the next piece; return how long to pause, None at the end."""
        if self.stream is None:
            self.stream = self.path.open("ab", buffering=0)
        end = self.pieces.pop(0) if self.pieces else len(self.content)
        self.stream.write(self.content[self.done : end])
        self.done = end
        if self.closing or end == len(self.content):
            self.stream.close()
            self.stream = None
        return None if end == len(self.content) else self.chance.uniform(0.2, 8.0)


def write_all(writers: list[Writer]) -> None:
    """Let many write at the same time."""
    waiting = list(writers)
    queue: list[tuple[float, int]] = []
    while waiting or queue:
        while waiting and len(queue) < AT_ONCE:
            heapq.heappush(queue, (time.monotonic(), writers.index(waiting.pop())))
        due, number = heapq.heappop(queue)
        time.sleep(max(0.0, due - time.monotonic()))
        pause = writers[number].step()
        if pause is not None:
            heapq.heappush(queue, (time.monotonic() + pause, number))


@pytest.mark.fault(
    "F01",
    injected="files written in pieces with pauses of 0.2 to 8 s, kept open or closed in between, action move",
    figure="premature final records 0/500; records per file 1",
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("closing", [False, True], ids=["kept open", "closed in between"])
def test_slow_files_are_judged_when_they_are_whole(
    tmp_path: Path, record: Record, times: Callable[[int, int], int], *, closing: bool
) -> None:
    hot, files, chance = tmp_path / "hot", times(250, 40), random.Random(1)
    hot.mkdir()
    writers = [Writer(hot / f"{n}.png", tiny(n), chance, closing) for n in range(files)]
    config = write_config(
        tmp_path / "c.toml",
        {"path": hot, "action": "move", "output": tmp_path / "quarantine"},
        settle={"settle_seconds": 2.0},
        matching=BY_HASH,
        quality={"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0},
    )
    with running(config, tmp_path / "state") as daemon:
        daemon.wait(0)
        write_all(writers)
        daemon.wait(files)
        time.sleep(3.0)
        daemon.wait(files)
        assert dedupd("report", "--state", tmp_path / "state", "--json").code == 0
        assert daemon.stop()[0] == 0
    log = json.loads((tmp_path / "state/report/cleaning_log.json").read_text())["files"]
    judged = {Path(entry["path"]).name: entry for entry in log}
    torn = [writer.path.name for writer in writers if writer.path.read_bytes() != writer.content]
    wrong = [name for name, entry in judged.items() if entry["verdict"] == "corrupt"]
    assert (torn, wrong, len(log), len(judged)) == ([], [], files, files)
    record(files, 0, f"{'closed in between' if closing else 'kept open'}: premature 0/{files}, records per file 1")
