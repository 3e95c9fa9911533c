"""Documentation that is tested: every command parses, every key, path and link exists, the configurations load."""

import importlib
import importlib.util
import plistlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from daemon.cli import cli
from daemon.commands.bench import _BENCHES
from daemon.config import Settings, load_settings, parse_settings
from daemon.folders import HotFolder
from pipeline.backbones import BACKBONES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEXTS = [*PAGES, ROOT / "systemd/dedupd.service", ROOT / "launchd/io.dedupd.agent.plist", *ROOT.glob("configs/*.toml")]
DEFAULT = ROOT / "configs/default.toml"
_TOP_LEVEL = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"demo"}
_NO_KEYS = {  # words with an underscore that are no keys of the configuration
    "cleaning_log", "cleaning_report", "exit_code", "config_option", "state_option", "json_option", "max_distance_bits",
    "tmp_path", "annotated_types",
}  # fmt: skip


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def inline(text: str) -> list[str]:
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def commands() -> Iterator[Any]:
    """Yield (words, exact) for every command of ours; a synopsis with brackets or dots is not exact."""
    for page in PAGES:
        text = page.read_text("utf-8")
        lines = [line for block in fenced(text, "sh") for line in block.splitlines()]
        for line in [*lines, *inline(text)]:
            if line.startswith("dedupd ") and not line.startswith("dedupd --"):
                line = re.split(r"\s#|\s[>|&]\s", line)[0]
                exact = not re.search(r"[\[\]…]|\|", line)
                yield pytest.param(shlex.split(line)[1:], exact, id=f"{page.name}: {line.strip()}"[:90])


