"""`dedupd search IMAGE`: the nearest known pictures to any image file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import emit, say, table
from store.errors import AccessError, DecodeError, UsageError

if TYPE_CHECKING:
    from daemon.config import Settings
    from store.records import Measurement


@click.command(epilog="Example: dedupd search ~/Downloads/mystery.jpg -k 5")
@click.argument("image", type=click.Path(path_type=Path, readable=False))
@click.option("-k", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many to show.")
@config_option
@state_option
@json_option
def command(image: Path, count: int, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Find the pictures that IMAGE is a copy of, or resembles most. IMAGE need not be known, and is not added."""
    from daemon.config import config_to_read_with, load_settings
    from daemon.reading import reading
    from daemon.searching import search
    from daemon.state import StateFolder

    folder = StateFolder(state)
    settings = load_settings(config_to_read_with(config, folder))
    with reading(folder, settings) as reader:
        results = search(reader, settings, _measure(image, settings), count)
    if as_json:
        emit({"schema": 1, "results": results})
    elif not results:
        say("nothing is known yet")
    else:
        rows: list[tuple[str, str, str, str]] = [
            (_similarity(r), r["kind"], str(r["phash_distance"]), r["path"]) for r in results
        ]
        table(("similarity", "kind", "pHash bits", "path"), rows, right=(0, 2))


def _similarity(result: dict[str, Any]) -> str:
    return "–" if result["similarity"] is None else f"{result['similarity']:.3f}"


def _measure(image: Path, settings: "Settings") -> "Measurement":
    """Measure the file as a worker would, in this process: the person named it."""
    from pipeline.embedding import model_facts
    from pipeline.measuring import MeasureTask, measure
    from store.records import Failure, FailureKind

    if not image.exists():
        raise UsageError(f"no such file: {image}", "check the spelling")
    if image.is_dir():
        raise UsageError(f"{image} is a folder", "name one image file")
    task = MeasureTask(str(image.resolve()), model_facts(settings.embedding).input_size)
    result = measure(task, settings.decode, settings.quality)
    if isinstance(result, Failure):
        if result.kind is FailureKind.UNREADABLE:
            raise AccessError(f"cannot read {image}: {result.reason}", "check its permissions")
        raise DecodeError(f"{image} is no picture that can be read: {result.reason}", "try another file")
    return result
