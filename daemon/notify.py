"""Tell systemd how the service is (sd_notify(3)): own lines, silent where there is no systemd."""

import os
import socket
import time
from collections.abc import Mapping

from store.text import printable


def notify(*, environment: Mapping[str, str] = os.environ, **fields: str | int) -> bool:
    """Send state to the service manager: `notify(READY=1, STATUS="20,000 files known")`.

    RELOADING=1 gets the MONOTONIC_USEC that systemd wants with it. Returns False when nobody listens: never
    an error and never a wait, because a service must not fail or hang over its own status line.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if "RELOADING" in fields:
        fields.setdefault("MONOTONIC_USEC", time.monotonic_ns() // 1000)
    if address[0] == "@":  # the abstract name space
        address = "\0" + address[1:]
    lines = [f"{name}={printable(str(value))}" for name, value in fields.items()]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), address)
    except OSError:
        return False
    return True


def watchdog_seconds(*, environment: Mapping[str, str] = os.environ) -> float | None:
    """Return after how many seconds without WATCHDOG=1 systemd ends this process; None if it does not watch.

    Ping at half of it, and only when work has progressed.
    """
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
