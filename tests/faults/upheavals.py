"""What happens to the service: killed, stopped, told to read again, out of disk, out of time, asked for things."""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from subprocess import TimeoutExpired

import psutil

from tests.e2e.command import Answer, Daemon, dedupd
from tests.faults.clocks import WallClock
from tests.faults.living import hears, listens
from tests.faults.mischief import Mischief
from tests.faults.village import Village

_JUMPS_SECONDS = (-3600, 3600, -86_400, 86_400, 40 * 86_400)
_RULINGS = ("keep-all", "keep-this", "not-duplicates")
_EXIT_SECONDS = 20.0  # wanted: 10, on a machine that is not busy with something else
_ORPHAN_SECONDS = 20.0


@dataclass(slots=True)
class _Later:
    at: float
    what: str


class Upheavals:
    """The life of one service in a village. Called by one thread."""

    def __init__(self, village: Village, mischief: Mischief, clock: WallClock | None) -> None:
        self._village, self._mischief, self._clock = village, mischief, clock
        self._later: list[_Later] = []
        self.daemon: Daemon | None = None
        self.done: Counter[str] = Counter()
        self.findings: list[str] = []
        self.slowest_exit = 0.0
        self._weights: dict[str, int] = {
            "kill": 7, "kill_worker": 5, "terminate": 4, "reload": 4, "sleep": 2, "undo": 6, "undo_last": 1, "rule": 6,
            "unrule": 2, "read": 4, "jump": 4 if clock else 0,
            "fill_state": 3 if village.disks else 0, "fill_quarantine": 3 if village.disks else 0,
        }  # fmt: skip

    @property
    def pid(self) -> int | None:
        """Return the number of the running service."""
        daemon = self.daemon
        return None if daemon is None or daemon.process.poll() is not None else daemon.process.pid

    def one(self, chance: random.Random) -> None:
        """Do one thing."""
        name = chance.choices(*zip(*self._weights.items(), strict=True))[0]
        getattr(self, f"_{name}")(chance)
        self.done[name] += 1

    def tick(self) -> None:
        """Do what was put off until now; look whether the service lives; say what it waits to hear."""
        for later in [later for later in self._later if later.at <= time.monotonic()]:
            self._later.remove(later)
            self._end(later.what)
        if self.daemon is not None and self.daemon.process.poll() is not None:
            code, log = self.daemon.process.returncode, self.daemon.log.read_text("utf-8", "replace")
            self.findings.append(f"the service ended by itself with {code}: {log[-600:]!r}")
            self.start()
        for folder in self._village.paused() if self.pid else []:
            self.ask("check", "--accept-vanished", folder)
            self.done["accept-vanished"] += 1

    def calm(self) -> None:
        """End everything that is under way: disks have room, the clock is right, the service runs."""
        for later in self._later:
            self._end(later.what)
        self._later.clear()
        self._village.write_config()
        if self.daemon is None:
            self.start()

    def start(self) -> None:
        """Start the service."""
        words = () if self._clock is None else self._clock.words
        self.daemon = Daemon(self._village.config, self._village.state, words)
        self.done["starts"] += 1

    def stop(self) -> None:
        """Stop the service as its manager would."""
        if self.daemon is None:
            return
        heard = self.pid is None or listens(self.pid, signal.SIGTERM)
        code, seconds = self.daemon.stop()
        self.daemon = None
        self.slowest_exit = max(self.slowest_exit, seconds)
        if code == -signal.SIGTERM and not heard:
            self.done["stopped before it ran"] += 1
        elif code or seconds > _EXIT_SECONDS:
            self.findings.append(f"SIGTERM: exit {code} after {seconds:.1f} s")

    def ask(self, verb: str, *words: object) -> Answer | None:
        """Run a verb beside, or without, the service; none may end in a traceback or never."""
        try:
            answer = dedupd(verb, "--state", self._village.state, *words)
        except TimeoutExpired:
            self.findings.append(f"no answer to {verb} {words}")
            return None
        if "Traceback" in answer.err or "Traceback" in answer.out:
            self.findings.append(f"traceback of {verb}: {answer.err[-1500:]!r}")
        if answer.code:
            self.done[f"{verb} refused"] += 1
        return answer

    # -- one each ---------------------------------------------------------------------------------------------------

    def _end(self, what: str) -> None:
        if what == "start":
            if self.daemon is None:
                self.start()
        elif what == "clock":
            self._jump_to(0)
            self._mischief.may_close = True
        else:
            self._village.release(what)

    def _put_off(self, what: str, seconds: float) -> None:
        self._later.append(_Later(time.monotonic() + seconds, what))

    def _waits(self, what: str) -> bool:
        return any(later.what == what for later in self._later)

    def _kill(self, chance: random.Random) -> None:
        if self.daemon is not None and self.pid:
            workers = psutil.Process(self.pid).children()
            self.daemon.kill()
            self.daemon = None
            left = psutil.wait_procs(workers, _ORPHAN_SECONDS)[1]
            self.findings += [f"process {worker.pid} outlived its service" for worker in left]
            self._put_off("start", chance.choice((0.0, 0.0, 3.0, 8.0)))

    def _kill_worker(self, chance: random.Random) -> None:
        children = psutil.Process(self.pid).children() if self.pid else []
        if children:
            with suppress(psutil.NoSuchProcess):
                chance.choice(children).kill()

    def _terminate(self, chance: random.Random) -> None:
        self.stop()
        if not self._waits("start"):
            self._put_off("start", chance.choice((0.0, 3.0, 8.0)))

    def _reload(self, chance: random.Random) -> None:
        """Let it read the same, another or a broken configuration."""
        way = chance.randrange(3)
        if self.daemon is None or self.daemon.status()["pid"] != self.pid:
            way = 1  # one that is just starting would refuse a broken one, as it must
        if way == 0:
            self._village.break_config()
        else:
            self._village.write_config(**({"min_sharpness": chance.choice((30.0, 60.0))} if way == 1 else {}))
        if self.pid and hears(self.pid, signal.SIGHUP):  # a manager reloads what has said that it is ready
            os.kill(self.pid, signal.SIGHUP)
            time.sleep(1.0)
        if way == 0:
            self._village.write_config()

    def _sleep(self, chance: random.Random) -> None:
        if pid := self.pid:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(1.0, 4.0))
            os.kill(pid, signal.SIGCONT)

    def _jump(self, chance: random.Random) -> None:
        if not self._waits("clock"):
            self._mischief.may_close = False
            self._mischief.wait_for_writers()
            self._jump_to(chance.choice(_JUMPS_SECONDS))
            self._put_off("clock", chance.uniform(5.0, 25.0))

    def _jump_to(self, seconds: int) -> None:
        assert self._clock is not None
        self._clock.jump(seconds)

    def _fill_state(self, chance: random.Random) -> None:
        self._fill("state", chance)

    def _fill_quarantine(self, chance: random.Random) -> None:
        self._fill("quarantine", chance)

    def _fill(self, which: str, chance: random.Random) -> None:
        if not self._waits(which):
            self._village.fill(which)
            self._put_off(which, chance.uniform(3.0, 12.0))

    def _undo(self, chance: random.Random) -> None:
        answer = self.ask("undo", "--list", "--json")
        if answer and not answer.code and (actions := answer.json["actions"]):
            some = chance.sample(actions, min(len(actions), chance.randint(1, 3)))
            self.ask("undo", *(action["id"] for action in some), "--json")

    def _undo_last(self, chance: random.Random) -> None:
        self.ask("undo", "--last", "--json")

    def _rule(self, chance: random.Random) -> None:
        files = self._mischief.files()
        if len(files) > 2:
            kind = chance.choice(_RULINGS)
            self.ask("rule", kind, "--json", "--", *chance.sample(files, 1 if kind == "keep-this" else 2))

    def _unrule(self, chance: random.Random) -> None:
        answer = self.ask("rule", "list", "--json")
        if answer and not answer.code and (rulings := answer.json["rulings"]):
            self.ask("rule", "remove", chance.choice(rulings)["id"], "--json")

    def _read(self, chance: random.Random) -> None:
        files = self._mischief.files()
        words = chance.choice((("status",), ("groups",), ("check",), ("why", "--", chance.choice(files or ["x"]))))
        verb, *rest = words
        answer = self.ask(verb, *(("--json", *rest) if verb == "why" else ()))
        if answer and not answer.code:
            self.done["reads"] += 1


def tracebacks(log: Path) -> list[str]:
    """Return the lines of a service's log that hold a traceback, the one before each with them."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return [f"{before[:200]} … {line[:1500]}" for before, line in pairwise(["", *lines]) if "Traceback" in line]
