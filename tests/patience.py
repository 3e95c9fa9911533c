"""How long tests wait. A machine may be ten times slower than ours, or stand still for a while: that is no failure."""

import os
import time
from collections.abc import Callable

# For what must come. A passing test never waits as long; `make faults` sets it higher for its ten thousand pictures.
PATIENCE_SECONDS = float(os.environ.get("DEDUPD_PATIENCE_SECONDS", "600"))


def wait_until(condition: Callable[[], object], what: object = "", seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until a condition holds; fail where it does not within `seconds`."""
    until, pause = time.monotonic() + seconds, 0.005
    while not condition():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what() if callable(what) else what}"
        time.sleep(pause)
        pause = min(0.1, 1.5 * pause)
