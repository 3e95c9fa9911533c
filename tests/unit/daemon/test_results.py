"""What a run found: counts, log entries, and what the report shows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.results import Results, build_report, collect
from daemon.session import Session
from pipeline.planning import FolderPlan
from store.ledger import Verb
from store.records import Folder, Level, VerdictKind
from tests.laws.synthetic import Content
from tests.unit.daemon.opened import START_NS, distinct, know, opened, put


class Album:
    """Two folders with every kind of thing in them."""

    def __init__(self, session: Session, home: Path) -> None:
        self.session = session
        self.home = home
        self.hot = session.catalog.put_folder(str(home / "hot"), protected=False)
        self.archive = session.catalog.put_folder(str(home / "archive"), protected=True)
        best = Content(1, pixels=1, direction=0, detail=2.0)
        self.add(self.hot, "best.jpg", best)
        self.add(self.hot, "same bytes.jpg", best)
        self.add(self.hot, "sub/same pixels.jpg", replace(best, number=2, detail=1.0))
        self.add(self.hot, "alone.jpg", distinct(10))
        self.add(self.hot, "dark.jpg", Content(11, pixels=11, direction=3, dark=True))
        old = Content(12, pixels=12, hashable=False, direction=4)
        self.add(self.archive, "old.jpg", old)
        self.add(self.hot, "new.jpg", replace(old, number=13, detail=9.0))

    def add(self, folder: Folder, name: str, content: Content) -> None:
        know(self.session, folder, put(Path(folder.path) / name, name.encode()), content)

    def collect(self, *folders: Folder) -> Results:
        return collect(self.session.catalog, self.session.flow.judge, folders or (self.hot,))

    def name(self, path: str | None) -> str | None:
        return path and path.removeprefix(f"{self.home}/")


@pytest.fixture
def album(tmp_path: Path) -> Iterator[Album]:
    with opened(tmp_path) as session:
        yield Album(session, tmp_path)


def test_the_summary_is_the_contracts(album: Album) -> None:
    assert album.collect().summary() == {
        "files": 6,
        "images": 5,
        "kept": 2,
        "rejected": {"blur": 0, "dark": 1, "bright": 0, "corrupt": 0},
        "duplicates": 3,
        "similar": 0,
        "groups": 2,
    }


def test_every_file_has_one_entry_in_order(album: Album) -> None:
    entries = list(album.collect().log_entries())
    found = {album.name(e.verdict.path): (e.verdict.kind, album.name(e.verdict.keeper)) for e in entries}
    assert list(found) == sorted(found, key=str)
    assert found == {
        "hot/best.jpg": (VerdictKind.KEEP, None),
        "hot/same bytes.jpg": (VerdictKind.DUPLICATE, "hot/best.jpg"),
        "hot/sub/same pixels.jpg": (VerdictKind.DUPLICATE, "hot/best.jpg"),
        "hot/alone.jpg": (VerdictKind.KEEP, None),
        "hot/dark.jpg": (VerdictKind.DARK, None),
        "hot/new.jpg": (VerdictKind.DUPLICATE, "archive/old.jpg"),
    }
    assert all((e.scores is not None, e.action, e.target) == (True, "none", None) for e in entries)


def test_a_file_that_could_not_be_read_is_kept_and_named(album: Album) -> None:
    path = str(album.home / "hot/broken disk.jpg")
    album.session.arrivals.fail(path, album.hot.id, "unreadable: I/O error", START_NS, lambda attempts: 1.0)
    album.session.arrivals.add([(str(album.home / "hot/under way.jpg"), album.hot.id)], START_NS)
    results = album.collect()
    assert results.unread == [(path, "unreadable: I/O error")]
    assert results.summary()["files"] == 7
    assert results.summary()["kept"] == 3
    (entry,) = [e for e in results.log_entries() if e.verdict.path == path]
    assert entry.verdict.kind is VerdictKind.KEEP
    assert "I/O error" in entry.verdict.reason


def test_only_the_files_that_are_asked_for(album: Album) -> None:
    assert album.collect(album.archive).summary()["files"] == 1
    assert album.collect(album.hot, album.archive).summary()["files"] == 7
    catalog, judge = album.session.catalog, album.session.flow.judge
    some = collect(catalog, judge, [album.hot], lambda file: "best" in file.stat.path)
    assert [album.name(r.file.stat.path) for r in some.files] == ["hot/best.jpg"]


def test_the_report_shows_groups_under_their_keepers(album: Album) -> None:
    results = album.collect()
    knowledge, settings = album.session.flow.knowledge, album.session.settings
    page = build_report(results, knowledge, settings, "report", 1.5, ["a problem"])
    groups = [(album.name(g.keeper.path), [album.name(m.path) for m in g.members]) for g in page.groups]
    assert groups == [
        ("hot/best.jpg", ["hot/same bytes.jpg", "hot/sub/same pixels.jpg"]),
        ("archive/old.jpg", ["hot/new.jpg"]),
    ], "the largest first; a keeper in another folder is shown too"
    assert all(group.level is Level.DUPLICATES for group in page.groups)
    assert page.groups[0].members[1].name == "sub/same pixels.jpg"
    assert [album.name(file.path) for file in page.rejects[VerdictKind.DARK]] == ["hot/dark.jpg"]
    assert VerdictKind.BLUR not in page.rejects
    assert page.problems == ["a problem"]
    assert (page.files, page.images, page.seconds) == (6, 5, 1.5)
    assert ("Model", "made-up-1") in page.settings


def test_what_was_done_is_told(album: Album) -> None:
    assert album.collect().action == "report"
    out = album.home / "out"
    plan = FolderPlan(album.hot.path, Verb.COPY, str(out))
    # The made-up contents have made-up hashes, so an action on the real bytes must be refused, and said to be.
    refused = album.session.act({album.hot.id: plan})
    assert sorted(album.name(problem.path) or "" for problem in refused) == [
        "hot/dark.jpg", "hot/new.jpg", "hot/same bytes.jpg", "hot/sub/same pixels.jpg",
    ]  # fmt: skip
    assert album.collect().action == "report"
    assert all(result.action == "none" for result in album.collect().files)
