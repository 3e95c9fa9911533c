"""Options that several verbs share."""

from pathlib import Path

import click

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Where catalog and indexes live [default: the platform's state folder].",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file (TOML) [default: dedupd/dedupd.toml in the platform's configuration folder; "
    "verbs that only read take the one that judged].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
