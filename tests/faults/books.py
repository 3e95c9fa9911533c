"""Books over contents: what was put into folders, what was taken out of them, what must therefore be there.

dedupd moves files and never makes or deletes one. So of every content there must lie exactly as many copies as were put
down and not taken away again, wherever dedupd has brought them meanwhile.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

OWN_FILES = frozenset({".dedupd-manifest.jsonl", ".dedupd-folder", ".dedupd-folder.new"})


@dataclass(frozen=True, slots=True)
class Balance:
    """The books against the disk; digests in hexadecimal, each with the number of copies."""

    lost: dict[str, int]  # contents of which no copy is left
    missing: dict[str, int]  # contents of which some copies are left, but not all
    doubled: dict[str, int]  # contents with more copies than there should be
    foreign: dict[str, int]  # contents that nobody ever put down


class Books:
    """Count copies of contents. Several writers may keep them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._put: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()

    def put(self, content: bytes) -> None:
        """Note that one more copy of a content is there."""
        with self._lock:
            self._put[digest(content)] += 1

    def taken(self, content: bytes) -> None:
        """Note that a copy was deleted or overwritten, by us and nobody else."""
        with self._lock:
            self._taken[digest(content)] += 1

    @property
    def totals(self) -> tuple[int, int, int]:
        """Return how many contents there were ever, how many copies were put down, and how many taken away."""
        with self._lock:
            return len(self._put), self._put.total(), self._taken.total()

    def balance(self, found: Counter[str]) -> Balance:
        """Compare with the copies that were found."""
        with self._lock:
            expected = {sha: count - self._taken[sha] for sha, count in self._put.items()}
            ever = set(self._put)
        short = {sha: count - found[sha] for sha, count in expected.items() if found[sha] < count}
        return Balance(
            lost={sha: count for sha, count in short.items() if not found[sha]},
            missing={sha: count for sha, count in short.items() if found[sha]},
            doubled={sha: found[sha] - count for sha, count in expected.items() if found[sha] > count},
            foreign={sha: count for sha, count in found.items() if sha not in ever},
        )


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


def found_in(folders: Iterable[Path]) -> dict[str, list[str]]:
    """Return digest → paths of all files below folders, those that dedupd keeps for itself aside."""
    places: dict[str, list[str]] = {}
    for path in files_in(folders):
        with open(path, "rb") as stream:
            places.setdefault(digest(stream.read()), []).append(path)
    return places


def files_in(folders: Iterable[Path]) -> Iterator[str]:
    """Yield the paths of the regular files below folders in a fixed order, dedupd's own notes aside."""
    for folder in folders:
        for parent, children, names in os.walk(folder):
            children.sort()
            for name in sorted(names):
                path = os.path.join(parent, name)
                if name not in OWN_FILES and os.path.isfile(path) and not os.path.islink(path):
                    yield path
