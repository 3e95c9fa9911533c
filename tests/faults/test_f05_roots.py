"""F05: the hot folder is a symlink, or is removed, replaced or renamed while it is watched."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Daemon, running, write_config
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.pictures import put_tiny


def removed_and_made_anew(hot: Path) -> None:
    shutil.rmtree(hot)
    time.sleep(0.5)
    hot.mkdir()


def renamed_and_made_anew(hot: Path) -> None:
    hot.rename(hot.with_name("gone"))
    hot.mkdir()


def replaced_by_another(hot: Path) -> None:
    hot.rename(hot.with_name("gone"))
    put_tiny(hot.with_name("other") / "z.png", 99)
    hot.with_name("other").rename(hot)


def renamed_away_and_back(hot: Path) -> None:
    hot.rename(hot.with_name("gone"))
    time.sleep(2.0)
    hot.with_name("gone").rename(hot)


def link_led_elsewhere(hot: Path) -> None:
    """Only for the symlink: its folder is made anew behind it."""
    removed_and_made_anew(hot.resolve())


CHANGES: tuple[Callable[[Path], None], ...] = (
    removed_and_made_anew,
    renamed_and_made_anew,
    replaced_by_another,
    renamed_away_and_back,
    link_led_elsewhere,
)


def seconds_until_seen(daemon: Daemon, hot: Path, seed: int) -> float:
    """Put a picture down and wait until its verdict is there."""
    started = time.monotonic()
    path = put_tiny(hot / f"new-{seed}.png", seed).resolve()
    daemon.wait_for(lambda: knows(daemon.state, path), "the new file is known")
    return time.monotonic() - started


@pytest.mark.fault(
    "F05",
    injected="root a symlink; removed, renamed, replaced, gone for a while",
    figure="missed 0; seconds to re-arm <= 10",
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.replace("_", " "))
def test_a_changed_root_is_armed_again(tmp_path: Path, record: Record, change: Callable[[Path], None]) -> None:
    hot = tmp_path / "hot"
    if change is link_led_elsewhere:
        (tmp_path / "real").mkdir()
        hot.symlink_to(tmp_path / "real")
    else:
        hot.mkdir()
    config = write_config(tmp_path / "c.toml", {"path": hot, "watch": "native"}, upkeep={"reconcile_minutes": 600})
    with running(config, tmp_path / "state") as daemon:
        daemon.wait(0)
        usual = seconds_until_seen(daemon, hot, 1)
        change(hot)
        first = seconds_until_seen(daemon, hot, 2)
        second = seconds_until_seen(daemon, hot, 3)
        assert daemon.status()["folders"][0]["path"] == str(hot.resolve())
        assert daemon.stop()[0] == 0
    assert first - usual <= 10
    assert second - usual <= 10
    record(1, 0, f"{change.__name__.replace('_', ' ')}: {max(0.0, first - usual):.0f} s")