def verb(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, f"there is no verb {name}"
    return found


@pytest.mark.parametrize(("words", "exact"), list(commands()))
def test_every_command_parses(words: list[str], exact: bool) -> None:
    command = verb(words[0])
    known = {option for parameter in command.params for option in parameter.opts}
    if words[0] == "bench" and len(words) > 2:
        known |= set(importlib.import_module(_BENCHES[words[1]][0]).parser()._option_string_actions)
    assert {word.strip("[]").split("|")[0] for word in words if word.lstrip("[").startswith("-")} <= known
    if words[0] == "bench":
        assert words[1] in _BENCHES
    elif exact and len(words) > 1:
        command.make_context(words[0], words[1:])  # raises for a missing argument or a wrong choice


def test_the_pages_show_commands_and_all_verbs() -> None:
    shown = {parameter.values[0][0] for parameter in commands()}
    assert shown == set(cli.list_commands(click.Context(cli))), "a verb without a word about it, or the reverse"


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_verb_helps_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Examples?: dedupd {name}\b", result.output)


@pytest.mark.parametrize("name", list(_BENCHES))
def test_every_bench_exists(name: str) -> None:
    assert importlib.util.find_spec(_BENCHES[name][0]) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = [
        word for word in inline(text) if re.fullmatch(r"[\w.-]+/[\w./-]*", word) and word.split("/")[0] in _TOP_LEVEL
    ]
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [word for word in named if not (ROOT / word).exists()]
    assert not missing


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_of_the_machine_it_was_written_on(path: Path) -> None:
    text = path.read_text("utf-8")
    assert str(ROOT) not in text
    assert not re.search(r"/root\b|--(extra-)?index-url[ =]\s*http", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_example_configurations_are_valid(page: Path) -> None:
    for block in fenced(page.read_text("utf-8"), "toml"):
        parse_settings(tomllib.loads(block), page.name)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/operations.md", ROOT / "CONTRIBUTING.md"])
def test_every_key_named_exists(page: Path) -> None:
    words = inline(page.read_text("utf-8"))
    snake = {word.split(" =")[0] for word in words if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+( = .*)?", word)}
    keys = {key for section in sections().values() for key in section}
    assert not snake - keys - set(BACKBONES) - _NO_KEYS
    for word in words:
        if found := re.fullmatch(r"\[(\w+)\](?: (\w+))?", word):
            section, key = found.groups()
            assert section in sections()
            assert key is None or key in sections()[section]


def test_the_readme_names_recipes_that_exist_with_the_time_they_take() -> None:
    recipes = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [line for block in fenced((ROOT / "README.md").read_text("utf-8"), "sh") for line in block.splitlines()]
    timed = [line for line in lines if re.match(r"make (install|demo|test) +#", line)]
    assert [line.split()[1] for line in timed] == ["install", "demo", "test"]
    assert all(re.search(r"minute|second", line) for line in timed)
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= recipes


def test_the_readme_names_every_backbone() -> None:
    assert set(BACKBONES) <= set(inline((ROOT / "README.md").read_text("utf-8")))


def test_exit_codes_are_those_of_the_error_tree() -> None:
    import store.errors

    def codes(error: type[store.errors.DedupdError]) -> set[int]:
        return {error.exit_code}.union(*(codes(leaf) for leaf in error.__subclasses__()))

    table = re.findall(r"^\| (\d+) \|", (ROOT / "docs/operations.md").read_text("utf-8"), re.MULTILINE)
    assert {0, 130} | codes(store.errors.DedupdError) == set(map(int, table))


# -- configurations -----


def sections() -> dict[str, list[str]]:
    """Return the keys of every section, from the settings themselves."""
    found = {}
    for section in fields(Settings):
        shape = type(getattr(Settings(), section.name))
        found[section.name] = [key.name for key in fields(shape if is_dataclass(shape) else HotFolder)]
    return found


def test_the_default_configuration_is_the_defaults() -> None:
    assert parse_settings(tomllib.loads(DEFAULT.read_text("utf-8")), "default.toml") == Settings()


def parts() -> dict[str, str]:
    """Return the text of every section of the default configuration."""
    pieces = re.split(r"^(?:# )?\[+(\w+)\]+", DEFAULT.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.parametrize("section", list(sections()))
def test_the_default_configuration_names_every_key_with_a_reason(section: str) -> None:
    lines = re.findall(r"^(?:# )?([a-z_0-9]+) = [^#]+(# .+)?$", parts()[section], re.MULTILINE)
    assert sorted(name for name, _ in lines) == sorted(sections()[section])
    silent = [name for name, reason in lines if not reason and name != "path"]
    assert not silent, "no unit and no reason"


def test_optional_keys_of_the_default_configuration_are_valid_too() -> None:
    text = re.sub(r"^# (\[\[\w+\]\]|[a-z_]+ = )", r"\1", DEFAULT.read_text("utf-8"), flags=re.MULTILINE)
    settings = parse_settings(tomllib.loads(text), "default.toml")
    assert len(settings.hot_folder) == 1
    assert settings.matching.candidate_similarity is not None


@pytest.mark.parametrize("name", ["camera", "crawler", "archive"])
def test_presets_load_and_are_offered(name: str) -> None:
    assert load_settings(ROOT / f"configs/{name}.toml").hot_folder
    result = CliRunner().invoke(cli, ["config", "--preset", name])
    assert result.output == (ROOT / f"configs/{name}.toml").read_text("utf-8")


# -- service templates -----


def test_the_unit_starts_the_service_and_gives_up_on_errors_that_stay() -> None:
    unit = (ROOT / "systemd/dedupd.service").read_text("utf-8")
    assert re.search(r"^Type=notify$", unit, re.MULTILINE)  # the service sends READY=1
    start = re.search(r"^ExecStart=@DEDUPD@ (.+)$", unit, re.MULTILINE)
    assert start is not None
    verb(start[1].split()[0]).make_context("run", start[1].split()[1:])
    assert re.search(r"^RestartPreventExitStatus=64 65 75 77 78$", unit, re.MULTILINE)


def test_the_agent_starts_the_service_too() -> None:
    agent = plistlib.loads((ROOT / "launchd/io.dedupd.agent.plist").read_bytes())
    assert agent["ProgramArguments"][0] == "@DEDUPD@"
    verb("run").make_context("run", agent["ProgramArguments"][2:])
    assert agent["Label"] == "io.dedupd.agent"
