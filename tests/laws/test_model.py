"""F48: any order of ingest, edit, deletion, renaming, ruling, new thresholds, undo, purge, crash and restart.

The model is what a person knows: which contents they put on the disk and did not take away, what they took back and
what they ruled. After each step nothing may be lost and every verdict must be what the laws say (`oracle`); after a
scan that moves, every file must lie where its verdict wants it. DEDUPD_MODEL_STEPS says how many steps to take;
DEDUPD_MODEL_SHRINK=1 makes a counter-example small, which takes minutes.
"""

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daemon.ruling import rule as rule_on
from daemon.ruling import take_back_rulings
from daemon.undoing import take_back, take_back_by_manifest
from pipeline.matching import MatchingSettings
from store.ledger import EntryState
from store.records import RulingKind
from tests.laws.disk import Disk, MadeUpPool
from tests.laws.made_up import Content
from tests.laws.synthetic import contents

pytestmark = pytest.mark.usefixtures("looks")

_STEPS = int(os.environ.get("DEDUPD_MODEL_STEPS", "500"))
_SHRINK = bool(os.environ.get("DEDUPD_MODEL_SHRINK"))  # to a small counter-example: minutes
_A_LIFE = 25  # steps in one example
_places = st.integers(0, 11)
_numbers = st.integers(0, 8)
_files = st.lists(st.tuples(_places, _numbers, st.integers(1, 3)), min_size=1, max_size=6)
_then = st.sampled_from(("move", "move", "report", None))  # a scan, if any
_kinds = st.sampled_from(RulingKind)
_thresholds = st.builds(MatchingSettings, st.sampled_from((0, 6, 10, 14)), st.sampled_from((0, 6, 9)))


