"""F54: told to stop at any moment, once or twice, with much to do."""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import dedupd, running, write_config
from tests.faults.conftest import Record
from tests.faults.living import listens
from tests.faults.pictures import BY_HASH, put_tiny, tiny

LENIENT: dict[str, object] = {"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0}


def contents(*folders: Path) -> Counter[bytes]:
    """Count what lies in folders, by content."""
    return Counter(path.read_bytes() for folder in folders for path in folder.rglob("*.png"))


@pytest.mark.fault(
    "F54",
    injected="SIGTERM, SIGINT or both twice, from the first instant on to long after the work is done",
    figure="exit <= 10 s 100 %; lost 0",
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_signal_at_any_moment_ends_it_well(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    hot, out, state = tmp_path / "hot", tmp_path / "out", tmp_path / "state"
    files, chance = times(10_000, 200), random.Random(54)
    for number in range(files):
        put_tiny(hot / f"{number % 50}/{number}.png", number // 2)  # pairs: one of each leaves
    expected = contents(hot)
    config = write_config(
        tmp_path / "c.toml",
        {"path": hot, "action": "move", "output": out},
        quality=LENIENT,
        workers={"processes": 1},
        matching=BY_HASH,
    )
    rounds, slowest, endings = times(24, 4), 0.0, Counter[str]()
    for turn in range(rounds):
        with running(config, state) as daemon:
            time.sleep(chance.choice((chance.uniform(0.3, 2.0), chance.uniform(2.0, 12.0))))
            numbers = chance.choice(((signal.SIGTERM,), (signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)))
            started = time.monotonic()
            for number in numbers:
                daemon.process.send_signal(number)
                time.sleep(0.02)
            code = daemon.process.wait(60)
            slowest = max(slowest, time.monotonic() - started)
        endings["0" if code == 0 else "before it listened" if code < 0 else str(code)] += 1
        assert contents(hot, out) == expected, f"round {turn}"
    assert "Traceback" not in daemon.log.read_text()
    assert slowest <= 10
    assert not endings.keys() - {"0", "before it listened"}, endings
    with running(config, state) as daemon:
        daemon.wait_for(lambda: sum(1 for _ in hot.rglob("*.png")) == files // 2 and daemon.settled(), "it goes on")
        assert daemon.stop()[0] == 0
    assert dedupd("undo", "--all", "--state", state, "--json").json["failed"] == 0
    assert contents(hot) == expected
    assert tiny(0) in expected
    record(rounds, 0, f"{files} queued, {rounds} rounds: slowest exit {slowest:.1f} s, exit codes {dict(endings)}")


@pytest.mark.fault(
    "F54",
    injected="SIGTERM, or SIGINT, every 50 ms of the first four seconds of a start",
    figure="exit <= 10 s 100 %; lost 0",
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_at_any_moment_of_a_start_ends_it_well(
    tmp_path: Path, record: Record, times: Callable[[int, int], int], number: signal.Signals
) -> None:
    hot, out, state = tmp_path / "hot", tmp_path / "out", tmp_path / "state"
    folder: dict[str, object] = {"path": hot, "action": "move", "output": out}
    config = write_config(tmp_path / "c.toml", folder, quality=LENIENT, workers={"processes": 1})
    moments, slowest, endings, log = times(81, 6), 0.0, Counter[str](), ""
    for moment in range(moments):
        for name in ("one", "again", "other"):  # a pair, and one that stays
            put_tiny(hot / f"{moment} {name}.png", 2 * moment + (name == "other"))
        expected = contents(hot, out)
        with running(config, state) as daemon:
            time.sleep(4.0 * moment / (moments - 1))
            heard = listens(daemon.process.pid, number)
            ending, seconds = end_of(daemon.process, number, heard=heard)
        said, log = daemon.log.read_text().removeprefix(log), daemon.log.read_text()
        assert ending == "0" or not heard, f"{ending} at moment {moment}: {said}"
        assert not heard or "Traceback" not in said
        slowest = max(slowest, seconds)
        endings[ending] += 1
        assert contents(hot, out) == expected
    assert slowest <= 10
    assert endings["0"] > moments / 2
    assert dedupd("check", "--deep", "--state", state, "--config", config).code == 0
    forced = log.count("stop in time")  # imports take longer than that on a machine that is very busy
    told = f"{number.name} at {moments} moments: slowest exit {slowest:.1f} s, {forced} by force, ended {dict(endings)}"
    record(moments, 0, told)


def end_of(process: "subprocess.Popen[bytes]", number: signal.Signals, *, heard: bool) -> tuple[str, float]:
    """Send a signal; tell how the process ended, and after how many seconds.

    Until its first line runs, dedupd is a Python that starts. SIGTERM ends that as it ends every process. SIGINT, a key
    pressed on a terminal, makes it stumble over its own imports, or is lost in one; then another one must do.
    """
    started = time.monotonic()
    process.send_signal(number)
    ending = "0"
    if not heard and number is signal.SIGINT:
        try:
            ending = "0" if process.wait(15) == 0 else "by Python, before it ran"
        except subprocess.TimeoutExpired:
            started, ending = time.monotonic(), "by the next, lost by Python before it ran"
            process.send_signal(number)
            assert process.wait(60) == 0
    elif code := process.wait(60):
        ending = "by the signal, before it ran" if code == -number and not heard else f"exit code {code}"
    return ending, time.monotonic() - started
