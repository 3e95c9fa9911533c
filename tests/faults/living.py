"""A service to do things to: hot folder, quarantine and state, pictures in pairs of which one moves."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.command import write_config
from tests.faults.pictures import put_tiny


class Place:
    """Where a service lives. Of every pair of equal pictures, one is to go into quarantine."""

    def __init__(self, base: Path, state: Path | None = None, quarantine: Path | None = None) -> None:
        self.hot, self.state = base / "hot", state or base / "state"
        self.quarantine = quarantine or base / "quarantine"
        self.base = base
        self.hot.mkdir(parents=True)
        self._contents: set[bytes] = set()

    def config(self, **sections: dict[str, object]) -> Path:
        """Write the configuration."""
        folder: dict[str, object] = {"path": self.hot, "action": "move", "output": self.quarantine}
        upkeep: dict[str, object] = {"check_seconds": 0.5} | sections.pop("upkeep", {})
        workers: dict[str, object] = {"processes": 1}
        return write_config(self.base / "c.toml", folder, upkeep=upkeep, workers=workers, **sections)

    def put_pairs(self, first: int, count: int) -> None:
        """Let so many pairs arrive."""
        for seed in range(first, first + count):
            for name in (f"{seed}.png", f"{seed} again.png"):
                path = put_tiny(self.hot / f".{name}.part", seed)
                self._contents.add(hashlib.sha256(path.read_bytes()).digest())
                path.rename(self.hot / name)

    def moved(self) -> int:
        """Count what lies in quarantine."""
        return sum(path.suffix == ".png" for path in self.quarantine.rglob("*") if not path.name.startswith("."))

    def lost(self) -> int:
        """Count the contents of which no intact file is left."""
        files = [path for root in (self.hot, self.quarantine) for path in root.rglob("*") if path.is_file()]
        return len(self._contents - {hashlib.sha256(path.read_bytes()).digest() for path in files})

    def left_over(self) -> list[Path]:
        """List temporary files that nobody took away."""
        found = [path for root in (self.hot, self.quarantine) for path in root.rglob(".dedupd-*")]
        return [path for path in found if path.name not in (".dedupd-manifest.jsonl", ".dedupd-folder")]


def fill(path: Path) -> None:
    """Fill the disk under a path to the last byte."""
    with path.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while stream.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def says(status: Callable[[], dict[str, Any]], state: str, *words: str) -> Callable[[], bool]:
    """Return a condition: the status is so, for reasons with these words."""

    def condition() -> bool:
        now = status()
        return now["state"] == state and all(word in " ".join(now.get("reasons", ())) for word in words)

    return condition


def descriptors(pid: int) -> list[str]:
    """List what the descriptors of a process point at."""
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(entry.path))
        except FileNotFoundError:
            continue
    return found


def listens(pid: int, number: int) -> bool:
    """Tell whether a process no longer leaves a signal to the system: it blocks it, to hear of it in a thread.

    Until its first line runs, a tenth of a second after its start, Python dies of it as every process does.
    """
    return _is_in("SigBlk", pid, number)


def hears(pid: int, number: int) -> bool:
    """Tell whether a process does something of its own with a signal, now or later."""
    return listens(pid, number) or _is_in("SigCgt", pid, number)


def _is_in(field: str, pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
