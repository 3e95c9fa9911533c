"""Fixtures for the tests of actions."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pipeline.room import Room


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system."""
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another device than the temporary folder")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="dedupd-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["same device", "other device"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Give a room; once with the quarantine beside the folder and once across file systems."""
    if request.param == "same device":
        return Room(tmp_path)
    return Room(tmp_path, request.getfixturevalue("memory") / "quarantine")


@pytest.fixture
def near(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Give a folder of a user whom permissions bind, and be that user."""
    base = Path(tempfile.mkdtemp(prefix="dedupd-test-"))
    root = os.geteuid() == 0
    if root:
        os.chown(base, 65534, 65534)
        os.seteuid(65534)
    yield base
    if root:
        os.seteuid(0)
    for folder in base.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(base)
