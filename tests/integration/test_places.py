"""Where files lie after awkward days: names used again, folders in folders, quarantines moved away. Real command."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import CliRunner

from daemon.cli import cli
from tests.gallery import draw

Scan = Callable[..., dict[str, Any]]


def picture(path: Path, seed: int, share: float = 1.0) -> None:
    """Draw picture `seed`, at a share of its size, older for a lower seed."""
    pixels = cv2.cvtColor(draw(seed, (480, 360)), cv2.COLOR_RGB2BGR)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))
    os.utime(path, (1_700_000_000 + seed, 1_700_000_000 + seed))


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Scan a folder below the place and return its log by file name, with the state of this test."""

    def run(folder: str, *words: str, output: str = "out", action: str = "move") -> dict[str, Any]:
        target = tmp_path / output
        run_command(tmp_path, ["scan", str(tmp_path / folder), "--output", str(target), "--action", action, *words])
        log = json.loads((target / "cleaning_log.json").read_text())
        return {Path(entry["path"]).name: entry for entry in log["files"]}

    return run


def run_command(place: Path, words: Sequence[str]) -> dict[str, Any]:
    result = CliRunner().invoke(cli, [*words, "--state", str(place / "state"), "--json"], catch_exceptions=False)
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def test_a_keeper_is_the_picture_that_was_matched_not_its_name(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/K.jpg", 1)
    picture(tmp_path / "in/IMG_1.jpg", 1, 0.5)
    assert scan("in")["IMG_1.jpg"]["target"] is not None
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")  # the quarantine is not mounted
    (tmp_path / "in/K.jpg").unlink()
    picture(tmp_path / "in/IMG_1.jpg", 2)  # the camera begins to count again
    shutil.copyfile(tmp_path / "elsewhere/duplicates/IMG_1.jpg", tmp_path / "in/E.jpg")
    log = scan("in", output="out2")
    assert log["E.jpg"]["target"] is None, "or the folder would have no copy of this picture left"
    assert (tmp_path / "in/E.jpg").exists()
    assert log["E.jpg"]["keeper"] is None or Path(log["E.jpg"]["keeper"]).exists()


def test_what_is_protected_stays_so_when_its_parent_is_scanned(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "all/archive/small.jpg", 1, 0.5)
    picture(tmp_path / "all/new/large.jpg", 1)
    config = tmp_path / "c.toml"
    config.write_text(f'[[hot_folder]]\npath = "{tmp_path}/all/archive"\nprotected = true\n')
    log = scan("all", "--config", str(config))
    assert (log["small.jpg"]["verdict"], log["large.jpg"]["verdict"]) == ("keep", "duplicate")
    assert set(scan("all")) == {"small.jpg"}, "protected still, though nobody says it again"
    assert (tmp_path / "all/archive/small.jpg").exists()
    assert run_command(tmp_path, ["check"])["ok"]


def test_undo_onto_a_name_that_was_used_and_is_free_again(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/K.jpg", 1)
    picture(tmp_path / "in/X.jpg", 1, 0.5)
    small = (tmp_path / "in/X.jpg").read_bytes()
    scan("in")
    picture(tmp_path / "in/X.jpg", 2)
    scan("in")
    (tmp_path / "in/X.jpg").unlink()
    assert run_command(tmp_path, ["undo", "--all"])["failed"] == 0
    assert (tmp_path / "in/X.jpg").read_bytes() == small
    assert set(scan("in")) == {"K.jpg", "X.jpg"}, "the next start works"
    assert run_command(tmp_path, ["check"])["ok"]


def test_a_thumbnail_never_beats_its_original(tmp_path: Path, scan: Scan) -> None:
    for seed in range(4):
        picture(tmp_path / f"in/{seed}-original.jpg", seed)
        picture(tmp_path / f"in/{seed}-thumbnail.jpg", seed, 0.35)
    log = scan("in", action="report")
    assert {log[f"{seed}-original.jpg"]["verdict"] for seed in range(4)} == {"keep"}


def test_another_picture_on_the_same_inode_is_read(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/a.bmp", 1)
    picture(tmp_path / "other.bmp", 2)
    scan("in", action="report")
    before = (tmp_path / "in/a.bmp").stat()
    (tmp_path / "in/a.bmp").rename(tmp_path / "in/b.bmp")  # same inode, as when a file system uses one again
    with (tmp_path / "in/b.bmp").open("r+b") as stream:
        stream.write((tmp_path / "other.bmp").read_bytes())
    os.utime(tmp_path / "in/b.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "in/b.bmp").stat().st_size == before.st_size
    shutil.copyfile(tmp_path / "other.bmp", tmp_path / "in/c.bmp")
    verdicts = sorted(entry["verdict"] for entry in scan("in", action="report").values())
    assert verdicts == ["duplicate", "keep"]


def test_an_older_quarantine_inside_the_folder_is_no_news(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/K.jpg", 1)
    picture(tmp_path / "in/X.jpg", 1, 0.5)
    scan("in", output="in/clean1")
    assert set(scan("in", output="in/clean2")) == {"K.jpg"}


def test_copies_are_made_where_they_are_wanted_now(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/K.jpg", 1)
    picture(tmp_path / "in/X.jpg", 1, 0.5)
    for output in ("first", "second"):
        target = tmp_path / output / "duplicates/X.jpg"
        assert scan("in", output=output, action="copy")["X.jpg"]["target"] == str(target)
        assert target.exists()
    assert scan("in", output="second")["X.jpg"]["action"] == "move"
    assert not (tmp_path / "in/X.jpg").exists()
    assert list((tmp_path / "second/duplicates").iterdir()) == [tmp_path / "second/duplicates/X.jpg"]


def test_a_damaged_preview_is_a_missing_one(tmp_path: Path, scan: Scan) -> None:
    picture(tmp_path / "in/K.jpg", 1)
    picture(tmp_path / "in/X.jpg", 1, 0.5)
    scan("in", action="report")
    for preview in (tmp_path / "state/previews").rglob("*.jpg"):
        preview.write_bytes(b"\xff\xd8 not a picture \xff\xd9")
    shutil.rmtree(tmp_path / "state/vectors")
    config = tmp_path / "c.toml"
    config.write_text("[quality]\nmin_sharpness = 1.0\n")
    assert scan("in", "--config", str(config), action="report")["X.jpg"]["verdict"] == "duplicate"
