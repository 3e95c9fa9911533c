"""`dedupd scan`: clean folders once, then exit."""

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from daemon.options import config_option, json_option, state_option
from daemon.terminal import Advance, emit, plural, progress, say, table, warn
from store.errors import AccessError, StateError, UsageError
from store.text import printable

if TYPE_CHECKING:
    from daemon.folders import Changes, Excluded
    from daemon.results import Results
    from daemon.session import Session
    from pipeline.flow import Flow
    from store.records import CatalogFile, Folder

_QUARANTINE = ("blur", "dark", "bright", "corrupt", "duplicates", "similar")
_UNFINISHED_KEY = "unfinished_scan"
_SUSPICIOUSLY_EMPTY = 20  # known files: from here on an empty folder looks like a share that is not mounted


@click.command(epilog="Example: dedupd scan ~/Pictures --output ~/cleaned --action move")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False), metavar="FOLDER…")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    help="Where report, log and quarantine go.",
)
@click.option(
    "--action",
    type=click.Choice(["report", "copy", "move"]),
    default="report",
    show_default=True,
    help="What to do with rejects and duplicates. `report` touches no file.",
)
@click.option("--again", is_flag=True, help="Also act on files that you took back with `dedupd undo`.")
@config_option
@state_option
@json_option
def command(
    folders: tuple[Path, ...], output: Path, action: str, again: bool,
    config: Path | None, state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Judge every picture in the folders against everything that is known, once."""
    from daemon.launching import head_start
    from daemon.state import StateFolder

    started = time.monotonic()
    roots = _real_roots(folders)
    first_scan = not StateFolder(state).catalog.exists()
    launched = head_start() if first_scan else []  # a later scan may find that nothing is new
    from daemon.config import config_to_judge_with, load_settings
    from daemon.session import Session

    path = config_to_judge_with(config)
    settings = load_settings(path)
    target = _real_output(output, roots)
    with Session(StateFolder(state), settings, launched=launched) as session:
        session.state.note_config(path)
        scan = Scan(session, roots, target, action, again, quiet=as_json)
        scan.run()
        answer = scan.report(time.monotonic() - started)
    if as_json:
        emit(answer)


@dataclass(slots=True)
class Scan:
    """One run over some folders, from the walk to the report."""

    session: "Session"
    roots: Sequence[str]
    output: str
    action: str
    again: bool
    quiet: bool
    folders: list["Folder"] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: int = 0
    first_batch: int = 0
    refused: int = 0  # actions
    fresh: bool = False  # a file was found that was not known
    nested: frozenset[str] = frozenset()  # protected folders inside the scanned ones

    def run(self) -> None:
        """Look, measure, judge, and act."""
        session = self.session
        self.problems += [f"{o.source}: {o.error}" for o in session.recovered if o.error]
        self.first_batch = self._begin()
        self.folders = self._put_folders()
        if self._measure_again() or session.flow.needs_rejudging:
            with progress("judging again", quiet=self.quiet) as advance:
                session.flow.rejudge(session.clock_ns(), advance)
        if session.settings.embedding.weights:
            session.flow.load_model()  # somebody chose them: tell at once whether they serve
        with progress("looking", quiet=self.quiet) as advance:
            jobs = [job for folder in self.folders for job in self._changes(folder, advance)]
        if jobs:
            session.arrivals.add(((path, folder_id) for folder_id, path in jobs), session.clock_ns())
            with _warming(session.flow, self.fresh), progress("judging", quiet=self.quiet) as advance:
                done = 0
                for step in session.ingest.run(jobs):
                    session.ingest.changed.clear()  # the service acts on these at once, a scan at its end on all
                    done += step
                    advance(done, len(jobs))
        session.forget_emptied()
        session.drop_absent_keepers({folder.id for folder in self.folders})
        self._act()
        days = session.settings.upkeep.forget_after_days
        session.flow.forget_unseen(session.clock_ns() - int(days * 24 * 3600 * 1e9))
        if jobs:
            session.flow.snapshot()

    def _measure_again(self) -> int:
        from daemon.remaking import catch_up

        with progress("measuring again, for this version of dedupd", quiet=self.quiet) as advance:
            remade = catch_up(self.session, advance)
        if remade.measured and not self.quiet:
            warn(f"measured again, for this version of dedupd: {plural(remade.measured, 'picture')}")
        if remade.left:
            left = f"{plural(remade.left, 'picture')} not measured again for this version of dedupd"
            self.problems.append(f"{left}: their files are offline or changed")
        return remade.measured

    def report(self, seconds: float) -> dict[str, Any]:
        """Write report and log, tell the person, and return the contract's object."""
        from daemon.report import write_log, write_report
        from daemon.results import build_report, collect

        session = self.session
        results = collect(session.catalog, session.flow.judge, self.folders, lambda file: self._in_scope(file))
        knowledge = session.flow.knowledge
        folder = Path(self.output)
        log = write_log(folder, results.log_entries())
        page = build_report(results, knowledge, session.settings, self.action, seconds, self.problems)
        report = write_report(folder, page, knowledge.previews.read)
        session.catalog.remember(_UNFINISHED_KEY, "{}")
        self._publish(str(report))
        summary = results.summary()
        rate = self.seen / seconds if seconds > 0 else 0.0
        problems = len(self.problems) + len(results.unread)
        answer = {"schema": 1, **summary, "seconds": round(seconds, 3), "images_per_second": round(rate, 2),
                  "report": str(report), "log": str(log), "problems": problems, "refused": self.refused}  # fmt: skip
        if not self.quiet:
            _tell(results, report, self.action, f"{seconds:.1f} s ({rate:.0f} files/s)")
        for problem in self.problems[:10]:
            warn(f"problem: {problem}")
        if len(self.problems) > 10:
            warn(f"… and {len(self.problems) - 10} more problems, all in the report")
        if self.refused:
            warn(f"refused: {plural(self.refused, 'action')}; what they were about is where it was")
        return answer

    def _publish(self, report: str) -> None:
        """Leave a status behind, so that `dedupd status` tells what is known."""
        from daemon.bulletin import Bulletin
        from daemon.status import FolderStatus

        files = self.session.catalog.folder_counts()
        folders = [
            FolderStatus(folder.path, "scanned", files.get(folder.path, 0), "", self.action, folder.protected)
            for folder in self.folders
        ]
        Bulletin(self.session, report).publish("stopped", folders, self.session.arrivals.count(), force=True)

    def _changes(self, folder: "Folder", advance: Advance) -> Iterator[tuple[int, str]]:
        """Compare a folder with the catalog, let go of what is gone, and yield what must be measured."""
        from daemon.folders import scan_changes, walk

        catalog, flow = self.session.catalog, self.session.flow
        known = {file.stat.path: file for file in catalog.files_in(folder.id) if file.lies_at is None}
        unseen: list[str] = []
        walked = walk(
            folder.path, exclude=self._excluded(folder.path), on_problem=lambda p: self._note(p.path, p.reason, unseen)
        )
        stats = {path: file.stat for path, file in known.items()}
        changes = scan_changes(stats, _counted(walked, advance), unseen)
        self.seen += len(known) - len(changes.vanished) + len(changes.new)
        self._refuse_unmounted(folder, known, changes)
        now_ns = self.session.clock_ns()
        for old_path, stat in changes.renamed:
            if not self.session.holds(known[old_path], stat.path):
                changes.vanished.append(old_path)
                changes.new.append(stat)
                continue
            flow.rename_file(known[old_path], stat, folder.id, now_ns)
        if changes.vanished:
            flow.forget_files([known[path] for path in changes.vanished], now_ns)
        self.fresh = self.fresh or bool(changes.new)
        self._forget_arrivals(folder)
        yield from ((folder.id, stat.path) for stat in sorted((*changes.new, *changes.changed), key=lambda s: s.path))

    def _forget_arrivals(self, folder: "Folder") -> None:
        """Drop what an earlier, interrupted run left waiting: this walk has seen everything that matters."""
        self.session.arrivals.remove([arrival.path for arrival in self.session.arrivals.all(folder.id)])

    def _refuse_unmounted(self, folder: "Folder", known: dict[str, "CatalogFile"], changes: "Changes") -> None:
        if len(known) >= _SUSPICIOUSLY_EMPTY and len(changes.vanished) == len(known) and not changes.new:
            raise StateError(
                f"{folder.path} is empty, but {len(known)} pictures are known there",
                "is the disk or share mounted? If they really are gone, use a fresh --state",
            )

    def _act(self) -> None:
        from pipeline.planning import FolderPlan
        from store.ledger import Verb

        if self.action == "report":
            return
        for name in _QUARANTINE:
            (Path(self.output) / name).mkdir(parents=True, exist_ok=True)
        similar = self.session.settings.actions.similar == "follow"
        prefixes = _prefixes([folder.path for folder in self.folders])
        plans = {
            folder.id: FolderPlan(folder.path, Verb(self.action), self.output, prefix, similar, self.again)
            for folder, prefix in zip(self.folders, prefixes, strict=True)
        }
        with progress(f"{self.action} into quarantine", quiet=self.quiet) as advance:
            refused = self.session.act(plans, None, advance)
        self.problems += [problem.text for problem in refused]
        self.refused = len(refused)

    def _in_scope(self, file: "CatalogFile") -> bool:
        """Tell whether a file was seen by this run: it lies in the folder, or this run took it from there."""
        if file.lies_at is None or file.entry_id is None:
            return True
        return self.session.ledger.entry(file.entry_id).batch >= self.first_batch

    def _begin(self) -> int:
        """Return the first batch of actions that counts as this run's: an interrupted run is gone on with."""
        catalog = self.session.catalog
        stored = json.loads(catalog.remembered(_UNFINISHED_KEY) or "{}")
        if stored.get("roots") == list(self.roots) and stored.get("output") == self.output:
            return int(stored["batch"])
        batch = self.session.ledger.next_batch()
        note = {"roots": list(self.roots), "output": self.output, "batch": batch}
        catalog.remember(_UNFINISHED_KEY, json.dumps(note))
        return batch

    def _note(self, path: str, reason: str, unseen: list[str]) -> None:
        unseen.append(path)
        self.problems.append(f"{path}: {reason}")

    def _put_folders(self) -> list["Folder"]:
        """Note the folders to scan; what is protected stays so, also inside a folder that is not."""
        catalog = self.session.catalog
        hot = self.session.settings.hot_folder
        protected = {folder.path for folder in catalog.folders() if folder.protected}
        protected = (protected | {h.path for h in hot if h.protected}) - {h.path for h in hot if not h.protected}
        inside = [path for path in protected if path not in self.roots and _is_inside(path, self.roots)]
        self.nested = frozenset(path for path in inside if os.path.isdir(path))
        found = []
        for path in (*self.roots, *sorted(self.nested)):
            shielded = path in protected or _is_inside(path, protected)
            found.append(catalog.put_folder(path, protected=shielded))
            catalog.adopt_files(found[-1])
        return found

    def _excluded(self, root: str) -> "Excluded":
        inside = {self.output, os.path.realpath(self.session.state.path), *self.nested}
        return frozenset(inside - {*self.roots, root})


@contextmanager
def _warming(flow: "Flow", wanted: bool) -> Iterator[None]:
    """Load the network, which takes seconds, while workers decode; where only known files changed, at its first use.

    The thread ends before the block does: Python aborts (SIGABRT) where it leaves while a thread imports torch.
    """
    thread = Thread(target=flow.warm_up)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        if wanted:
            thread.join()


def _counted(walked: Iterator[Any], advance: Advance) -> Iterator[Any]:
    for number, stat in enumerate(walked, 1):
        if number % 1000 == 0:
            advance(number)
        yield stat


def _real_roots(folders: Sequence[Path]) -> list[str]:
    """Resolve the folders, refuse what is none, and drop folders that lie in another one."""
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"no such folder: {folder}", "check the spelling, and that the disk is mounted")
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder", "name the folder it lies in")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise AccessError(f"cannot read the folder {folder}", "check its permissions")
    roots = sorted({os.path.realpath(folder) for folder in folders})
    return [root for root in roots if not any(root.startswith(other.rstrip("/") + "/") for other in roots)]


