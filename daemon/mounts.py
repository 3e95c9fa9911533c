"""What lies under a path: which mount, which file system, whether another machine answers for it, how much is free."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# SQLite's write-ahead log shares memory between processes: no file system that another machine serves can do that.
# An unknown FUSE may be local (encrypted home, merged disks), so only those known to be remote count.
_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav", "davfs", "coda", "glusterfs"),
        *("9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "drvfs", "ceph", "lustre", "beegfs", "gfs2", "ocfs2"),
    }
)
_NETWORK_FUSE = frozenset(
    {"sshfs", "rclone", "s3fs", "gcsfuse", "goofys", "davfs", "davfs2", "curlftpfs", "glusterfs", "ceph-fuse"}
)

Mount = tuple[str, str]  # mount point, file system type


def mounts_of_system() -> list[Mount]:
    """Return the mounts of this system in order; empty where it does not tell."""
    if sys.platform == "linux":
        from daemon.polling import mounted

        return mounted()
    if sys.platform == "darwin":
        listed = subprocess.run(["/sbin/mount"], capture_output=True, timeout=10, check=False)
        return parse_mount_output(os.fsdecode(listed.stdout))
    return []


def parse_mount_output(text: str) -> list[Mount]:
    """Read what mount(8) prints on macOS: `//me@nas/pictures on /Volumes/pictures (smbfs, nodev, nosuid)`."""
    found = (re.fullmatch(r".+? on (/.*) \((\w+)[^()]*\)", line) for line in text.splitlines())
    return [(match[1], match[2]) for match in found if match is not None]


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that holds an absolute path; None when the list does not say."""
    holder = None
    for point, kind in mounts:  # a later mount lies over an earlier one, or nests in it
        if path == point or path.startswith(point.rstrip("/") + "/"):
            holder = point, kind
    return holder


def is_network(kind: str) -> bool:
    """Tell whether another machine serves this type of file system, as far as the name says."""
    return kind in _NETWORK or (kind.startswith("fuse.") and kind[5:] in _NETWORK_FUSE)


def network_under(path: Path, mounts: Iterable[Mount] | None = None) -> str:
    """Return the type of the network file system that holds a path, "" when it is local or unknown."""
    holder = mount_of(os.path.realpath(path), mounts_of_system() if mounts is None else mounts)
    return holder[1] if holder is not None and is_network(holder[1]) else ""


def free_bytes(path: Path | str) -> int:
    """Return what this user may still write to the volume that holds a path. Raises OSError."""
    volume = os.statvfs(path)
    return volume.f_bavail * volume.f_frsize


def nearest_folder(path: str) -> str:
    """Return the path, or the nearest folder above it that exists."""
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path
