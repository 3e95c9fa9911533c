"""`dedupd bench`: measurements on this machine; each prints a table and can write JSON."""

import importlib
import sys
from pathlib import Path

import click

from store.errors import UsageError

_BENCHES = {
    "speed": ("bench.throughput", "images per second through the whole pipeline"),
    "accuracy": ("bench.accuracy", "the scorecard: embedders, hashes, the matcher and the whole program"),
    "calibrate": ("bench.calibrate", "thresholds for your own pictures, with what they promise"),
    "embedders": ("bench.embedders", "embedders and hashes alone, on a gallery in memory"),
    "verifier": ("bench.verifier", "the second look: kinds of edits, look-alikes, cost"),
    "quality": ("bench.quality", "the quality gate: good pictures rejected, bad ones passed"),
    "scale": ("bench.scale", "indexes at growing sizes"),
    "report": ("bench.report", "how fast the report opens with thousands of groups"),
}


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: dedupd bench speed",
)
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(name: str | None, arguments: tuple[str, ...]) -> None:
    """Run one of the benches; its own options follow its name."""
    if name in (None, "-h", "--help"):
        click.echo("Usage: dedupd bench NAME [OPTIONS]\n\n" + "\n".join(f"  {k:9} {v[1]}" for k, v in _BENCHES.items()))
        click.echo("\nExample: dedupd bench speed")
        return
    if name not in _BENCHES:
        raise UsageError(f"no bench {name}", f"there are: {', '.join(_BENCHES)}")
    sys.path.insert(0, str(Path(__file__).parents[2]))  # some benches draw their pictures with what the tests draw
    sys.argv = [f"dedupd bench {name}", *arguments]
    try:
        code = importlib.import_module(_BENCHES[name][0]).main()
    except SystemExit as end:  # argparse has said what is wrong with the options; its code for that is 2
        code = UsageError.exit_code if end.code == 2 else end.code
    sys.exit(code)
