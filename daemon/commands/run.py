"""`dedupd run`: the service, in the foreground."""

from pathlib import Path

import click

from daemon.options import config_option, state_option


@click.command(epilog="Example: dedupd run --config ~/.config/dedupd/dedupd.toml")
@config_option
@state_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log.")
def command(config: Path | None, state: Path | None, log_level: str | None) -> None:
    """Watch the hot folders of the configuration until stopped (SIGTERM); SIGHUP reads the configuration again."""
    from daemon.stopping import StopRequest

    stop = StopRequest()  # before anything that takes time
    from daemon.config import default_config_path, load_settings
    from daemon.logs import set_up_logging
    from daemon.roots import refuse_nesting
    from daemon.service import Service, tell_of_start
    from daemon.session import Session
    from daemon.space import wait_for_room
    from daemon.state import StateFolder

    path = config or default_config_path()
    settings = load_settings(path)
    folder = StateFolder(state)
    refuse_nesting(settings, folder)
    as_json = {"auto": None, "json": True, "text": False}[settings.logging.format]
    set_up_logging(log_level or settings.logging.level, as_json)
    wait_for_room(folder, settings.upkeep.min_free_state_mb << 20, tell_of_start, settings.upkeep.check_seconds)
    with Session(folder, settings) as session:
        folder.note_config(path)
        Service(session, path, stop).run()
