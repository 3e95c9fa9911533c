"""F08: much of a folder vanishes at once."""

from pathlib import Path

import pytest

from tests.e2e.command import dedupd, running, write_config
from tests.faults.conftest import Record
from tests.faults.pictures import put_tiny


@pytest.mark.fault(
    "F08", injected="30 % of a folder deleted at once, seen by events and by a walk", figure="automatic deletions 0"
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("watch", ["native", "polling"])
def test_a_big_loss_waits_for_a_word(tmp_path: Path, record: Record, watch: str) -> None:
    hot, state = tmp_path / "hot", tmp_path / "state"
    for number in range(50):
        put_tiny(hot / f"{number}.png", number)
    folder = {"path": hot, "watch": watch, "poll_seconds": 0.5}
    config = write_config(tmp_path / "c.toml", folder, upkeep={"check_seconds": 1.0})
    with running(config, state) as daemon:
        daemon.wait(50)
        for number in range(15):
            (hot / f"{number}.png").unlink()
        daemon.wait_for(lambda: daemon.status()["state"] == "paused", "it says that it waits")
        status = daemon.status()
        assert status["files"] == 50
        assert f"--accept-vanished {hot}" in str(status["reasons"])
        put_tiny(hot / "new.png", 1000)
        daemon.wait_for(lambda: daemon.status()["files"] == 51, "what is new is judged all the same")
        answer = dedupd("check", "--accept-vanished", hot, "--config", config, "--state", state, "--json")
        assert "Traceback" not in answer.err
        daemon.wait(36)
        assert daemon.stop()[0] == 0
    record(1, 0, f"{watch}: forgotten without a word 0/15")
