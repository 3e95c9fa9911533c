"""F55: SIGHUP, with a configuration that is right and with ones that are wrong in every way."""

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.command import Daemon, running
from tests.faults.conftest import Record
from tests.faults.living import Place

BROKEN = {
    "no TOML": "this is no TOML",
    "an unknown key": '[[hot_folder]]\npath = "HOT"\n[quality]\nsharpnes = 1\n',
    "a value out of range": '[[hot_folder]]\npath = "HOT"\n[quality]\nmin_sharpness = -1\n',
    "nested folders": '[[hot_folder]]\npath = "HOT"\n[[hot_folder]]\npath = "HOT/sub"\n',
    "no folder": "[quality]\nmin_sharpness = 1\n",
    "weights that are not there": '[[hot_folder]]\npath = "HOT"\n[embedding]\nweights = "/none.safetensors"\n',
    "a model that is not there": '[[hot_folder]]\npath = "HOT"\n[embedding]\nmodel = "resnet49"\n',
}


def said(daemon: Daemon, often: int) -> bool:
    """Tell whether a configuration was refused so often."""
    return daemon.log.read_text().count("configuration refused") == often


@pytest.mark.fault("F55", injected="SIGHUP with seven broken configurations, no file, a good one", figure="down time 0")
@pytest.mark.slow
def test_a_broken_configuration_keeps_the_old_one_and_says_why(tmp_path: Path, record: Record) -> None:
    place = Place(tmp_path)
    config = place.config()
    place.put_pairs(0, 1)
    with running(config, place.state) as daemon:
        daemon.wait(2)
        for number, text in enumerate([*BROKEN.values(), None], 1):
            if text is None:
                config.unlink()
            else:
                config.write_text(text.replace("HOT", str(place.hot)))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for(partial(said, daemon, number), f"refusal {number}")
            place.put_pairs(number, 1)
            daemon.wait(2 + 2 * number)  # it works as before
            assert place.moved() == 1 + number
            assert daemon.status()["last_error"]
        new = tmp_path / "new"
        new.mkdir()
        config.write_text(f'[[hot_folder]]\npath = "{new}"\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(lambda: [f["path"] for f in daemon.status()["folders"]] == [str(new)], "the new folder")
        assert daemon.status()["pid"] == daemon.process.pid
        assert daemon.stop()[0] == 0
    assert "Traceback" not in daemon.log.read_text()
    broken = len(BROKEN) + 1
    record(broken + 1, place.lost(), f"refused {broken}/{broken}, moves went on after each; one process throughout")
