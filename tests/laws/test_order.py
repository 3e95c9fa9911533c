"""Law 4, with 2, 3 and 5 along the way: whatever the history, the end is what the full walk over the files says."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.grouping import outranks, yields
from store.records import Level, RulingKind, VerdictKind
from tests.laws.synthetic import NOW_NS, PATHS, ROOTS, Content, Files, Place, World, contents, folders_of_files, oracle

pytestmark = pytest.mark.usefixtures("looks")
_EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "60"))  # raise it to hunt
_FEW = settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def worlds() -> Iterator[Any]:
    """Hand out a maker of fresh worlds; all of them end with the block."""
    memory = Path("/dev/shm")  # every admission syncs: hundreds of worlds would wait for the disk, not for the code
    folder = Path(tempfile.mkdtemp(prefix="dedupd-laws-", dir=memory if os.access(memory, os.W_OK) else None))
    made: list[World] = []

    def make() -> World:
        made.append(World(folder / str(len(made))))
        return made[-1]

    try:
        yield make
    finally:
        for world in made:
            world.close()
        shutil.rmtree(folder)


def root_of(path: str) -> str:
    """Return the root a path lies in."""
    return next(root for root in ROOTS if path.startswith(root + "/"))


class Crash(BaseException):
    """What a power cut looks like from inside."""


def assert_lawful(world: World) -> None:
    """Hold a world against the oracle and against the laws one by one."""
    standings, expected = oracle(world.files, world.rules)
    verdicts = world.verdicts()
    assert {path: (verdict.kind, verdict.keeper) for path, verdict in verdicts.items()} == expected
    assert world.stored() == {path: kind for path, (kind, _) in expected.items()}
    assert world.standings() == standings
    for path, verdict in verdicts.items():
        if root_of(path) in world.guarded:
            assert verdict.kind is VerdictKind.KEEP
        if verdict.keeper is not None:  # law 2
            assert verdict.evidence is not None
            level = Level.DUPLICATES if verdict.kind is VerdictKind.DUPLICATE else Level.SIMILAR
            assert verdict.evidence.kind.level is level
            assert expected[verdict.keeper][0] is not VerdictKind.DUPLICATE or root_of(verdict.keeper) in world.guarded
    _assert_keepers_apart(world)


def _assert_keepers_apart(world: World) -> None:
    for level in Level:
        view = world.flow.knowledge.views[level]
        standing = dict(world.catalog.relations.standings(level).tolist())
        keepers = [image for image, keeper in standing.items() if image == keeper]
        for at, one in enumerate(keepers):
            for other in keepers[:at]:
                lower, higher = sorted((view.rank(one), view.rank(other)), key=lambda rank: rank.key)
                near = [i for i in view.apart_from(lower.image_id) if i in standing]
                barred = any(standing[i] == higher.image_id and outranks(view.rank(i), lower) for i in near)
                may = yields(lower, higher) and not barred
                assert not (may and view.matches(lower.image_id, higher.image_id)), "law 3"
        for image in standing:
            for other in view.apart_from(image):
                assert standing[image] != standing.get(other), "law 6"


@_FEW
@given(folders_of_files(), st.data())
def test_any_order_and_any_batching_end_the_same(files: Files, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(files)))
    cuts = data.draw(st.sets(st.integers(1, max(1, len(files) - 1))))
    with worlds() as make:
        world = make()
        edges = [0, *sorted(cuts), len(order)]
        for start, end in pairwise(edges):
            world.admit({path: files[path] for path in order[start:end]})
        assert_lawful(world)


_PUT = ("put",) * 8
_OTHERS = (
    "flush",
    "crash",
    "delete",
    "delete",
    "rename",
    "protect",
    "restart",
    "rejudge",
    "snapshot",
    "lose",
    "forget",
)
_VERBS = (*_PUT, *_OTHERS, "rule", "rule", "rule", "unrule")
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(_VERBS),
        st.sampled_from(PATHS),
        st.sampled_from(PATHS),
        st.integers(0, 8),
        st.integers(1, 3),
    ),
    min_size=4,
    max_size=30,
)


class History:
    """Carry steps out on a world, batching what arrives until something else happens."""

    def __init__(self, world: World, choice: list[Content]) -> None:
        self._world, self._choice, self._batch = world, choice, dict[str, Place]()

    def take(self, step: tuple[str, str, str, int, int]) -> None:
        """Carry one step out; a step that makes no sense now is left out."""
        verb, path, other, number, mtime = step
        if verb == "put":
            self._batch[path] = Place(self._choice[number % len(self._choice)], mtime)
            return
        world = self._world
        if verb == "crash":
            self._crash(number)
            return
        self.flush()
        if verb == "delete" and path in world.files:
            world.forget([path])
        elif verb == "rename" and path in world.files and other != path:
            world.rename(path, other)
        elif verb == "protect":
            world.protect(root_of(path), protected=root_of(path) not in world.guarded)
        elif verb == "rule":
            self._rule(number, mtime)
        elif verb == "unrule" and (rulings := world.catalog.rulings.all()):
            world.unrule(rulings[number % len(rulings)])
        elif verb == "forget":
            world.flow.forget_unseen(NOW_NS + 1)
        elif verb == "restart":
            world.restart()
        elif verb == "rejudge":
            world.flow.rejudge(1)
        elif verb == "snapshot":
            world.flow.snapshot()
        elif verb == "lose":
            world.lose_indexes()

    def _rule(self, number: int, kind: int) -> None:
        """Rule on one content, or on it and the next ones."""
        wanted = list(RulingKind)[kind - 1]
        count = {RulingKind.NOT_DUPLICATES: 2 + number % 2, RulingKind.KEEP_ALL: 2, RulingKind.KEEP_THIS: 1}[wanted]
        chosen = {self._choice[(number + step) % len(self._choice)] for step in range(count)}
        if wanted is not RulingKind.NOT_DUPLICATES or len(chosen) > 1:
            self._world.rule(wanted, *chosen)

    def _crash(self, number: int) -> None:
        """Admit what waits, stop at the n-th verdict or standing written, and keep it for later."""
        relations = self._world.catalog.relations
        write, left = relations.put_standing, [number]

        def halt(*args: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            write(*args)

        with pytest.MonkeyPatch.context() as patch, suppress(Crash):
            patch.setattr(relations, "put_standing", halt)
            self.flush()

    def flush(self) -> None:
        """Admit what waits."""
        if self._batch:
            self._world.admit(self._batch)
            self._batch = {}  # not after a crash


@_FEW
@given(contents(), _STEPS)
def test_no_history_leaves_a_trace(choice: list[Content], steps: list[tuple[str, str, str, int, int]]) -> None:
    with worlds() as make:
        world = make()
        history = History(world, choice)
        for step in steps:
            history.take(step)
        history.flush()
        assert_lawful(world)
        world.restart()
        assert_lawful(world)


@settings(_FEW, max_examples=25)
@given(folders_of_files())
def test_lost_indexes_and_previews_change_nothing(files: Files) -> None:
    with worlds() as make:
        world = make()
        world.admit(files)
        world.flow.snapshot()
        before = world.verdicts()
        shutil.rmtree(world.state / "previews")
        world.lose_indexes()
        assert world.verdicts() == before
        world.flow.rejudge(1)
        assert world.verdicts() == before, "what the second look saw is on record"
