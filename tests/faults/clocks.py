"""Clocks that lie: libfaketime moves the wall clock of a process while it runs; its monotonic clock is left alone.

It touches more than clocks: sleeping fails with EINVAL under it every now and then, and times of files move along.
Where that is in the way there is a shim of our own, which needs a C compiler.
"""

import shutil
import struct
import subprocess
import sys
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


_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("DEDUPD_CLOCK_OFFSET");
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *found = fd < 0 ? MAP_FAILED : mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (found != MAP_FAILED) offset = found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && offset && clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec t;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec, now->tv_usec = t.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *into) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (into) *into = t.tv_sec;
    return t.tv_sec;
}
"""


class WallClock:
    """The wall clock of processes, moved by a library of our own, and nothing else about them."""

    def __init__(self, folder: Path) -> None:
        """Compile it into a folder. Raises FileNotFoundError where there is no C compiler, or no Linux."""
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            raise FileNotFoundError("needs Linux and a C compiler")
        folder.mkdir()
        self._stamp, library, source = folder / "offset", folder / "clock.so", folder / "clock.c"
        source.write_text(_SHIM, "ascii")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.jump(0)
        self.words = ("env", f"LD_PRELOAD={library}", f"DEDUPD_CLOCK_OFFSET={self._stamp}")

    def jump(self, seconds: int) -> None:
        """Set the clock apart from the true one by so much. Who has it in use sees it at once."""
        with self._stamp.open("r+b" if self._stamp.exists() else "wb") as stream:
            stream.write(struct.pack("=q", seconds))
