"""F02, F09: every way to arrive, and trees made faster than they can be watched."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.command import running, write_config
from tests.faults.conftest import Record
from tests.faults.pictures import BY_HASH, put_tiny

SEEDS = count()
FAR_OFF: dict[str, object] = {"reconcile_minutes": 600}  # no walk but the first


def written(_aside: Path, hot: Path, name: str) -> None:
    put_tiny(hot / name, next(SEEDS))


def renamed_inside(_aside: Path, hot: Path, name: str) -> None:
    put_tiny(hot / f"{name}.part", next(SEEDS)).rename(hot / name)


def linked(aside: Path, hot: Path, name: str) -> None:
    os.link(put_tiny(aside / name, next(SEEDS)), hot / name)


def moved_in(aside: Path, hot: Path, name: str) -> None:
    put_tiny(aside / name, next(SEEDS)).rename(hot / name)


def in_a_folder_moved_in(aside: Path, hot: Path, name: str) -> None:
    put_tiny(aside / f"{name} card/DCIM/100/{name}", next(SEEDS))
    (aside / f"{name} card").rename(hot / f"{name} card")


MODES = (written, renamed_inside, linked, moved_in, in_a_folder_moved_in)


@pytest.mark.fault(
    "F02",
    injected="written, renamed inside, linked, moved in, in a folder moved in; by events alone",
    figure="missed 0/1,000 per mode",
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_way_to_arrive(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, aside, each = tmp_path / "hot", tmp_path / "aside", times(1000, 20)
    hot.mkdir()
    aside.mkdir()
    config = write_config(tmp_path / "c.toml", {"path": hot, "watch": "native"}, upkeep=FAR_OFF, matching=BY_HASH)
    with running(config, tmp_path / "state") as daemon:
        daemon.wait(0)
        for number in range(each):
            for mode in MODES:
                mode(aside, hot, f"{mode.__name__}-{number}.png")
        daemon.wait_for(lambda: daemon.status()["files"] >= each * len(MODES), "all are known")
        daemon.wait(each * len(MODES))
        assert daemon.stop()[0] == 0
    record(each * len(MODES), 0, f"missed 0/{each} per mode")


@pytest.mark.fault("F09", injected="mkdir -p and write, 4 levels, as fast as it goes", figure="missed 0/1,000")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("watch", ["native", "polling"])
def test_deep_trees_made_fast(tmp_path: Path, record: Record, times: Callable[[int, int], int], watch: str) -> None:
    hot, files = tmp_path / "hot", times(500, 50)
    hot.mkdir()
    folder = {"path": hot, "watch": watch, "poll_seconds": 0.5}
    config = write_config(tmp_path / "c.toml", folder, upkeep=FAR_OFF, matching=BY_HASH)
    with running(config, tmp_path / "state") as daemon:
        daemon.wait(0)
        for number in range(files):
            put_tiny(hot / f"{number % 7}/{number % 11}/{number % 13}/{number}/{number}.png", number)
        daemon.wait(files)
        assert daemon.stop()[0] == 0
    record(files, 0, f"{watch}: missed 0/{files}")
