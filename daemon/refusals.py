"""Actions that were refused: tried again ever more rarely, and told once."""

import math
from collections.abc import Sequence

from pipeline.planning import Problem

_FIRST_PAUSE_SECONDS = 60.0  # a disk may be back, a writer may be done
_LONGEST_PAUSE_SECONDS = 3600.0  # a folder that is read-only will be so for long; each try reads its files


class Refusals:
    """Remember what was refused since everything was last tried. Pure: the time comes from outside."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._told: set[Problem] = set()
        self._tried_at = -math.inf
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def due(self, now: float) -> bool:
        """Tell whether everything should be tried again."""
        return bool(self.problems) and now - self._tried_at > self._pause_seconds

    def note(self, refused: Sequence[Problem], now: float, *, everything: bool) -> list[Problem]:
        """Take what was refused in one go; return what is news.

        The pause doubles as long as trying everything again changes nothing.
        """
        news = [problem for problem in refused if problem not in self._told]
        if everything:
            again = set(refused) == self._told and bool(refused)
            self._pause_seconds = (
                min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS) if again else _FIRST_PAUSE_SECONDS
            )
            self._tried_at = now
            self.problems = list(refused)
            self._told = set(refused)
        else:
            self.problems += news
            self._told |= set(news)
        return news
