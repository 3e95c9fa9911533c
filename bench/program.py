"""The whole program on an album with known truth: a real `dedupd scan`, and what it would have taken from people.

`dedupd scan --action report` runs in a process of its own, with a state folder of its own, part by part of the album,
and its `cleaning_log.json` is held against the plan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx
from networkx import connected_components

from bench.album import COPY, ORIGINAL, REAL, Item
from bench.copies import KINDS
from bench.growth import most_likely_at_most
from store.errors import DedupdError

# What makes a copy worse than its original beyond doubt (issue: "original against degraded").
DEGRADED = (
    "resize", "jpeg", "webp", "avif", "png", "upscaled", "blur", "sharpen", "screenshot", "crop-90", "crop-70",
    "crop-50", "crop-30", "text", "logo", "metadata",
)  # fmt: skip
_LOCAL = frozenset(kind.name for kind in KINDS if kind.local)
_REJECTED = frozenset(("blur", "dark", "bright", "corrupt"))
_PROVEN = frozenset(("exact", "pixels"))
# The person who runs this may have a configuration and a state; neither is to be touched or obeyed.
_NOWHERE = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"}


@dataclass(frozen=True, slots=True)
class Removal:
    """A file called a duplicate of a picture that it is none of, as far as the plan knows."""

    path: str
    keeper: str
    evidence: str


def scan(folders: Sequence[Path], state: Path, output: Path, config: Path) -> dict[str, Any]:
    """Run `dedupd scan` on folders and return the object it prints. Raises DedupdError with what it said."""
    command = [Path(sys.executable).with_name("dedupd"), "scan", *folders, "--output", output, "--state", state]
    words = [*map(str, command), "--config", str(config), "--action", "report", "--json"]
    done = subprocess.run(words, capture_output=True, env=os.environ | _NOWHERE, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise DedupdError(f"dedupd scan ended with {done.returncode}: {' '.join(said)}", "see above")
    answer: dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
    return answer


def read_log(output: Path, album: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a cleaning log by path inside the album; keepers as such paths, too."""
    root = os.path.realpath(album) + "/"
    entries = {}
    for entry in json.loads((output / "cleaning_log.json").read_text(encoding="utf-8"))["files"]:
        if entry["keeper"] is not None:
            entry["keeper"] = entry["keeper"].removeprefix(root)
        entries[entry["path"].removeprefix(root)] = entry
    return entries


def outcome(copy: Item, original: Item, log: Mapping[str, dict[str, Any]], family: Mapping[str, int]) -> str:
    """Say what became of a copy.

    duplicate, edited or similar: it stands behind its family, or its original behind it; wrong: it is called a
    duplicate of another family; rejected: by quality; alone: its original was; kept: the pair was not found.
    """
    ours, theirs = log[copy.path], log[original.path]
    if ours["verdict"] in _REJECTED:
        return "rejected"
    inside = ours["keeper"] is not None and family[ours["keeper"]] == copy.family
    if ours["verdict"] == "duplicate":
        return "duplicate" if inside else "wrong"
    if theirs["keeper"] == copy.path:
        return _level(theirs)
    if inside:
        return _level(ours)
    return "alone" if theirs["verdict"] in _REJECTED else "kept"


def _level(entry: Mapping[str, Any]) -> str:
    return "duplicate" if entry["verdict"] == "duplicate" else str(entry["evidence"]["kind"])


def tally(items: Sequence[Item], log: Mapping[str, dict[str, Any]], same: frozenset[frozenset[str]]) -> dict[str, Any]:
    """Hold the log of the whole album against the plan.

    `same` holds pairs that a person has looked at and found to be one picture: they count neither way.
    """
    originals = _originals(items)
    family = {item.path: item.family for item in items}
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for copy, original in _with_original(items, originals):
        kinds[copy.kind][outcome(copy, original, log, family)] += 1
    wrong = wrong_removals(items, log, same)
    extras = {path: entry["keeper"] for path, entry in log.items() if entry["verdict"] == "duplicate"}
    grouped = {*extras, *extras.values()}
    stays = [o.path not in extras for o in originals.values() if o.role == ORIGINAL and o.path in grouped]
    return {
        "files": len(items),
        "distinct": len({item.family for item in items}),
        "duplicates": sum(entry["verdict"] == "duplicate" for entry in log.values()),
        "wrong_removals": len(wrong),
        "wrong_per_10k": 1e4 * len(wrong) / len(items),
        "wrong_per_10k_at_most": 1e4 * most_likely_at_most(len(wrong), len(items)),
        "wrong": [asdict(removal) for removal in wrong],
        "rejected_originals": sum(log[item.path]["verdict"] in _REJECTED for item in originals.values()),
        "kinds": {name: dict(counts) for name, counts in sorted(kinds.items())},
        "recall": {name: recall(counts, name) for name, counts in sorted(kinds.items())},
        "right_keeper_of_families": sum(stays) / max(len(stays), 1),
        "families": len(stays),
    }


