"""Life as a service in half an hour: a live daemon, hot folders in which everything happens, books over every content.

python -m tests.faults.soak MINUTES [--seed N] [--page docs/reliability.md]      (`make soak MINUTES=30`)

For half of the time everything happens at once: pictures come, change and go, the service is killed, stopped,
starved of disk and clock, and asked for things. Then one service lives on among contents that it knows, so that its
memory must not grow. In the end everything must be there, at rest, in order, and able to come home. Exit code 1 on any
finding. The same seed plays the same acts in the same order; how they meet the service is the machine's doing.
"""

import argparse
import ctypes
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from store.arrivals import Arrivals
from store.database import open_database
from tests.faults.books import OWN_FILES, Balance, Books, digest, files_in, found_in
from tests.faults.clocks import WallClock
from tests.faults.gauges import Gauges, Sample, slope_per_hour
from tests.faults.known import knows
from tests.faults.mischief import Mischief
from tests.faults.supply import Supply
from tests.faults.upheavals import Upheavals, tracebacks
from tests.faults.village import Village

BEGIN, END = "<!-- soak: written by `make soak` -->", "<!-- soak: end -->"
_STORM_SHARE = 0.5
_UPHEAVAL_SHARE = 0.2  # of acts, in the storm
_PAUSE_SECONDS = 0.5  # between acts, on average
_WARM_SHARE = 0.25  # of the quiet time, before anything is measured
_REST_PATIENCE_SECONDS = 420.0
_REST_SECONDS = 75.0  # at rest for longer than a full walk is away
_MOST_MIB_PER_HOUR = 30.0  # in a quarter of an hour, the step of an allocator weighs as much
_QUIET_CONTENTS = 100  # fewer than a service keeps prepared for a second look: what fills up is full early
_LEAST_MINUTES = 4.0  # to say anything of a slope
_MOST_DESCRIPTORS = 3
_CLONE_NEWNS = 0x20000  # linux/sched.h


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    wanted: str
    measured: str
    holds: bool = True


