"""F04, F06, F10: inotify runs out, mounts come and go, folders cannot be read. In namespaces and users of their own.

The cases are in `tests.integration.watched`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults.conftest import Record
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify and namespaces are Linux")
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")


def apart(case: str, folder: Path, *wrapper: str) -> None:
    """Run a case in a process of its own, in the namespaces that the wrapper makes."""
    if wrapper and subprocess.run([*wrapper, "true"], capture_output=True).returncode != 0:
        pytest.skip(f"{wrapper[0]} is not allowed here")
    arguments = [*wrapper, sys.executable, "-m", "tests.integration.watched", case, str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    folder = tmp_path / "hot"
    folder.mkdir()
    return folder


@pytest.mark.fault(
    "F04",
    injected="20 watches for 60 folders, at the start and later; no instance left",
    figure="missed 0/60 in one poll; 1 warning",
)
@pytest.mark.parametrize("case", ["watches_too_few", "watches_run_out", "instances_run_out"])
def test_a_limit_of_inotify(case: str, hot: Path, record: Record) -> None:
    apart(case, hot, *NAMESPACES)
    record(1, 0, f"{case.replace('_', ' ')}: missed 0/{1 if 'instances' in case else 60}, 1 warning with its sysctl")


@pytest.mark.fault("F06", injected="mounted over and unmounted again, lazily, while it is watched", figure="missed 0")
def test_a_mount_over_a_watched_folder(hot: Path, record: Record) -> None:
    apart("mounted_over", hot, *NAMESPACES)
    record(1)


@pytest.mark.fault("F10", injected="folders without permission, which heal", figure="healed 100 %")
def test_folders_that_become_readable(record: Record) -> None:
    with tempfile.TemporaryDirectory() as shared:  # the folders of `tmp_path` are closed to others
        Path(shared).chmod(0o777)
        apart("folders_become_readable", Path(shared))
    record(2, 0, "healed 2/2")
