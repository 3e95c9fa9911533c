"""`dedupd report`: the HTML report of everything that is known."""

import time
from pathlib import Path

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, say
from store.text import printable


@click.command(epilog="Example: dedupd report --output ~/dedupd-report")
@click.option(
    "--output",
    type=click.Path(path_type=Path, readable=False),
    help="Where it goes [default: report/ in the state folder].",
)
@config_option
@state_option
@json_option
def command(output: Path | None, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Write cleaning_report.html and cleaning_log.json from the catalog; no picture is read, no file is touched."""
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.report import write_log, write_report
    from daemon.results import build_report, collect
    from daemon.state import StateFolder

    started = time.monotonic()
    folder = StateFolder(state)
    settings = load_settings(config_to_read_with(config, folder))
    with reading(folder, settings) as reader:
        results = collect(reader.catalog, reader.judge, reader.catalog.folders())
        target = (output or folder.report).absolute()
        target.mkdir(parents=True, exist_ok=True)
        seconds = time.monotonic() - started
        page = build_report(results, reader.knowledge, settings, results.action, seconds, [])
        log = write_log(target, results.log_entries())
        report = write_report(target, page, reader.knowledge.previews.read)
    if as_json:
        emit({"schema": 1, **results.summary(), "seconds": round(seconds, 3), "report": str(report), "log": str(log)})
    else:
        say(f"report: {printable(str(report))}")
