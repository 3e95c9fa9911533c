"""`dedupd scan`: the contract of the design, held by the real command on an album whose truth is known."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

from store.records import VerdictKind
from tests.e2e.command import SIX_FOLDERS, dedupd, listing, scan, verdicts, write_config
from tests.gallery import Album
from tests.papers import statement
from tests.patience import PATIENCE_SECONDS

LayOut = Callable[[Album, str], Album]


@dataclass(frozen=True, slots=True)
class Scanned:
    """An album after `scan --action report`."""

    album: Album
    state: Path
    output: Path
    answer: dict[str, Any]
    before: dict[str, tuple[str, int, int]]


@pytest.fixture(scope="module")
def scanned(drawn_album: Album, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    base = tmp_path_factory.mktemp("scanned")
    album = Album(base / "album", drawn_album.files)
    shutil.copytree(drawn_album.folder, album.folder)
    before = listing(album.folder)
    answer = scan(album.folder, "--output", base / "out", "--state", base / "state")
    return Scanned(album, base / "state", base / "out", answer, before)


def truth(album: Album) -> dict[str, tuple[str, str | None, str | None]]:
    """Say what a cleaning log should hold about an album."""
    found: dict[str, tuple[str, str | None, str | None]] = {}
    for file in album.files:
        keeper = album.keeper(file)
        name = None if keeper is None or file.match is None else keeper.name
        found[file.name] = (file.verdict, name, file.match)
    return found


def test_verdicts_keepers_and_kinds_are_those_of_the_album(scanned: Scanned) -> None:
    assert verdicts(scanned.answer["log"], scanned.album.folder) == truth(scanned.album)


def test_report_touches_no_file(scanned: Scanned) -> None:
    assert listing(scanned.album.folder) == scanned.before
    names = {path.name for path in scanned.output.iterdir()}
    assert {"cleaning_report.html", "cleaning_log.json"} <= names
    assert not names & SIX_FOLDERS


def test_the_last_line_is_the_contract(scanned: Scanned) -> None:
    answer, counts = scanned.answer, Counter(file.verdict for file in scanned.album.files)
    assert answer["schema"] == 1
    assert answer["files"] == len(scanned.album.files)
    assert answer["images"] == len({seen[0] for seen in scanned.before.values()})
    assert answer["kept"] == counts[VerdictKind.KEEP]
    assert answer["rejected"] == {kind: counts[VerdictKind(kind)] for kind in ("blur", "dark", "bright", "corrupt")}
    assert answer["duplicates"] == counts[VerdictKind.DUPLICATE]
    assert answer["similar"] == counts[VerdictKind.SIMILAR]
    assert answer["groups"] == len({file.family for file in scanned.album.files if file.match is not None})
    assert answer["seconds"] > 0
    assert answer["images_per_second"] == pytest.approx(answer["files"] / answer["seconds"], rel=0.01, abs=0.006)
    assert Path(answer["report"]) == scanned.output / "cleaning_report.html"
    assert Path(answer["log"]) == scanned.output / "cleaning_log.json"


def test_the_log_has_the_schema_of_the_contract(scanned: Scanned) -> None:
    log = json.loads((scanned.output / "cleaning_log.json").read_text("utf-8"))
    assert log["schema"] == 1
    assert sorted(entry["path"] for entry in log["files"]) == sorted(
        str(scanned.album.path(file)) for file in scanned.album.files
    )
    for entry in log["files"]:
        assert {"path", "verdict", "reason", "keeper", "evidence", "scores", "action", "target"} <= entry.keys()
        assert entry["verdict"] in set(VerdictKind)
        assert entry["reason"]
        assert (entry["action"], entry["target"]) == ("none", None)
        assert (entry["evidence"] is not None) == (entry["keeper"] is not None)
        if entry["evidence"]:
            assert {"kind", "phash_distance", "dhash_distance", "similarity", "verified"} <= entry["evidence"].keys()
        if entry["verdict"] != "corrupt":
            assert {"sharpness", "brightness", "detail"} <= entry["scores"].keys()


def test_a_second_scan_measures_nothing(scanned: Scanned, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(scanned.state, state)
    forbidding = (
        "import sys, daemon.workers as w\n"
        "def refuse(*_): raise SystemExit('something was measured again')\n"
        "w.WorkerPool.submit = refuse\n"
        "from daemon.cli import main; main(sys.argv[1:])"
    )
    words = ["scan", str(scanned.album.folder), "--output", str(tmp_path / "out"), "--state", str(state), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", forbidding, *words], capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout.splitlines()[-1])
    for key in ("files", "images", "kept", "rejected", "duplicates", "similar", "groups"):
        assert again[key] == scanned.answer[key]
    assert verdicts(again["log"], scanned.album.folder) == truth(scanned.album)


def test_without_json_people_are_told_in_words(scanned: Scanned, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(scanned.state, state)
    answer = dedupd("scan", scanned.album.folder, "--output", tmp_path / "out", "--state", state)
    assert answer.code == 0
    assert f"{len(scanned.album.files)} files" in answer.out
    assert "no file was touched" in answer.out
    assert "\x1b" not in answer.out + answer.err


def _moved(album: Album) -> set[str]:
    """Say where rejects and duplicates of an album go; similar pictures stay unless the configuration says so."""
    leaving = [f for f in album.files if f.verdict not in (VerdictKind.KEEP, VerdictKind.SIMILAR)]
    return {f"{file.verdict.quarantine}/{file.name}" for file in leaving}


def _quarantined(output: Path) -> dict[str, tuple[str, int, int]]:
    return {name: seen for name, seen in listing(output).items() if name.split("/")[0] in SIX_FOLDERS}


def test_copy_fills_the_six_folders_and_leaves_the_originals(scanned: Scanned, tmp_path: Path) -> None:
    shutil.copytree(scanned.state, tmp_path / "state")
    words = (scanned.album.folder, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "copy")
    scan(*words)
    assert listing(scanned.album.folder) == scanned.before
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} >= SIX_FOLDERS
    copies = _quarantined(tmp_path / "out")
    assert set(copies) == _moved(scanned.album)
    for name, seen in copies.items():
        assert seen[:2] == scanned.before[name.split("/", 1)[1]][:2]
    answer = scan(*words)
    assert _quarantined(tmp_path / "out") == copies, "nothing is copied twice"
    entries = json.loads(Path(answer["log"]).read_text())["files"]
    assert {e["target"] for e in entries if e["action"] == "copy"} == {str(tmp_path / "out" / name) for name in copies}
    undone = dedupd("undo", "--all", "--state", tmp_path / "state", "--json").json
    assert (undone["undone"], undone["failed"]) == (len(copies), 0)
    assert _quarantined(tmp_path / "out") == {}
    assert listing(scanned.album.folder) == scanned.before


def test_move_keeps_relative_paths_and_undo_brings_all_back(
    drawn_album: Album, lay_out: LayOut, tmp_path: Path
) -> None:
    album = lay_out(drawn_album, "album")
    before, out, state = listing(album.folder), tmp_path / "out", tmp_path / "state"
    expected = sorted(_moved(album))
    stranger = out / expected[0]  # already in the quarantine: nothing is overwritten
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"a stranger's")
    answer = scan(album.folder, "--output", out, "--state", state, "--action", "move")
    assert answer["problems"] == 0
    assert stranger.read_bytes() == b"a stranger's"
    there, gone = _quarantined(out), {name.split("/", 1)[1] for name in expected}
    assert set(expected) <= set(there)
    assert len(there) == len(expected) + 1
    assert listing(album.folder) == {name: seen for name, seen in before.items() if name not in gone}
    entries = {entry["path"]: entry for entry in json.loads(Path(answer["log"]).read_text())["files"]}
    assert len(entries) == len(album.files), "one entry for every file seen, also for those that left"
    for name in gone:
        entry = entries[str(album.folder / name)]
        assert entry["action"] == "move"
        assert there[str(Path(entry["target"]).relative_to(out))][:2] == before[name][:2]
    again = scan(album.folder, "--output", out, "--state", state, "--action", "move")
    assert again["files"] == len(album.files) - len(gone), "the second run sees what is left"
    assert (again["duplicates"], sum(again["rejected"].values())) == (0, 0)
    assert _quarantined(out) == there, "a second run moves nothing"
    assert dedupd("check", "--deep", "--state", state, "--json").json["problems"] == []
    undone = dedupd("undo", "--all", "--state", state, "--json").json
    assert (undone["undone"], undone["failed"]) == (len(expected), 0)
    assert {n: s[:2] for n, s in listing(album.folder).items()} == {n: s[:2] for n, s in before.items()}
    assert list(_quarantined(out)) == [str(stranger.relative_to(out))]
    scan(album.folder, "--output", out, "--state", state, "--action", "move")
    assert len(listing(album.folder)) == len(before), "what a person took back is left alone"


def test_output_inside_the_folder_is_never_scanned_itself(drawn_few: Album, lay_out: LayOut, tmp_path: Path) -> None:
    album = lay_out(drawn_few, "album")
    out, state = album.folder / "cleaned", tmp_path / "state"
    first = scan(album.folder, "--output", out, "--state", state, "--action", "copy")
    assert first["files"] == len(album.files)
    assert scan(album.folder, "--output", out, "--state", state, "--action", "copy")["files"] == len(album.files)
    assert set(_quarantined(out)) == _moved(album)


def test_a_protected_folder_is_consulted_and_never_touched(drawn_few: Album, lay_out: LayOut, tmp_path: Path) -> None:
    album, archive = lay_out(drawn_few, "album"), tmp_path / "archive"
    originals = [file for file in album.files if file.made == "original"]
    # The archive has the lesser copies and one file twice: still they are the keepers.
    copies = [file for file in album.files if file.verdict is VerdictKind.DUPLICATE]
    archive.mkdir()
    for file in copies:
        shutil.move(album.path(file), archive / Path(file.name).name)
    shutil.copy2(archive / Path(copies[0].name).name, archive / "twice.jpg")
    before = listing(archive)
    config = write_config(tmp_path / "c.toml", {"path": archive, "protected": True}, {"path": album.folder})
    words = (album.folder, archive, "--config", config, "--output", tmp_path / "out", "--state", tmp_path / "state")
    answer = scan(*words, "--action", "move")
    assert listing(archive) == before
    found = verdicts(answer["log"], tmp_path)
    assert all(found[f"archive/{name}"][0] == "keep" for name in before)
    demoted = {file.family for file in copies}
    for file in originals:
        verdict, keeper, _ = found[f"album/{file.name}"]
        assert verdict == ("duplicate" if file.family in demoted else "keep")
        assert keeper is None or keeper.startswith("archive/")


def test_an_empty_folder_is_a_clean_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = scan(tmp_path / "empty", "--output", tmp_path / "out", "--state", tmp_path / "state")
    assert (answer["files"], answer["images"], answer["groups"]) == (0, 0, 0)
    assert "<html" in Path(answer["report"]).read_text("utf-8").lower()
    assert json.loads(Path(answer["log"]).read_text()) == {"schema": 1, "files": []}


def test_names_are_bytes_to_the_system_and_harmless_to_the_eye(drawn_few: Album, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    original = drawn_few.path(drawn_few.files[0])
    names = ["two\nlines\x1b[31m.jpg", "<b>&'\".jpg", "\u202egpj.jpg", "日本 🙂.jpg"]
    if sys.platform == "linux":
        names.append("caf\udce9.jpg")
    for name in names:
        shutil.copy2(original, folder / name)
    answer = dedupd(
        "scan", folder, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.json["duplicates"] == len(names) - 1
    page = Path(answer.json["report"]).read_bytes()
    assert b"\x1b" not in page
    assert "<b>&'" not in page.decode()
    assert not re.search("[\x1b\u202e\udce9]", answer.out + answer.err)
    assert dedupd("undo", "--all", "--state", tmp_path / "state", "--json").json["undone"] == len(names) - 1
    assert len(list(folder.iterdir())) == len(names)


def test_a_folder_that_is_protected_later_is_judged_again(scanned: Scanned, tmp_path: Path) -> None:
    shutil.copytree(scanned.state, tmp_path / "state")
    config = write_config(tmp_path / "c.toml", {"path": scanned.album.folder, "protected": True})
    words = ("--config", config, "--output", tmp_path / "out", "--state", tmp_path / "state")
    answer = scan(scanned.album.folder, *words)
    assert answer["kept"] == answer["files"]
    assert dedupd("check", "--config", config, "--state", tmp_path / "state", "--json").json["problems"] == []


def test_a_statement_with_another_sum_stays(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for name, total in (("march", "2,810.00"), ("april", "2,310.00")):
        cv2.imwrite(str(folder / f"{name}.png"), statement(total))
        page = statement(total)
        sharper = cv2.addWeighted(page, 1.6, cv2.GaussianBlur(page, (0, 0), 1.5), -0.6, 0)
        cv2.imwrite(str(folder / f"{name}.jpg"), sharper, [cv2.IMWRITE_JPEG_QUALITY, 92])
    answer = scan(folder, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    assert sorted(path.stem for path in folder.iterdir()) == ["april", "march"]
    files = json.loads(Path(answer["log"]).read_text("utf-8"))["files"]
    gone = [(Path(file["path"]), Path(file["keeper"])) for file in files if file["verdict"] == "duplicate"]
    assert len(gone) == 2 and all(path.stem == keeper.stem for path, keeper in gone)
