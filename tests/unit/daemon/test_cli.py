"""The command: verbs, errors with a way out, exit codes, and what the reading verbs say."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import pytest

import daemon
from daemon.config import load_settings
from daemon.folders import look
from tests.laws.synthetic import Content, stand_ins
from tests.patience import PATIENCE_SECONDS
from tests.unit.daemon.called import Call
from tests.unit.daemon.opened import distinct, know, opened, put

ROOT = Path(daemon.__file__).parents[1]
_HEAVY = ("torch", "faiss", "cv2", "numpy", "sqlite_utils", "pydantic", "structlog", "watchdog", "apscheduler")


def spawn(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, **options
    )


# -- the frame --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["--help"], ["status", "--state", "/nowhere"], ["status", "--json", "--state", "/x"]]
)
def test_the_quick_verbs_import_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
from daemon.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code
print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    assert spawn(code).stderr.strip() == "[]"


@pytest.mark.parametrize("words", [["config", "--example"], ["status", "--state", "/nowhere"]])
def test_a_reader_that_leaves_early_is_no_reason_to_complain(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", f"from daemon.cli import main; main({words!r})"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    os.close(write)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")


def test_a_terminal_without_utf_8_gets_escapes() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = spawn("from daemon.cli import main; main(['status', '--state', '/nowhere/ü'])", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/nowhere/\\xfc" in done.stdout


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["scna"], "there is no verb 'scna'", "did you mean `dedupd scan`?"),
        (["qqq"], "there is no verb 'qqq'", "--help"),
        (["scan", "/tmp"], "missing option '--output'", "dedupd scan --help"),
        (["status", "--jsno"], "no such option '--jsno'", "dedupd status --help"),
        (["groups", "--limit", "0"], "invalid value for '--limit'", "dedupd groups --help"),
        (["scan", "/nowhere", "--output", "out"], "no such folder: /nowhere", "check the spelling"),
        (["undo", "--last", "--all"], "these do not go together", "one of --last"),
        (["undo", "--all", "3"], "these do not go together", "one of --last"),
        (["rule"], "missing argument 'ACTION'. Choose from: not-duplicates, keep-both,", "dedupd rule --help"),
        (["service"], "Choose from: install, uninstall, status, logs", "dedupd service --help"),
        (["undo"], "say what to undo", "one of --last"),
        (["config"], "no configuration at", "--example"),
        (["bench", "nothing"], "no bench nothing", "speed"),
    ],
)
def test_usage_errors_are_one_line_with_a_way_out(call: Call, words: list[str], message: str, hint: str) -> None:
    answer = call(*words)
    assert answer.code == 64
    first, second = answer.err.splitlines()
    assert first.startswith("dedupd: ")
    assert message in first
    assert second.startswith("  hint: ")
    assert hint in second
    assert answer.out == ""


def test_no_word_at_all_shows_the_help(call: Call) -> None:
    answer = call()
    assert answer.code == 64
    assert answer.out == ""
    assert answer.err == call("--help").out
    assert "\\x0a" not in answer.err


def test_an_interrupt_while_a_verb_is_imported_is_an_interrupt(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    class Field:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def importing(name: str) -> None:
        type("Ingest", (), {"changed": Field()})  # up to Python 3.11 this wraps whatever is raised

    monkeypatch.setattr("daemon.cli.importlib.import_module", importing)
    assert call("status").code == 130


@pytest.mark.parametrize("bench", ["accuracy", "calibrate"])
def test_a_bench_without_what_it_needs_is_a_usage_error(call: Call, bench: str) -> None:
    answer = call("bench", bench)
    assert answer.code == 64
    assert "the following arguments are required" in answer.err


def test_errors_are_json_too(call: Call, tmp_path: Path) -> None:
    answer = call("groups", "--json", "--state", tmp_path / "none")
    assert answer.code == 64
    assert answer.json["schema"] == 1
    assert answer.json["exit_code"] == 64
    assert "no catalog" in answer.json["error"]
    assert answer.json["hint"]


def test_a_hostile_name_in_an_error_moves_no_cursor(call: Call) -> None:
    assert "\x1b" not in call("scan", "/no\x1b[2Jwhere", "--output", "x").err


@pytest.mark.parametrize("verb", ["groups", "check", "why", "search", "report", "undo"])
def test_verbs_that_read_say_so_when_nothing_is_known(call: Call, tmp_path: Path, verb: str) -> None:
    picture = tmp_path / "a.jpg"
    put(picture)
    more: dict[str, list[object]] = {"why": [picture], "search": [picture], "undo": ["--all"]}
    answer = call(verb, *more.get(verb, []), "--state", tmp_path / "none")
    assert answer.code == 64
    assert "no catalog" in answer.err
    assert not (tmp_path / "none").exists()


def test_run_without_a_configuration_says_how_to_get_one(call: Call, tmp_path: Path) -> None:
    answer = call("run", "--state", tmp_path / "state")
    assert answer.code == 78
    assert "dedupd.toml" in answer.err
    assert "--example" in answer.err
    assert not (tmp_path / "state").exists()


def test_a_configuration_is_checked_as_run_would(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[[hot_folder]]\npath = "hot"\naction = "move"\n')
    shown = call("config", "--config", config)
    assert shown.code == 0
    assert f"{tmp_path / 'hot'}  move" in shown.out
    settings = call("config", "--config", config, "--json").json["settings"]
    assert settings["hot_folder"][0]["path"] == str(tmp_path / "hot")
    config.write_text('[[hot_folder]]\npath = "hot"\noutput = "hot/out"\n')
    assert call("config", "--config", config).code == 78


@pytest.mark.parametrize("words", [["--example"], ["--preset", "camera"], ["--preset", "crawler"]])
def test_configurations_are_printed_whatever_the_import_system_knows_of_their_folder(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    space = ModuleSpec("configs", None, is_package=True)  # what an older editable install leaves: a namespace
    space.submodule_search_locations = ["/nowhere", "/nowhere either"]
    monkeypatch.setitem(sys.modules, "configs", module_from_spec(space))
    answer = call("config", *words)
    assert answer.code == 0
    assert "[[hot_folder]]" in answer.out


def test_status_tells_of_a_catalog_that_is_none(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "state/catalog.sqlite3", b"this was a catalog once " * 300)
    answer = call("status", "--state", tmp_path / "state")
    assert answer.code == 65
    assert "is damaged" in answer.err
    assert "nothing is known yet" not in answer.out


# -- verbs that read, over a state folder with something in it --------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """Know two equal files, a picture with the same pixels, one alone and a dark one."""
    with opened(tmp_path) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        best = Content(1, pixels=1, detail=2.0)
        album = {
            "best.jpg": best,
            "equal.jpg": best,
            "pixels\x1b.jpg": replace(best, number=2, detail=1.0),
            "alone.jpg": distinct(10),
            "dark.jpg": Content(11, pixels=11, direction=3, dark=True),
        }
        for name, content in album.items():
            know(session, folder, put(tmp_path / "hot" / name, name.encode()), content)
    with stand_ins():
        yield tmp_path / "state"


def test_groups(call: Call, state: Path, tmp_path: Path) -> None:
    shown = call("groups", "--state", state)
    assert shown.out.startswith(
        f"2 duplicates beside {tmp_path}/hot/best.jpg\n  {tmp_path}/hot/equal.jpg\n      the same bytes"
    )
    assert "\x1b" not in shown.out
    found = call("groups", "--json", "--state", state).json
    assert found["total"] == 1
    assert [Path(m["path"]).name for m in found["groups"][0]["members"]] == ["equal.jpg", "pixels\x1b.jpg"]
    assert call("groups", "--json", "--level", "similar", "--state", state).json["groups"] == []
    assert "no two known pictures match" in call("groups", "--level", "similar", "--state", state).out


def test_linked_groups(call: Call, state: Path) -> None:
    (group,) = call("groups", "--linked", "--json", "--state", state).json["groups"]
    assert [Path(member["path"]).name for member in group["members"]] == ["best.jpg", "equal.jpg", "pixels\x1b.jpg"]
    assert "3 files linked" in call("groups", "--linked", "--state", state).out


def test_why_an_extra_is_compared_with_its_keeper_alone(call: Call, state: Path, tmp_path: Path) -> None:
    answer = call("why", tmp_path / "hot/pixels\x1b.jpg", "--json", "--state", state).json
    assert (answer["verdict"], answer["keeper"]) == ("duplicate", str(tmp_path / "hot/best.jpg"))
    (rival,) = answer["criteria"]
    assert (rival["other"], rival["this_is_keeper"]) == (str(tmp_path / "hot/best.jpg"), False)
    (decided,) = [row for row in rival["rows"] if row["decides"]]
    assert (decided["criterion"], decided["keeper"], decided["extra"]) == ("detail", "2 MP", "1 MP")
    (group,) = answer["groups"]
    assert [(Path(m["path"]).name, m["keeper"], m["decided"]) for m in group["members"]] == [
        ("best.jpg", True, ""), ("pixels\x1b.jpg", False, "detail"),
    ]  # fmt: skip
    assert [member["values"]["detail"] for member in group["members"]] == ["2 MP", "1 MP"]
    assert group["members"][1]["why"] == "it shows more detail (2 MP against 1 MP)"
    shown = call("why", tmp_path / "hot/pixels\x1b.jpg", "--state", state).out
    assert "decided by" in shown
    assert "◀ decides" in shown
    assert "\x1b" not in shown


def test_why_a_keeper_is_compared_with_its_extras(call: Call, state: Path, tmp_path: Path) -> None:
    answer = call("why", tmp_path / "hot/best.jpg", "--json", "--state", state).json
    assert answer["verdict"] == "keep"
    assert [(Path(r["other"]).name, r["this_is_keeper"]) for r in answer["criteria"]] == [("pixels\x1b.jpg", True)]


def test_why_knows_a_file_by_its_content_too_and_admits_what_it_does_not_know(
    call: Call, state: Path, tmp_path: Path
) -> None:
    put(tmp_path / "elsewhere.jpg", b"never seen")
    answer = call("why", tmp_path / "elsewhere.jpg", "--state", state)
    assert answer.code == 64
    assert "scan its folder first" in answer.err
    assert "no such file" in call("why", tmp_path / "none.jpg", "--state", state).err


def test_check_is_content_and_finds_what_is_lost(call: Call, state: Path, tmp_path: Path) -> None:
    shown = call("check", "--state", state)
    assert (shown.code, shown.out) == (0, "all is well: 5 files, 4 images\n")
    (tmp_path / "hot/alone.jpg").unlink()
    put(tmp_path / "hot/dark.jpg", b"brighter now")
    answer = call("check", "--json", "--state", state)
    assert (answer.code, answer.json["ok"], answer.json["schema"]) == (1, False, 1)
    assert [problem.removeprefix(f"{tmp_path}/hot/") for problem in answer.json["problems"]] == [
        "alone.jpg: No such file or directory",
        "dark.jpg: changed since it was judged",
    ]
    assert "2 problems found" in call("check", "--state", state).out


def test_accepting_a_loss_needs_a_service(call: Call, state: Path, tmp_path: Path) -> None:
    answer = call("check", "--accept-vanished", tmp_path / "hot", "--state", state)
    assert answer.code == 64
    assert "no service runs" in answer.err


def test_report(call: Call, state: Path, tmp_path: Path) -> None:
    answer = call("report", "--json", "--state", state, "--output", tmp_path / "page").json
    assert (answer["files"], answer["duplicates"], answer["rejected"]["dark"]) == (5, 2, 1)
    assert Path(answer["report"]).is_file()
    assert len(json.loads(Path(answer["log"]).read_text("ascii"))["files"]) == 5
    assert call("report", "--state", state).out == f"report: {state}/report/cleaning_report.html\n"


def test_undo_with_nothing_to_take_back(call: Call, state: Path, tmp_path: Path) -> None:
    assert call("undo", "--list", "--state", state).out == "nothing to take back\n"
    assert call("undo", "--all", "--state", state).out == "nothing to take back\n"
    assert call("undo", "--last", "--json", "--state", state).json["undone"] == 0
    assert call("undo", "77", "--state", state).code == 1
    (tmp_path / "empty").mkdir()
    assert "no manifest" in call("undo", "--manifest", tmp_path / "empty", "--state", state).err


def test_readers_see_with_the_settings_that_judged(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[keeper]\ncriteria = ["newer"]\n')
    old, new = tmp_path / "hot/old.jpg", tmp_path / "hot/new.jpg"
    for path, mtime_ns in ((old, 10**18), (new, 2 * 10**18)):
        put(path)
        os.utime(path, ns=(mtime_ns, mtime_ns))
    better = Content(1, pixels=1, detail=2.0)
    with opened(tmp_path, settings=load_settings(config)) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        for path, content in ((old, better), (new, replace(better, number=2, detail=1.0))):
            stat = look(str(path))
            assert stat is not None
            know(session, folder, stat, content)
        session.state.note_config(config)
    with stand_ins():
        found = call("groups", "--json", "--state", tmp_path / "state").json["groups"]
        assert Path(found[0]["keeper"]).name == "new.jpg"
        problems = call("check", "--json", "--state", tmp_path / "state").json["problems"]
        assert not [problem for problem in problems if problem.startswith("law")]
        none = tmp_path / "defaults.toml"
        none.write_text("")
        other = call("check", "--json", "--config", none, "--state", tmp_path / "state").json["problems"]
        assert [problem for problem in other if problem.startswith("law 4")]
