"""F29: the real command, killed with all its processes' work under way, and run again."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import contents, dedupd, verdicts
from tests.faults.conftest import Record
from tests.gallery import Album

CALLS = {"pwrite64": (3, 61), "fsync": (2, 17), "renameat2": (1, 3), "unlink": (1, 9)}  # first point, stride


def whole(*folders: Path) -> Counter[str]:
    """Count pictures by content, wherever they lie."""
    seen = (found for folder in folders if folder.exists() for found in contents(folder).items())
    return Counter(sha256 for name, (sha256, _) in seen if name.endswith((".jpg", ".png", ".webp", ".bmp", ".JPG")))


def scan(base: Path, *prefix: str) -> int:
    """Scan with moves; return the exit code."""
    words = ("scan", base / "in", "--output", base / "out", "--state", base / "state", "--action", "move")
    return dedupd(*words, prefix=prefix).code


@pytest.mark.fault(
    "F29",
    injected="SIGKILL at system calls of a whole scan that moves",
    figure="lost 0; ends like an undisturbed scan",
)
@pytest.mark.needs("strace")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_scan_run_again_ends_like_an_undisturbed_one(
    drawn_few: Album, tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    before = contents(drawn_few.folder)

    def fresh(name: str) -> Path:
        shutil.copytree(drawn_few.folder, tmp_path / name / "in")
        return tmp_path / name

    def told(base: Path) -> object:
        log = base / "out/cleaning_log.json"
        return verdicts(log, base / "in") if log.exists() else None

    def ending(base: Path) -> object:
        return contents(base / "in"), whole(base / "out")

    assert scan(fresh("undisturbed")) == 0
    undisturbed, everything = tmp_path / "undisturbed", whole(drawn_few.folder)
    killed: Counter[str] = Counter()
    for call, (first, stride) in CALLS.items():
        for number in range(times(10, 1)):
            base = fresh(f"{call}-{number}")
            strike = f"inject={call}:signal=KILL:when={first + number * stride}"
            code = scan(base, "strace", "-f", "-qq", "-o", "/dev/null", "-e", strike)
            assert whole(base / "in", base / "out") >= everything, f"{call} {number}"
            at_first = told(base)  # whole already, if it was killed while it tidied up
            assert scan(base) == 0
            assert told(undisturbed) in (at_first, told(base)), f"{call} {number}"
            assert ending(base) == ending(undisturbed), f"{call} {number}"
            assert dedupd("check", "--deep", "--state", base / "state", "--json").json["ok"]
            assert dedupd("undo", "--all", "--state", base / "state", "--json").json["failed"] == 0
            assert contents(base / "in") == before
            shutil.rmtree(base)
            if code == 0:
                break  # it makes no more such calls
            killed[call] += 1
    assert killed
    record(killed.total(), 0, f"killed at {dict(killed)}")
