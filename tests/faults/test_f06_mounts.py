"""F06: the hot folder is mounted over, unmounted, or empty after it is mounted again."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from watchdog.events import FileClosedNoWriteEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.e2e.command import Daemon, running, write_config
from tests.faults.conftest import Record
from tests.faults.disks import mount_memory
from tests.faults.pictures import BY_HASH, put_tiny


class Readers(FileSystemEventHandler):
    """Count who reads pictures."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def dispatch(self, event: FileSystemEvent) -> None:
        """Note a file that was read."""
        if str(event.src_path).endswith(".png"):
            self.read.append(str(event.src_path))


@contextmanager
def readers_of(folder: Path) -> Iterator[Readers]:
    """Count who reads pictures below a folder."""
    counted, observer = Readers(), Observer()
    observer.schedule(counted, str(folder), recursive=True, event_filter=[FileClosedNoWriteEvent])
    observer.start()
    try:
        yield counted
    finally:
        observer.stop()
        observer.join()


def mount(disk: Path, hot: Path) -> None:
    subprocess.run(["mount", "--bind", str(disk), str(hot)], check=True)


def umount(*words: object) -> None:
    subprocess.run(["umount", *map(str, words)], check=True)


def state_of(daemon: Daemon) -> str:
    return str(daemon.status()["folders"][0]["state"])


@pytest.mark.fault(
    "F06",
    injected="unmounted, lazily unmounted, mounted over, another empty disk mounted in its place",
    figure="rows lost 0/10,000; re-hashes after return 0",
)
@pytest.mark.privileged("mount")
@pytest.mark.usefixtures("private_mounts")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_unmounted_folder_is_offline_not_deleted(
    tmp_path: Path, record: Record, times: Callable[[int, int], int]
) -> None:
    hot, disk, files = tmp_path / "hot", tmp_path / "disk", times(10_000, 200)
    hot.mkdir()
    mount_memory(disk, 512 << 20)
    for number in range(files):
        put_tiny(disk / f"{number % 100}/{number}.png", number)
    mount(disk, hot)
    config = write_config(
        tmp_path / "c.toml",
        {"path": hot, "action": "move", "output": tmp_path / "quarantine", "watch": "native"},
        quality={"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0},
        upkeep={"check_seconds": 0.5, "reconcile_minutes": 0.05},  # a walk every 3 s
        matching=BY_HASH,
    )
    with running(config, tmp_path / "state") as daemon:
        daemon.wait_for(lambda: daemon.settled(files), "all are known")
        marked = (disk / ".dedupd-folder").exists()
        with readers_of(disk) as counted:
            for away, back in (
                ([partial(umount, hot)], [partial(mount, disk, hot)]),
                ([partial(umount, "--lazy", hot)], [partial(mount, disk, hot)]),
                ([partial(mount_memory, hot, 1 << 20)], [partial(umount, hot)]),
                (
                    [partial(umount, hot), partial(mount_memory, hot, 1 << 20)],
                    [partial(umount, hot), partial(mount, disk, hot)],
                ),
            ):
                for step in away:
                    step()
                daemon.wait_for(lambda: state_of(daemon) == "offline", "it is offline")
                assert daemon.status()["files"] == files
                for step in back:
                    step()
                daemon.wait_for(lambda: state_of(daemon) == "ok", "it is back")
                daemon.wait_for(lambda: daemon.settled(files), "and walked")
        assert daemon.stop()[0] == 0
    umount(hot)
    umount(disk)
    assert marked
    assert counted.read == [], "nothing was read again"
    record(4, 0, f"rows lost 0/{files} in each of 4 ways; read again {len(counted.read)}")
