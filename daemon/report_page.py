"""Turn a `Report` into HTML: numbers and links are made here, the layout is `templates/report.html.j2`."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from daemon.report_facts import Report, ReportFile, ReportGroup
from daemon.report_words import (
    KIND_WORDS,
    LEVEL_WORDS,
    TIMES,
    VERDICT_WORDS,
    bytes_in_words,
    change_in_words,
    distances_in_words,
    headline,
    moment_in_words,
    summary,
)
from store.records import REJECTS, Evidence, Level, VerdictKind
from store.text import printable

# What one page carries and still opens at once (measured by bench/report.py); the log names every file.
MAX_GROUPS = 6_000  # at each level
MAX_CARDS = 24  # in one group; more members follow as lines
MAX_LINES = 1_000
MAX_REJECTS = 1_000  # of each kind

PREVIEW_BOX = (232, 174)  # pixels, as in report.css

# Linked: a browser takes them as pictures whatever their bytes are (HTML named .jpg stays inert).
_LINKED = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .webp .gif .bmp .dib .tif .tiff .heic .heif .avif .jxl .pgm".split()
)

_DONE_WORDS: Mapping[str, str] = {"copy": "copied to", "move": "moved to"}


@dataclass(frozen=True, slots=True)
class _Metric:
    label: str
    measure: Callable[[ReportFile], float | None]  # rounded as it is shown, so that equal looks equal
    words: Callable[[ReportFile, float], str]


_METRICS = (
    _Metric("Pixels", lambda f: f.width * f.height or None, lambda f, _: f"{f.width:,} {TIMES} {f.height:,}"),
    _Metric("Size", lambda f: f.byte_size, lambda f, _: bytes_in_words(f.byte_size)),
    _Metric("Detail", lambda f: round(f.scores.detail, 2) if f.scores else None, lambda _, v: f"{v:.2f} MP"),
    _Metric("Sharpness", lambda f: round(f.scores.sharpest) if f.scores else None, lambda _, v: f"{v:.0f} of 100"),
)
_BRIGHTNESS = _Metric(
    "Brightness", lambda f: round(f.scores.brightness) if f.scores else None, lambda _, v: f"{v:.0f} of 255"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One measured value of a picture, next to the keeper's."""

    label: str
    value: str
    change: str  # against the keeper, "+12 %"; empty for the keeper itself and for equal values
    best: bool  # the best value in its group, where the values differ


@dataclass(frozen=True, slots=True)
class Card:
    """One picture, ready to be laid out."""

    kind: str  # match kind, "keep" or a reject's verdict: picks the colour and answers the filter
    badge: str
    name: str
    folder: str
    link: str  # empty when a browser must not open the file
    preview: str  # empty when there is none
    width: int
    height: int
    reason: str
    explanation: str
    distances: str
    proof: str
    facts: tuple[Fact, ...]
    modified: str
    done: str


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group, ready to be laid out."""

    number: int
    title: str
    gain: str
    kinds: str
    keeper: Card
    extras: tuple[Card, ...]
    lines: tuple[str, ...]
    beyond: int  # members that only the log names


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the page with its own entry in the navigation."""

    anchor: str
    title: str
    words: str
    files: int
    groups: int
    beyond: int  # groups or files that only the log names


@dataclass(frozen=True, slots=True)
class Share:
    """A verdict's part of all files: a tile, and a stretch of the bar in thousandths."""

    kind: str
    label: str
    count: int
    start: float
    width: float


class Pages:
    """Describes pictures for one page: knows where it lies and which previews lie beside it."""

    def __init__(self, report: Report, folder: str, previews_name: str, shown: AbstractSet[bytes]) -> None:
        self._folder = os.fsencode(os.path.abspath(folder))  # lexical, as a browser does
        self._previews_name = previews_name
        self._report = report
        self._shown = shown

    def group(self, number: int, group: ReportGroup) -> GroupView:
        """Describe one group: cards, then lines, then a count."""
        members = group.members
        peers = (group.keeper, *members[:MAX_CARDS])
        best = {metric.label: _best(metric, peers) for metric in _METRICS}
        rest = members[MAX_CARDS:]
        return GroupView(
            number=number,
            title=f"{len(members) + 1:,} pictures",
            gain=bytes_in_words(sum(member.byte_size for member in members)),
            kinds=" ".join(sorted({m.evidence.kind.value for m in members if m.evidence})),
            keeper=replace(
                self._card(group.keeper, None, _facts(_METRICS, group.keeper, None, best)),
                kind="keep",
                badge="keeper",
            ),
            extras=tuple(
                self._card(m, m.evidence, _facts(_METRICS, m, group.keeper, best)) for m in members[:MAX_CARDS]
            ),
            lines=tuple(_line(member) for member in rest[:MAX_LINES]),
            beyond=len(rest[MAX_LINES:]),
        )

    def reject(self, file: ReportFile) -> Card:
        """Describe one reject with all its numbers."""
        return self._card(file, None, _facts((*_METRICS, _BRIGHTNESS), file, None, {}))

    def _card(self, file: ReportFile, evidence: Evidence | None, facts: tuple[Fact, ...]) -> Card:
        head, _, tail = file.name.rpartition("/")
        width, height = _fitted(file.width, file.height)
        action, there = self._report.action, file.sha256 is not None and file.sha256 in self._shown
        moved = file.target is not None and action == "move"
        return Card(
            kind=evidence.kind.value if evidence else file.verdict.value,
            badge=KIND_WORDS[evidence.kind] if evidence else VERDICT_WORDS[file.verdict][0].lower(),
            name=tail,
            folder=head,
            link=self._link(file.target if moved and file.target else file.path),
            preview=f"{self._previews_name}/{file.sha256.hex()}.jpg" if there and file.sha256 else "",
            width=width,
            height=height,
            reason=file.reason,
            explanation=evidence.explanation if evidence else "",
            distances=distances_in_words(evidence) if evidence else "",
            proof="" if not evidence else "verified" if evidence.verified else "not verified",
            facts=facts,
            modified=moment_in_words(file.modified_ns, self._report.when.tzinfo),
            done=f"{_DONE_WORDS[action]} {file.target}" if file.target and action in _DONE_WORDS else "",
        )

    def _link(self, path: str) -> str:
        raw = os.fsencode(os.path.abspath(path))  # lexical, as a browser does
        if os.path.splitext(raw)[1].lower() not in _LINKED:
            return ""
        # Percent-encoded bytes: a name that is no UTF-8 or reads "javascript:…" is a path like any other.
        return quote(os.path.relpath(raw, self._folder))


