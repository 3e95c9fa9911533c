"""The ledger: durable, append-only, one allowed way through its states."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from store.database import sqlite3
from store.errors import CatalogError
from store.ledger import EntryState, Ledger, LedgerEntry, Plan, Verb
from store.records import VerdictKind

MIGRATION = Path(__file__).parents[3] / "store/migrations/0002_ledger.sql"


def open_ledger(path: Path | str) -> Ledger:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    database = Database(connection)
    database.executescript(MIGRATION.read_text())
    return Ledger(database)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "ledger.db")


def a_plan(name: str = "a.jpg", batch: int = 1, verdict: VerdictKind = VerdictKind.DUPLICATE) -> Plan:
    return Plan(
        batch=batch,
        verb=Verb.MOVE,
        source=f"/hot/{name}",
        target=f"/quarantine/duplicates/{name}",
        sha256=bytes(range(32)),
        size=123,
        mtime_ns=1_600_000_000_123_456_789,
        mode=0o640,
        verdict=verdict,
        reason="the same bytes",
        keeper="/hot/keeper.jpg",
        folder_root="/hot",
        quarantine_root="/quarantine",
    )


def done(ledger: Ledger, plan: Plan) -> LedgerEntry:
    return ledger.finish(ledger.plan(plan, 10).id, 20)


def test_an_entry_goes_from_plan_to_undone(ledger: Ledger) -> None:
    entry = ledger.plan(a_plan(), 10)
    assert (entry.state, entry.planned_ns, entry.finished_ns, entry.unfinished) == (EntryState.PLANNED, 10, None, True)
    entry = ledger.place(entry.id, "/quarantine/duplicates/a (2).jpg", 77)
    assert (entry.target, entry.inode) == ("/quarantine/duplicates/a (2).jpg", 77)
    entry = ledger.finish(entry.id, 20, "owner")
    assert (entry.state, entry.finished_ns, entry.not_kept, entry.unfinished) == (EntryState.DONE, 20, "owner", False)
    entry = ledger.plan_undo(entry.id, "/hot/a.jpg", 77)
    assert (entry.state, entry.restored, entry.unfinished) == (EntryState.UNDOING, "/hot/a.jpg", True)
    entry = ledger.mark_undone(entry.id, "/hot/a.jpg", 30)
    assert (entry.state, entry.undone_ns, entry.planned_ns, entry.finished_ns) == (EntryState.UNDONE, 30, 10, 20)


def test_what_was_planned_is_read_back_as_it_was(ledger: Ledger) -> None:
    plan = a_plan()
    entry = ledger.plan(plan, 10)
    assert {name: getattr(entry, name) for name in Plan.__slots__} == {
        name: getattr(plan, name) for name in Plan.__slots__
    }


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_any_name_survives(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    ledger = open_ledger(":memory:")
    entry = ledger.plan(a_plan(text), 1)
    assert entry.source == f"/hot/{text}"
    assert ledger.by_source(entry.source) == ledger.by_target(entry.target) == [entry]


@pytest.mark.parametrize("finish", ["fail", "abandon"])
def test_a_failed_entry_says_why_and_stays(ledger: Ledger, finish: str) -> None:
    entry = getattr(ledger, finish)(ledger.plan(a_plan(), 1).id, "no space is left", 2)
    assert (entry.error, entry.finished_ns, entry.unfinished) == ("no space is left", 2, False)
    assert entry.state in (EntryState.FAILED, EntryState.ABANDONED)


def test_an_undo_that_fails_leaves_the_entry_done(ledger: Ledger) -> None:
    entry = done(ledger, a_plan())
    ledger.plan_undo(entry.id, "/hot/a.jpg", 5)
    entry = ledger.cancel_undo(entry.id, "no permission")
    assert (entry.state, entry.restored, entry.error) == (EntryState.DONE, None, "no permission")


def test_a_wrong_step_is_refused(ledger: Ledger) -> None:
    entry = done(ledger, a_plan())
    with pytest.raises(CatalogError, match=f"action {entry.id} is done, not planned"):
        ledger.finish(entry.id, 30)
    with pytest.raises(CatalogError, match="is done"):
        ledger.place(entry.id, "/quarantine/else.jpg", 1)
    ledger.mark_undone(entry.id, None, 30)
    with pytest.raises(CatalogError, match="is undone"):
        ledger.mark_undone(entry.id, None, 40)
    assert ledger.entry(entry.id).undone_ns == 30


def test_an_unknown_id_is_refused(ledger: Ledger) -> None:
    with pytest.raises(CatalogError, match="no action 99"):
        ledger.entry(99)
    with pytest.raises(CatalogError, match="no action 99"):
        ledger.finish(99, 1)


def test_steps_inside_a_transaction_are_refused(ledger: Ledger) -> None:
    connection = ledger._database.conn
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogError, match="would not be durable"):
        ledger.plan(a_plan(), 1)
    connection.execute("ROLLBACK")
    assert ledger.entries() == []


def test_every_step_is_seen_by_another_connection_at_once(tmp_path: Path, ledger: Ledger) -> None:
    other = sqlite3.connect(tmp_path / "ledger.db")

    def state() -> str:
        return str(other.execute("SELECT state FROM ledger").fetchone()[0])

    entry = ledger.plan(a_plan(), 1)
    assert state() == "planned"
    ledger.finish(entry.id, 2)
    assert state() == "done"
    ledger.plan_undo(entry.id, None, None)
    assert state() == "undoing"
    ledger.mark_undone(entry.id, None, 3)
    assert state() == "undone"


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM ledger", "UPDATE ledger SET source = x'00'", "UPDATE ledger SET sha256 = zeroblob(32)"],
)
def test_the_database_itself_refuses_to_forget(ledger: Ledger, statement: str) -> None:
    entry = done(ledger, a_plan())
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        ledger._database.conn.execute(statement)
    assert ledger.entries() == [entry]


def test_entries_are_filtered_newest_first(ledger: Ledger) -> None:
    first = done(ledger, a_plan("a.jpg", batch=1))
    second = done(ledger, a_plan("b.jpg", batch=2, verdict=VerdictKind.BLUR))
    third = ledger.plan(a_plan("c.jpg", batch=2), 1)
    assert ledger.entries() == [third, second, first]
    assert ledger.entries(batch=2) == [third, second]
    assert ledger.entries(batch=2, state=EntryState.DONE) == [second]
    assert ledger.entries(verdict=VerdictKind.BLUR) == [second]
    assert ledger.entries(after_id=first.id, limit=1) == [third]
    assert ledger.unfinished() == [third]
    assert ledger.counts()[EntryState.DONE] == 2
    assert sum(ledger.counts().values()) == 3


def test_the_last_batch_is_the_newest_that_can_be_undone(ledger: Ledger) -> None:
    assert (ledger.last_batch(), ledger.next_batch()) == (None, 1)
    done(ledger, a_plan("a.jpg", batch=1))
    entry = done(ledger, a_plan("b.jpg", batch=2))
    ledger.fail(ledger.plan(a_plan("c.jpg", batch=3), 1).id, "gone", 2)
    assert (ledger.last_batch(), ledger.next_batch()) == (2, 4)
    ledger.mark_undone(entry.id, None, 9)
    assert ledger.last_batch() == 1
