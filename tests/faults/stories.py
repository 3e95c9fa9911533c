"""What is going on when a fault strikes: short stories over real files, told from the beginning.

python -m tests.faults.stories STORY BASES FARS SPEC…    (see `tests.faults.strike`)
"""

import os
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from daemon.config import ActionPolicy, Settings
from daemon.session import Session
from daemon.state import StateFolder
from pipeline.actions import recover
from pipeline.flow import Seen
from pipeline.planning import FolderPlan
from store.database import open_database, sqlite3
from store.errors import DedupdError
from store.ledger import Verb
from store.records import FileStat
from tests.faults.moving import MTIME_NS, ROOT, moves, moves_in_spite
from tests.faults.strike import sweep
from tests.laws.synthetic import NOW_NS, Content, stand_ins
from tests.unit.pipeline.test_planning import House

# -- a house: admission, verdicts, moves, a better copy that frees a file, snapshot ------------------------------------

HOUSE = {  # path in the hot folder → its made-up content, whose number is in the bytes
    "one.jpg": Content(1, pixels=1, scene=1, detail=2.0),
    "sub/two.jpg": Content(2, pixels=2, scene=1, detail=1.0),
    "three.jpg": Content(3, pixels=1, detail=1.0, hashable=False, direction=5),
    "night.jpg": Content(4, pixels=4, dark=True),
    "five.jpg": Content(5, pixels=5, scene=1, detail=3.0),  # better than one, and no match of three
    "six.jpg": Content(6, pixels=6, scene=2, direction=3),
}
_CHAPTERS = (("one.jpg", "sub/two.jpg", "three.jpg", "night.jpg"), ("five.jpg", "six.jpg"))


def lay_out_house(template: Path) -> None:
    """Put the pictures of `house` down."""
    for name, picture in HOUSE.items():
        path = template / "hot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(picture.number).encode())
        os.utime(path, ns=(MTIME_NS, MTIME_NS + picture.number))


def open_house(base: Path, far: Path) -> House:
    """Open the house; its quarantine is on the other file system."""
    made = House(base, Verb.MOVE)
    made.quarantine = far / "quarantine"
    plan = FolderPlan(str(made.hot), Verb.MOVE, str(made.quarantine))
    made.plans = {made.ids[made.hot]: plan}
    return made


def admit(house: House, names: tuple[str, ...]) -> None:
    """Admit files of the hot folder in one batch."""
    batch = []
    for name in names:
        path = house.hot / name
        measured = HOUSE[name].measured(str(path), 1)
        stat = FileStat.of(str(path), path.lstat())
        batch.append(Seen(house.ids[house.hot], replace(measured, stat=stat)))
    house.world.flow.admit(batch, NOW_NS)


def house(base: Path, far: Path) -> None:
    """Live a day: two batches, each followed by moves, then a snapshot of the index."""
    with stand_ins():
        made = open_house(base, far)
        with closing(made.world):
            for names in _CHAPTERS:
                admit(made, names)
                made.act()
                made.world.flow.snapshot()


def restart(base: Path, far: Path) -> House:
    """Begin again as the service does: recover, adopt, walk, act, snapshot. Close its world."""
    made = open_house(base, far)
    recover(made.ledger, NOW_NS)
    made.planner.adopt_finished()
    walked = {str(path.relative_to(made.hot)) for path in made.hot.rglob("*.jpg")}
    known = {name for name in walked if made.world.catalog.file(str(made.hot / name)) is not None}
    if walked - known:
        admit(made, tuple(sorted(walked - known)))
    made.act()
    made.world.flow.snapshot()
    return made


# -- the same with the session of the service, which lives on after an error ------------------------------------------


def service_in_spite(base: Path, far: Path) -> None:
    """Carry the hot folder through as the service does, trying again after an error, without a restart."""
    settings = Settings(actions=ActionPolicy(min_free_mb=0))
    refused = (DedupdError, sqlite3.Error, OSError)
    with suppress(*refused), stand_ins(), Session(StateFolder(base / "state"), settings, lambda: NOW_NS) as session:
        for _ in range(4):
            with suppress(*refused):
                _catch_up(session, base / "hot", far / "quarantine")
        (base / "lived on").touch()
        assert session.ledger.unfinished() == []


def _catch_up(session: Session, hot: Path, quarantine: Path) -> None:
    session.finish_interrupted()
    folder = session.catalog.put_folder(str(hot), protected=False)
    batch = []
    for name, picture in HOUSE.items():
        path = hot / name
        if path.exists() and session.catalog.file(str(path)) is None:
            stat = FileStat.of(str(path), path.lstat())
            batch.append(Seen(folder.id, replace(picture.measured(str(path), 1), stat=stat)))
    session.flow.admit(batch, NOW_NS)
    session.act({folder.id: FolderPlan(str(hot), Verb.MOVE, str(quarantine))})
    session.flow.snapshot()


# -- a migration -------------------------------------------------------------------------------------------------------


def lay_out_migration(template: Path) -> None:
    """Put down a catalog in its first format, with a folder in it."""
    connection = sqlite3.connect(template / "catalog.sqlite3", isolation_level=None)
    connection.executescript(next((ROOT / "store/migrations").glob("0001_*.sql")).read_text())
    connection.execute("PRAGMA user_version=1")
    connection.execute("INSERT INTO folders (path) VALUES (?)", (b"/hot",))
    connection.close()


def migrate(base: Path, _far: Path) -> None:
    """Open it with the dedupd of today."""
    open_database(base / "catalog.sqlite3").close()


STORIES = {story.__name__: story for story in (moves, moves_in_spite, house, service_in_spite, migrate)}

if __name__ == "__main__":
    sweep(STORIES[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
