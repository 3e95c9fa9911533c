"""The laws written down a second time: what the verdicts on some files must be, by one walk over all of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.grouping import full_walk
from pipeline.matching import MatchingSettings
from store.records import Level, MatchKind, Rank, Ruling, RulingKind, VerdictKind
from tests.laws.made_up import CANDIDATE, PROTECTED, SIMILAR, Content, Files, lineage_of, second_look, vector_of

DEFAULTS = MatchingSettings()


def match_kind(a: Content, b: Content, limits: MatchingSettings = DEFAULTS) -> MatchKind | None:
    """Say what two contents are to each other, from the words of the design."""
    a, b = sorted((a, b), key=lambda content: content.sha256)
    if a.pixels == b.pixels:
        return MatchKind.PIXELS
    near_phash = (a.phash ^ b.phash).bit_count() <= limits.max_phash_bits
    near_dhash = (a.dhash ^ b.dhash).bit_count() <= limits.max_dhash_bits
    by_hash = a.hashable and b.hashable and (near_phash or near_dhash)
    ours, theirs = (vector_of(c.direction, c.degrees).astype(np.float16).astype(np.float64) for c in (a, b))
    similarity = float(ours @ theirs)
    if not by_hash and similarity < CANDIDATE:
        return None
    seen = second_look(a.preview, b.preview)
    return MatchKind.SIMILAR if seen is None and similarity >= SIMILAR else seen


@dataclass(frozen=True, slots=True)
class Rules:
    """What the oracle goes by besides the files."""

    guarded: frozenset[str] = frozenset({PROTECTED})  # protected roots
    rulings: tuple[Ruling, ...] = ()  # oldest first
    limits: MatchingSettings = DEFAULTS

    def newest(self, content: Content, *kinds: RulingKind) -> int:
        """Return the newest ruling of some kinds on a content, 0 for none."""
        found = (r.id for r in self.rulings if r.kind in kinds and content.sha256 in r.hashes)
        return max(found, default=0)

    def kept(self, content: Content) -> int:
        """Return the newest ruling that a content stays."""
        return self.newest(content, RulingKind.KEEP_ALL, RulingKind.KEEP_THIS)

    def chosen(self, content: Content) -> int:
        """Return the newest ruling that a content is the one to keep."""
        return self.newest(content, RulingKind.KEEP_THIS)

    def apart(self, a: Content, b: Content) -> bool:
        """Tell whether two contents were ruled to be no duplicates."""
        both = {a.sha256, b.sha256}
        return any(both <= set(r.hashes) for r in self.rulings if r.kind is RulingKind.NOT_DUPLICATES)

    def match(self, a: Content, b: Content, level: Level, *, draft: bool = False) -> bool:
        """Tell whether `b` may stand for `a` at a level, as far as rulings let it; in a `draft`, by looks alone."""
        if self.apart(a, b) or (level is Level.SIMILAR and self.kept(a) and self.kept(b)):
            return False
        kind = match_kind(a, b, self.limits)
        return kind is not None and kind.level is level and (kind is MatchKind.PIXELS or draft or not a.holds_more)


def oracle(
    files: Files, rules: Rules = Rules()
) -> tuple[dict[Level, dict[bytes, bytes]], dict[str, tuple[VerdictKind, str | None]]]:
    """Walk all images down the ranks, at both levels: (standings by content, path → (verdict, keeper's path)).

    A file in quarantine goes by its home, a null byte and its place there, for its home may be taken.
    """
    by_content: dict[Content, list[str]] = {}
    for path, place in files.items():
        by_content.setdefault(place.content, []).append(path)
    contents = sorted(by_content, key=lambda content: content.number)
    guarded = {c: any(_root(path) in rules.guarded for path in by_content[c]) for c in contents}
    playing = [c for c in contents if not c.corrupt and (not c.dark or guarded[c] or rules.kept(c))]
    primary = {c: min(by_content[c], key=lambda path: _seniority(files, path, rules.guarded)) for c in contents}
    ranks = {c.number: _rank(c, primary[c], files[primary[c]].mtime_ns, rules) for c in playing}
    known = {c.number: c for c in playing}
    walked: dict[Level, dict[int, int]] = {}
    entrants: Sequence[int] = list(ranks)
    for level in Level:

        def matches(a: int, b: int, level: Level = level) -> bool:
            return rules.match(known[a], known[b], level)

        def drafted(a: int, b: int, level: Level = level) -> bool:
            return rules.match(known[a], known[b], level, draft=True)

        def apart_from(a: int, level: Level = level) -> list[int]:
            return [b for b in known if level is Level.DUPLICATES and rules.apart(known[a], known[b]) and a != b]

        elected = {number: ranks[number] for number in entrants}
        for number in range(3):
            draft = full_walk(elected.values(), drafted, apart_from)
            elected = {n: _elected(elected[n], number + 1, known[n], known[draft[n]]) for n in entrants}
        walked[level] = full_walk(elected.values(), matches, apart_from)
        entrants = [number for number, keeper in walked[level].items() if number == keeper]
    verdicts = {}
    for content, paths in by_content.items():
        for path in paths:
            safe = _root(path) in rules.guarded
            kind, keeper = (VerdictKind.KEEP, None) if safe else _verdict(content, path, primary, walked, known, rules)
            verdicts[path] = kind, None if keeper is None else home_of(keeper)
    standings = {level: {known[a].sha256: known[b].sha256 for a, b in rows.items()} for level, rows in walked.items()}
    return standings, verdicts


def _verdict(
    content: Content,
    path: str,
    primary: Mapping[Content, str],
    walked: Mapping[Level, Mapping[int, int]],
    known: Mapping[int, Content],
    rules: Rules,
) -> tuple[VerdictKind, str | None]:
    if content.number not in walked[Level.DUPLICATES]:
        rejected = VerdictKind.CORRUPT if content.corrupt else VerdictKind.DARK
        return VerdictKind.KEEP if rules.kept(content) else rejected, None
    keeper = known[walked[Level.DUPLICATES][content.number]]
    if keeper != content:
        return VerdictKind.DUPLICATE, primary[keeper]
    if rules.newest(content, RulingKind.KEEP_ALL) > rules.chosen(content):
        return VerdictKind.KEEP, None
    if path != primary[content]:
        return VerdictKind.DUPLICATE, primary[content]
    related = known[walked[Level.SIMILAR][content.number]]
    return (VerdictKind.KEEP, None) if related == content else (VerdictKind.SIMILAR, primary[related])


def _elected(rank: Rank, won: int, content: Content, before: Content) -> Rank:
    """Raise the rank of a content that is the original of the one it would stand behind."""
    if content == before or content.pixels == before.pixels:
        return rank
    a, b = sorted((content, before), key=lambda each: each.sha256)
    whole = (None, a, b)[lineage_of(a.preview, b.preview).whole]
    if whole != content or second_look(a.preview, b.preview) is None:
        return rank
    return replace(rank, key=(*rank.key[:3], won, *rank.key[4:]))


def home_of(path: str) -> str:
    """Return the home of a file that goes by its place in quarantine too."""
    return path.split("\0")[0]


def _root(path: str) -> str:
    return os.path.dirname(path)


def _seniority(files: Files, path: str, guarded: frozenset[str]) -> tuple[bool, bool, int, int, bytes]:
    home = os.fsencode(home_of(path))
    return _root(home_of(path)) not in guarded, path != home_of(path), files[path].mtime_ns, len(home), home


def _rank(content: Content, path: str, mtime_ns: int, rules: Rules) -> Rank:
    home = os.fsencode(home_of(path))
    shorter = -len(home), bytes(255 - byte for byte in home) + b"\xff"
    size = content.width * 480, content.byte_size
    safe = _root(home_of(path)) in rules.guarded
    chosen = rules.chosen(content)
    key = (content.sharpness >= 50, 0, content.detail, size[0], 3, size[1], -mtime_ns, shorter, content.sha256)
    return Rank(content.number, (chosen, safe, *key), safe, rules.kept(content), chosen)
