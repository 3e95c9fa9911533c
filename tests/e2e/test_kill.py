"""kill -9 in the middle of an ingest with `move`: a restart ends where an undisturbed run does; undo undoes it all."""

import shutil
from functools import partial
from pathlib import Path

from tests.e2e.command import Daemon, contents, dedupd, running, verdicts, write_config
from tests.gallery import Album
from tests.patience import wait_until


def _knows(daemon: Daemon, files: int) -> bool:
    return bool(daemon.status()["files"] >= files)


def _run_to_the_end(hot: Path, base: Path, kills: tuple[int, ...]) -> None:
    """Start the service as often as it takes; each time it is killed once it knows so many files."""
    config = write_config(base / "c.toml", {"path": hot, "action": "move", "output": base / "quarantine"})
    total = len(contents(hot))
    for known in kills:
        with running(config, base / "state") as daemon:
            wait_until(partial(_knows, daemon, known), "it is at work")
            daemon.kill()
    with running(config, base / "state") as daemon:
        daemon.wait(total)
        assert dedupd("report", "--state", base / "state", "--json").code == 0
        assert daemon.stop()[0] == 0


def test_a_killed_ingest_ends_like_an_undisturbed_one(drawn_album: Album, tmp_path: Path) -> None:
    before = contents(drawn_album.folder)
    ends = []
    for name, kills in (("undisturbed", ()), ("killed", (1, 33))):
        base = tmp_path / name
        shutil.copytree(drawn_album.folder, base / "hot")
        _run_to_the_end(base / "hot", base, kills)
        found = verdicts(base / "state" / "report" / "cleaning_log.json", base / "hot")
        quarantined = {n: s for n, s in contents(base / "quarantine").items() if not n.endswith((".jsonl", ".txt"))}
        ends.append((found, contents(base / "hot"), quarantined))
    assert ends[1] == ends[0]
    assert ends[0][2], "something was moved"
    base = tmp_path / "killed"
    assert dedupd("check", "--deep", "--config", base / "c.toml", "--state", base / "state", "--json").json["ok"]
    undone = dedupd("undo", "--all", "--state", base / "state", "--json").json
    assert (undone["undone"], undone["failed"]) == (len(ends[0][2]), 0)
    assert contents(base / "hot") == before
