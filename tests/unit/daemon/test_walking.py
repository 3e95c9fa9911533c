"""Which files count, by name and kind."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.folders import scan_changes
from daemon.walking import WalkProblem, is_candidate, is_set_aside, look, walk
from pipeline.manifest import MANIFEST_NAME
from store.records import FileStat


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def below(root: Path, **rules: object) -> set[str]:
    """Names that a walk yields; along the way, that the rule for events agrees with it."""
    found = {stat.path for stat in walk(str(root), **rules)}  # type: ignore[arg-type]
    files = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    named = {path for path in files if is_candidate(path, str(root), **rules)}  # type: ignore[arg-type]
    named = {path for path in named if not is_set_aside(path, str(root))}
    assert found == {path for path in named if look(path)}
    return {path.removeprefix(f"{root}/") for path in found}


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "A.JPEG", "b.Png", "c.webp", "d.gif", "e.bmp", "f.TIFF", "g.avif", "h.heic", "i.HEIF"),
        *("j.jp2", "k.ppm", "l.pgm", "m.pbm", "n.mpo", "two words.jpg", "-rf.jpg", "a.b.c.jpg", "\n.jpg"),
        *("日本.jpg", "#1.jpg", "a/b/c/d.jpg", "#recycle.d/x.jpg", "x" * 251 + ".jpg"),
    ],
)
def test_pictures_count(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    assert below(tmp_path) == {name}


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg.part", "a.crdownload", "a.jpg.crdownload", "a.tmp", "a.jpg.tmp", "a.partial", "~a.jpg"),
        *("~$a.jpg", ".DS_Store", "Thumbs.db", ".a.jpg", "._a.jpg", ".syncthing.a.jpg.tmp", "a.jpg~", ".jpg"),
        *("~syncthing~a.jpg.tmp", "a.txt", "jpg", "a", "a.jpg ", "a.mp4", "a.xmp", ".dedupd-folder"),
        *("@eaDir/a.jpg", "b/@eaDir/a.jpg", ".stfolder/a.jpg", ".stversions/a.jpg", "#recycle/a.jpg"),
        *(".hidden/b/a.jpg", "$RECYCLE.BIN/a.jpg", "$Recycle.Bin/a.jpg", ".Trash-1000/files/a.jpg"),
        *(".Trashes/a.jpg", "lost+found/a.jpg"),
    ],
)
def test_temporary_and_system_names_do_not(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    assert below(tmp_path) == set()


def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe\n\x1b.jpg"
    try:
        os.close(os.open(raw, os.O_CREAT, 0o600))
    except OSError:
        pytest.skip("this file system wants UTF-8")
    (found,) = walk(str(tmp_path))
    assert os.fsencode(found.path) == raw
    assert is_candidate(found.path, str(tmp_path))
    assert look(found.path) == found


def test_only_regular_files_count_and_none_is_opened(tmp_path: Path) -> None:
    put(tmp_path / "real.jpg")
    os.link(tmp_path / "real.jpg", tmp_path / "hard.jpg")  # the same inode: one file to the catalog
    (tmp_path / "soft.jpg").symlink_to(tmp_path / "real.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "fifo.jpg")  # opening it would hang
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        assert below(tmp_path) == {"real.jpg", "hard.jpg"}
    for name in ("soft.jpg", "dangling.jpg", "folder.jpg", "fifo.jpg", "socket.jpg", "missing.jpg", "\0.jpg"):
        assert look(f"{tmp_path}/{name}") is None


def test_linked_folders_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/a.jpg")
    root = tmp_path / "hot"
    put(root / "b.jpg")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    assert below(root) == {"b.jpg"}


def test_a_linked_root_is_a_problem_not_a_surprise(tmp_path: Path) -> None:
    put(tmp_path / "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    problems: list[WalkProblem] = []
    assert list(walk(str(tmp_path / "link"), on_problem=problems.append)) == []
    assert [problem.path for problem in problems] == [str(tmp_path / "link")]
    assert list(walk(str(tmp_path / "missing"))) == []


def test_not_recursive(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "b/c.jpg")
    assert below(tmp_path, recursive=False) == {"a.jpg"}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.png", {"a.jpg", "raw/a.jpg", "b/raw/c.jpg"}),
        ("raw", {"a.jpg", "b/d.png"}),
        ("raw/", {"a.jpg", "b/d.png"}),
        ("/raw", {"a.jpg", "b/d.png", "b/raw/c.jpg"}),
        ("b/*.png", {"a.jpg", "raw/a.jpg", "b/raw/c.jpg"}),
        ("a.*", {"b/d.png", "b/raw/c.jpg"}),
        ("A.JPG", {"a.jpg", "raw/a.jpg", "b/d.png", "b/raw/c.jpg"}),
    ],
)
def test_ignore_patterns(tmp_path: Path, pattern: str, left: set[str]) -> None:
    for name in ("a.jpg", "raw/a.jpg", "b/d.png", "b/raw/c.jpg"):
        put(tmp_path / name)
    assert below(tmp_path, ignore=(pattern,)) == left


@pytest.mark.parametrize("by", ["path", "identity"])
def test_excluded_folders_are_not_entered(tmp_path: Path, by: str) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "quarantine/blur/b.jpg")
    quarantine = tmp_path / "quarantine"
    if by == "path":
        assert below(tmp_path, exclude=frozenset({str(quarantine)})) == {"a.jpg"}
        return
    found = quarantine.stat()
    exclude = frozenset({(found.st_dev, found.st_ino)})
    assert below(tmp_path, exclude=exclude) == {"a.jpg"}
    quarantine.rename(tmp_path / "renamed")
    assert below(tmp_path, exclude=exclude) == {"a.jpg"}


@pytest.mark.parametrize("marks", [[MANIFEST_NAME], ["catalog.sqlite3", "lock"]])
def test_what_another_dedupd_keeps_is_no_picture_of_anybody(tmp_path: Path, marks: list[str]) -> None:
    for name in ("a.jpg", "own/previews/ab/cd.jpg", "own/e.jpg", "owner/f.jpg", *(f"own/{mark}" for mark in marks)):
        put(tmp_path / name)
    assert below(tmp_path) == {"a.jpg", "owner/f.jpg"}
    assert below(tmp_path / "own") == {"previews/ab/cd.jpg", "e.jpg"}, "named by a person, it is what they want"


def test_a_lone_file_with_the_name_of_a_lock_or_catalog_means_nothing(tmp_path: Path) -> None:
    for name in ("a/lock", "a/b.jpg", "c/catalog.sqlite3", "c/d.jpg"):
        put(tmp_path / name)
    assert below(tmp_path) == {"a/b.jpg", "c/d.jpg"}


@pytest.mark.parametrize("path", ["/hot", "/hot/", "/hotter/a.jpg", "/hot/../a.jpg", "/hot//a.jpg", "a.jpg", ""])
def test_paths_outside_are_no_candidates(path: str) -> None:
    assert not is_candidate(path, "/hot")


def test_the_root_of_the_system_can_be_a_root() -> None:
    assert is_candidate("/a.jpg", "/")
    assert is_candidate("/b/a.jpg", "/")


def test_a_folder_inside_itself_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FUSE and bind mounts can do this; here every folder claims to be the same one."""
    put(tmp_path / "a.jpg")
    put(tmp_path / "b/c.jpg")
    here = tmp_path.stat()
    monkeypatch.setattr("daemon.walking.os.fstat", lambda _: here)
    assert {stat.path for stat in walk(str(tmp_path))} == {f"{tmp_path}/a.jpg"}


