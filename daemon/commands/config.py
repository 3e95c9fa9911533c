"""`dedupd config`: check a configuration, or print one to start from."""

from dataclasses import asdict
from pathlib import Path

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, say, table
from store.errors import UsageError
from store.text import printable

# Not through the import system: an editable install may know of `configs` only as a namespace, without its place.
_CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@click.command(epilog="Examples: dedupd config --example > dedupd.toml · dedupd config --config dedupd.toml")
@click.option("--example", is_flag=True, help="Print the default configuration with every key explained.")
@click.option("--preset", type=click.Choice(["camera", "crawler", "archive"]), help="Print a configuration for a use.")
@config_option
@state_option
@json_option
def command(example: bool, preset: str | None, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Check a configuration file as `run` would read it, and show what it says."""
    from daemon.config import default_config_path, load_settings
    from daemon.roots import refuse_nesting
    from daemon.state import StateFolder

    if example or preset:
        say((_CONFIGS / f"{preset or 'default'}.toml").read_text("utf-8").rstrip())
        return
    path = config or default_config_path()
    if config is None and not path.exists():
        raise UsageError(f"no configuration at {path}", "pass --config FILE, or start with `dedupd config --example`")
    settings = load_settings(path)
    refuse_nesting(settings, StateFolder(state))
    if as_json:
        emit({"schema": 1, "ok": True, "path": str(path), "settings": asdict(settings)})
        return
    rows = [(hot.path, "protected" if hot.protected else hot.action, hot.watch) for hot in settings.hot_folder]
    table(("hot folder", "action", "watch"), rows)
    say(f"{printable(str(path))} is valid")
