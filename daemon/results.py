"""What a run found, put together from the catalog for report, log and summary."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.config import Settings
from daemon.report_facts import LogEntry, Report, ReportFile, ReportGroup
from pipeline.knowledge import Knowledge
from pipeline.verdicts import Judge
from store.arrivals import Arrivals
from store.catalog import Catalog
from store.ledger import Ledger
from store.records import REJECTS, CatalogFile, Folder, ImageState, Level, Verdict, VerdictKind


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file with all that is known about it."""

    file: CatalogFile
    image: ImageState
    verdict: Verdict
    action: str  # "none", "copy" or "move"
    target: str | None


@dataclass(frozen=True, slots=True)
class Results:
    """What is known about the files of some folders."""

    folders: Sequence[Folder]
    files: Sequence[FileResult]
    unread: Sequence[tuple[str, str]]  # (path, why) of files that could not be judged yet

    @property
    def totals(self) -> Counter[VerdictKind]:
        """Count the files by verdict; a file that could not be judged is kept."""
        counts = Counter(result.verdict.kind for result in self.files)
        counts[VerdictKind.KEEP] += len(self.unread)
        return counts

    @property
    def images(self) -> int:
        """Count different contents."""
        return len({result.image.id for result in self.files})

    @property
    def groups(self) -> int:
        """Count the keepers that some file matches."""
        return len({result.verdict.keeper for result in self.files if result.verdict.keeper is not None})

    @property
    def action(self) -> str:
        """What was done to files: "move" or "copy" where at least one was, else "report"."""
        done = {result.action for result in self.files}
        return next((verb for verb in ("move", "copy") if verb in done), "report")

    def summary(self) -> dict[str, object]:
        """Return the counts of the command line's contract."""
        totals = self.totals
        return {
            "files": len(self.files) + len(self.unread),
            "images": self.images,
            "kept": totals[VerdictKind.KEEP],
            "rejected": {str(kind): totals[kind] for kind in REJECTS},
            "duplicates": totals[VerdictKind.DUPLICATE],
            "similar": totals[VerdictKind.SIMILAR],
            "groups": self.groups,
        }

    def log_entries(self) -> Iterable[LogEntry]:
        """Yield one log entry per file, by path."""
        entries = [
            LogEntry(
                r.verdict, None if r.image.observation is None else r.image.observation.quality, r.action, r.target
            )
            for r in self.files
        ]
        for path, why in self.unread:
            entries.append(
                LogEntry(Verdict(path, VerdictKind.KEEP, f"not judged: {why}", None, None), None, "none", None)
            )
        return sorted(entries, key=lambda entry: entry.verdict.path)


def collect(
    catalog: Catalog,
    judge: Judge,
    folders: Sequence[Folder],
    wanted: Callable[[CatalogFile], bool] = lambda file: True,
) -> Results:
    """Gather everything about the files of the folders for which `wanted` holds."""
    ledger = Ledger(catalog.database)
    chosen = {file.id: file for folder in folders for file in catalog.files_in(folder.id) if wanted(file)}
    image_ids = sorted({file.image_id for file in chosen.values()})
    results = []
    for file, image, verdict in judge.verdicts(image_ids):
        if file.id in chosen:
            entry = None if file.entry_id is None else ledger.entry(file.entry_id)
            action, target = ("none", None) if entry is None else (str(entry.verb), entry.target)
            results.append(FileResult(file, image, verdict, action, target))
    unread = [
        (arrival.path, arrival.reason)
        for folder in folders
        for arrival in Arrivals(catalog.database).all(folder.id)
        if arrival.reason and catalog.file(arrival.path) is None
    ]
    return Results(folders, results, unread)


def build_report(
    results: Results,
    knowledge: Knowledge,
    settings: Settings,
    action: str,
    seconds: float,
    problems: Sequence[str],
) -> Report:
    """Turn results into what the report page shows."""
    roots = {folder.id: folder.path for folder in results.folders}
    shown = {r.verdict.path: _report_file(r, roots.get(r.file.folder_id, "")) for r in results.files}
    rejects = {kind: [shown[r.verdict.path] for r in results.files if r.verdict.kind is kind] for kind in REJECTS}
    return Report(
        title="Cleaning report",
        when=datetime.now(UTC).astimezone(),
        folders=[folder.path for folder in results.folders],
        action=action,
        totals=dict(results.totals),
        images=results.images,
        seconds=seconds,
        groups=_groups(results, knowledge, shown),
        rejects={kind: files for kind, files in rejects.items() if files},
        settings=_settings_in_words(settings, knowledge),
        problems=[*problems, *(f"{path}: {why}" for path, why in results.unread)],
    )


def _groups(results: Results, knowledge: Knowledge, shown: dict[str, ReportFile]) -> list[ReportGroup]:
    """Gather members under their keepers, duplicates first, the largest groups first."""
    members: dict[tuple[Level, str], list[ReportFile]] = {}
    for result in results.files:
        keeper = result.verdict.keeper
        if keeper is not None:
            level = Level.DUPLICATES if result.verdict.kind is VerdictKind.DUPLICATE else Level.SIMILAR
            members.setdefault((level, keeper), []).append(shown[result.verdict.path])
    groups = []
    for (level, keeper), files in members.items():
        kept = shown.get(keeper) or _foreign_keeper(keeper, knowledge.catalog)
        if kept is not None:
            groups.append(ReportGroup(level, kept, sorted(files, key=lambda file: file.path)))
    return sorted(groups, key=lambda group: (group.level is Level.SIMILAR, -len(group.members), group.keeper.path))


def _foreign_keeper(path: str, catalog: Catalog) -> ReportFile | None:
    """Show a keeper that lies in a folder which is not reported on."""
    file = catalog.file(path)
    if file is None:
        return None
    verdict = Verdict(path, VerdictKind.KEEP, "it lies in another folder", None, None)
    return _report_file(FileResult(file, catalog.image(file.image_id), verdict, "none", None), "")


def _report_file(result: FileResult, root: str) -> ReportFile:
    seen = result.image.observation
    path = result.file.stat.path
    prefix = root.rstrip("/") + "/"
    return ReportFile(
        path=path,
        name=path.removeprefix(prefix) if root else path,
        sha256=result.image.sha256,
        verdict=result.verdict.kind,
        reason=result.verdict.reason,
        evidence=result.verdict.evidence,
        width=0 if seen is None else seen.picture.width,
        height=0 if seen is None else seen.picture.height,
        byte_size=result.image.byte_size,
        scores=None if seen is None else seen.quality,
        target=result.target,
        modified_ns=result.file.stat.mtime_ns,
    )


def _settings_in_words(settings: Settings, knowledge: Knowledge) -> list[tuple[str, str]]:
    quality, matching = settings.quality, settings.matching
    rulings = knowledge.catalog.rulings.count()
    return [
        ("Blur", f"sharpness below {quality.min_sharpness:g}"),
        ("Dark", f"mean grey below {quality.min_brightness:g}"),
        ("Bright", f"mean grey above {quality.max_brightness:g}"),
        ("Candidates", f"pHash within {matching.max_phash_bits} bits, dHash within {matching.max_dhash_bits}"),
        ("Model", knowledge.model_id),
        ("Keeper", ", then ".join(name.replace("_", " ") for name in settings.keeper.criteria)),
        *([("Rulings", f"{rulings} by people, before all of this")] if rulings else []),
    ]
