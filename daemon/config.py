"""TOML → the settings each room owns. An unknown key is an error that names the nearest valid one."""

import difflib
import os
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import TypeAdapter, ValidationError

from daemon.folders import HotFolder
from daemon.settle import SettleSettings
from daemon.state import StateFolder
from daemon.workers import WorkerSettings
from pipeline.embedding import EmbeddingSettings
from pipeline.flow import FlowSettings
from pipeline.keeper import KeeperSettings
from pipeline.matching import MatchingSettings
from pipeline.settings import DecodeSettings, QualitySettings, VerifySettings
from store.errors import AccessError, ConfigError


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """What is done with verdicts. Each hot folder says `report`, `copy` or `move`; this is about the details."""

    similar: Literal["report", "follow"] = "report"  # follow: similar pictures are copied or moved like duplicates
    min_free_mb: Annotated[int, Ge(0)] = 512  # on the quarantine's volume, below which nothing is copied to it


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """What the service does by the clock."""

    reconcile_minutes: Annotated[float, Gt(0)] = 60.0  # full scan of every hot folder: events are only hints
    check_seconds: Annotated[float, Gt(0)] = 5.0  # roots, watcher and status
    snapshot_minutes: Annotated[float, Gt(0)] = 10.0  # vector index to disk
    report_minutes: Annotated[float, Gt(0)] = 60.0  # HTML report into the state folder
    forget_after_days: Annotated[float, Gt(0)] = 30.0  # facts about images without a file
    max_vanished_share: Annotated[float, Ge(0), Le(1)] = 0.2  # of a folder at once, before a person must confirm
    backup_hours: Annotated[float, Gt(0)] = 24.0  # between backups of the catalog
    keep_backups: Annotated[int, Ge(0)] = 3  # of the catalog, in the state folder; 0: make none
    min_free_state_mb: Annotated[int, Ge(0)] = 64  # on the state folder's volume, below which the service pauses


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """How much the service tells."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


@dataclass(frozen=True, slots=True)
class Settings:
    """One section per room."""

    hot_folder: tuple[HotFolder, ...] = ()
    settle: SettleSettings = SettleSettings()
    decode: DecodeSettings = DecodeSettings()
    quality: QualitySettings = QualitySettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    matching: MatchingSettings = MatchingSettings()
    second_look: VerifySettings = VerifySettings()
    keeper: KeeperSettings = KeeperSettings()
    actions: ActionPolicy = ActionPolicy()
    workers: WorkerSettings = WorkerSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    logging: LoggingSettings = LoggingSettings()

    @property
    def flow(self) -> FlowSettings:
        """The part that the pipeline needs."""
        return FlowSettings(self.quality, self.embedding, self.matching, self.second_look, self.keeper)


def default_config_path() -> Path:
    """Return where `run` looks for a configuration when none is named (`~/.config/dedupd/dedupd.toml` on Linux)."""
    from platformdirs import user_config_path

    return user_config_path("dedupd", appauthor=False) / "dedupd.toml"


def config_to_judge_with(named: Path | None) -> Path | None:
    """Return the named configuration, else the default one where it exists, else None for the defaults."""
    default = default_config_path()
    try:
        return named if named is not None or not default.exists() else default
    except PermissionError:  # a home that must not be read holds no configuration for this user
        return None


def config_to_read_with(named: Path | None, state: StateFolder) -> Path | None:
    """Return the named configuration, else the one that judged last in this state folder, else None.

    A reader with other settings than the writer's would see broken laws and odd reasons where there are none.
    """
    noted = state.noted_config()
    return named if named is not None or noted is None or not noted.exists() else noted


def load_settings(path: Path | None) -> Settings:
    """Read a configuration file; None gives the defaults.

    Raises ConfigError for anything that is not right, naming file, section and key, and AccessError for a file that
    must not be read.
    """
    if path is None:
        return Settings()
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"no configuration file {path}", "`dedupd config --example` prints one to start from"
        ) from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder, not a configuration file", "name the TOML file itself") from error
    except PermissionError as error:
        raise AccessError(f"cannot read {path}: {error.strerror}", "check the file's permissions") from error
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}", "see configs/default.toml for the form") from error
    return _with_real_paths(parse_settings(data, str(path)), path.parent)


def parse_settings(data: Mapping[str, Any], source: str) -> Settings:
    """Turn a parsed TOML document into settings; `source` names it in errors."""
    _refuse_unknown(data, Settings, "", source)
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(first["loc"])
        raise ConfigError(
            f"{source}: {place} = {first['input']!r}: {_in_words(first['msg'])}",
            "configs/default.toml explains every key",
        ) from error


_ADAPTER = TypeAdapter(Settings)


def _with_real_paths(settings: Settings, base: Path) -> Settings:
    """Resolve the folders: `~` and paths relative to the configuration file; links are followed once, here."""

    def real(path: str) -> str:
        return os.path.realpath(base / Path(path).expanduser())

    folders = tuple(
        replace(folder, path=real(folder.path), output=None if folder.output is None else real(folder.output))
        for folder in settings.hot_folder
    )
    return replace(settings, hot_folder=folders)


def _refuse_unknown(data: Mapping[str, Any], shape: type, section: str, source: str) -> None:
    hints = typing.get_type_hints(shape)
    known = [field.name for field in fields(shape)]
    for key, value in data.items():
        place = f"[{section}] {key}" if section else f"[{key}]" if isinstance(value, dict | list) else key
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            raise ConfigError(f"{source}: unknown key {place}", hint)
        inner = _dataclass_in(hints[key])
        if inner is HotFolder and not isinstance(value, list):
            raise ConfigError(f"{source}: [hot_folder] needs double brackets", "write [[hot_folder]], once per folder")
        if inner is None:
            continue
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise ConfigError(f"{source}: {place} must be a section", f"write it as [{key}] with its keys below")
            _refuse_unknown(part, inner, key, source)


def _dataclass_in(hint: Any) -> type | None:
    """Find the dataclass in `X` or `tuple[X, ...]`."""
    candidates = (hint, *typing.get_args(hint))
    return next((c for c in candidates if isinstance(c, type) and is_dataclass(c)), None)


def _place(location: tuple[int | str, ...]) -> str:
    names = [part for part in location if isinstance(part, str)]
    return names[0] if len(names) == 1 else f"[{names[0]}] {names[1]}"


def _in_words(message: str) -> str:
    return message[:1].lower() + message[1:]
