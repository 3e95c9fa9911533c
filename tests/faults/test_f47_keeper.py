"""F47: the keeper is gone, changed or offline just before its extra moves."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from store.ledger import Verb
from tests.faults.conftest import Record
from tests.faults.racing import meanwhile
from tests.laws.synthetic import NOW_NS, Content
from tests.unit.pipeline.test_planning import House

FATES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "changed": lambda path: path.write_bytes(b"another picture"),
    "offline": lambda path: path.parent.rename(path.parent.with_name("offline")),
}


def forget_what_is_gone(house: House) -> None:
    """Do what a walk does: let go of files that are gone or hold another picture."""
    catalog = house.world.catalog
    known = [file for folder in catalog.folders() for file in catalog.files_in(folder.id) if file.lies_at is None]
    images = {file.id: catalog.image(file.image_id) for file in known}
    gone = [f for f in known if not Path(f.stat.path).exists() or Path(f.stat.path).stat().st_size != f.stat.size]
    assert all(images[file.id].sha256 for file in gone)
    house.world.flow.forget_files(gone, NOW_NS)


@pytest.mark.fault(
    "F47",
    injected="keeper deleted, changed or taken offline at any moment around the move of its extra",
    figure="groups with 0 copies 0",
)
@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("fate", FATES)
def test_a_group_never_ends_without_a_copy(
    far: Path, record: Record, times: Callable[[int, int], int], fate: str
) -> None:
    chance, ends, count = random.Random(fate), Counter[str](), times(300, 10)
    for number in range(count):
        house = House(far / str(number), Verb.MOVE)
        with closing(house.world):
            keeper, extra = house.hot / "best/keeper.jpg", house.hot / "extra.jpg"
            house.put(extra, Content(1, pixels=1, scene=1, detail=1.0))
            house.put(keeper, Content(2, pixels=1, scene=1, detail=2.0))
            pauses = [max(0.0, chance.uniform(-0.003, 0.004))]

            def strike(pauses: list[float] = pauses, keeper: Path = keeper) -> None:
                time.sleep(pauses[0] if pauses else 0.001)
                if pauses:
                    pauses.clear()
                    FATES[fate](keeper)

            with meanwhile(strike):
                refused = house.act()
                while pauses:
                    time.sleep(0.0005)
            ends["refused" if refused else "moved"] += 1
            assert any(path.read_bytes() == b"1" for path in (house.hot.parent).rglob("extra.jpg"))
            forget_what_is_gone(house)
            house.act()
            assert extra.read_bytes() == b"1", "with its keeper gone it is the one to keep"
            assert house.planner.unsettled() == []
    assert ends["refused"] or count < 100, "the keeper always went too late"
    record(
        count, 0, f"{fate}: groups without a copy 0/{count} ({ends['refused']} moves dropped, {ends['moved']} undone)"
    )
