"""A machine that boots: real systemd as PID 1 in a container over this system's own files, thrown away at the end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.disks import mount_memory
from tests.patience import PATIENCE_SECONDS

_TARGET = "faults.target"
_BOOT_SECONDS = 60.0
_SHARED = ("avahi-daemon.service", "avahi-daemon.socket", "systemd-timesyncd.service", "systemd-networkd.service",
           "systemd-resolved.service", "systemd-logind.service", "postgresql.service")  # fmt: skip
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)


class Machine:
    """A booted container; files written below `root` before and during its life are its own."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root, self._leader = root, leader

    def run(self, *words: object, check: bool = True) -> str:
        """Run a command inside as root and return what it said, errors included."""
        command = ["nsenter", f"--target={self._leader}", "--all", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def facts(self, unit: str, *names: str) -> dict[str, str]:
        """Ask systemd about a unit."""
        told = self.run("systemctl", "show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)

    def until(self, unit: str, seconds: float, **wanted: str) -> float:
        """Wait until a unit's properties are as wanted; return how long it took."""
        started = time.monotonic()
        while (now := self.facts(unit, *wanted)) != wanted:
            assert time.monotonic() - started < seconds, (now, wanted, self.log(unit))
            time.sleep(0.1)
        return time.monotonic() - started

    def log(self, unit: str) -> str:
        """Return what a unit wrote to the journal."""
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit, check=False)


@contextmanager
def machine(base: Path) -> Iterator[Machine]:
    """Boot a container; the caller is in a mount namespace of its own."""
    mount_memory(base, 1 << 30)
    upper, work, root = base / "upper", base / "work", base / "root"
    for folder in (upper, work, root):
        folder.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    units = root / "etc/systemd/system"
    for name in _SHARED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / _TARGET).write_text("[Unit]\nRequires=basic.target\nAfter=basic.target\n")
    (root / "etc/machine-id").write_text(f"{os.getpid():032x}\n")
    for folder in (Path("/root"),):  # the interpreter may lie below it, and the service's account must reach it
        (root / folder.relative_to("/")).chmod(0o755)
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine=dedupd-{os.getpid()}", "--register=no"]
    command += ["--keep-unit", "--boot", "--console=pipe", "--private-network", f"systemd.unit={_TARGET}"]
    with (base / "console").open("wb") as console:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    leader = None
    try:
        leader = _leader(process)
        booted = Machine(root, leader)
        until = time.monotonic() + _BOOT_SECONDS
        while "running" not in booted.run("systemctl", "is-system-running", check=False):
            assert time.monotonic() < until, (base / "console").read_text("utf-8", "replace")
            time.sleep(0.2)
        yield booted
        os.kill(leader, _POWER_OFF)
        process.wait(60)
    finally:
        if process.poll() is None:  # not its own end: with its PID 1 all that runs in it ends
            os.kill(leader or process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
        subprocess.run(["umount", "--recursive", "--lazy", base], check=False)


def _leader(process: "subprocess.Popen[bytes]") -> int:
    """Return PID 1 of the container as this system numbers it."""
    until = time.monotonic() + _BOOT_SECONDS
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < until:
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        time.sleep(0.05)
    raise AssertionError("the container did not start")
