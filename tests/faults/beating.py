"""A schedule and the loop that looks after it, in a process whose clock is moved.

python -m tests.faults.beating SECONDS < lines, each of which asks for the counts so far
"""

import json
import sys
import threading
import time
from collections import Counter

from daemon.scheduler import Schedule

EVERY = {"often": 0.25, "hourly": 3600.0, "daily": 86400.0}


def main() -> None:
    """Beat until told to stop; answer every line with what ran, and by how much the clock jumped."""
    ran: Counter[str] = Counter()
    jumps: list[int] = []
    stop = threading.Event()

    def answer() -> None:
        for _ in sys.stdin:
            sys.stdout.write(json.dumps({"ran": ran, "jumps": jumps}) + "\n")
            sys.stdout.flush()
        stop.set()

    schedule = Schedule(EVERY, lambda name: ran.update([name]))
    schedule.start()
    schedule.heartbeat(time.time(), time.monotonic())
    threading.Thread(target=answer, daemon=True).start()
    while not stop.wait(0.05):
        jump = schedule.heartbeat(time.time(), time.monotonic())
        if jump:
            jumps.append(round(jump))
    schedule.close()


if __name__ == "__main__":
    main()
