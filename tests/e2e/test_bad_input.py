"""Bad input: one line that says what is wrong, one that says the way out, the right exit code, and nothing touched."""

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import Answer, contents, dedupd, listing, scan, write_config
from tests.gallery import Album

LayOut = Callable[[Album, str], Album]
PROGRESS = re.compile(r"(looking|judging): [\d,]+( of [\d,]+)?")  # told every ten seconds: on slow machines
# Still root, but bound by the permission bits of what it owns, like any other user.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder of pictures that nothing may touch, and places to write to."""

    base: Path
    folder: Path
    before: dict[str, tuple[str, int, int]]

    def scan(self, *words: object, folder: Path | None = None) -> Answer:
        """Run a scan that is to fail."""
        places = ("--output", self.base / "out", "--state", self.base / "state")
        given = [str(word) for word in words]
        chosen = [word for pair in zip(places[::2], places[1::2], strict=True) if pair[0] not in given for word in pair]
        return dedupd("scan", folder or self.folder, *chosen, *words)


@pytest.fixture
def bench(drawn_few: Album, lay_out: LayOut, tmp_path: Path) -> Iterator[Bench]:
    folder = lay_out(drawn_few, "in").folder
    made = Bench(tmp_path, folder, listing(folder))
    yield made
    assert listing(folder) == made.before, "nothing touched"


