"""What many tests share: one album a worker, drawn once, and one scan of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gallery import Album, write_album


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
