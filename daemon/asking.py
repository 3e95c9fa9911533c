"""Ask a disk that may never answer: on a network share any look can hang; only a thread of its own hangs then."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from daemon.polling import needs_polling
from store.errors import StateError

_Answer = TypeVar("_Answer")
_PATIENCE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 5.0


class NoAnswerError(StateError):
    """A disk did not answer in time."""

    def __init__(self) -> None:
        super().__init__("its disk does not answer", "is its server there?")


class Asker:
    """Put questions to one disk, one at a time, each with patience. Belongs to one thread.

    While a question is unanswered for longer than the patience, the disk counts as silent, and nothing waits for it.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._questions: queue.SimpleQueue[tuple[Callable[[], Any], _Reply] | None] = queue.SimpleQueue()
        self._open: _Reply | None = None
        threading.Thread(target=self._run, name="dedupd-asker", daemon=True).start()

    @property
    def silent(self) -> bool:
        """Whether an answer is overdue."""
        reply = self._open
        return reply is not None and not reply.there and time.monotonic() - reply.since > self._patience_seconds

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Return the answer, or raise what the question raises; raise NoAnswerError if none comes in time."""
        if self._open is not None and not self._open.there and self.silent:
            raise NoAnswerError
        reply = self._put(question)
        if not reply.done.wait(self._patience_seconds):
            raise NoAnswerError
        if reply.error is not None:
            raise reply.error
        answer: _Answer = reply.answer
        return answer

    def probe(self, question: Callable[[], object]) -> None:
        """Ask without waiting, unless a question is open; `silent` tells what came of it."""
        if self._open is None or self._open.there:
            self._put(question)

    def close(self) -> None:
        """Let the thread end when it can."""
        self._questions.put(None)

    def _put(self, question: Callable[[], Any]) -> "_Reply":
        self._open = _Reply()
        self._questions.put((question, self._open))
        return self._open

    def _run(self) -> None:
        while (item := self._questions.get()) is not None:
            question, reply = item
            try:
                reply.answer = question()
            except (OSError, ValueError) as error:
                reply.error = error
            reply.done.set()


class _Reply:
    def __init__(self) -> None:
        self.since = time.monotonic()
        self.done = threading.Event()
        self.answer: Any = None
        self.error: OSError | ValueError | None = None

    @property
    def there(self) -> bool:
        return self.done.is_set()


def root_answers(root: str) -> bool:
    """Tell whether the disk of a folder answers at all: a local one does."""
    if not needs_polling(root):
        return True
    asker = Asker(_PATIENCE_SECONDS)
    try:
        asker.ask(partial(os.lstat, root))
    except NoAnswerError:
        return False
    except OSError:
        return True
    finally:
        asker.close()
    return True


class Disks:
    """Ask the disks of hot folders: local ones directly, network shares with patience. Belongs to one thread."""

    def __init__(
        self,
        roots: Iterable[str],
        is_remote: Callable[[str], bool] = needs_polling,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._roots = list(roots)
        self._is_remote = is_remote
        self._patience_seconds = patience_seconds
        self._askers: dict[str, Asker] = {}
        self._looked_at = -math.inf

    def tick(self, now: float) -> None:
        """Find out which folders are on shares now, and knock at those; call it often, it waits for nothing."""
        if now >= self._looked_at + _LOOK_AGAIN_SECONDS:
            self._looked_at = now
            remote = {root for root in self._roots if self._is_remote(root)}
            for root in remote - self._askers.keys():
                self._askers[root] = Asker(self._patience_seconds)
            for root in [root for root in self._askers if root not in remote and not self._askers[root].silent]:
                self._askers.pop(root).close()
        for root, asker in self._askers.items():
            asker.probe(partial(os.lstat, root))

    @property
    def silent(self) -> set[str]:
        """The folders whose disk does not answer."""
        return {root for root, asker in self._askers.items() if asker.silent}

    def ask(self, root: str | None, question: Callable[[], _Answer]) -> _Answer:
        """Put a question about something in a folder; raise NoAnswerError, or what the question raises."""
        asker = None if root is None else self._askers.get(root)
        return question() if asker is None else asker.ask(question)

    def close(self) -> None:
        """Let the threads end when they can."""
        for asker in self._askers.values():
            asker.close()
        self._askers.clear()
