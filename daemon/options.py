"""Options that several verbs share."""

import os
from pathlib import Path

import click

from store.errors import AccessError


def _readable(_context: click.Context, _parameter: click.Parameter, folder: Path | None) -> Path | None:
    """Refuse a state folder of somebody else's. Raises AccessError: click would call it a mistake on the line."""
    if folder is not None and os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        raise AccessError(f"cannot read the state folder {folder}", "check its owner and mode, or pass another --state")
    return folder


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, readable=False),
    callback=_readable,
    help="Where catalog and indexes live [default: the platform's state folder].",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    help="Configuration file (TOML) [default: dedupd/dedupd.toml in the platform's configuration folder; "
    "verbs that only read take the one that judged].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
