"""Every verb: its help, its JSON; and `status`, which must answer in a moment."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from daemon.cli import _VERBS
from daemon.config import load_settings
from daemon.remaking import catch_up, remake_previews
from daemon.session import Session
from daemon.state import StateFolder
from pipeline.indexes import Indexes
from store.catalog import Catalog
from store.previews import Previews
from tests.e2e.command import COMMAND, dedupd, listing, scan, write_config
from tests.gallery import Album

VERBS = tuple(_VERBS)
OFF_THE_COMMAND_LINE = {"run", "bench"}  # they take no --json: one serves, the other prints tables
HEAVY = ("torch", "faiss", "cv2")


@dataclass(frozen=True, slots=True)
class Known:
    """A scanned album and its state."""

    album: Album
    state: Path


@pytest.fixture(scope="module")
def known(drawn_few: Album, tmp_path_factory: pytest.TempPathFactory) -> Known:
    base = tmp_path_factory.mktemp("known")
    album = Album(base / "album", drawn_few.files)
    shutil.copytree(drawn_few.folder, album.folder)
    scan(album.folder, "--output", base / "out", "--state", base / "state", "--action", "copy")
    return Known(album, base / "state")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "bench"])
def test_help_shows_an_example(verb: str) -> None:
    answer = dedupd(verb, "--help")
    assert answer.code == 0
    assert f"dedupd {verb}" in answer.out.split("Example", 1)[1]


def test_the_verbs_are_those_of_the_design() -> None:
    answer = dedupd("--help")
    assert answer.code == 0
    wanted = set("run scan status why groups search report rule undo check reindex config bench".split())  # noqa: SIM905
    assert wanted <= set(VERBS)
    assert all(f"  {verb} " in answer.out for verb in wanted)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["status"], {"state", "reasons", "pid", "folders", "files", "images", "groups", "queue", "verdicts",
                      "images_per_second", "index"}),
        (["groups"], {"groups"}),
        (["why", "{image}"], {"path", "verdict", "reason", "keeper", "evidence", "scores"}),
        (["search", "{image}"], {"results"}),
        (["report"], {"report"}),
        (["undo", "--list"], {"actions"}),
        (["undo", "--all", "--dry-run"], {"actions"}),
        (["check"], {"ok", "problems"}),
        (["rule", "list"], {"rulings"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_json_is_one_object(known: Known, words: list[str], keys: set[str]) -> None:
    image = str(known.album.path(known.album.files[0]))
    words = [word.format(image=image) for word in words]
    answer = dedupd(*words, "--state", known.state, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["schema"] == 1
    assert keys <= answer.json.keys()


def test_config_shows_what_it_read_and_prints_what_it_would_read(known: Known, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.toml", {"path": known.album.folder})
    answer = dedupd("config", "--config", config, "--state", known.state, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["ok"]
    assert answer.json["settings"]["hot_folder"][0]["path"] == str(known.album.folder)
    (tmp_path / "example.toml").write_text(dedupd("config", "--example").out)
    scan(
        known.album.folder, "--config", tmp_path / "example.toml", "--output", tmp_path / "o", "--state", tmp_path / "s"
    )


def test_search_finds_the_family_best_first(known: Known) -> None:
    original = known.album.files[0]
    answer = dedupd("search", known.album.path(original), "-k", "3", "--state", known.state, "--json")
    results = answer.json["results"]
    assert {"path", "similarity", "kind"} <= results[0].keys()
    assert results[0]["kind"] == "exact"
    assert [row["similarity"] for row in results] == sorted((row["similarity"] for row in results), reverse=True)
    family = {str(known.album.path(f)) for f in known.album.files if f.family == original.family}
    assert {row["path"] for row in results} == family


def test_reindex_brings_back_what_was_deleted(known: Known, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    before = {path.name for path in (state / "previews").rglob("*.jpg")}
    shutil.rmtree(state / "previews")
    shutil.rmtree(state / "vectors")
    answer = dedupd("reindex", "--state", state, "--json").json
    assert (answer["previews_made"], answer["previews_lost"], answer["verdicts_changed"]) == (len(before), 0, 0)
    assert {path.name for path in (state / "previews").rglob("*.jpg")} == before
    assert dedupd("check", "--state", state, "--json").json["ok"]


def test_reindex_measures_again_what_an_earlier_version_measured_less_of(known: Known, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    catalog = Catalog(state / "catalog.sqlite3")
    before = {image: catalog.image(image).observation for image in catalog.image_ids()}
    catalog.database.conn.execute("UPDATE observations SET spectrum = NULL")
    lost = [catalog.image(image).observation for image in before]
    assert all(seen is None or seen.traces is None for seen in lost)
    answer = dedupd("reindex", "--state", state, "--json").json
    assert (answer["previews_made"], answer["previews_lost"], answer["verdicts_changed"]) == (0, 0, 0)
    assert {image: catalog.image(image).observation for image in before} == before
    catalog.close()


def test_reindex_measures_a_catalog_of_an_earlier_version_again(known: Known, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    catalog = Catalog(state / "catalog.sqlite3")
    catalog.remember("measured_by", "1")
    preview = next((state / "previews").rglob("*.jpg"))
    whole = preview.read_bytes()
    preview.write_bytes(whole.replace(whole[-40:], whole[-41:-1]))  # as another version might have made it
    before = {image: catalog.image(image).observation for image in catalog.image_ids()}
    catalog.database.conn.execute("UPDATE observations SET sharpness = sharpness + 1")
    answer = dedupd("reindex", "--state", state, "--json").json
    assert (answer["previews_made"], answer["previews_lost"]) == (0, 0)
    assert preview.read_bytes() == whole
    assert {image: catalog.image(image).observation for image in before} == before
    assert catalog.remembered("measured_by") != "1"
    catalog.close()


def test_a_scan_measures_first_what_an_earlier_version_measured(known: Known, tmp_path: Path) -> None:
    """A picture that is measured now is not to be compared with what an earlier version made of its copies."""
    state, extra = tmp_path / "state", tmp_path / "extra"
    shutil.copytree(known.state, state)
    extra.mkdir()
    catalog = Catalog(state / "catalog.sqlite3")
    catalog.remember("measured_by", "1")
    before = {image: catalog.image(image).observation for image in catalog.image_ids()}
    catalog.database.conn.execute("UPDATE observations SET sharpness = sharpness + 1")
    told = dedupd("check", "--state", state).out
    assert f"{len(before)} pictures measured by another version" in told
    scanned = dedupd("scan", extra, "--output", tmp_path / "out", "--state", state)
    assert f"measured again, for this version of dedupd: {len(before)} pictures" in scanned.err
    assert {image: catalog.image(image).observation for image in before} == before
    assert catalog.remembered("measured_before") == "[]"
    catalog.close()
    assert dedupd("check", "--state", state, "--json").json["ok"]


def test_what_is_drawn_anew_is_embedded_anew(known: Known, tmp_path: Path) -> None:
    """An embedding was made of the preview that an earlier version drew, and finds the candidates."""
    state, extra = tmp_path / "state", tmp_path / "extra"
    shutil.copytree(known.state, state)
    extra.mkdir()
    catalog = Catalog(state / "catalog.sqlite3")
    (model_id,) = (row[0] for row in catalog.database.conn.execute("SELECT model_id FROM models"))
    ids, whole = catalog.embeddings_after(model_id, 0, 1000)
    other, same = (int(image) for image in ids[:2])
    unlike = [int((whole @ whole[number]).argmin()) for number in (0, 1)]
    drawn = Previews(state / "previews")
    drawn.write(catalog.image(other).sha256, drawn.read(catalog.image(int(ids[unlike[0]])).sha256) or b"")
    for image, number in zip((other, same), unlike, strict=True):
        catalog.put_embedding(image, model_id, whole[number])
    catalog.remember("measured_by", "1")
    dedupd("scan", extra, "--output", tmp_path / "out", "--state", state)
    found = dict(zip(*catalog.embeddings_after(model_id, 0, 1000), strict=True))
    assert np.abs(found[other] - whole[0]).max() < 0.01
    assert np.array_equal(found[same], whole[unlike[1]]), "its preview came out as it was"
    hits = Indexes(catalog, state / "vectors", model_id, whole.shape[1]).vectors.search(whole[:1], 1)[0]
    assert int(hits[0, 0]) == other, "the index knows"
    catalog.close()


def test_what_was_measured_again_is_judged_again_whenever_that_broke_off(known: Known, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    with Session(StateFolder(state), load_settings(None)) as session:
        assert not session.flow.needs_rejudging
        session.catalog.remember("measured_by", "1")
        assert catch_up(session, lambda *_: None).measured > 0
    with Session(StateFolder(state), load_settings(None)) as session:  # as after a crash: nothing is left to measure
        assert catch_up(session, lambda *_: None).measured == 0
        assert session.flow.needs_rejudging
        session.flow.rejudge(session.clock_ns())
        assert not session.flow.needs_rejudging


def test_what_breaks_off_while_it_measures_again_is_judged_again(known: Known, tmp_path: Path) -> None:
    """Even in a catalog of this version, which is not measured again as a whole."""
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    for preview in (state / "previews").rglob("*.jpg"):
        preview.unlink()

    def break_off(done: int, total: int | None = None) -> None:
        if done:
            raise InterruptedError

    with Session(StateFolder(state), load_settings(None)) as session, pytest.raises(InterruptedError):
        remake_previews(session, break_off)
    with Session(StateFolder(state), load_settings(None)) as session:
        assert session.flow.needs_rejudging


def test_what_could_not_be_measured_again_is_measured_when_it_is_back(known: Known, tmp_path: Path) -> None:
    state, extra, hidden = tmp_path / "state", tmp_path / "extra", tmp_path / "hidden"
    shutil.copytree(known.state, state)
    extra.mkdir()
    catalog = Catalog(state / "catalog.sqlite3")
    catalog.remember("measured_by", "1")
    image = catalog.image_ids()[0]
    file, *_ = catalog.files_of([image])[image]
    where = Path(file.lies_at or file.stat.path)
    where.rename(hidden)
    try:
        answer = dedupd("reindex", "--state", state, "--json").json
        assert answer["measured_again"] == catalog.count_images() - 1
        assert catalog.remembered("measured_before") == f"[{image}]"
        at_once = dedupd("scan", extra, "--output", tmp_path / "out", "--state", state)
        assert "1 picture not measured again" in (tmp_path / "out" / "cleaning_report.html").read_text("utf-8"), at_once
        assert "of 1" not in at_once.err, "no process is started for a file that is not there"
    finally:
        hidden.rename(where)
    assert "1 picture measured by another version" in dedupd("check", "--state", state).out
    assert dedupd("reindex", "--state", state, "--json").json["measured_again"] == 1
    assert catalog.remembered("measured_before") == "[]"
    catalog.close()


def test_reading_verbs_change_nothing(known: Known, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    before = listing(known.album.folder)
    catalog = (state / "catalog.sqlite3").read_bytes()
    for words in (["status"], ["groups"], ["why", str(known.album.path(known.album.files[1]))], ["undo", "--list"]):
        assert dedupd(*words, "--state", state).code == 0
    assert listing(known.album.folder) == before
    assert (state / "catalog.sqlite3").read_bytes() == catalog


def test_check_finds_what_is_not_so(known: Known, tmp_path: Path) -> None:
    from store.catalog import Catalog
    from store.records import VerdictKind

    state = tmp_path / "state"
    shutil.copytree(known.state, state)
    catalog = Catalog(state / "catalog.sqlite3")
    extra = next(iter(catalog.files_with([VerdictKind.DUPLICATE])))
    catalog.set_verdict(extra.id, VerdictKind.KEEP)
    catalog.close()
    answer = dedupd("check", "--state", state, "--json")
    assert answer.code == 1
    assert not answer.json["ok"]
    assert any(extra.stat.path in problem for problem in answer.json["problems"])


def test_status_answers_in_a_moment(known: Known) -> None:
    seconds, bare = [], []
    for _ in range(5):  # in turns, against the shortest thing that Python can do on this machine
        started = time.perf_counter()
        assert dedupd("status", "--state", known.state, "--json").code == 0
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - started)
    ratio = statistics.median(seconds) / statistics.median(bare)
    assert statistics.median(seconds) < 1.0 or ratio < 40, (seconds, bare)


@pytest.mark.parametrize("words", [["--help"], ["status", "--json"], ["--version"]], ids=" ".join)
def test_quick_answers_import_nothing_heavy(known: Known, words: list[str]) -> None:
    state = ["--state", str(known.state)] if words[0] == "status" else []
    done = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, *words, *state], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "click" in imported
    assert not imported & set(HEAVY)


def test_a_reader_that_leaves_early_is_no_error(known: Known) -> None:
    command = f"'{COMMAND}' groups --state '{known.state}' | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_an_unknown_verb_is_a_usage_error() -> None:
    answer = dedupd("frobnicate")
    assert answer.code == 64
    assert answer.err.startswith("dedupd: ")
    assert os.linesep.join(answer.err.splitlines()[1:]).strip().startswith("hint:")