def render(report: Report, folder: str, names: tuple[str, str], shown: AbstractSet[bytes]) -> Iterator[str]:
    """Yield the page in pieces.

    `folder` is where it will lie, `names` what the previews' folder and the log are called beside it; `shown`
    holds the content hashes that have a preview there.
    """
    previews_name, log_name = names
    pages = Pages(report, folder, previews_name, shown)
    css, script = _source("report.css"), _source("report.js")
    stream = (
        _environment()
        .get_template("report.html.j2")
        .stream(
            report=report,
            when=moment_in_words(int(report.when.timestamp() * 1e9), report.when.tzinfo),
            policy=_policy(css, script),
            css=Markup(css),
            script=Markup(script),
            headline=headline(report),
            summary=summary(report),
            shares=_shares(report),
            levels=[(_level_section(report, level), _group_views(report, level, pages)) for level in Level],
            rejects=[(_reject_section(report, kind), _reject_cards(report, kind, pages)) for kind in REJECTS],
            log_name=log_name,
        )
    )
    stream.enable_buffering(500)
    return iter(stream)


def shown_groups(report: Report, level: Level) -> Sequence[ReportGroup]:
    """Return the groups of one level that the page shows."""
    return [group for group in report.groups if group.level is level][:MAX_GROUPS]


def shown_rejects(report: Report, kind: VerdictKind) -> Sequence[ReportFile]:
    """Return the rejects of one kind that the page shows."""
    return report.rejects.get(kind, ())[:MAX_REJECTS]


def pictured(report: Report) -> Iterator[bytes]:
    """Yield the content hash of every picture that has a card on the page, with repeats."""
    for level in Level:
        for group in shown_groups(report, level):
            yield from (f.sha256 for f in (group.keeper, *group.members[:MAX_CARDS]) if f.sha256)
    for kind in REJECTS:
        yield from (file.sha256 for file in shown_rejects(report, kind) if file.sha256)


def _shares(report: Report) -> list[Share]:
    shares, start = [], 0.0
    for kind, (label, _) in VERDICT_WORDS.items():
        count = report.totals.get(kind, 0)
        width = 1000 * count / max(report.files, 1)
        shares.append(Share(kind.value, label, count, round(start, 2), round(width, 2)))
        start += width
    return shares


def _level_section(report: Report, level: Level) -> Section:
    groups = [group for group in report.groups if group.level is level]
    title, words = LEVEL_WORDS[level]
    files = sum(len(group.members) for group in groups)
    return Section(level.value, title, words, files, len(groups), max(len(groups) - MAX_GROUPS, 0))


def _reject_section(report: Report, kind: VerdictKind) -> Section:
    files = len(report.rejects.get(kind, ()))
    title, words = VERDICT_WORDS[kind]
    return Section(kind.value, title, words, files, 0, max(files - MAX_REJECTS, 0))


def _group_views(report: Report, level: Level, pages: Pages) -> Iterator[GroupView]:
    return (pages.group(number, group) for number, group in enumerate(shown_groups(report, level), 1))


def _reject_cards(report: Report, kind: VerdictKind, pages: Pages) -> Iterator[Card]:
    return (pages.reject(file) for file in shown_rejects(report, kind))


def _best(metric: _Metric, files: Sequence[ReportFile]) -> float | None:
    """Return the greatest value among the files, or None where all are the same."""
    values = {value for file in files if (value := metric.measure(file)) is not None}
    return max(values) if len(values) > 1 else None


def _facts(
    metrics: Sequence[_Metric], file: ReportFile, keeper: ReportFile | None, best: Mapping[str, float | None]
) -> tuple[Fact, ...]:
    facts = []
    for metric in metrics:
        value = metric.measure(file)
        if value is None:
            continue
        change = change_in_words(value, metric.measure(keeper)) if keeper else ""
        facts.append(Fact(metric.label, metric.words(file, value), change, value == best.get(metric.label)))
    return tuple(facts)


def _line(file: ReportFile) -> str:
    evidence = file.evidence
    return f"{file.name} · {KIND_WORDS[evidence.kind]} · {distances_in_words(evidence)}" if evidence else file.name


def _fitted(width: int, height: int) -> tuple[int, int]:
    """Scale a size into the preview box, so that the page does not jump when a preview arrives."""
    box_width, box_height = PREVIEW_BOX
    if not width or not height:
        return PREVIEW_BOX
    scale = min(box_width / width, box_height / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("daemon"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """Make every string safe for eyes before Jinja2 makes it safe for HTML; our own sources are `Markup`."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _policy(css: str, script: str) -> str:
    """Allow exactly our style, our script and pictures that lie on the same disk or server."""
    style, code = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script))
    return (
        f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{style}'; script-src 'sha256-{code}'; "
        "base-uri 'none'; form-action 'none'"
    )