def test_files_that_go_during_the_walk_are_passed_over(tmp_path: Path) -> None:
    for number in range(500):
        put(tmp_path / f"{number % 10}/{number}.jpg")
    problems: list[WalkProblem] = []
    for stat in walk(str(tmp_path), on_problem=problems.append):
        shutil.rmtree(Path(stat.path).parent, ignore_errors=True)
    assert problems == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody whom permissions stop")
def test_unreadable_folders_are_reported_and_the_rest_is_seen() -> None:
    code = (
        "import os, sys; from daemon.folders import walk; os.setgid(65534); os.setuid(65534)\n"
        "print([s.path for s in walk(sys.argv[1], on_problem=lambda p: print(p.path, p.reason))])"
    )
    with tempfile.TemporaryDirectory() as shared:  # the folders of `tmp_path` are closed to others
        Path(shared).chmod(0o755)
        put(Path(shared, "open/a.jpg"))
        put(Path(shared, "shut/b.jpg")).parent.chmod(0)
        done = subprocess.run([sys.executable, "-c", code, shared], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{shared}/shut Permission denied", f"['{shared}/open/a.jpg']"]


def test_a_walk_over_known_files_costs_only_stats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in range(3):
        (tmp_path / str(folder)).mkdir()
        for number in range(1000):
            os.close(os.open(f"{tmp_path}/{folder}/{number}.jpg", os.O_CREAT | os.O_WRONLY, 0o600))
    known = {stat.path: stat for stat in walk(str(tmp_path))}
    changes = scan_changes(known, walk(str(tmp_path)))
    assert (len(known), changes.new, changes.changed, changes.vanished) == (3_000, [], [], [])
    assert _opened(lambda: scan_changes(known, walk(str(tmp_path))), tmp_path, monkeypatch) == {
        str(tmp_path), *(f"{tmp_path}/{folder}" for folder in range(3)),
    }, "folders, no file"  # fmt: skip
    walks, stats = [], []  # processor time, in turns: whatever this machine is, and who else uses it
    for _ in range(5):
        walks.append(_processor_seconds(lambda: scan_changes(known, walk(str(tmp_path)))))
        stats.append(_processor_seconds(lambda: [FileStat.of(path, os.lstat(path)) for path in known]))
    assert min(walks) < 5 * min(stats)  # measured 1.4; what is quadratic has 100 and more


def _opened(work: Callable[[], object], below: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    real, seen = os.open, set[str]()

    def note(path: str, *rest: Any, **more: Any) -> int:
        seen.add(path)
        return real(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr("daemon.walking.os.open", note)
        work()
    return {path for path in seen if path.startswith(str(below))}


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
