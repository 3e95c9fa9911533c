"""Hot folders on disks of their own, an archive that nobody may touch, and the one service that looks after them."""

import json
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.command import write_config
from tests.faults.disks import Disk, mount_memory
from tests.faults.living import fill

_STATE_BYTES, _QUARANTINE_BYTES, _HOT_BYTES = 256 << 20, 384 << 20, 768 << 20


@dataclass(frozen=True, slots=True)
class Home:
    """A hot folder, and beside it, on the same disk, folders of which the service knows nothing."""

    hot: Path
    quarantine: Path
    grave: Path  # what is deleted goes here first, in one step, to be looked at
    away: Path  # where whole folders are for a while

    @classmethod
    def on(cls, disk: Path, quarantine: Path) -> "Home":
        """Make one."""
        made = cls(disk / "hot", quarantine, disk / "grave", disk / "away")
        for folder in (made.hot, made.grave, made.away, made.hot / "slow"):
            folder.mkdir(parents=True)
        return made


class Village:
    """All folders of a soak; with `disks`, which needs root and private mounts, on file systems of their own."""

    def __init__(self, base: Path, *, disks: bool) -> None:
        self.base, self.disks = base, disks
        self._mounted: list[Path] = []
        self.state = self._memory("state", _STATE_BYTES)  # the log lies beside it, where there is room
        far = self._memory("quarantine disk", _QUARANTINE_BYTES) / "quarantine"
        plain = base / "plain"
        one = self._xfs() if disks else base / "one"
        self.homes = (
            Home.on(one, one / "quarantine"),  # a move is a rename
            Home.on(self._memory("memory", _HOT_BYTES), far),  # a move is a copy
            Home.on(plain, plain / "quarantine"),  # polled
        )
        self.archive = base / "archive"
        self.archive.mkdir(parents=True)
        self.fillers = {"state": self.state / "filler", "quarantine": far.parent / "filler"}
        self.config = base / "dedupd.toml"
        self.write_config()

    def _memory(self, name: str, size_bytes: int) -> Path:
        path = self.base / name
        path.mkdir(parents=True)
        if self.disks:
            mount_memory(path, size_bytes)
            path.chmod(0o700)
            self._mounted.append(path)
        return path

    def _xfs(self) -> Path:
        path = Disk(self.base / "one", "xfs").path
        self._mounted.append(path)
        return path

    @property
    def places(self) -> list[Path]:
        """List every folder in which pictures of ours may lie."""
        return [folder for home in self.homes for folder in (home.hot, home.away, home.grave, home.quarantine)]

    def write_config(self, **quality: object) -> None:
        """Write the configuration; `quality` may move thresholds."""
        watch = ("native", "native", "polling")
        folders: list[dict[str, object]] = [
            {"path": home.hot, "action": "move", "output": home.quarantine, "watch": how, "poll_seconds": 2.0}
            for home, how in zip(self.homes, watch, strict=True)
        ]
        folders.append({"path": self.archive, "protected": True})
        write_config(
            self.config,
            *folders,
            settle={"settle_seconds": 0.5, "empty_settle_seconds": 3.0, "torn_settle_seconds": 8.0},
            quality=quality,
            workers={"processes": 2, "recycle_after": 300},
            actions={"min_free_mb": 1},
            upkeep={
                "check_seconds": 1.0, "reconcile_minutes": 1.0, "snapshot_minutes": 1.0, "report_minutes": 4.0,
                "backup_hours": 0.1, "keep_backups": 2, "min_free_state_mb": 24,
            },
            logging={"format": "json"},
        )  # fmt: skip

    def break_config(self) -> None:
        """Write one that no service can follow."""
        self.config.write_text("[settle]\nsettle_secs = 1\n", "utf-8")

    def fill(self, which: str) -> None:
        """Fill the disk of the state or of a quarantine to the last byte."""
        fill(self.fillers[which])

    def release(self, which: str) -> None:
        """Make room again."""
        self.fillers[which].unlink(missing_ok=True)

    def paused(self) -> list[str]:
        """List the hot folders that wait for a person's word, as the status file says."""
        with suppress(OSError, ValueError):
            status = json.loads((self.state / "status.json").read_text("ascii"))
            return [folder["path"] for folder in status["folders"] if folder["state"] == "paused"]
        return []

    def close(self, *, keep: bool) -> None:
        """Take the disks away, and the folders; `keep` leaves the catalog and the log."""
        if keep:
            shutil.copytree(self.state, self.base / "state as found", ignore=shutil.ignore_patterns("filler"))
        for path in reversed(self._mounted):
            subprocess.run(["umount", "-l", path], check=False)
        for folder in self.base.iterdir() if keep else [self.base]:
            if folder.is_dir() and folder.name != "state as found":
                shutil.rmtree(folder)
