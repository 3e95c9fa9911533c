"""What the rows of the fault matrix share: marks, counts, the record of a run, and the table at the end.

`make test` runs the rows that need no privileges and little time, at small counts. `make faults` sets
DEDUPD_FULL_SWEEP=1: all rows, at the counts that decide; DEDUPD_FAULTS_TABLE names the page that gets the table.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.faults.rows import ROWS, WAITING
from tests.faults.table import Run, for_terminal, summarise, write

_SWEEP = os.environ.get("DEDUPD_FULL_SWEEP", "")  # "1", or "small": every row, at small counts
FULL = _SWEEP == "1"
if FULL:
    os.environ.setdefault("DEDUPD_PATIENCE_SECONDS", "1800")  # ten thousand pictures take a while
_CLONE_NEWNS = 0x20000  # linux/sched.h
_RUNS = pytest.StashKey[list[Run]]()
_RECORD = pytest.StashKey["Record"]()


class Record:
    """What a test reports on its row: how often the fault was injected, what was lost, what was measured."""

    def __init__(self) -> None:
        self.times = self.lost = 0
        self.measured: list[str] = []

    def __call__(self, times: int, lost: int = 0, measured: str = "") -> None:
        """Add to the row; the test itself asserts, before or after."""
        self.times += times
        self.lost += lost
        if measured:
            self.measured.append(measured)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Report on the row: `record(times, lost, "missed 0/1000")`."""
    request.node.stash[_RECORD] = made = Record()
    return made


@pytest.fixture
def times() -> Callable[[int, int], int]:
    """Choose a count: `times(1000, 20)` is 1000 in `make faults` and 20 in `make test`."""
    return lambda full, quick: full if FULL else quick


@pytest.fixture(scope="session")
def private_mounts() -> None:
    """Take this process into a mount namespace of its own: what tests mount is gone with it and seen by nobody."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS):
        pytest.skip(f"no private mounts here: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system than `tmp_path`."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another device than the temporary folder")
    folder = Path(tempfile.mkdtemp(dir=memory, prefix="dedupd-fault-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stand_in() -> Iterator[None]:
    """Replace what needs pixels or torch by pure functions of made-up facts."""
    from tests.laws.synthetic import stand_ins

    with stand_ins():
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold rows to their form; leave what is slow or privileged to `make faults`."""
    later = []
    for item in items:
        mark = item.get_closest_marker("fault")
        if mark is None:
            continue
        if mark.args[0] not in ROWS or mark.args[0] in WAITING or {"injected", "figure"} - mark.kwargs.keys():
            raise pytest.UsageError(f"{item.nodeid}: a fault needs a known row, what is injected, and a figure")
        if "record" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid}: a fault reports by the fixture `record`")
        if not _SWEEP and (item.get_closest_marker("slow") or item.get_closest_marker("privileged")):
            later.append(item)
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot do, and say what is missing."""
    privileged = item.get_closest_marker("privileged")
    needs = item.get_closest_marker("needs")
    tools = [*(privileged.args if privileged else ()), *(needs.args if needs else ())]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if privileged and sys.platform != "linux":
        pytest.skip("uses the means of Linux")
    if privileged and os.geteuid() != 0:
        missing.insert(0, "root")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how a test of a row went."""
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is not None and (report.when == "call" or report.outcome != "passed"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        noted = item.stash.get(_RECORD, None) or Record()
        run = Run(
            row=mark.args[0],
            injected=mark.kwargs["injected"],
            wanted=mark.kwargs["figure"],
            times=noted.times,
            lost=noted.lost,
            measured=tuple(noted.measured),
            outcome=report.outcome,
            reason=reason.removeprefix("Skipped: "),
        )
        item.config.stash.setdefault(_RUNS, []).append(run)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and write it into the page that `make faults` names."""
    runs: list[Run] = config.stash.setdefault(_RUNS, [])
    lines = summarise(runs)
    if not lines:
        return
    terminalreporter.section("fault rows" if FULL else "fault rows, at small counts")
    for text in for_terminal(lines):
        terminalreporter.write_line(text)
    page = os.environ.get("DEDUPD_FAULTS_TABLE")
    if page:
        write(Path(page), lines)
        terminalreporter.write_line(f"Written into {page}.")
