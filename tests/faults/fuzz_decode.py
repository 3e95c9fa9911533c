"""Feed changed pictures to sniffing, metadata and decoding for some minutes, guided by coverage where it is to be had.

python -m tests.faults.fuzz_decode MINUTES [CORPUS]      (`make fuzz MINUTES=10`)

With atheris (`pip install atheris`) its engine chooses the changes; without it random ones are tried, on the same
target. Any exception but the declared one, or the end of the process, is a finding: the input is left beside.
"""

import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from store.errors import DecodeError
from tests.faults.pictures import tiny

try:
    import atheris
except ImportError:
    atheris = None

with contextlib.nullcontext() if atheris is None else atheris.instrument_imports(include=["PIL", "pipeline"]):
    from pipeline.decode import DecodeSettings, decode, read_regular, sniff
    from pipeline.hashing import perceptual_hashes
    from pipeline.previewing import preview
    from pipeline.quality import working_grey

_SETTINGS = DecodeSettings(max_pixels=4_000_000)
_LARGEST = 1 << 17  # bytes: the parsers are small, and small inputs are quick
_PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


def target(data: bytes) -> None:
    """Do with bytes what a worker does."""
    with contextlib.suppress(DecodeError):
        sniff(data)
        decoded = decode(data, _SETTINGS)
        grey = working_grey(decoded.rgb, 512)
        perceptual_hashes(grey)
        preview(decoded.rgb, _SETTINGS)


def corpus(folder: Path) -> list[bytes]:
    """Read what is small enough below a folder; at least one whole picture."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size <= _LARGEST]
    return [tiny(1), *(read_regular(str(path), _LARGEST)[1] for path in found)]


def changed(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed with some bytes flipped, lost, doubled or taken from another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        at, length = chance.randrange(len(data) + 1), chance.randint(1, 16)
        way = chance.randrange(5)
        if way == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del data[at : at + length]
        elif way == 2:
            data[at:at] = data[at : at + length]
        elif way == 3:
            data[at : at + length] = chance.choice((b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0")) * 2
        else:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            data[at : at + length] = other[start : start + length]
    return bytes(data[:_LARGEST])


def run_plainly(seeds: list[bytes], seconds: float) -> int:
    """Try random changes until the time is over; return how many."""
    chance, until, count = random.Random(time.time_ns()), time.monotonic() + seconds, 0
    last = Path(tempfile.gettempdir()) / f"dedupd-fuzz-{os.getpid()}"
    while time.monotonic() < until:
        data = changed(chance, seeds)
        last.write_bytes(data)  # what is here when the process dies is the finding
        target(data)
        count += 1
    last.unlink()
    return count


def _silence_decoders() -> None:
    """Send what C libraries write about damaged files nowhere; Python's own errors stay."""
    python = os.dup(sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.stderr = os.fdopen(python, "w", buffering=1)


def main() -> None:
    """Run until the time is over; a finding ends it with a traceback."""
    seconds = 60 * float(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else _PHOTOS / "bad"
    seeds = corpus(folder) if folder.is_dir() else [tiny(number) for number in range(20)]
    if atheris is None:
        _silence_decoders()
        count = run_plainly(seeds, seconds)
        sys.stdout.write(f"{count} inputs in {seconds:.0f} s without atheris: no finding\n")
        return
    with tempfile.TemporaryDirectory() as kept:
        for number, data in enumerate(seeds):
            Path(kept, str(number)).write_bytes(data)
        options = [f"-max_total_time={int(seconds)}", f"-max_len={_LARGEST}", "-rss_limit_mb=4096", "-timeout=30"]
        options.append("-close_fd_mask=2")  # damaged files make C libraries talk
        atheris.Setup([sys.argv[0], *options, kept], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
