"""`make demo`: draw an album, drop it in three waves on the real daemon's hot folder, show what it decided."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.gallery import write_album

_FOLDER = Path("demo")
_COMMAND = Path(sys.executable).with_name("dedupd")
_WAVES = 3
_PATIENCE_SECONDS = 600.0

_CONFIG = """\
[[hot_folder]]
path = "hot"
action = "move"
output = "quarantine"

[settle]
settle_seconds = 1.0
"""


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    hot, state, config = _FOLDER / "hot", _FOLDER / "state", _FOLDER / "dedupd.toml"
    hot.mkdir(parents=True)
    config.write_text(_CONFIG)
    print("drawing an album: originals, edited copies, blurred, dark, bright and broken files …")
    album = write_album(_FOLDER / "album")
    waves = album.waves(_WAVES)
    print(f"{len(album.files)} files drawn into {_FOLDER / 'album'}; starting the daemon on {hot}")
    log = (_FOLDER / "daemon.log").open("wb")
    daemon = subprocess.Popen(
        [_COMMAND, "run", "--config", config, "--state", state], stderr=log, stdout=log, stdin=subprocess.DEVNULL
    )
    try:
        _wait(state, daemon, 0)
        dropped = 0
        for number, wave in enumerate(waves, 1):
            for path in wave:
                target = hot / path.relative_to(album.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
            dropped += len(wave)
            print(f"wave {number} of {_WAVES}: {len(wave)} files dropped, waiting for the daemon …")
            _wait(state, daemon, dropped)
        _show(state)
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
        log.close()
    return _conclude(album, state, code, time.monotonic() - started)


def _wait(state: Path, daemon: "subprocess.Popen[bytes]", files: int) -> None:
    """Wait until the daemon knows all files and its queue is empty."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        status = _run_json("status", "--json", "--state", state)
        if status["state"] == "ok" and status["files"] >= files and not status["queue"]:
            return
        if daemon.poll() is not None:
            sys.exit(f"the daemon ended early; see {_FOLDER / 'daemon.log'}")
        time.sleep(0.3)
    sys.exit(f"the daemon did not finish in {_PATIENCE_SECONDS:.0f} s; see {_FOLDER / 'daemon.log'}")


def _run_json(*words: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        subprocess.run([_COMMAND, *map(os.fspath, map(str, words))], capture_output=True, check=True).stdout
    )
    return answer


def _show(state: Path) -> None:
    for words in (["status"], ["groups", "--limit", "40"], ["report"]):
        print(f"\n$ dedupd {' '.join(words)} --state {state}", flush=True)
        subprocess.run([_COMMAND, *words, "--state", state], check=True)


def _conclude(album: Any, state: Path, code: int, seconds: float) -> int:
    """Compare with the truth of the album, and say what to do next."""
    log = json.loads((state / "report" / "cleaning_log.json").read_text("ascii"))
    verdicts = {os.path.relpath(entry["path"], Path("demo/hot").resolve()): entry["verdict"] for entry in log["files"]}
    wrong = [
        f"{f.name}: {verdicts.get(f.name)} instead of {f.verdict}"
        for f in album.files
        if verdicts.get(f.name) != f.verdict
    ]
    right = f"{len(album.files) - len(wrong)} of {len(album.files)} verdicts as drawn"
    print(f"\nthe daemon stopped with code {code} after {seconds:.0f} s; {right}")
    for line in wrong:
        print(f"  not as drawn: {line}")
    print(f"\nReport: {state / 'report' / 'cleaning_report.html'}")
    print(f"Next: open the report, bring everything back with `.venv/bin/dedupd undo --all --state {state}`,")
    print("      or try your own pictures: .venv/bin/dedupd scan FOLDER --output DIR")
    return 1 if code or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