def keepers(items: Sequence[Item], log: Mapping[str, dict[str, Any]], plain: frozenset[str]) -> dict[str, list[int]]:
    """Count, per kind, [right keepers, pairs] in the log of originals with one copy each.

    Only pairs found to be duplicates count. `plain` holds the paths of originals without metadata, of which a
    stripped copy is not worse.
    """
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    paired = [item for item in items if item.paired]
    family = {item.path: item.family for item in paired}
    for copy, original in _with_original(paired, _originals(paired)):
        stripped = copy.kind == "metadata" and original.path in plain
        if not stripped and outcome(copy, original, log, family) == "duplicate":
            counted[copy.kind][0] += log[original.path]["verdict"] != "duplicate"
            counted[copy.kind][1] += 1
    return dict(sorted(counted.items()))


def _originals(items: Sequence[Item]) -> dict[int, Item]:
    """Return what copies are compared with, by family: the original, or the first of a real family."""
    found: dict[int, Item] = {}
    for item in items:
        if item.role != COPY:
            found.setdefault(item.family, item)
    return found


def _with_original(items: Sequence[Item], originals: Mapping[int, Item]) -> Iterator[tuple[Item, Item]]:
    for item in items:
        if item.role in (COPY, REAL) and item is not originals[item.family]:
            yield item, originals[item.family]


def wrong_removals(
    items: Sequence[Item], log: Mapping[str, dict[str, Any]], same: frozenset[frozenset[str]]
) -> list[Removal]:
    """List files that would leave as duplicates of another family's picture; equal bytes or pixels are never wrong."""
    by_path = {item.path: item for item in items}
    found = []
    for item in items:
        entry = log[item.path]
        if entry["verdict"] != "duplicate" or entry["evidence"]["kind"] in _PROVEN:
            continue
        keeper = by_path[entry["keeper"]]
        if keeper.family != item.family and frozenset((name_of(item), name_of(keeper))) not in same:
            found.append(Removal(item.path, keeper.path, str(entry["reason"])))
    return found


def name_of(item: Item) -> str:
    """Name a picture for the list of reviewed pairs: its folder and file, and the frame of a clip."""
    return f"{item.source}/{Path(item.origin).name}" + (f"#{item.frame}" if item.frame >= 0 else "")


def recall(counts: Mapping[str, int], kind: str) -> float:
    """Return the share of copies found; kinds that add something locally count when they end as edited."""
    judged = sum(number for name, number in counts.items() if name not in ("rejected", "alone"))
    right = counts.get("duplicate", 0) + (counts.get("edited", 0) if kind in _LOCAL else 0)
    return right / judged if judged else float("nan")


def overall(program: Mapping[str, Any]) -> dict[str, float]:
    """Return recall over all made copies and the share of right keepers over all kinds that make a copy worse."""
    kinds = {name: counts for name, counts in program["kinds"].items() if name != REAL}
    judged = {name: sum(n for what, n in c.items() if what not in ("rejected", "alone")) for name, c in kinds.items()}
    found = sum(program["recall"][name] * number for name, number in judged.items() if number)
    worse = [counts for name, counts in program["keepers"].items() if name in DEGRADED]
    pairs = sum(number for _, number in worse)
    return {
        "recall": found / max(sum(judged.values()), 1),
        "right_keeper": sum(right for right, _ in worse) / max(pairs, 1),
        "right_keeper_pairs": float(pairs),
    }


def read_reviewed(path: Path) -> frozenset[frozenset[str]]:
    """Read the pairs that a person found to be one picture: a JSON list of [name, name, why].

    Whoever is one picture with the same third is one picture as well.
    """
    if not path.exists():
        return frozenset()
    alike = networkx.Graph(row[:2] for row in json.loads(path.read_text(encoding="utf-8")))
    return frozenset(frozenset(pair) for group in connected_components(alike) for pair in combinations(group, 2))
