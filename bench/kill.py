"""Does `kill -9` leave a trace? An ingest with `move`, killed again and again, against an undisturbed one.

    python -m bench.kill [FOLDER] [--images 500] [--kills 5] [--seed 0] [--json FILE]

Takes that many pictures from FOLDER, or draws albums until there are enough. Both runs must end with the same
verdicts and the same files in the same places; then `undo --all` must bring every file back, byte for byte and
with its time.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.e2e.command import Daemon, contents, dedupd, running, verdicts, write_config
from tests.gallery import write_album

_PATIENCE_SECONDS = 3600.0
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def main() -> int:
    """Run the bench; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="pictures to copy from; none: drawn ones")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the findings here as well")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dedupd-kill-") as name:
        base = Path(name)
        source = _gather(chosen.folder, chosen.images, base / "source")
        before = contents(source)
        print(f"{len(before)} files; the undisturbed run …", flush=True)
        calm = _ingest(source, base / "calm", [])
        chance = np.random.default_rng(chosen.seed)
        moments = sorted(int(at) for at in chance.integers(1, max(2, len(before)), chosen.kills))
        print(f"{calm['seconds']:.0f} s; now killed when it knows {', '.join(map(str, moments))} files …", flush=True)
        killed = _ingest(source, base / "killed", moments)
        findings = _compare(calm, killed, before, base / "killed")
    for question, answer in findings.items():
        print(f"  {question:<58} {answer}")
    good = all(answer is not False for answer in findings.values())
    print("no trace" if good else "KILLING LEFT A TRACE")
    if chosen.json:
        chosen.json.write_text(json.dumps({"schema": 1, **findings}, indent=1) + "\n", "utf-8")
    return 0 if good else 1


def _gather(folder: Path | None, count: int, into: Path) -> Path:
    """Copy pictures from a folder, spread over it evenly, or draw albums until there are enough."""
    if folder is None:
        seed = 0
        while len(contents(into) if into.exists() else {}) < count:
            write_album(into / f"album{seed}", seed)
            seed += 1
        for name in sorted(contents(into))[count:]:
            (into / name).unlink()
        return into
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file())
    for at in np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).astype(int)).tolist():
        target = into / found[at].relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found[at], target)
    return into


def _ingest(source: Path, base: Path, moments: list[int]) -> dict[str, object]:
    """Let the service take the folder in, killing it whenever it knows so many files."""
    hot, state = base / "hot", base / "state"
    shutil.copytree(source, hot)
    config = write_config(base / "c.toml", {"path": hot, "action": "move", "output": base / "quarantine"})
    started = time.monotonic()
    kills = 0
    for known in moments:
        with running(config, state) as daemon:
            _await(daemon, known)
            daemon.kill()
            kills += 1
    with running(config, state) as daemon:
        _await(daemon, None)
        answer = dedupd("report", "--state", state, "--json")
        assert answer.code == 0, answer.err
        code, _ = daemon.stop()
    return {
        "verdicts": verdicts(state / "report" / "cleaning_log.json", hot),
        "stay": contents(hot),
        "left": contents(base / "quarantine") if (base / "quarantine").exists() else {},
        "seconds": time.monotonic() - started,
        "kills": kills,
        "code": code,
    }


def _await(daemon: Daemon, known: int | None) -> None:
    """Wait until the service knows so many files, or (None) has nothing to do."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (daemon.settled() if known is None else daemon.status()["files"] >= known):
        if daemon.process.poll() is not None or time.monotonic() > until:
            sys.exit(f"the service ended or hangs; see {daemon.log}")
        time.sleep(0.05)


def _compare(
    calm: dict[str, object], killed: dict[str, object], before: dict[str, tuple[str, int]], base: Path
) -> dict[str, object]:
    places = ("--config", base / "c.toml", "--state", base / "state")
    findings: dict[str, object] = {
        "files": len(before),
        "kills": killed["kills"],
        "seconds undisturbed": round(float(str(calm["seconds"])), 1),
        "seconds with kills": round(float(str(killed["seconds"])), 1),
        "files in quarantine": len(dict(calm["left"])),  # type: ignore[call-overload]
        "the last run ended with 0": killed["code"] == 0,
        "same verdict, keeper and evidence for every file": killed["verdicts"] == calm["verdicts"],
        "same files left in the folder": killed["stay"] == calm["stay"],
        "same files at the same places in quarantine": killed["left"] == calm["left"],
        "check --deep finds nothing": dedupd("check", "--deep", *places, "--json").json["ok"],
    }
    undone = dedupd("undo", "--all", *places, "--json").json
    findings["files brought back"] = undone["undone"]
    findings["undo --all brings all back, bytes and times"] = contents(base / "hot") == before and not undone["failed"]
    return findings


if __name__ == "__main__":
    sys.exit(main())
