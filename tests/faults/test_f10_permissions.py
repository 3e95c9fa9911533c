"""F10, F51: what the system forbids, for a service that is bound by permissions."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.command import contents, dedupd, running, write_config
from tests.e2e.test_bad_input import BOUND
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.pictures import put_tiny


@pytest.fixture
def bound() -> tuple[str, ...]:
    """The words before a command that make permissions count."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None or subprocess.run([*BOUND, "true"], capture_output=True, check=False).returncode:
        pytest.skip("runs as root, without a way to give up its powers: permissions do not bind root")
    return BOUND


@pytest.mark.fault(
    "F10",
    injected="files and folders without permission, given it later",
    figure="healed 100 %; log lines per file per hour <= 1",
)
@pytest.mark.slow
def test_what_may_not_be_read_heals(tmp_path: Path, record: Record, bound: tuple[str, ...]) -> None:
    hot, state = tmp_path / "hot", tmp_path / "state"
    shut = [put_tiny(hot / f"{number}.png", number) for number in range(5)]
    inside = [put_tiny(hot / f"sub/{number}.png", 100 + number) for number in range(5)]
    put_tiny(hot / "open.png", 1000)
    for path in shut:
        path.chmod(0)
    (hot / "sub").chmod(0)
    config = write_config(tmp_path / "c.toml", {"path": hot}, upkeep={"check_seconds": 1.0, "reconcile_minutes": 0.05})
    with running(config, state, prefix=bound) as daemon:
        daemon.wait_for(lambda: knows(state, hot / "open.png"), "the readable one is known")
        daemon.wait_for(lambda: "ermission" in str(daemon.status()["reasons"]), "the reason is told")
        for path in shut:
            path.chmod(0o644)
        (hot / "sub").chmod(0o755)
        daemon.wait_for(lambda: all(knows(state, path) for path in [*shut, *inside]), "all are known")
        assert daemon.stop()[0] == 0
    lines = Counter(p.name for line in daemon.log.read_text().splitlines() for p in [*shut, *inside] if str(p) in line)
    assert max(lines.values(), default=0) <= 1, lines
    record(10, 0, f"healed 10/10; log lines per file at most {max(lines.values(), default=0)}")


def _pair(folder: Path, seed: int) -> None:
    """Put a picture down twice; one of the two is to leave."""
    put_tiny(folder / f"{seed}.png", seed)
    put_tiny(folder / f"{seed} (1).png", seed)


@pytest.mark.fault(
    "F51",
    injected="read-only folder, sticky folder of another owner, immutable file, read-only mount",
    figure="failed: no permission; retries per hour <= 1",
)
@pytest.mark.privileged("setpriv", "chattr", "mount")
@pytest.mark.usefixtures("private_mounts")
def test_what_may_not_be_moved_stays_and_is_named(tmp_path: Path, record: Record, bound: tuple[str, ...]) -> None:
    hot, out = tmp_path / "hot", tmp_path / "out"
    for number, name in enumerate(("read-only", "sticky", "immutable", "mounted")):
        _pair(hot / name, number)
    _pair(hot / "free", 9)
    (hot / "read-only").chmod(0o555)
    (hot / "sticky").chmod(0o1777)
    for path in (hot / "sticky", *(hot / "sticky").iterdir()):
        os.chown(path, 65534, 65534)
    fixed = all(
        subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode == 0
        for path in (hot / "immutable").iterdir()
    )
    subprocess.run(["mount", "--bind", hot / "mounted", hot / "mounted"], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", hot / "mounted"], check=True)
    before = contents(hot)
    prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-linux_immutable")
    try:
        words = ("scan", hot, "--output", out, "--state", tmp_path / "state", "--action", "move", "--json")
        answers = [dedupd(*words, prefix=prefix) for _ in range(2)]
        for answer in answers:
            assert "Traceback" not in answer.err
        kept = contents(hot)
        gone = before.keys() - kept.keys()
        assert len(gone) == 1 and gone < {"free/9.png", "free/9 (1).png"}, "what is free goes, and nothing else"
        refused = [line for line in answers[0].err.splitlines() if "permission" in line or "read-only" in line]
        assert len(refused) >= (4 if fixed else 3), answers[0].err
        assert all("hot/" in line for line in refused)
    finally:
        subprocess.run(["umount", hot / "mounted"], check=True)
        subprocess.run(["chattr", "-R", "-i", hot], capture_output=True, check=False)
        (hot / "read-only").chmod(0o755)
    assert dedupd("check", "--state", tmp_path / "state", "--json").json["ok"]
    record(4 if fixed else 3, 0, f"{len(refused)} refused by name and reason; nothing of theirs moved")