class Soak:
    """One run."""

    def __init__(self, base: Path, minutes: float, seed: int) -> None:
        disks = _private_mounts()
        self.minutes, self.seed = minutes, seed
        self._books = Books()
        self._village = Village(base, disks=disks)
        self._supply = Supply(base / "album", seed, originals=round(24 + 8 * minutes))
        for number, content in enumerate(self._supply.archive(12)):
            (self._village.archive / f"{number}.jpg").write_bytes(content)
        self._archive = _contents([self._village.archive])
        self._mischief = Mischief(self._village, self._supply, self._books)
        self._life = Upheavals(self._village, self._mischief, _clock(base / "clock"))
        self._extra: list[str] = []
        self._samples: list[Sample] = []
        self.figures: list[Figure] = []

    @property
    def findings(self) -> list[str]:
        """List what went wrong."""
        wrong = [f"{figure.what}: {figure.measured}" for figure in self.figures if not figure.holds]
        return [*self._mischief.findings, *self._life.findings, *self._extra, *wrong]

    def run(self) -> None:
        """Live through all of it."""
        self._life.start()
        assert self._life.daemon is not None
        started = time.monotonic()
        try:
            self._life.daemon.wait()  # what cannot even start needs no soak
            with Gauges(lambda: self._life.pid) as gauges:
                self._act(started + 60 * self.minutes * _STORM_SHARE, 0, _UPHEAVAL_SHARE)
                self._life.calm()
                self._mischief.fresh_share = 0.0
                self._supply.narrow(_QUIET_CONTENTS)
                quiet = time.monotonic()
                pid = self._life.pid
                self._act(started + 60 * self.minutes, 1_000_000, 0.0)
                warm = quiet + _WARM_SHARE * (time.monotonic() - quiet)
                self._samples = gauges.of(pid or 0, warm)
                self._mischief.finish()
                rested = self._come_to_rest()
            self._look_back(rested)
        finally:
            if self._life.pid:
                self._life.stop()
            self._village.close(keep=bool(self.findings))

    def _act(self, until: float, step: int, upheavals: float) -> None:
        while time.monotonic() < until:
            step += 1
            chance = random.Random(f"{self.seed}/{step}")
            self._life.tick()
            (self._life if chance.random() < upheavals else self._mischief).one(chance)
            time.sleep(chance.expovariate(1 / _PAUSE_SECONDS))

    def _come_to_rest(self) -> float:
        """Wait until nothing is left to do for longer than a full walk is away; return the seconds that took."""
        started = since = time.monotonic()
        until = started + _REST_PATIENCE_SECONDS
        while time.monotonic() - since < _REST_SECONDS:
            self._life.tick()
            daemon = self._life.daemon
            if daemon is None or self._life.pid is None or not daemon.settled() or self._arrivals():
                since = time.monotonic()
            if time.monotonic() > until:
                self._extra.append(f"never at rest: {daemon and daemon.status()}, arrivals {self._arrivals()}")
                break
            time.sleep(0.5)
        return since - started

    def _arrivals(self) -> list[str]:
        database = open_database(self._village.state / "catalog.sqlite3", read_only=True)
        try:
            return [f"{arrival.path!r}: {arrival.reason}" for arrival in Arrivals(database).all()]
        finally:
            database.close()

    # -- the end ----------------------------------------------------------------------------------------------------

    def _look_back(self, rested: float) -> None:
        unknown = [path for path in self._mischief.files() if not knows(self._village.state, Path(path))]
        self._extra += [f"at rest, and not in the catalog: {path!r}" for path in unknown]
        self._life.stop()
        self._tell_acts()
        self._hold("pictures at rest and unknown to the catalog", "0", len(unknown))
        self._note("seconds until nothing was left to do", f"< {_REST_PATIENCE_SECONDS:.0f}", f"{rested:.0f}")
        self._hold_check("`check --deep`, problems")
        self._hold_books("before anything is taken back")
        self._hold_undo()
        self._hold_books("all at home again")
        self._hold_check("`check --deep` after that, problems")
        same = _contents([self._village.archive]) == self._archive
        self._hold("files changed in the protected folder", "0", 0 if same else 1)
        self._hold("temporary files left over", "0", len(self._left_over()))
        self._hold_gauges()
        logged = tracebacks(self._village.state.with_suffix(".log"))
        self._extra += logged
        self._hold("tracebacks in the log", "0", len(logged))
        others = len(self._mischief.findings) + len(self._life.findings)
        self._hold("other findings: ended by itself, late or wrong exits, verbs without an answer", "0", others)

    def _tell_acts(self) -> None:
        contents, put, taken = self._books.totals
        self._note("contents put into folders", "", f"{contents}, as {put} files; {taken} deleted or overwritten")
        self._note("what happened to the folders", "", _told(self._mischief.done))
        self._note("what happened to the service", "", _told(self._life.done))
        self._note("longest SIGTERM to exit", "", f"{self._life.slowest_exit:.1f} s")
        with open(self._village.state.with_suffix(".log"), encoding="utf-8", errors="replace") as stream:
            levels = Counter(_level(line) for line in stream)
        self._note("log lines", "", _told(levels))

    def _hold_check(self, what: str) -> None:
        answer = self._life.ask("check", "--deep", "--json")
        problems = ["no answer"] if answer is None else answer.json["problems"]
        self._extra += [f"check: {problem}" for problem in problems]
        self._hold(what, "0", len(problems))

    def _hold_books(self, when: str) -> None:
        places = found_in(self._village.places)
        balance = self._books.balance(Counter({sha: len(paths) for sha, paths in places.items()}))
        self._hold(f"contents lost, {when}", "0", len(balance.lost))
        self._hold(f"copies missing, {when}", "0", sum(balance.missing.values()))
        self._hold(f"files of a content that nobody put there, {when}", "0", sum(balance.foreign.values()))
        self._note(f"copies kept by a deletion in mid-move, {when}", "", str(sum(balance.doubled.values())))
        self._extra += _in_words(balance, places)

    def _hold_undo(self) -> None:
        answer = self._life.ask("undo", "--all", "--json")
        left = list(files_in(home.quarantine for home in self._village.homes))
        gone = self._mischief.done["deleted out of quarantine"]
        if answer is None:
            return
        failed = [action for action in answer.json["actions"] if action["error"]]
        self._extra += [f"not undone: {action}" for action in failed[gone:]]
        self._note("`undo --all`", "", f"{answer.json['undone']} files brought home")
        self._hold("of these refused, beyond what we had deleted from quarantine", "0", max(0, len(failed) - gone))
        self._hold("files left in quarantine", "0", len(left))
        self._extra += [f"left in quarantine: {path!r}" for path in left]

    def _left_over(self) -> list[str]:
        names = (name for folder in self._village.places for _, _, names in os.walk(folder) for name in names)
        found = [name for name in names if name.startswith(".dedupd-") and name not in OWN_FILES]
        self._extra += [f"left over: {name}" for name in found]
        return found

    def _hold_gauges(self) -> None:
        samples = self._samples
        if len(samples) < 2:
            self._extra.append("the service that was to live on was not measured")
            return
        minutes = (samples[-1].at - samples[0].at) / 60
        for what, name in (("service", "service_mib"), ("largest decoding process", "worker_mib")):
            values = [getattr(sample, name) for sample in samples]
            slope = slope_per_hour([(sample.at, getattr(sample, name)) for sample in samples])
            told = f"{slope:+.1f} MiB/h over {minutes:.1f} min; {values[0]:.0f} → {values[-1]:.0f} MiB"
            long_enough = minutes >= _LEAST_MINUTES
            wanted = f"< {_MOST_MIB_PER_HOUR:.0f} MiB/h" if long_enough else ""
            holds = not long_enough or slope < _MOST_MIB_PER_HOUR
            self.figures.append(Figure(f"memory of the {what}", wanted, told, holds))
        tenth = max(1, len(samples) // 10)
        first, last = (statistics.median(s.descriptors for s in part) for part in (samples[:tenth], samples[-tenth:]))
        flat = abs(last - first) <= _MOST_DESCRIPTORS
        wanted = f"± {_MOST_DESCRIPTORS}"
        self.figures.append(Figure("descriptors of the service", wanted, f"{first:.0f} → {last:.0f}", flat))

    def _hold(self, what: str, wanted: str, measured: int) -> None:
        self.figures.append(Figure(what, wanted, str(measured), str(measured) == wanted))

    def _note(self, what: str, wanted: str, measured: str) -> None:
        self.figures.append(Figure(what, wanted, measured))


def table(figures: Iterable[Figure], head: str) -> list[str]:
    """Return the lines of the page: what was run, and one row for each figure."""
    rows = ["| figure | wanted | measured | verdict |", "| --- | --- | --- | --- |"]
    for figure in figures:
        verdict = ("holds" if figure.holds else "FAILS") if figure.wanted else ""
        rows.append(f"| {figure.what} | {figure.wanted} | {figure.measured} | {verdict} |")
    return [head, "", *rows]


def put_between(page: Path, lines: Iterable[str]) -> None:
    """Put lines into a page, between its marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table of the soak")
    page.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]), "utf-8")


def _in_words(balance: Balance, places: dict[str, list[str]]) -> list[str]:
    short = [*balance.lost.items(), *balance.missing.items()]
    words = [f"{count} copies of {sha[:12]} gone; left: {places.get(sha, [])!r}" for sha, count in short]
    return words + [f"nobody put it there: {places[sha]!r}" for sha in balance.foreign]


def _contents(folders: Iterable[Path]) -> dict[str, str]:
    return {path: digest(Path(path).read_bytes()) for path in files_in(folders)}


def _told(done: Counter[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in sorted(done.items()))


def _level(line: str) -> str:
    try:
        return str(json.loads(line).get("level", "other"))
    except (ValueError, AttributeError):
        return "other"


def _clock(folder: Path) -> WallClock | None:
    try:
        return WallClock(folder)
    except FileNotFoundError:
        return None


def _private_mounts() -> bool:
    """Take this process into a mount namespace of its own; False where that is not allowed."""
    if os.geteuid() or sys.platform != "linux" or ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode == 0


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--page", type=Path, help="the page that gets the table")
    chosen = parser.parse_args()
    sys.stdout.write(f"soak of {chosen.minutes:g} minutes, seed {chosen.seed}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    soak = Soak(Path(tempfile.mkdtemp(prefix="dedupd-soak-")), chosen.minutes, chosen.seed)
    soak.run()
    verdict = f"{len(soak.findings)} findings" if soak.findings else "no finding"
    head = f"{chosen.minutes:g} minutes, `--seed {chosen.seed}`: {verdict}."
    lines = table(soak.figures, head)
    sys.stdout.write("\n".join([*lines, "", *(f"! {finding}" for finding in soak.findings)]) + "\n")
    if chosen.page:
        put_between(chosen.page, lines)
    return 1 if soak.findings else 0


if __name__ == "__main__":
    sys.exit(main())
