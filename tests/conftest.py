"""What many tests share: one album a worker, drawn once, and one scan of it; how hypothesis draws."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.gallery import Album, write_album

# `make test` gives one answer for one tree: the same examples each time, and no limit that a busy machine could miss.
# Every full sweep draws anew.
settings.register_profile(
    "dedupd",
    deadline=None,
    derandomize="DEDUPD_FULL_SWEEP" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dedupd")


@pytest.fixture(scope="session")
def drawn_album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    """The whole album, to be read only."""
    return write_album(tmp_path_factory.mktemp("drawn") / "album")


@pytest.fixture(scope="session")
def drawn_few(tmp_path_factory: pytest.TempPathFactory) -> Album:
    """The beginning of the album, a few families, to be read only."""
    return write_album(tmp_path_factory.mktemp("few") / "album", originals=4)


@pytest.fixture
def lay_out(tmp_path: Path) -> Callable[[Album, str], Album]:
    """Lay a copy of an album out in this test's own folder, times included."""

    def copy(album: Album, name: str) -> Album:
        shutil.copytree(album.folder, tmp_path / name)
        return Album(tmp_path / name, album.files)

    return copy