def _real_output(output: Path, roots: Sequence[str]) -> str:
    real = os.path.realpath(output)
    if real in roots:
        raise UsageError("the output folder is the scanned folder itself", "choose another --output")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file, not a folder", "choose another --output")
    try:
        Path(real).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccessError(
            f"cannot make the output folder {output}: {error.strerror}", "choose another --output"
        ) from error
    if not os.access(real, os.W_OK | os.X_OK):
        raise AccessError(f"cannot write to the output folder {output}", "choose another --output")
    return real


def _is_inside(path: str, folders: Collection[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _prefixes(roots: Sequence[str]) -> list[str]:
    """Keep relative paths apart when several folders share one quarantine: by name, numbered where names repeat."""
    if len(roots) == 1:
        return [""]
    names = [os.path.basename(root) or "root" for root in roots]
    return [
        f"{name}/" if names.count(name) == 1 else f"{name}-{names[: at + 1].count(name)}/"
        for at, name in enumerate(names)
    ]


def _tell(results: "Results", report: Path, action: str, time_taken: str) -> None:
    from store.records import VerdictKind

    totals = results.totals
    say(
        f"{plural(len(results.files) + len(results.unread), 'file')}, {plural(results.images, 'image')}, "
        f"{plural(results.groups, 'group')} in {time_taken}"
    )
    acted = Counter(result.verdict.kind for result in results.files if result.action != "none")
    done = {"copy": "copied", "move": "moved"}.get(action, "")
    rows = [(str(k), f"{totals[k]:,}", f"{acted[k]:,} {done}" if acted[k] else "") for k in VerdictKind if totals[k]]
    table(("verdict", "files", ""), rows, right=(1,))
    returned = sum(result.file.returned for result in results.files)
    if returned:
        say(f"{plural(returned, 'file')} that you took back earlier left alone (--again acts on them too)")
    say(f"report: {printable(str(report))}")
    if action == "report" and totals.total() > totals[VerdictKind.KEEP]:
        say("no file was touched; --action move puts rejects and duplicates into quarantine, `dedupd undo` reverts it")
