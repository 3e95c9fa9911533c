"""`dedupd run`: the service itself, through files that come, go, change their names, and signals."""

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from store.records import VerdictKind
from tests.e2e.command import contents, dedupd, listing, running, scan, verdicts, write_config
from tests.gallery import Album, AlbumFile
from tests.patience import wait_until

Verdicts = dict[str, tuple[str, str | None, str | None]]
LayOut = Callable[[Album, str], Album]


def drop(album: Album, files: list[AlbumFile], folder: Path) -> None:
    """Bring files into a hot folder the way a camera's software does: hidden name first, then a rename."""
    for file in files:
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.part")
        shutil.copy2(album.path(file), hidden)
        hidden.rename(target)


def find(album: Album, verdict: VerdictKind, family: int | None = None) -> AlbumFile:
    """Return the first file of a verdict, of a family if asked."""
    return next(f for f in album.files if f.verdict is verdict and family in (None, f.family))


@pytest.fixture(scope="module")
def few(drawn_album: Album) -> list[AlbumFile]:
    """Nine families and all rejects of the album."""
    return [file for file in drawn_album.files if file.family is None or file.family < 9]


@pytest.fixture(scope="module")
def expected(drawn_album: Album, few: list[AlbumFile], tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """What one scan of these files says."""
    base = tmp_path_factory.mktemp("together")
    drop(drawn_album, few, base / "hot")
    answer = scan(base / "hot", "--output", base / "out", "--state", base / "state")
    return verdicts(answer["log"], base / "hot")


@pytest.mark.parametrize("backwards", [False, True])
def test_run_in_waves_ends_like_scan(
    drawn_album: Album, few: list[AlbumFile], expected: Verdicts, tmp_path: Path, *, backwards: bool
) -> None:
    # Without dates for a tie the names alone must not decide either: copies first, or originals first.
    order = sorted(few, key=lambda file: (file.made == "original", file.name), reverse=backwards)
    hot, state = tmp_path / "apart" / "hot", tmp_path / "state"
    hot.mkdir(parents=True)
    config = write_config(tmp_path / "c.toml", {"path": hot})
    with running(config, state) as daemon:
        daemon.wait(0)
        for start in range(0, len(order), 12):
            drop(drawn_album, order[start : start + 12], hot)
            daemon.wait(min(start + 12, len(order)))
        found = dedupd("report", "--state", state, "--json")
        assert found.code == 0, found.err
        assert verdicts(state / "report" / "cleaning_log.json", hot) == expected
        status = daemon.status()
        assert daemon.stop()[0] == 0
    counts = {kind: sum(seen[0] == kind for seen in expected.values()) for kind in VerdictKind}
    assert status["verdicts"] == counts
    assert status["index"]["vectors"] > 0


class TestLife:
    """One service on two hot folders and an archive."""

    @pytest.fixture
    def house(self, tmp_path: Path) -> tuple[Path, Path, Path]:
        folders = tmp_path / "one", tmp_path / "two", tmp_path / "archive"
        for folder in folders:
            folder.mkdir()
        write_config(
            tmp_path / "c.toml",
            {"path": folders[0], "action": "move", "output": tmp_path / "quarantine"},
            {"path": folders[1], "action": "report"},
            {"path": folders[2], "protected": True},
        )
        return folders

    def test_files_come_and_go(self, drawn_few: Album, house: tuple[Path, Path, Path], tmp_path: Path) -> None:
        one, two, archive = house
        quarantine, album = tmp_path / "quarantine", drawn_few
        family = [file for file in album.files if file.family == 0 and file.verdict is not VerdictKind.SIMILAR]
        best, lesser = family[0], family[1:]
        assert best.made == "original"
        assert len(lesser) == 2
        with running(tmp_path / "c.toml", tmp_path / "state") as daemon:
            daemon.wait(0)
            # The lesser copies come first: one stays. The better one comes late, and the ledger moves both ways.
            drop(album, [lesser[0]], one)
            daemon.wait(1)
            assert (one / lesser[0].name).exists()
            drop(album, [best], one)
            moved = quarantine / "duplicates" / lesser[0].name  # it leaves first, and gets this name after that
            daemon.wait_for(lambda: moved.exists() and not (one / lesser[0].name).exists(), "the lesser copy leaves")
            assert contents(quarantine)[str(moved.relative_to(quarantine))] == contents(album.folder)[lesser[0].name]
            assert (one / best.name).exists()
            # The other hot folder is judged against the first, and only reported.
            drop(album, [lesser[1]], two)
            daemon.wait(3)
            why = dedupd(
                "why", two / lesser[1].name, "--config", tmp_path / "c.toml", "--state", tmp_path / "state", "--json"
            )
            assert why.json["verdict"] == "duplicate"
            assert why.json["keeper"] == str(one / best.name)
            assert (two / lesser[1].name).exists()
            # A rename is followed; nothing is decoded for it, so nothing leaves or enters.
            (one / best.name).rename(one / "renamed.jpg")
            daemon.wait_for(lambda: self._keeper(two / lesser[1].name, tmp_path) == str(one / "renamed.jpg"), "rename")
            assert not (one / lesser[0].name).exists()
            # The keeper is deleted by a person: the best of the others comes back.
            (one / "renamed.jpg").unlink()
            daemon.wait_for(
                lambda: (one / lesser[0].name).exists() or self._kept(two / lesser[1].name, tmp_path), "a keeper"
            )
            daemon.wait(2)
            kept = [self._kept(one / lesser[0].name, tmp_path), self._kept(two / lesser[1].name, tmp_path)]
            assert sorted(kept) == [False, True], "exactly one stands for the picture"
            # What the archive has leaves the hot folder, however good it is.
            drop(album, [best], archive)
            daemon.wait_for(lambda: not (one / lesser[0].name).exists(), "the archive has it")
            assert listing(archive)[best.name][:2] == listing(album.folder)[best.name][:2]
            assert daemon.stop()[0] == 0
        assert (
            dedupd("check", "--deep", "--config", tmp_path / "c.toml", "--state", tmp_path / "state", "--json").json[
                "problems"
            ]
            == []
        )

    def _why(self, path: Path, base: Path) -> dict[str, object]:
        answer = dedupd("why", path, "--config", base / "c.toml", "--state", base / "state", "--json")
        return answer.json if answer.code == 0 else {"verdict": None, "keeper": None}

    def _keeper(self, path: Path, base: Path) -> object:
        return self._why(path, base)["keeper"]

    def _kept(self, path: Path, base: Path) -> bool:
        return self._why(path, base)["verdict"] == "keep"

    def test_signals_reload_and_one_instance(
        self, drawn_few: Album, house: tuple[Path, Path, Path], tmp_path: Path
    ) -> None:
        one, two, _ = house
        config, state = tmp_path / "c.toml", tmp_path / "state"
        begun = time.monotonic()
        with running(config, state) as daemon:
            daemon.wait(0)
            start = time.monotonic() - begun
            refused = dedupd("run", "--config", config, "--state", state)
            assert refused.code == 75
            assert "another dedupd" in refused.err
            assert dedupd("scan", one, "--output", tmp_path / "out", "--state", state).code == 75
            good = config.read_text()
            config.write_text(good + "[nonsense]\n")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for(lambda: "nonsense" in str(daemon.status().get("last_error")), "the broken file is named")
            daemon.wait(0)
            assert len(daemon.status()["folders"]) == 3, "the old configuration stays"
            new = tmp_path / "new"
            new.mkdir()
            drop(drawn_few, [drawn_few.files[0]], new)
            write_config(config, {"path": two}, {"path": new})
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for(lambda: {f["path"] for f in daemon.status()["folders"]} == {str(two), str(new)}, "reload")
            daemon.wait(1)
            code, seconds = daemon.stop()
            assert code == 0
            assert seconds < max(10, 5 * start)
        status = dedupd("status", "--state", state, "--json").json
        assert (status["state"], status["pid"], status["files"]) == ("stopped", None, 1)


def test_sigterm_in_the_middle_of_work_is_clean(drawn_album: Album, lay_out: LayOut, tmp_path: Path) -> None:
    album = lay_out(drawn_album, "hot")
    before = Counter(digest for digest, _, _ in listing(album.folder).values())
    config = write_config(tmp_path / "c.toml", {"path": album.folder, "action": "move", "output": tmp_path / "q"})
    begun = time.monotonic()
    with running(config, tmp_path / "state") as daemon:
        wait_until(lambda: daemon.status()["files"] > 0, "the first files are judged")
        start = time.monotonic() - begun
        code, seconds = daemon.stop()
    assert code == 0
    assert seconds < max(10, 5 * start)
    there = [*listing(album.folder).values(), *listing(tmp_path / "q").values()]  # under whatever name, if in a move
    assert not before - Counter(digest for digest, _, _ in there), "no file is missing"


def test_a_hot_folder_that_is_not_there_yet_is_waited_for(drawn_few: Album, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.toml", {"path": tmp_path / "later"}, upkeep={"check_seconds": 0.5})
    with running(config, tmp_path / "state") as daemon:
        wait_until(lambda: daemon.status()["pid"] == daemon.process.pid, "it runs")
        (tmp_path / "later").mkdir()
        drop(drawn_few, [drawn_few.files[0]], tmp_path / "later")
        daemon.wait_for(lambda: daemon.status()["files"] == 1, "the file in the late folder is known")
        assert daemon.stop()[0] == 0


def test_undo_while_the_service_runs_stays_undone(drawn_few: Album, lay_out: LayOut, tmp_path: Path) -> None:
    album = lay_out(drawn_few, "hot")
    before = contents(album.folder)
    config = write_config(tmp_path / "c.toml", {"path": album.folder, "action": "move", "output": tmp_path / "q"})
    leaving = sum(f.verdict not in (VerdictKind.KEEP, VerdictKind.SIMILAR) for f in album.files)
    with running(config, tmp_path / "state") as daemon:
        daemon.wait_for(lambda: len(contents(album.folder)) == len(album.files) - leaving, "what is not kept leaves")
        daemon.wait()
        undone = dedupd("undo", "--all", "--state", tmp_path / "state", "--json")
        assert undone.code == 0, undone.err
        assert undone.json["undone"] == leaving
        assert contents(album.folder) == before
        # A person renames one of them: it is still the one that was taken back.
        back = next(f for f in album.files if f.verdict is VerdictKind.DUPLICATE)
        album.path(back).rename(album.path(back).with_name("mine.jpg"))
        daemon.wait_for(
            lambda: dedupd("why", album.path(back).with_name("mine.jpg"), "--state", tmp_path / "state").out.startswith(
                str(album.path(back).with_name("mine.jpg"))
            ),
            "the rename is followed",
        )
        time.sleep(1)
        daemon.wait(len(album.files))
        assert album.path(back).with_name("mine.jpg").exists()
        assert len(contents(album.folder)) == len(album.files)
        assert daemon.stop()[0] == 0
