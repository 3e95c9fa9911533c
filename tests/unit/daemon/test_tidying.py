"""What was freed is given back."""

import subprocess
import sys

import pytest

from tests.patience import PATIENCE_SECONDS

_FREED = """
from daemon.tidying import give_memory_back
def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096
pieces = [bytes(50_000) for _ in range(2_000)]  # too small to be maps of their own
last = bytes(50_000)  # what lies above them keeps them
full = resident()
del pieces
freed = resident()
give_memory_back()
print(full - freed, full - resident())
"""


_GAPS = """
from daemon.tidying import keep_apart
import sys
if sys.argv[1] == "apart":
    keep_apart()
def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096
bytearray(20 << 20)  # freed: from now on glibc takes blocks up to this size from the heap, unless told not to
before, kept = resident(), []
for _ in range(200):  # each large block lies under a small one that lasts
    large = bytearray(400_000)
    kept.append((large, bytearray(1_000)))
kept = [small for _, small in kept]
del large
print(resident() - before)
"""


def test_calling_it_does_no_harm() -> None:
    from daemon.tidying import give_memory_back

    give_memory_back()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_large_blocks_leave_no_gaps() -> None:
    words = [sys.executable, "-c", _GAPS]
    grown = [
        int(subprocess.run([*words, how], capture_output=True, check=True, timeout=PATIENCE_SECONDS).stdout)
        for how in ("apart", "as it is")
    ]
    assert grown[0] < 10_000_000
    assert grown[1] > 5 * grown[0], "without it the gaps stay"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_what_is_free_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FREED], capture_output=True, check=True, timeout=PATIENCE_SECONDS, text=True
    )
    kept, given = map(int, done.stdout.split())
    assert given > 90_000_000
    assert kept < given, "by itself it keeps what lies below something else"
