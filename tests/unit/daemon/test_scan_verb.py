"""`dedupd scan` as a whole, in this process: what it leaves running, and what it tells."""

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from pipeline.flow import Flow
from pipeline.planning import Problem
from tests.unit.daemon.called import Call

_LOADING_SECONDS = 0.5


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """Three dark pictures: none of them needs an embedding."""
    folder = tmp_path / "dark"
    folder.mkdir()
    for grey in range(3):
        Image.new("RGB", (64, 64), (grey, grey, grey)).save(folder / f"{grey}.png")
    return folder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Say of each loading of the network whether it came to its end; it takes longer than the scan does."""
    ended: list[bool] = []

    def slowly(flow: Flow) -> None:
        ended.append(False)
        time.sleep(_LOADING_SECONDS)
        ended[-1] = True

    monkeypatch.setattr(Flow, "load_model", slowly)
    return ended


def test_no_thread_outlives_a_scan_and_known_content_needs_no_network(
    call: Call, tmp_path: Path, dark: Path, loads: list[bool]
) -> None:
    words = ("scan", dark, "--output", tmp_path / "out", "--state", tmp_path / "state", "--json")
    assert call(*words).json["rejected"]["dark"] == 3
    assert loads == [True]  # Python aborts where it ends while a thread imports torch
    for path in dark.iterdir():
        os.utime(path, ns=(1, 1))
    assert call(*words).code == 0
    assert loads == [True]


def test_a_symlink_in_the_quarantine_is_named_and_what_is_refused_is_counted(
    call: Call, tmp_path: Path, dark: Path, loads: list[bool]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/dark").symlink_to(tmp_path / "elsewhere")
    words = ("scan", dark, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    answer = call(*words, "--json")
    assert (answer.code, answer.json["refused"], answer.json["problems"]) == (0, 3, 3)
    *problems, last = answer.err.splitlines()
    blamed = f"{tmp_path}/out/dark: a folder on the way is gone or a symlink"
    assert sorted(problems) == [f"problem: {dark}/{grey}.png: {blamed}" for grey in range(3)]
    assert last == "refused: 3 actions; what they were about is where it was"
    assert len(list(dark.iterdir())) == 3


def test_a_problem_names_its_file_once() -> None:
    assert Problem("/a\n.jpg", "/a\\x0a.jpg: no permission").text == "/a\\x0a.jpg: no permission"
    assert Problem("/a.jpg", "its keeper is not at home").text == "/a.jpg: its keeper is not at home"
