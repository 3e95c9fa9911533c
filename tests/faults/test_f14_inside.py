"""F14–F17: what must not count: own files, links, second names, and what is no picture file at all."""

import json
import os
import socket
import stat
import subprocess
import unicodedata
from pathlib import Path

import pytest

from store.database import open_database
from tests.e2e.command import dedupd, running, scan, write_config
from tests.faults.conftest import Record
from tests.faults.known import knows
from tests.faults.pictures import put_tiny

SHARP: dict[str, object] = {"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0}


def known_paths(state: Path) -> set[str]:
    """Return the paths that a catalog knows."""
    database = open_database(state / "catalog.sqlite3", read_only=True)
    try:
        return {os.fsdecode(row[0]) for row in database.execute("SELECT path FROM files").fetchall()}
    finally:
        database.close()


@pytest.mark.fault(
    "F14",
    injected="moves out of a watched folder and home again; a quarantine and a report from a scan inside it",
    figure="self-ingests 0",
)
@pytest.mark.slow
def test_own_files_are_no_arrivals(tmp_path: Path, record: Record) -> None:
    hot, state = tmp_path / "hot", tmp_path / "state"
    for seed in range(6):
        put_tiny(hot / f"{seed}.png", seed)
        put_tiny(hot / f"{seed} again.png", seed)
    inside = scan(hot, "--output", hot / "cleaned", "--state", tmp_path / "other", "--action", "copy")
    assert inside["duplicates"] == 6
    assert len(list((hot / "cleaned/duplicates").iterdir())) == 6
    config = write_config(
        tmp_path / "c.toml", {"path": hot, "action": "move", "output": tmp_path / "quarantine"}, quality=SHARP,
        upkeep={"check_seconds": 0.5, "reconcile_minutes": 0.05},
    )  # fmt: skip
    with running(config, state) as daemon:
        daemon.wait_for(lambda: len(list((tmp_path / "quarantine/duplicates").glob("*"))) == 6, "six have left")
        daemon.wait(12)
        undone = dedupd("undo", "--all", "--state", state, "--json")
        assert undone.json["undone"] == 6, undone.err
        put_tiny(hot / "last.png", 100)
        daemon.wait_for(lambda: knows(state, hot / "last.png"), "a later file is known")
        daemon.wait(13)
        assert daemon.stop()[0] == 0
    own = {path for path in known_paths(state) if "/cleaned" in path or "/quarantine/" in path or "/state/" in path}
    assert own == set()
    record(12 + 6, 0, "self-ingests 0")


@pytest.mark.fault(
    "F15", injected="links to files and folders, loops, hard links of one inode, action move", figure="groups made 0"
)
def test_links_are_no_duplicates(tmp_path: Path, record: Record) -> None:
    hot = tmp_path / "hot"
    for seed in range(3):
        put_tiny(hot / f"{seed}.png", seed)
    (hot / "file-link.png").symlink_to(hot / "0.png")
    (hot / "folder-link").symlink_to(hot)
    (hot / "loop").symlink_to("loop")
    (hot / "up").symlink_to("..")
    os.link(hot / "1.png", hot / "1 linked.png")
    (hot / "sub").mkdir()
    os.link(hot / "1.png", hot / "sub/1 linked.png")
    before = sorted(str(path) for path in hot.rglob("*"))
    answer = scan(hot, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    assert sorted(str(path) for path in hot.rglob("*")) == before, "nothing has left"
    targets = [entry["target"] for entry in json.loads(Path(answer["log"]).read_text())["files"]]
    assert targets == [None] * len(targets)
    record(6, 0, f"moved 0/{len(targets)}")


@pytest.mark.fault(
    "F16",
    injected="case-only renames, two Unicode forms and two cases of one name, on a disk that ignores case (exFAT)",
    figure="self-duplicate groups 0",
)
@pytest.mark.privileged("mkfs.exfat", "mount.exfat-fuse", "losetup")
@pytest.mark.usefixtures("private_mounts")
def test_one_file_by_two_names_is_one_file(tmp_path: Path, record: Record) -> None:
    image, disk, state = tmp_path / "image", tmp_path / "disk", tmp_path / "state"
    disk.mkdir()
    image.write_bytes(bytes(8 << 20))
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    found = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    subprocess.run(["mount.exfat-fuse", device, disk], check=True, capture_output=True)
    try:
        hot = disk / "hot"
        put_tiny(hot / "photo.png", 1)
        put_tiny(hot / unicodedata.normalize("NFC", "größe.png"), 2)
        assert (hot / "PHOTO.PNG").exists(), "this disk ignores case"
        config = write_config(
            tmp_path / "c.toml", {"path": hot, "action": "move", "output": tmp_path / "q", "poll_seconds": 0.5},
            quality=SHARP, upkeep={"check_seconds": 0.5, "reconcile_minutes": 0.05},
        )  # fmt: skip
        with running(config, state) as daemon:
            daemon.wait(2)
            (hot / "photo.png").rename(hot / "Photo.PNG")
            daemon.wait_for(lambda: knows(state, hot / "Photo.PNG"), "the new case is known")
            daemon.wait(2)
            (hot / "Photo.PNG").rename(hot / "pHOTO.png")
            put_tiny(hot / "third.png", 3)
            daemon.wait(3)
            assert daemon.stop()[0] == 0
        assert len(known_paths(state)) == 3
        assert not list((tmp_path / "q").rglob("*.png")), "nothing was taken for a duplicate of itself"
        assert sorted(path.name.lower() for path in hot.glob("*.[pP][nN][gG]")) == [
            "größe.png",
            "photo.png",
            "third.png",
        ]
    finally:
        subprocess.run(["umount", disk], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)
    record(3, 0, "self-duplicate groups 0")


@pytest.mark.fault(
    "F17",
    injected="FIFO, socket, device, folder, links and empty files named like pictures; names of unfinished files",
    figure="hangs 0; records 0",
)
def test_what_is_no_picture_file_is_left_alone(tmp_path: Path, record: Record) -> None:
    hot = tmp_path / "hot"
    put_tiny(hot / "real.png", 1)
    os.mkfifo(hot / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(hot / "socket.jpg"))
    if os.geteuid() == 0:
        os.mknod(hot / "device.jpg", 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: reading it never ends
    (hot / "folder.jpg").mkdir()
    names = ["a.jpg.part", "b.jpg.crdownload", "c.jpg.tmp", ".DS_Store", "._d.jpg", ".syncthing.e.jpg.tmp", "~f.jpg"]
    names += ["@eaDir/g.jpg", ".stfolder/h.jpg", "i.jpg~", ".hidden.jpg"]
    for number, name in enumerate(names):
        put_tiny(hot / name, 100 + number)
    before = sorted(str(path) for path in hot.rglob("*"))
    answer = scan(hot, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    assert [Path(e["path"]).name for e in json.loads(Path(answer["log"]).read_text())["files"]] == ["real.png"]
    assert sorted(str(path) for path in hot.rglob("*")) == before
    record(len(names) + 4, 0, "hangs 0; records 0")
