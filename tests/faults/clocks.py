"""Clocks that lie: libfaketime moves the wall clock of a process while it runs; its monotonic clock is left alone."""

from pathlib import Path

import pytest

_LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")


class FakeClock:
    """The wall clock of one process."""

    def __init__(self, stamp: Path) -> None:
        self._stamp = stamp
        self.jump("+0")
        found = [Path(folder) / "libfaketimeMT.so.1" for folder in _LIBRARIES]
        library = next((path for path in found if path.exists()), None)
        if library is None:
            pytest.skip("needs libfaketime")
        self.words = (
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={stamp}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DISABLE_SHM=1",  # what a killed process leaves there stops a later one of that number
            "DONT_FAKE_MONOTONIC=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        )

    def jump(self, offset: str) -> None:
        """Set the clock apart from the true one by so much: "-1h", "+400d"."""
        self._stamp.write_text(offset + "\n")
