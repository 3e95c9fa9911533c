"""`dedupd run`: the service, in the foreground."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.options import config_option, state_option

if TYPE_CHECKING:
    from daemon.config import Settings
    from daemon.state import StateFolder
    from daemon.stopping import StopRequest


@click.command(epilog="Example: dedupd run --config ~/.config/dedupd/dedupd.toml")
@config_option
@state_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log.")
def command(config: Path | None, state: Path | None, log_level: str | None) -> None:
    """Watch the hot folders of the configuration until stopped (SIGTERM); SIGHUP reads the configuration again."""
    from daemon.stopping import StopRequest

    stop = StopRequest()  # before anything that takes time
    from daemon.tidying import keep_apart

    keep_apart()
    from daemon.config import default_config_path, load_settings
    from daemon.logs import set_up_logging
    from daemon.roots import refuse_nesting
    from daemon.state import StateFolder

    path = config or default_config_path()
    settings = load_settings(path)
    folder = StateFolder(state)
    refuse_nesting(settings, folder)
    as_json = {"auto": None, "json": True, "text": False}[settings.logging.format]
    set_up_logging(log_level or settings.logging.level, as_json)
    _serve(folder, settings, path, stop)


def _serve(folder: "StateFolder", settings: "Settings", path: Path | None, stop: "StopRequest") -> None:
    """Run the service. Where a start, or a reload, finds a disk full, wait for room and begin anew."""
    import structlog

    from daemon.service import Service, tell_of_start
    from daemon.session import Session
    from daemon.space import wait_for_room
    from store.database import is_full

    log, refusal, every_seconds = structlog.get_logger("dedupd"), "", settings.upkeep.check_seconds
    while not stop.asked:
        session = Session(folder, settings)
        try:
            least_bytes = settings.upkeep.min_free_state_mb << 20
            wait_for_room(folder, least_bytes, tell_of_start, lambda: stop.wait(every_seconds), refusal)
            if stop.asked:
                return
            with session:
                folder.note_config(path)
                Service(session, path, stop).run()
                return
        except Exception as error:
            if not is_full(error):
                raise
            settings, before = session.settings, refusal  # a reload may have changed them
            refusal = f"disk full: {error}; it goes on by itself when there is room"
            if refusal != before:
                log.error("paused", reason=refusal)
            stop.wait(every_seconds)
