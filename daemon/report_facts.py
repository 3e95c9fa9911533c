"""What a report tells, as types. `daemon.report` hands them on; import them from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from store.records import REJECTS, Evidence, Level, Quality, Verdict, VerdictKind


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file as the page shows it. Sizes in pixels are those of the oriented picture, 0 if it has none."""

    path: str  # where it was found, absolute
    name: str  # the same, relative to its folder
    sha256: bytes | None  # None when the bytes could not be read
    verdict: VerdictKind
    reason: str
    evidence: Evidence | None
    width: int
    height: int
    byte_size: int
    scores: Quality | None
    target: str | None  # where the copy or the moved file lies now; None when nothing was done
    modified_ns: int


@dataclass(frozen=True, slots=True)
class ReportGroup:
    """A keeper and the files that match it, at one level."""

    level: Level
    keeper: ReportFile
    members: Sequence[ReportFile]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the page tells. `totals` counts files by verdict; one that is missing counts as 0."""

    title: str
    when: datetime  # aware; its zone is the one in which the page writes times
    folders: Sequence[str]
    action: str  # "report", "copy" or "move"
    totals: Mapping[VerdictKind, int]
    images: int
    seconds: float
    groups: Sequence[ReportGroup] = ()
    rejects: Mapping[VerdictKind, Sequence[ReportFile]] = field(default_factory=dict)
    settings: Sequence[tuple[str, str]] = ()  # (what, in words): ("Blur", "sharpness below 50")
    problems: Sequence[str] = ()

    @property
    def files(self) -> int:
        """Count every file seen."""
        return sum(self.totals.values())

    @property
    def leaving(self) -> int:
        """Count the files that leave their folder: duplicates and rejects."""
        return sum(self.totals.get(kind, 0) for kind in (VerdictKind.DUPLICATE, *REJECTS))

    @property
    def leaving_bytes(self) -> int:
        """Add up the bytes of duplicates and rejects, each file once."""
        sizes = {m.path: m.byte_size for g in self.groups if g.level is Level.DUPLICATES for m in g.members}
        sizes.update((file.path, file.byte_size) for kind in REJECTS for file in self.rejects.get(kind, ()))
        return sum(sizes.values())


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One file in `cleaning_log.json`."""

    verdict: Verdict
    scores: Quality | None
    action: str  # "none", "copy" or "move"
    target: str | None