class Life(RuleBasedStateMachine):
    """A person, a disk and dedupd."""

    steps = 0

    @initialize(choice=contents(), corrupt=st.sampled_from((None, None, 0, 1)), files=_files)
    def begin(self, choice: list[Content], corrupt: int | None, files: list[tuple[int, int, int]]) -> None:
        """Lay the folders out, with some files."""
        memory = Path("/dev/shm")  # a step syncs many times: it would wait for the disk, not for the code
        folder = memory if os.access(memory, os.W_OK) else None
        self.base = Path(tempfile.mkdtemp(prefix="dedupd-model-", dir=folder)).resolve()
        if corrupt is not None:
            choice[corrupt] = Content(choice[corrupt].number, corrupt=True)
        self.disk = Disk(self.base, choice)
        self.wanted: dict[str, int] = {}  # what a person took back and did not touch since: path → inode
        self.write(files, "move")

    def teardown(self) -> None:
        """Take everything away."""
        if hasattr(self, "disk"):
            self.disk.close()
            shutil.rmtree(self.base)

    # -- a person and files -------------------------------------------------------------------------------------------

    @rule(files=_files, then=_then)
    def write(self, files: list[tuple[int, int, int]], then: str | None) -> None:
        """Put pictures down, over others perhaps."""
        for place, number, seconds in files:
            path = self.disk.path(place)
            self.wanted.pop(path, None)
            self.disk.write(path, self._content(number), seconds)
        self._scan(then)

    @rule(places=st.lists(_places, min_size=1, max_size=3), then=_then)
    def delete(self, places: list[int], then: str | None) -> None:
        """Take files away."""
        for place in places:
            self.wanted.pop(self.disk.path(place), None)
            self.disk.delete(self.disk.path(place))
        self._scan(then)

    @rule(place=_places, other=_places, then=_then)
    def rename(self, place: int, other: int, then: str | None) -> None:
        """Give a file another name."""
        for number in (place, other):
            self.wanted.pop(self.disk.path(number), None)
        self.disk.rename(self.disk.path(place), self.disk.path(other))
        self._scan(then)

    @rule(number=_numbers, then=_then)
    def purge(self, number: int, then: str | None) -> None:
        """Take a file away from the quarantine."""
        if away := sorted(self.disk.away()):
            self.disk.delete(away[number % len(away)])
        self._scan(then)

    # -- a person and dedupd ------------------------------------------------------------------------------------------

    @rule()
    def scan_again(self) -> None:
        """Scan, and act also on what was taken back."""
        self.wanted.clear()
        self.disk.assert_in_place(self.disk.scan("move", again=True))

    @rule(kind=_kinds, numbers=st.lists(_numbers, min_size=1, max_size=3, unique=True), then=_then)
    def rule_on(self, kind: RulingKind, numbers: list[int], then: str | None) -> None:
        """Rule on contents that are known, or were."""
        self._rule(kind, numbers)
        self._scan(then)

    @rule(number=_numbers, then=_then)
    def take_back_a_ruling(self, number: int, then: str | None) -> None:
        """Take a ruling back."""
        if rulings := self.disk.session.catalog.rulings.all():
            take_back_rulings(self.disk.session, ids=[rulings[number % len(rulings)].id])
        self._scan(then)

    @rule(matching=_thresholds)
    def configure(self, matching: MatchingSettings) -> None:
        """Change the thresholds."""
        self.disk.configure(matching)

    @rule(number=_numbers, how=st.sampled_from(("one", "last", "all", "manifest")), then=_then)
    def undo(self, number: int, how: str, then: str | None) -> None:
        """Take files back."""
        self._note_wanted(self._undo(number, how))
        self._scan(then)

    # -- misfortunes --------------------------------------------------------------------------------------------------

    @rule(after=st.integers(0, 40), what=st.sampled_from(("scan", "scan", "undo", *RulingKind)), number=_numbers)
    def crash(self, after: int, what: str, number: int) -> None:
        """Die at the n-th write; who asked for an undo does not know how far it came."""
        with self.disk.crashing(after):
            if what == "scan":
                self.disk.scan("move")
            elif what == "undo":
                self._undo(number, "all")
            else:
                self._rule(RulingKind(what), [number, number + 1])

    @rule(without_indexes=st.booleans())
    def restart(self, without_indexes: bool) -> None:
        """End and begin again."""
        self.disk.restart(without_indexes=without_indexes)

    @rule()
    def forget(self) -> None:
        """Let a long time pass: what nobody has had is forgotten, rulings are not."""
        before = self.disk.session.catalog.rulings.all()
        self.disk.session.flow.forget_unseen(self.disk.clock_ns())
        assert self.disk.session.catalog.rulings.all() == before

    # -- the laws -----------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost(self) -> None:
        """Law 1."""
        Life.steps += 1
        if hasattr(self, "disk"):
            self.disk.assert_nothing_lost()

    @invariant()
    def verdicts_follow_the_laws(self) -> None:
        """Laws 2 to 6, on what the catalog knows."""
        if hasattr(self, "disk"):
            self.disk.assert_verdicts()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _scan(self, action: str | None) -> None:
        """Scan, or do not; where it moves, everything lies in its place afterwards."""
        if action is None:
            return
        refused = self.disk.scan(action)
        if action == "move":
            self.disk.assert_in_place(refused)
        for path, inode in self.wanted.items():
            assert os.lstat(path).st_ino == inode, f"{path} was taken back, and is left alone"

    def _content(self, number: int) -> Content:
        return self.disk.choice[number % len(self.disk.choice)]

    def _rule(self, kind: RulingKind, numbers: list[int]) -> None:
        chosen = list(dict.fromkeys(self._content(number) for number in numbers))
        if kind is RulingKind.KEEP_THIS:
            chosen = chosen[:1]
        if kind is RulingKind.NOT_DUPLICATES and len(chosen) < 2:
            return
        rule_on(self.disk.session, kind=kind, contents=[(c.sha256.hex(), str(c.number)) for c in chosen])

    def _undo(self, number: int, how: str) -> dict[str, Any]:
        session = self.disk.session
        done = session.ledger.entries(state=EntryState.DONE)
        if not done:
            return {"actions": []}
        if how == "manifest":
            return take_back_by_manifest(session, quarantine=self.disk.quarantine)
        ids = [done[number % len(done)].id] if how == "one" else []
        return take_back(session, ids=ids, everything=how == "all", last=how == "last")

    def _note_wanted(self, answer: dict[str, Any]) -> None:
        for action in answer["actions"]:
            if not action["error"]:
                self.wanted[action["path"]] = os.lstat(action["path"]).st_ino


@pytest.mark.timeout(1800 + _STEPS)
def test_any_life_keeps_the_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.session.WorkerPool", MadeUpPool)
    Life.steps, rounds = 0, itertools.count()
    while Life.steps < _STEPS:  # some lives end early
        run_state_machine_as_test(
            seed(next(rounds))(Life) if settings().derandomize else Life,  # or each round would draw the same again
            settings=settings(
                max_examples=-(-(_STEPS - Life.steps) // _A_LIFE),
                stateful_step_count=_A_LIFE,
                deadline=None,
                phases=(Phase.explicit, Phase.reuse, Phase.generate, *((Phase.shrink,) if _SHRINK else ())),
                suppress_health_check=list(HealthCheck),
            ),
        )
