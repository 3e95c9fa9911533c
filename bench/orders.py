"""Does the order of arrival matter? `scan` of a folder against `run` fed the same files in shuffled orders and batches.

    python -m bench.orders [FOLDER] [--orders 10] [--seed 0] [--json FILE]

Without FOLDER the album of the tests is drawn. Every order runs the real service on a fresh state, compares its log
with that of one `scan` file for file (verdict, keeper, kind of evidence), and prints one line. Exit code 1 when any
file differs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.e2e.command import dedupd, running, scan, verdicts, write_config
from tests.gallery import write_album


@dataclass(frozen=True, slots=True)
class Order:
    """One order of arrival and what came of it."""

    batches: list[int]
    differing: list[str]
    seconds: float


def main() -> int:
    """Run the bench; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.orders", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="pictures to copy from; none: the album of the tests")
    parser.add_argument("--orders", type=int, default=10, help="how many shuffled orders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dedupd-orders-") as name:
        base = Path(name)
        source = chosen.folder.resolve() if chosen.folder else write_album(base / "album").folder
        files = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
        started = time.monotonic()
        hot = base / "all"
        _drop(source, files, hot)
        expected = verdicts(scan(hot, "--output", base / "out", "--state", base / "scan")["log"], hot)
        print(f"{len(files)} files, {len(expected)} of them pictures; one scan took {time.monotonic() - started:.1f} s")
        print(f"{'order':>5}  {'batches':>7}  {'sizes':<24}  {'differing':>9}  {'seconds':>7}")
        rows = [_try_order(number, chosen.seed, source, files, expected, base) for number in range(chosen.orders)]
    wrong = sum(len(row.differing) for row in rows)
    print(f"{len(rows)} orders: " + (f"{wrong} files differ" if wrong else "the same verdict for every file in each"))
    if chosen.json:
        figures = {"schema": 1, "files": len(files), "orders": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 1 if wrong else 0


def _try_order(
    number: int,
    seed: int,
    source: Path,
    files: Sequence[str],
    expected: dict[str, tuple[str, str | None, str | None]],
    base: Path,
) -> Order:
    """Feed one order to a fresh service; compare, print, and clean up."""
    chance = np.random.default_rng((seed, number))
    order = [files[at] for at in chance.permutation(len(files))]
    batches = _cut(order, chance)
    place = base / f"order-{number}"
    hot, state = place / "hot", place / "state"
    hot.mkdir(parents=True)
    started = time.monotonic()
    with running(write_config(place / "c.toml", {"path": hot}), state) as daemon:
        daemon.wait(0)
        dropped: set[str] = set()
        for batch in batches:
            _drop(source, batch, hot)
            dropped.update(batch)
            daemon.wait(len(dropped & expected.keys()))
        answer = dedupd("report", "--state", state, "--json")
        assert answer.code == 0, answer.err
        assert daemon.stop()[0] == 0
    found = verdicts(state / "report" / "cleaning_log.json", hot)
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    seconds = time.monotonic() - started
    sizes = " ".join(str(len(batch)) for batch in batches)
    print(f"{number:>5}  {len(batches):>7}  {sizes[:24]:<24}  {len(differing):>9}  {seconds:>7.1f}", flush=True)
    for name in differing:
        print(f"       {name}: scan {expected.get(name)}, run {found.get(name)}")
    shutil.rmtree(place)
    return Order([len(batch) for batch in batches], differing, round(seconds, 2))


def _cut(order: Sequence[str], chance: np.random.Generator) -> list[Sequence[str]]:
    """Cut an order into one to six batches of any size."""
    cuts = sorted({int(at) for at in chance.integers(1, len(order), int(chance.integers(0, 6)))})
    edges = [0, *cuts, len(order)]
    return [order[start:end] for start, end in pairwise(edges)]


def _drop(source: Path, files: Sequence[str], hot: Path) -> None:
    for name in files:
        (hot / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, hot / name)


if __name__ == "__main__":
    sys.exit(main())
