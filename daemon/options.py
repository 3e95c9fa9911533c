"""Options that several verbs share."""

from pathlib import Path

import click

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Where catalog and indexes live [default: the platform's state folder].",
)
config_option = click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML).")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
