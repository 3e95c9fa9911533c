"""What lies under a path."""

import os
from pathlib import Path

import pytest

from daemon.mounts import free_bytes, is_network, mount_of, nearest_folder, network_under, parse_mount_output

MOUNTS = [
    ("/", "ext4"),
    ("/home", "ext4"),
    ("/home/me/nas", "nfs4"),
    ("/home/me/nas/disk", "xfs"),
    ("/x", "fuse.sshfs"),
]


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/home/me/a", "/home"),
        ("/home/me/nas", "/home/me/nas"),
        ("/home/me/nas/a/b", "/home/me/nas"),
        ("/home/me/nas2", "/home"),
        ("/home/me/nas/disk/a", "/home/me/nas/disk"),
        ("/etc", "/"),
    ],
)
def test_the_innermost_mount_holds_a_path(path: str, point: str) -> None:
    assert mount_of(path, MOUNTS) == (point, dict(MOUNTS)[point])


def test_a_mount_over_another_hides_it() -> None:
    assert mount_of("/mnt/a", [("/mnt", "nfs"), ("/mnt", "ext4")]) == ("/mnt", "ext4")
    assert mount_of("/a", []) is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "smbfs", "afpfs"])
def test_file_systems_of_other_machines_are_known(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "apfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs"]
)
def test_local_ones_are_not_taken_for_them(kind: str) -> None:
    assert not is_network(kind)


def test_links_are_followed_first(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to("share")
    mounts = [("/", "ext4"), (os.path.realpath(tmp_path / "share"), "nfs")]
    assert network_under(tmp_path / "link" / "state", mounts) == "nfs"
    assert network_under(tmp_path, mounts) == ""


def test_the_mounts_of_macos() -> None:
    text = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n"
        "//me@nas._smb._tcp.local/my pictures on /Volumes/my pictures (smbfs, nodev, nosuid, mounted by me)\n"
    )
    assert parse_mount_output(text) == [
        ("/", "apfs"),
        ("/System/Volumes/Data/home", "autofs"),
        ("/Volumes/my pictures", "smbfs"),
    ]


def test_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert nearest_folder(str(tmp_path / "a/b/c")) == str(tmp_path)
    assert nearest_folder("/") == "/"
    assert free_bytes(tmp_path) > 0
