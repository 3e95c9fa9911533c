"""The books of the soak are right, its slopes are slopes, and its table lands where it belongs."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.books import Balance, Books, digest, found_in
from tests.faults.gauges import slope_per_hour
from tests.faults.mischief import Mischief
from tests.faults.soak import BEGIN, END, Figure, put_between, table
from tests.faults.supply import Supply
from tests.faults.upheavals import tracebacks
from tests.faults.village import Village


def test_books_tell_what_is_lost_missing_doubled_and_foreign() -> None:
    books = Books()
    for content in (b"lost", b"two", b"two", b"twice", b"deleted", b"fine"):
        books.put(content)
    books.taken(b"deleted")
    there = Counter({digest(content): 1 for content in (b"two", b"fine", b"half")}) + Counter({digest(b"twice"): 2})
    assert books.balance(there) == Balance(
        lost={digest(b"lost"): 1},
        missing={digest(b"two"): 1},
        doubled={digest(b"twice"): 1},
        foreign={digest(b"half"): 1},
    )
    assert books.totals == (5, 6, 1)


def test_a_copy_that_outlives_its_deletion_is_no_loss_and_not_foreign() -> None:
    books = Books()
    books.put(b"a")
    books.taken(b"a")
    assert books.balance(Counter({digest(b"a"): 1})) == Balance({}, {}, {digest(b"a"): 1}, {})
    assert books.balance(Counter()) == Balance({}, {}, {}, {})


def test_files_are_found_wherever_they_are_and_own_notes_are_none(tmp_path: Path) -> None:
    for name, content in (("a/1.jpg", b"x"), ("b/c/2.jpg", b"x"), ("b/.hidden.part", b"y"), ("b/.dedupd-folder", b"z")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = found_in([tmp_path / "a", tmp_path / "b", tmp_path / "nowhere"])
    assert {sha: len(paths) for sha, paths in found.items()} == {digest(b"x"): 2, digest(b"y"): 1}


def test_a_slope_ignores_a_burst() -> None:
    flat = [(float(t), 100.0 + (500.0 if 40 <= t < 50 else 0.0)) for t in range(0, 600, 2)]
    assert slope_per_hour(flat) == 0
    assert slope_per_hour([(t, high + t / 60) for t, high in flat]) == pytest.approx(60)
    assert slope_per_hour(flat[:1]) == 0


@pytest.fixture(scope="module")
def supply(tmp_path_factory: pytest.TempPathFactory) -> Supply:
    made = Supply(tmp_path_factory.mktemp("album"), seed=3, originals=6)
    made.archive(1)
    return made


def test_whatever_happens_to_folders_is_in_the_books(tmp_path: Path, supply: Supply) -> None:
    village, books = Village(tmp_path / "base", disks=False), Books()
    mischief = Mischief(village, supply, books)
    mischief._weights["arrive_slowly"] = 0  # it takes its time
    for step in range(150):
        mischief.one(random.Random(step))
    mischief.finish()
    assert len(mischief.done) > 10
    found = Counter({sha: len(paths) for sha, paths in found_in(village.places).items()})
    assert books.balance(found) == Balance({}, {}, {}, {})
    victim = mischief.files()[0]
    content = Path(victim).read_bytes()
    Path(victim).unlink()  # by somebody else
    balance = books.balance(found - Counter([digest(content)]))
    assert digest(content) in {**balance.lost, **balance.missing}
    assert mischief.findings == []


def test_a_slow_writer_is_in_the_books_and_hears_of_a_file_taken_from_it(
    tmp_path: Path, supply: Supply, monkeypatch: pytest.MonkeyPatch
) -> None:
    village, books = Village(tmp_path / "base", disks=False), Books()
    mischief, slow = Mischief(village, supply, books), village.homes[0].hot / "slow"
    mischief._write_slowly(str(slow / "1.jpg"), b"12345", [0.0, 0.0, 0.0], keep_open=False)
    mischief._write_slowly(str(slow / "2.jpg"), b"12345", [0.0, 0.0], keep_open=True)
    assert books.balance(Counter({digest(b"12345"): 2})) == Balance({}, {}, {}, {})

    def take_it(_seconds: float) -> None:
        assert (slow / "3.jpg").stat().st_size == 4
        (slow / "3.jpg").rename(village.homes[0].quarantine.parent / "3.jpg")

    monkeypatch.setattr("tests.faults.mischief.time.sleep", take_it)
    mischief._write_slowly(str(slow / "3.jpg"), b"123456", [0.5, 0.5], False)
    assert len(mischief.findings) == 1


def test_the_table_lands_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", "utf-8")
    put_between(page, table([Figure("lost", "0", "1", False), Figure("acts", "", "7")], "Today: 1 finding."))
    text = page.read_text("utf-8")
    assert "old" not in text
    assert text.startswith(f"Before.\n\n{BEGIN}\n\nToday: 1 finding.\n\n| figure |")
    assert "| lost | 0 | 1 | FAILS |\n| acts |  | 7 |  |\n" in text
    assert text.endswith(f"{END}\n\nAfter.\n")
    page.write_text("no marks", "utf-8")
    with pytest.raises(ValueError, match="no place"):
        put_between(page, [])


def test_a_traceback_in_a_log_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"event": "fine"}\n{"exception": "Traceback (most …"}\n', "utf-8")
    assert len(tracebacks(tmp_path / "log")) == 1
