"""The scorecard on drawn pictures: paused, gone on with, and the same again."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from bench.accuracy import main
from bench.copies import KINDS
from store.errors import UsageError
from tests.scenes import draw

ORIGINALS = 8


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("scorecard")
    for name, seeds in (("mine", range(12)), ("others", range(12, 18))):
        (root / name).mkdir()
        for seed in seeds:
            Image.fromarray(draw(seed, (160, 120))).save(root / name / f"{seed}.png")
    (root / "truth.json").write_text(json.dumps({"real": [["others/12.png", "others/12.png"]]}), "utf-8")
    words = [root / "mine", "--negatives", root / "others", "--truth", root / "truth.json", "--out", root / "work"]
    return [*map(str, words), "--limit", str(ORIGINALS), "--copies", "2", "--seed", "1"]


@pytest.fixture(scope="module")
def results(arguments: list[str]) -> dict[str, Any]:
    with pytest.raises(SystemExit) as paused:
        main([*arguments, "--minutes", "0"])
    assert paused.value.code == 75
    assert main(arguments) == 0
    work = Path(arguments[arguments.index("--out") + 1])
    told: dict[str, Any] = json.loads((work / "accuracy.json").read_text("utf-8"))
    return told


def test_a_folder_that_is_not_there_is_no_folder_without_pictures(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        main([*arguments, "--negatives", str(tmp_path / "clip.avi")])


def test_every_method_is_judged_on_the_same_pictures(results: dict[str, Any]) -> None:
    assert {"whole matcher", "phash", "dhash", "pdq"} < set(results["ranking"])
    assert {figures["all"]["copies"] for figures in results["ranking"].values()} == {2 * ORIGINALS + 1}
    matcher = results["ranking"]["whole matcher"]["all"]
    assert matcher["recall_999"] >= max(results["ranking"][name]["all"]["recall_999"] for name in ("phash", "dhash"))


def test_the_matcher_says_what_becomes_of_each_kind(results: dict[str, Any]) -> None:
    table = results["matcher"]["outcomes"]
    assert set(table) <= {"real copy", *(kind.name for kind in KINDS)}
    assert all(sum(shares.values()) == pytest.approx(1) for shares in table.values())
    assert table["real copy"]["pixels"] == 1


def test_the_whole_program_was_run(results: dict[str, Any]) -> None:
    program = results["program"]
    assert program["files"] == results["counts"]["all"] == 3 * ORIGINALS + 6 + 2
    assert program["wrong_removals"] == len(program["wrong"]) == 0
    assert program["overall"]["recall"] > 0.5


def test_the_same_command_again_gives_the_same_figures(results: dict[str, Any], arguments: list[str]) -> None:
    work = Path(arguments[arguments.index("--out") + 1])
    assert main(arguments) == 0
    assert json.loads((work / "accuracy.json").read_text("utf-8")) == results
    for picture in work.glob("*.svg"):
        ElementTree.fromstring(picture.read_text("utf-8"))
    assert len(list(work.glob("*.svg"))) == 4
