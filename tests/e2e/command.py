"""The real command in a process of its own, and what the file system looks like before and after."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_SECONDS, wait_until

COMMAND = Path(sys.executable).with_name("dedupd")
SIX_FOLDERS = {"blur", "dark", "bright", "corrupt", "duplicates", "similar"}


def _environment() -> dict[str, str]:
    """Return an environment in which nobody has a configuration or a state of their own."""
    nowhere = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"}
    return os.environ | nowhere


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on the last line of stdout."""
        parsed: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return parsed


def dedupd(*words: object, cwd: Path | None = None, prefix: tuple[str, ...] = ()) -> Answer:
    """Run the command to its end."""
    done = subprocess.run(
        [*prefix, str(COMMAND), *map(str, words)],
        capture_output=True,
        cwd=cwd,
        timeout=PATIENCE_SECONDS,
        stdin=subprocess.DEVNULL,
        env=_environment(),
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def scan(*words: object) -> dict[str, Any]:
    """Run `dedupd scan … --json`, which must go well."""
    answer = dedupd("scan", *words, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def verdicts(log: Path | str, folder: Path) -> dict[str, tuple[str, str | None, str | None]]:
    """Read a cleaning log: relative path → (verdict, keeper's relative path, kind of evidence)."""
    entries = json.loads(Path(log).read_text("utf-8"))["files"]
    found = {}
    for entry in entries:
        keeper = None if entry["keeper"] is None else os.path.relpath(entry["keeper"], folder)
        kind = None if entry["evidence"] is None else entry["evidence"]["kind"]
        found[os.path.relpath(entry["path"], folder)] = (entry["verdict"], keeper, kind)
    return found


def listing(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return relative path → (SHA-256, mtime in ns, inode) of every file below; a service may be moving them."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with suppress(FileNotFoundError):
            stat = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = (digest, stat.st_mtime_ns, stat.st_ino)
    return found


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Return relative path → (SHA-256, mtime in ns) of every picture below; inodes may differ."""
    return {name: seen[:2] for name, seen in listing(folder).items() if not Path(name).name.startswith(".dedupd")}


class Daemon:
    """A running service on a state folder."""

    def __init__(self, config: Path, state: Path, prefix: tuple[str, ...] = ()) -> None:
        self.config, self.state = config, state
        self.log = state.with_suffix(".log")
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*prefix, COMMAND, "run", "--config", config, "--state", state],
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )

    def status(self) -> dict[str, Any]:
        """Read the status file: as `status --json` shows it, without the cost of a process."""
        try:
            answer: dict[str, Any] = json.loads((self.state / "status.json").read_text("ascii"))
        except (OSError, ValueError):
            return {"state": "none", "files": -1, "queue": -1, "pid": None}
        return answer

    def settled(self, files: int | None = None) -> bool:
        """Tell whether the service has nothing to do and knows so many files."""
        assert self.process.poll() is None, self.log.read_text()
        now = self.status()
        mine = now["pid"] == self.process.pid and now["state"] == "ok" and not now["queue"]
        return mine and (files is None or now["files"] == files)

    def wait(self, files: int | None = None) -> None:
        """Wait until the service has settled."""
        wait_until(lambda: self.settled(files), lambda: f"{files} files known and nothing to do, now {self.status()}")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something on disk while the service runs."""
        wait_until(lambda: self.process.poll() is not None or condition(), what)
        assert self.process.poll() is None, self.log.read_text()

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS), time.monotonic() - started

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(config: Path, state: Path, prefix: tuple[str, ...] = ()) -> Iterator[Daemon]:
    """Run the service for the length of a block; `prefix` are words before its command."""
    daemon = Daemon(config, state, prefix)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


def write_config(path: Path, *folders: dict[str, object], **sections: dict[str, object]) -> Path:
    """Write a configuration; settle fast unless told otherwise."""
    lines = []
    for folder in folders:
        lines += ["[[hot_folder]]", *_rows(folder)]
    quick: dict[str, dict[str, object]] = {"settle": {"settle_seconds": 0.3}}
    for name, rows in (quick | sections).items():
        lines += [f"[{name}]", *_rows(rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _rows(rows: dict[str, object]) -> list[str]:
    return [f"{key} = {json.dumps(str(v) if isinstance(v, Path) else v)}" for key, v in rows.items()]