@pytest.fixture(scope="module")
def scanned_state(drawn_few: Album, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a sound catalog, to be copied."""
    base = tmp_path_factory.mktemp("state")
    scan(drawn_few.folder, "--output", base / "out", "--state", base / "state")
    return base / "state"


def assert_refused(answer: Answer, code: int, *words: str) -> None:
    """Hold an answer against the form of errors."""
    lines = [line for line in answer.err.strip().splitlines() if not PROGRESS.fullmatch(line)]
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    assert len(lines) == 2, answer.err
    assert lines[0].startswith("dedupd: ")
    assert lines[1].startswith("  hint: ")
    for word in words:
        assert word in answer.err


def test_a_missing_folder(bench: Bench) -> None:
    assert_refused(bench.scan(folder=bench.base / "nowhere"), 64, "no such folder", "nowhere")


def test_a_file_instead_of_a_folder(bench: Bench) -> None:
    picture = next(path for path in bench.folder.rglob("*.jpg"))
    assert_refused(bench.scan(folder=picture), 64, "not a folder", picture.name)


def test_no_folder_at_all() -> None:
    assert_refused(dedupd("scan", "--output", "/tmp/x"), 64, "FOLDER")


def test_the_output_is_the_folder(bench: Bench) -> None:
    assert_refused(bench.scan("--output", bench.folder, "--action", "move"), 64, "output")


def test_the_output_is_a_file(bench: Bench) -> None:
    (bench.base / "file").write_bytes(b"mine")
    assert_refused(bench.scan("--output", bench.base / "file"), 64, "is a file")
    assert (bench.base / "file").read_bytes() == b"mine"


def test_the_state_is_a_file(bench: Bench) -> None:
    (bench.base / "file").write_bytes(b"mine")
    assert_refused(bench.scan("--state", bench.base / "file"), 64, "is a file")


def test_a_missing_configuration(bench: Bench) -> None:
    assert_refused(bench.scan("--config", bench.base / "none.toml"), 78, "none.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[quality]\nmin_sharpnes = 50\n", ("min_sharpnes", "did you mean `min_sharpness`")),
        ("[qualty]\nmin_sharpness = 50\n", ("qualty", "did you mean `quality`")),
        ("[[hot_folder]]\npath = '/tmp/x'\nprotect = true\n", ("protect", "did you mean `protected`")),
        ("[quality]\nmin_sharpness = -1\n", ("[quality] min_sharpness", "-1")),
        ("[quality]\nmax_brightness = 300\n", ("[quality] max_brightness", "300")),
        ("[matching]\nmax_phash_bits = 64\n", ("[matching] max_phash_bits", "64")),
        ("[matching]\ncandidate_similarity = 1.5\n", ("[matching] candidate_similarity", "1.5")),
        ("[settle]\nsettle_seconds = 'soon'\n", ("[settle] settle_seconds", "soon")),
        ("[keeper]\ncriteria = ['prettiest']\n", ("[keeper] criteria", "prettiest")),
        ("[[hot_folder]]\naction = 'move'\n", ("path",)),
        ("[[hot_folder]]\npath = '/tmp/x'\naction = 'delete'\n", ("action", "delete")),
        ("quality = 3\n", ("quality", "section")),
        ("this is no TOML", ("no valid TOML",)),
    ],
    ids=lambda value: value.splitlines()[-1] if isinstance(value, str) else None,
)
def test_a_wrong_configuration(bench: Bench, text: str, words: tuple[str, ...]) -> None:
    config = bench.base / "c.toml"
    config.write_text(text)
    assert_refused(bench.scan("--config", config), 78, "c.toml", *words)
    assert not (bench.base / "out").exists(), "nothing is made before the configuration is right"


@pytest.mark.parametrize("inside", ["output", "state", "nested", "twice"])
def test_hot_folders_that_cannot_work(bench: Bench, inside: str) -> None:
    first: dict[str, object] = {"path": bench.folder, "action": "move"}
    state = bench.base / "state"
    more: list[dict[str, object]] = []
    if inside == "output":
        first["output"] = bench.folder / "quarantine"
    elif inside == "state":
        state = bench.folder / "state"
    else:
        more = [{"path": bench.folder / "camera" if inside == "nested" else bench.folder}]
    config = write_config(bench.base / "c.toml", first, *more)
    assert_refused(dedupd("run", "--config", config, "--state", state), 78, str(bench.folder))
    assert not state.exists()


def test_run_without_a_hot_folder(bench: Bench) -> None:
    config = write_config(bench.base / "c.toml")
    assert_refused(dedupd("run", "--config", config, "--state", bench.base / "state"), 78, "[[hot_folder]]")


def test_weights_of_another_model(bench: Bench) -> None:
    import torch
    from safetensors.torch import save_file

    weights = bench.base / "weights.safetensors"
    save_file({"something.weight": torch.zeros(3)}, weights)
    config = write_config(bench.base / "c.toml", embedding={"weights": weights})
    assert_refused(bench.scan("--config", config, "--action", "move"), 65, "weights.safetensors")


def test_weights_that_are_missing(bench: Bench) -> None:
    config = write_config(bench.base / "c.toml", embedding={"weights": bench.base / "none.safetensors"})
    assert_refused(bench.scan("--config", config), 65, "none.safetensors")


def test_an_unknown_model(bench: Bench) -> None:
    config = write_config(bench.base / "c.toml", embedding={"model": "resnet49"})
    answer = bench.scan("--config", config)
    assert_refused(answer, answer.code, "resnet49", "resnet50")
    assert answer.code in (65, 78)


@pytest.mark.parametrize("verb", [["scan"], ["status"], ["groups"], ["check"], ["undo", "--all"]], ids=" ".join)
def test_a_damaged_catalog(bench: Bench, verb: list[str]) -> None:
    state = bench.base / "state"
    state.mkdir()
    (state / "catalog.sqlite3").write_bytes(b"this was a catalog once " * 300)
    answer = bench.scan("--action", "move") if verb == ["scan"] else dedupd(*verb, "--state", state)
    assert_refused(answer, 65, "catalog.sqlite3")
    assert (state / "catalog.sqlite3").read_bytes() == b"this was a catalog once " * 300


def test_a_catalog_damaged_in_the_middle(bench: Bench, scanned_state: Path) -> None:
    shutil.copytree(scanned_state, bench.base / "state")
    catalog = bench.base / "state" / "catalog.sqlite3"
    content = bytearray(catalog.read_bytes())
    content[4096:-4096] = random.Random(8).randbytes(len(content) - 8192)
    catalog.write_bytes(content)
    for words in (["groups"], ["check"], ["why", str(next(bench.folder.rglob("*.jpg")))]):
        answer = dedupd(*words, "--state", bench.base / "state")
        assert_refused(answer, 65, "damaged")
    answer = bench.scan("--action", "move")
    assert_refused(answer, 65, "catalog")


@pytest.mark.parametrize("verb", ["groups", "why", "check", "search", "undo", "report"])
def test_reading_without_a_catalog(bench: Bench, verb: str) -> None:
    picture = next(bench.folder.rglob("*.jpg"))
    words = {"why": [str(picture)], "search": [str(picture)], "undo": ["--all"]}.get(verb, [])
    answer = dedupd(verb, *words, "--state", bench.base / "none")
    assert_refused(answer, 64, "none")
    assert not (bench.base / "none").exists()


def test_errors_are_json_too(bench: Bench) -> None:
    answer = bench.scan("--json", folder=bench.base / "nowhere")
    assert answer.code == 64
    assert answer.json["exit_code"] == 64
    assert answer.json["hint"]


def test_undo_of_what_was_never_done(scanned_state: Path) -> None:
    answer = dedupd("undo", "4711", "--state", scanned_state)
    assert answer.code != 0
    assert "Traceback" not in answer.err
    assert "4711" in answer.err


def test_search_for_what_is_no_picture(scanned_state: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    assert_refused(dedupd("search", text, "--state", scanned_state), 65, "text.jpg")


# -- what only an ordinary user is refused ----------------------------------------------------------------------------


@pytest.fixture
def bound() -> tuple[str, ...]:
    """The words before a command that make permissions count."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None or subprocess.run([*BOUND, "true"], capture_output=True, check=False).returncode:
        pytest.skip("runs as root, without a way to give up its powers: permissions do not bind root")
    return BOUND


@pytest.fixture
def place(drawn_few: Album, tmp_path: Path) -> Iterator[Path]:
    """A folder with an album in it, whose permissions a test may spoil."""
    shutil.copytree(drawn_few.folder, tmp_path / "in")
    yield tmp_path
    for path in (tmp_path, *tmp_path.iterdir(), *(tmp_path / "in").iterdir()):
        if path.is_dir():
            path.chmod(0o700)


def test_an_unreadable_folder(bound: tuple[str, ...], place: Path) -> None:
    (place / "in").chmod(0)
    words = ("scan", place / "in", "--output", place / "out", "--state", place / "state")
    answer = dedupd(*words, prefix=bound, cwd=place)
    assert_refused(answer, 77, "cannot read the folder")


@pytest.mark.parametrize("verb", ["status", "groups"])
def test_a_state_folder_that_must_not_be_read(bound: tuple[str, ...], place: Path, verb: str) -> None:
    (place / "state").mkdir(mode=0)
    assert_refused(dedupd(verb, "--state", place / "state", prefix=bound, cwd=place), 77, "state folder")


def test_an_output_that_must_not_be_made(bound: tuple[str, ...], place: Path) -> None:
    place.chmod(0o555)
    words = ("scan", place / "in", "--output", place / "out", "--state", place / "in" / ".state")
    answer = dedupd(*words, prefix=bound, cwd=place)
    assert_refused(answer, 77, "output")


def test_a_home_that_must_not_be_read(bound: tuple[str, ...], place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0)
    words = ("scan", place / "in", "--output", place / "out", "--state", place / "state")
    answer = dedupd(*words, prefix=(*bound, "env", f"HOME={home}", f"XDG_CONFIG_HOME={home}"), cwd=place)
    assert "Traceback" not in answer.err
    assert answer.code in (0, 77)


def test_unreadable_files_and_subfolders_are_kept_and_named(bound: tuple[str, ...], place: Path) -> None:
    pictures = sorted((place / "in" / "camera").iterdir())
    pictures[0].chmod(0)
    hidden = place / "in" / "phone"
    hidden.chmod(0)
    words = ("scan", place / "in", "--output", place / "out", "--state", place / "state")
    answer = dedupd(*words, "--action", "move", "--json", prefix=bound, cwd=place)
    hidden.chmod(0o777)
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err
    entries = {e["path"]: e for e in json.loads(Path(answer.json["log"]).read_text())["files"]}
    assert entries[str(pictures[0])]["verdict"] == "keep"
    assert "not judged" in entries[str(pictures[0])]["reason"]
    assert pictures[0].exists()
    assert str(hidden) in answer.err
    assert contents(hidden)
