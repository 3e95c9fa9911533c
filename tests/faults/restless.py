"""Move pictures out and home for ever, telling what is begun and what is done: for those who cut the power.

python -m tests.faults.restless STATE HOME QUARANTINE SEED [careless]

A line on stdout is "begin NAME", then "out NAME" or "home NAME" once the action is acknowledged. "careless" leaves
out every fsync of files and folders: the control, by which a test knows that its power failures are real.
"""

import random
import sys
from pathlib import Path

import pipeline.manifest
import pipeline.places
import pipeline.placing
from pipeline.actions import ActionSettings, apply, recover, undo
from store.catalog import Catalog
from store.ledger import EntryState, Ledger
from tests.faults.moving import move_action

_SETTINGS = ActionSettings(min_free_bytes=0)
_NOW_NS = 1_800_000_000 * 10**9


def main() -> None:
    """Never come to an end."""
    state, home, quarantine = (Path(word) for word in sys.argv[1:4])
    if "careless" in sys.argv:
        for module in (pipeline.manifest, pipeline.places, pipeline.placing):
            module.sync = lambda fd: None  # type: ignore[attr-defined]
    chance = random.Random(sys.argv[4])
    ledger = Ledger(Catalog(state / "catalog.sqlite3").database)
    recover(ledger, _NOW_NS)
    while True:
        out = {entry.source: entry for entry in ledger.entries(state=EntryState.DONE)}
        at_home = sorted(path for path in home.rglob("*.jpg"))
        if at_home and (not out or chance.random() < 0.5):
            path = chance.choice(at_home)
            _say("begin", path)
            apply(move_action(path, home, quarantine), ledger, _NOW_NS, settings=_SETTINGS)
            _say("out", path)
        else:
            source = chance.choice(sorted(out))
            _say("begin", Path(source))
            undo(out[source], ledger, _NOW_NS)
            _say("home", Path(source))


def _say(word: str, path: Path) -> None:
    sys.stdout.write(f"{word} {path.name}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
