"""Requests to a running service: one small file each, answered by another. No port, no socket, only the owner's folder.

The service alone writes to the catalog; a verb that changes something asks it, or does the work itself when no service
runs.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.state import StateFolder, is_locked
from store.errors import BusyError, error_with

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants of the service."""

    path: Path
    verb: str
    arguments: dict[str, Any]

    def answer(self, result: dict[str, Any]) -> None:
        """Hand the result back and take the request off the table."""
        _write(self.path.with_suffix(".answer"), result)
        self.path.unlink(missing_ok=True)


def ask(state: StateFolder, verb: str, arguments: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
    """Ask the running service and wait for its answer.

    Raises BusyError when it does not answer in time, DedupdError with the service's own words when it refuses.
    """
    folder = _folder(state)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.request"
    _write(path, {"verb": verb, "arguments": arguments, "pid": os.getpid()})
    answer = path.with_suffix(".answer")
    until = time.monotonic() + timeout_seconds
    try:
        while not answer.exists():
            if time.monotonic() > until or not is_locked(state):
                raise BusyError("the service does not answer, or has ended", "`dedupd status` says what it is doing")
            time.sleep(_POLL_SECONDS)
        result: dict[str, Any] = json.loads(answer.read_text("ascii"))
    finally:
        path.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)
    if "error" in result:
        raise error_with(result.get("exit_code", 1))(result["error"], result.get("hint", ""))
    return result


def waiting(state: StateFolder) -> Iterator[Request]:
    """Yield the requests on the table, oldest first; anything unreadable is thrown away."""
    folder = _folder(state)
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.request"), key=_age_key):
        try:
            content = json.loads(path.read_text("ascii"))
            request = Request(path, str(content["verb"]), dict(content["arguments"]))
            os.kill(int(content["pid"]), 0)  # who asked and has gone since does not want it any more
        except (OSError, ValueError, TypeError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield request


def _age_key(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def _folder(state: StateFolder) -> Path:
    return state.path / "requests"


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.part")
    temporary.write_text(json.dumps(content), "ascii")
    os.replace(temporary, path)
