"""F45: the target's name is taken, also by someone who takes it in the same moment."""

import errno
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import syscalls
from pipeline.actions import undo
from tests.faults.conftest import Record
from tests.faults.racing import meanwhile
from tests.unit.pipeline.room import Room


class Stranger:
    """Take the very names that are about to be used."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.folder, self.pattern = folder, pattern
        folder.mkdir(parents=True, exist_ok=True)
        self.current = 0
        self.taken: list[Path] = []
        self.varied = itertools.cycle((self.pattern, "{} (2).jpg"))

    def __call__(self) -> None:
        path = self.folder / next(self.varied).format(self.current)
        with path.open("xb") as file:
            file.write(b"a stranger")
        self.taken.append(path)


@pytest.mark.fault(
    "F45", injected="a stranger creates the target's name in the same moment", figure="overwritten 0/1,000"
)
@pytest.mark.parametrize("exclusive", [True, False], ids=["renameat2", "link and unlink"])
def test_no_name_is_ever_overwritten(
    tmp_path: Path,
    far: Path,
    record: Record,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    exclusive: bool,
) -> None:
    if not exclusive:
        monkeypatch.setattr(syscalls, "_native_rename", lambda *_: errno.EINVAL)
    room, count = Room(far), times(250, 20)
    out = Stranger(room.quarantine / "duplicates", "{}.jpg")
    entries = []
    with meanwhile(out):
        for out.current in range(count):
            entries.append(room.move(room.file(f"{out.current}.jpg", b"mine %d" % out.current)))
    assert [Path(entry.target).read_bytes() for entry in entries] == [b"mine %d" % n for n in range(count)]
    back = Stranger(room.home, "{}.jpg")
    homes = []
    with meanwhile(back):
        for back.current, entry in enumerate(entries):
            homes.append(undo(entry, room.ledger, 2_000))
    assert [Path(str(home)).read_bytes() for home in homes] == [b"mine %d" % n for n in range(count)]
    taken = [*out.taken, *back.taken]
    assert {path.read_bytes() for path in taken} == {b"a stranger"}
    beaten = sum(Path(e.target).name != f"{n}.jpg" for n, e in enumerate(entries))
    beaten += sum(Path(str(home)).name != f"{n}.jpg" for n, home in enumerate(homes))
    record(2 * count, 0, f"overwritten 0/{2 * count}; the stranger was first {beaten} times")
