"""A session over a real state folder, real files, and made-up contents where only pixels could tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.config import Settings
from daemon.folders import HotFolder, look
from daemon.session import Session
from daemon.settle import SettleSettings
from daemon.state import StateFolder
from pipeline.flow import Seen
from store.records import CatalogFile, FileStat, Folder
from tests.laws.synthetic import Content, stand_ins

SETTLE_SECONDS = 2.0
START_NS = 1_800_000_000 * 10**9


@dataclass(slots=True)
class Clock:
    """The wall clock of a session."""

    now_ns: int = START_NS

    def __call__(self) -> int:
        """Tell the time."""
        return self.now_ns


@contextmanager
def opened(
    folder: Path, *hot: HotFolder, clock: Clock | None = None, settings: Settings | None = None
) -> Iterator[Session]:
    """Open a session with these hot folders; its flow runs on made-up contents."""
    chosen = replace(settings or Settings(), hot_folder=hot, settle=SettleSettings(SETTLE_SECONDS))
    with stand_ins(), Session(StateFolder(folder / "state"), chosen, clock or Clock()) as session:
        yield session


def put(path: Path, content: bytes = b"x") -> FileStat:
    """Write a file and return what the disk says of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    stat = look(str(path))
    assert stat is not None
    return stat


def know(session: Session, folder: Folder, stat: FileStat, content: Content) -> CatalogFile:
    """Let the flow admit a file of the disk as if its bytes were this content."""
    measured = replace(content.measured(stat.path, stat.mtime_ns), stat=stat)
    session.flow.admit([Seen(folder.id, measured)], session.clock_ns())
    file = session.catalog.file(stat.path)
    assert file is not None
    return file


def distinct(number: int) -> Content:
    """Return a content that matches no other of these (as long as numbers are below 64)."""
    return Content(number, hashable=False, pixels=number, direction=number % 6, degrees=(number * 7) % 90, scene=0)
