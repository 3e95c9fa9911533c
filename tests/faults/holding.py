"""What must hold after a fault, whatever it was: the laws, looked up on the disk."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipeline.actions import recover, undo_many
from store.ledger import EntryState, Ledger
from store.records import VerdictKind
from store.vectors import VectorIndex
from tests.faults.moving import MOVES, MTIME_NS, content, open_ledger
from tests.faults.stories import HOUSE, house, lay_out_house, restart
from tests.laws.synthetic import DIMENSION, FakeEmbedder

MANIFEST = ".dedupd-manifest.jsonl"


def files(*folders: Path) -> list[Path]:
    """List the files below folders, the quarantine's manifest aside."""
    found = (path for folder in folders for path in folder.rglob("*"))
    return [path for path in found if path.is_file() and path.name != MANIFEST]


def hold_moves(base: Path, far: Path) -> None:
    """Recover, then hold the laws: one intact copy of every file, nothing else, and all of it can come home."""
    ledger = open_ledger(base / "ledger.db")
    recover(ledger, 3_000)
    assert recover(ledger, 4_000) == []
    hold_integrity(ledger)
    home, quarantine = base / "home", base / "quarantine"
    at_home = {str(path.relative_to(home)) for path in files(home)}
    done = ledger.entries(state=EntryState.DONE)
    assert set(files(quarantine, far)) == {Path(entry.target) for entry in done}, base
    left = {entry.source for entry in done if entry.verb == "move"}
    assert at_home == {name for _, _, name in MOVES if str(home / name) not in left}, base
    assert [outcome.error for outcome in undo_many(done, ledger, 5_000)] == [""] * len(done)
    for _, _, name in MOVES:
        path = home / name
        assert path.read_bytes() == content(name), base
        assert (path.stat().st_mtime_ns, path.stat().st_mode & 0o7777) == (MTIME_NS, 0o640), base
    assert len(files(home, quarantine, far)) == len(MOVES), base


def hold_integrity(ledger: Ledger) -> None:
    """Hold that SQLite finds nothing wrong."""
    assert ledger._database.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def hold_all(bases: Path, fars: Path, hold: Callable[[Path, Path], None]) -> int:
    """Hold something at every point of a `strike`; return how many there are."""
    folders = [folder for folder in bases.iterdir() if folder.name != "template"]
    for base in folders:
        hold(base, fars / base.name)
    return len(folders)


def told(points: dict[str, int]) -> str:
    """Say how many points each call had."""
    return "points: " + ", ".join(f"{number} {call}" for call, number in points.items())


Ending = tuple[dict[str, str], dict[str, VerdictKind]]  # place → number in the bytes, name → verdict


def house_ending(base: Path, far: Path) -> Ending:
    """Return where everything in a house lies, and the verdicts that its restart gives."""
    places: dict[str, str] = {}
    for name, root in (("hot", base / "hot"), ("quarantine", far / "quarantine")):
        places |= {f"{name}/{path.relative_to(root)}": path.read_text() for path in files(root)}
    with closing(restart(base, far).world) as world:
        return places, {Path(path).name: verdict for path, verdict in world.stored().items()}


def undisturbed_house(base: Path, far: Path) -> Ending:
    """Return the ending of a house that nothing strikes."""
    lay_out_house(base)
    house(base, far)
    ending = house_ending(base, far)
    assert len(ending[0]) == len(HOUSE)
    assert any(place.startswith("quarantine/") for place in ending[0])
    return ending


def hold_house(base: Path, far: Path, ending: Ending) -> None:
    """Hold that nothing is lost, and that a restart ends where an undisturbed house does."""
    snapshot = base / f"state/vectors/{FakeEmbedder.model_id}.index"
    if snapshot.exists():
        VectorIndex.restore(snapshot, DIMENSION, FakeEmbedder.model_id)  # raises if it is not whole
    numbers = {path.read_text() for path in files(base / "hot", far / "quarantine") if path.suffix == ".jpg"}
    assert numbers >= {str(picture.number) for picture in HOUSE.values()}, "before anyone repairs anything"
    restart(base, far).world.close()
    assert house_ending(base, far) == ending, base
    with closing(restart(base, far).world) as world:
        ledger = Ledger(world.catalog.database)
        hold_integrity(ledger)
        assert ledger.unfinished() == []
        index = world.flow.knowledge.indexes.vectors
        assert len(index) == world.catalog.count_embeddings(FakeEmbedder.model_id)
