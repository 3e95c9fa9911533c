"""Memory that is free goes back to the system.

glibc keeps what was freed for the next time. What a report, a backup or a burst of pictures took once would stay with a
service that runs for months, and large blocks, laid between small ones that last, leave gaps of no use to either.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # malloc.h
_ARENAS = 2
_LARGE_BYTES = 128 << 10  # what glibc begins with, and raises with every large block that is freed


def keep_apart() -> None:
    """Let large blocks be maps of their own, which go back when they are freed; for a process that lives for long.

    Does nothing where the allocator is not glibc's.
    """
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


def give_memory_back() -> None:
    """Let the allocator return what is free, in a few milliseconds; does nothing where it is not glibc's."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)  # mallopt(3), malloc_trim(3)
    return function
