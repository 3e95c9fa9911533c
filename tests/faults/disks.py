"""Disks in files, for tests that run in a mount namespace of their own: full, read-only, or cut off from power."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

# linux: EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number; the flag says that the log is not flushed.
_SHUTDOWN, _WITHOUT_FLUSHING = 0x8004587D, 2
_MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
_SIZES = {"ext4": 64 << 20, "xfs": 320 << 20}  # the least that mkfs.xfs takes is 300 MB


class Disk:
    """A file system in a file. What was not synchronised when its power is cut is gone."""

    def __init__(self, base: Path, kind: str) -> None:
        base.mkdir(parents=True)
        self._image, self.path = base / "image", base / "disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZES[kind])
        subprocess.run([*_MAKE[kind], self._image], check=True)
        self.mount()

    def mount(self) -> None:
        """Mount it, replaying its journal."""
        subprocess.run(["mount", "-o", "loop", self._image, self.path], check=True)

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", self.path], check=True)

    def cut_power(self) -> None:
        """Stop it at once; nobody can write to it any more. Unmount and mount it to see what is left."""
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, _SHUTDOWN, _WITHOUT_FLUSHING.to_bytes(4, sys.byteorder))
        os.close(fd)


def mount_memory(path: Path, size_bytes: int) -> None:
    """Mount a file system of limited size in memory."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", path], check=True)
