"""Somebody else at work on the same files, as fast as they can, until a block ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something over and over in a thread; what the system refuses is tried again."""
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            with suppress(OSError):
                work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
