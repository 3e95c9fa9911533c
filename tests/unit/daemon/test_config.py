"""TOML → settings: what is refused, how it is named, and which configuration is taken."""

import os
from pathlib import Path

import pytest

from daemon.config import Settings, config_to_judge_with, config_to_read_with, load_settings, parse_settings
from daemon.state import StateFolder
from store.errors import AccessError, ConfigError


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the default configuration would lie, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    from daemon.config import default_config_path

    return default_config_path()


def test_no_file_means_the_defaults() -> None:
    assert load_settings(None) == Settings()


def test_every_section_reaches_its_room(tmp_path: Path) -> None:
    settings = load_settings(
        written(
            tmp_path / "c.toml",
            """
            [[hot_folder]]
            path = "hot"
            action = "move"
            ignore = ["*.tmp.jpg"]
            [quality]
            min_sharpness = 7
            [keeper]
            criteria = ["metadata", "older"]
            [matching]
            similar_similarity = 0.9
            [workers]
            processes = 3
            """,
        )
    )
    assert settings.hot_folder[0].action == "move"
    assert settings.hot_folder[0].ignore == ("*.tmp.jpg",)
    assert settings.flow.quality.min_sharpness == 7.0
    assert settings.flow.keeper.criteria == ("metadata", "older")
    assert settings.flow.matching.similar_similarity == 0.9
    assert settings.workers.processes == 3


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[quality]\nmin_sharpnes = 1", "unknown key [quality] min_sharpnes", "did you mean `min_sharpness`?"),
        ("[qality]\nmin_sharpness = 1", "unknown key [qality]", "did you mean `quality`?"),
        (
            "[[hot_folder]]\npath = 'x'\nprotectd = true",
            "unknown key [hot_folder] protectd",
            "did you mean `protected`?",
        ),
        ("[settle]\nzzz = 1", "unknown key [settle] zzz", "known here: settle_seconds"),
        ("quality = 3", "quality must be a section", "write it as [quality]"),
        ("[quality]\nmin_brightness = 300", "[quality] min_brightness = 300: ", "explains every key"),
        ("[settle]\nsettle_seconds = -1", "[settle] settle_seconds = -1: input should", ""),
        ("[keeper]\ncriteria = ['prettier']", "[keeper] criteria = 'prettier'", ""),
        ("[[hot_folder]]\npath = ''", "[hot_folder] path = ''", ""),
        ("[[hot_folder]]\npath = 'x'\naction = 'delete'", "[hot_folder] action = 'delete'", ""),
        ("[[hot_folder]]\naction = 'move'", "path", ""),
        ("[workers]\nprocesses = 'many'", "[workers] processes = 'many'", ""),
        ("[quality", "is no valid TOML", "configs/default.toml"),
    ],
)
def test_what_is_wrong_is_named_with_a_way_out(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = written(tmp_path / "c.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 78


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"[quality]\n# \xff\xfe\n")
    with pytest.raises(ConfigError, match="is no valid TOML"):
        load_settings(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file") as caught:
        load_settings(tmp_path / "none.toml")
    assert "--example" in caught.value.hint
    with pytest.raises(ConfigError, match="is a folder"):
        load_settings(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_a_file_that_must_not_be_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c.toml", "")
    path.chmod(0)
    with pytest.raises(AccessError):
        load_settings(path)


def test_folders_are_resolved_from_the_file_they_are_written_in(tmp_path: Path, default: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/link").symlink_to(tmp_path / "real")
    text = "[[hot_folder]]\npath = 'link'\noutput = '../out'\n[[hot_folder]]\npath = '~/pictures'\n"
    first, second = load_settings(written(tmp_path / "sub/c.toml", text)).hot_folder
    assert first.path == str(tmp_path / "real")
    assert first.output == str(tmp_path / "out")
    assert second.path == str(tmp_path / "home/pictures")
    assert second.output is None


def test_parsing_alone_touches_no_path() -> None:
    assert parse_settings({"hot_folder": [{"path": "~/x"}]}, "here").hot_folder[0].path == "~/x"


def test_writers_take_the_named_configuration_then_the_default_one(tmp_path: Path, default: Path) -> None:
    named = tmp_path / "named.toml"
    assert config_to_judge_with(None) is None
    assert config_to_judge_with(named) == named
    written(default, "")
    assert config_to_judge_with(None) == default
    assert config_to_judge_with(named) == named


def test_readers_take_what_judged_last(tmp_path: Path, default: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.create()
    written(default, "")
    assert config_to_read_with(None, state) is None, "the defaults judged here, whatever lies in the home folder"
    noted = written(tmp_path / "noted.toml", "")
    state.note_config(noted)
    assert config_to_read_with(None, state) == noted
    assert config_to_read_with(default, state) == default
    noted.unlink()
    assert config_to_read_with(None, state) is None
    state.note_config(None)
    assert state.noted_config() is None
