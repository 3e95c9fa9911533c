"""Verdicts → actions: what must move out, what must come back, and carrying it out.

The catalog says where each file should lie (its verdict) and where it lies (its ledger entry); the difference is the
plan. What comes back goes first, because a returning file may be the keeper that lets another one go.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pipeline.actions import Action, ActionSettings, KeeperCheck, apply, quarantine_target, undo
from pipeline.verdicts import Judge
from store.catalog import Catalog
from store.errors import ActionError, DedupdError, DiskFullError
from store.ledger import Ledger, LedgerEntry, Verb
from store.records import REJECTS, CatalogFile, FileStat, ImageState, Level, Verdict, VerdictKind
from store.text import printable

_LEAVING = (*REJECTS, VerdictKind.DUPLICATE, VerdictKind.SIMILAR)
# In which a change of places may change verdicts, and these places again. One or two do as a rule; more where many
# files of one content come home under other names, for a longer name ranks lower.
_ROUNDS = 64
_Step = Callable[[int], None]  # takes the time


class _KeeperAwayError(ActionError):
    """The keeper that a duplicate is to be held against is not where its verdict says."""


class NotePlace(Protocol):
    """Write where a file lies and judge anew what hangs on it, all or nothing (`Flow.note_place`)."""

    def __call__(self, file: CatalogFile, note: Callable[[], object], *, at: str | None = None) -> list[CatalogFile]:
        """Let `note` write; what was believed to lie `at` that home is gone. Return files whose verdict changed."""
        ...


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What is to be done with the files of one folder."""

    root: str
    verb: Verb | None  # None: report only
    quarantine_root: str
    prefix: str = ""  # put before relative paths where folders share a quarantine
    move_similar: bool = False
    again: bool = False  # also act on files that a person took back


@dataclass(frozen=True, slots=True)
class Problem:
    """An action that was refused; the file is where it was."""

    path: str
    message: str

    @property
    def text(self) -> str:
        """Say which file and why; many a message begins with the file's name."""
        named = self.message.startswith(f"{printable(self.path)}: ")
        return self.message if named else f"{self.path}: {self.message}"


class Planner:
    """Work out and carry out the difference between verdicts and places. Used by the one writer."""

    def __init__(
        self,
        catalog: Catalog,
        ledger: Ledger,
        plans: Mapping[int, FolderPlan],
        settings: ActionSettings,
        note_place: NotePlace,
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._plans = plans
        self._settings = settings
        self._note_place = note_place
        self._changed: set[int] = set()  # images judged anew because files changed their places
        self._moved = 0  # files that changed their places

    def unsettled(self) -> list[int]:
        """List the images that have a file whose place and verdict disagree."""
        acting = {folder_id for folder_id, plan in self._plans.items() if plan.verb is not None}
        at_home = [f for f in self._catalog.files_with(_LEAVING) if f.lies_at is None and f.folder_id in acting]
        misplaced = self._catalog.files_misplaced()
        return sorted({file.image_id for file in (*at_home, *misplaced)})

    def carry_out(
        self,
        judge: Judge,
        image_ids: Iterable[int],
        clock_ns: Callable[[], int],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Problem]:
        """Bring the files of the images to where their verdicts want them; return what was refused.

        In rounds: a file that moves may change which one stands for its image, and with it verdicts and names.
        """
        batch, waiting, refused = self._ledger.next_batch(), set(image_ids), list[Problem]()
        for _ in range(_ROUNDS):
            self._changed, self._moved = set(), 0
            late: dict[int, Problem] = {}
            refused += self._take(self._steps(judge, waiting, batch), late, clock_ns, progress)
            waiting = self._changed | late.keys()
            if not waiting or not self._moved:  # where nothing moves, nothing will come within reach
                break
        return [*refused, *late.values()]

    def _steps(self, judge: Judge, image_ids: Iterable[int], batch: int) -> Sequence[tuple[CatalogFile, _Step]]:
        files = list(judge.verdicts(sorted(image_ids)))
        homecoming = {file.id: entry for file, _, verdict in files if (entry := self._to_take_back(file, verdict))}
        steps = [(f, partial(self._bring_home, f, homecoming[f.id])) for f, _, _ in files if f.id in homecoming]
        # Similar pictures last: one of them may be the keeper that the check before a duplicate's move wants at home.
        # The oldest last: while the file that stands for its image is there, the others can go without a thought.
        for file, image, verdict in sorted(files, key=_turn):
            if self._leaves(file, verdict) and (file.entry_id is None or file.id in homecoming):
                steps.append((file, partial(self._send_away, file.id, image, verdict, batch, judge)))
        return steps

    def _take(
        self,
        steps: Sequence[tuple[CatalogFile, _Step]],
        late: dict[int, Problem],
        clock_ns: Callable[[], int],
        progress: Callable[[int, int], None],
    ) -> list[Problem]:
        """Take steps; return what was refused, and put into `late` what may do when others have moved."""
        refused = []
        for done, (file, step) in enumerate(steps, 1):
            try:
                if file.image_id not in self._changed:  # else its verdict is of yesterday: next round
                    step(clock_ns())
            except DiskFullError:  # under the ledger: no action may go on
                raise
            except _KeeperAwayError as error:
                late[file.image_id] = Problem(file.stat.path, error.message)
            except DedupdError as error:
                refused.append(Problem(file.stat.path, error.message))
            progress(done, len(steps))
        return refused

    def adopt_finished(self) -> None:
        """Note in the catalog what the ledger finished just before a crash."""
        for entry in map(self._ledger.entry, self._catalog.entries_without_file()):
            file = self._catalog.file(entry.source)
            if file is not None and file.entry_id is None:
                image = self._catalog.image(file.image_id)
                if image.sha256 == entry.sha256 and file.stat.mtime_ns == entry.mtime_ns:
                    self._note_away(file, entry)
        for file in self._catalog.files_of_undone_entries():
            assert file.entry_id is not None
            entry = self._ledger.entry(file.entry_id)
            # dedupd itself takes back only what is to be kept; anything else a person wanted back.
            by_person = None if file.verdict is VerdictKind.KEEP else entry.undone_ns
            self._note_home(file, entry.restored, by_person)

    def _leaves(self, file: CatalogFile, verdict: Verdict) -> bool:
        plan = self._plans.get(file.folder_id)
        if plan is None or plan.verb is None or file.protected or (file.returned and not plan.again):
            return False
        return verdict.kind in _LEAVING and (verdict.kind is not VerdictKind.SIMILAR or plan.move_similar)

    def _to_take_back(self, file: CatalogFile, verdict: Verdict) -> LedgerEntry | None:
        if file.entry_id is None:
            return None
        entry = self._ledger.entry(file.entry_id)
        if entry.verdict is not verdict.kind or self._is_superseded(file, entry):
            return entry
        return None

    def _is_superseded(self, file: CatalogFile, entry: LedgerEntry) -> bool:
        """Tell whether a copy is not what is asked for now: a move is, or a copy elsewhere, or it was thrown away."""
        plan = self._plans.get(file.folder_id)
        if entry.verb is not Verb.COPY or plan is None or plan.verb is None:
            return False
        elsewhere = entry.quarantine_root != plan.quarantine_root
        return plan.verb is Verb.MOVE or elsewhere or not os.path.lexists(entry.target)

    def _send_away(
        self, file_id: int, image: ImageState, verdict: Verdict, batch: int, judge: Judge, now_ns: int
    ) -> None:
        file = self._catalog.file_by_id(file_id)  # again: it may just have come home
        if file is None or file.entry_id is not None:
            return
        plan = self._plans[file.folder_id]
        assert plan.verb is not None
        folder = verdict.kind.quarantine
        assert folder is not None
        relative = plan.prefix + file.stat.path[len(plan.root.rstrip("/")) + 1 :]
        action = Action(
            verb=plan.verb,
            source=file.stat,
            sha256=image.sha256,
            target=quarantine_target(plan.quarantine_root, folder, relative),
            verdict=verdict.kind,
            reason=verdict.reason,
            keeper=self._keeper_check(image, verdict, judge),
            folder_root=plan.root,
            quarantine_root=plan.quarantine_root,
        )
        self._note_away(file, apply(action, self._ledger, now_ns, batch=batch, settings=self._settings))

    def _keeper_check(self, image: ImageState, verdict: Verdict, judge: Judge) -> KeeperCheck | None:
        """Describe the keeper for the last look before its extra leaves: the image that was matched, at home.

        The path alone would not do: while the keeper is away, another picture may have taken its name.
        """
        if verdict.keeper is None:
            return None
        keeper = self._catalog.file(verdict.keeper)
        if keeper is None or keeper.image_id not in judge.keepers_of(image.id):
            raise _KeeperAwayError("its keeper is not at home", "it will be looked at again")
        return KeeperCheck(keeper.stat, self._catalog.image(keeper.image_id).sha256)

    def _note_away(self, file: CatalogFile, entry: LedgerEntry) -> None:
        place = entry.target if entry.verb is Verb.MOVE else None
        changed = self._note_place(file, lambda: self._catalog.set_away(file.id, place, entry.id))
        self._moved += 1
        self._changed.update(other.image_id for other in changed)

    def _bring_home(self, file: CatalogFile, entry: LedgerEntry, now_ns: int) -> None:
        self._note_home(file, undo(entry, self._ledger, now_ns), None)

    def _note_home(self, file: CatalogFile, home: str | None, returned_ns: int | None) -> None:
        changed = note_home(self._catalog, self._note_place, file, home, returned_ns)
        self._moved += 1
        self._changed.update(other.image_id for other in changed)
        if home not in (None, file.stat.path):  # its name was taken: who stands behind it knows it by the old one
            behind = (self._catalog.relations.extras_of(level, file.image_id) for level in Level)
            self._changed.update({file.image_id}.union(*behind))


def _turn(item: tuple[CatalogFile, ImageState, Verdict]) -> tuple[bool, int]:
    file, _, verdict = item
    return verdict.kind is VerdictKind.SIMILAR, -file.stat.mtime_ns


def note_home(
    catalog: Catalog, note_place: NotePlace, file: CatalogFile, home: str | None, returned_ns: int | None
) -> list[CatalogFile]:
    """Note where a file lies after an undo (None: only a copy was removed); return files whose verdict changed.

    `returned_ns` is the time when a person wanted it back; such a file is left alone from then on.
    """
    if home is not None and not os.path.lexists(home):
        return []  # it went on from there: an older action of the same file was undone too
    stat = file.stat if home is None else FileStat.of(home, os.lstat(home))
    return note_place(file, lambda: catalog.set_home(file.id, stat, returned_ns), at=stat.path)
