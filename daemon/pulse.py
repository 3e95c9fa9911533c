"""Proof of progress: the watchdog is told that all is well only while every part of the service has moved."""

from collections.abc import Mapping


class Pulse:
    """Remember when each part moved last. Time is an argument (monotonic seconds)."""

    def __init__(self, limits_seconds: Mapping[str, float], now: float) -> None:
        self._limits = dict(limits_seconds)
        self._last = dict.fromkeys(limits_seconds, now)

    def beat(self, part: str, now: float) -> None:
        """Note that a part moved, or has nothing to do."""
        self._last[part] = now

    def stuck(self, now: float) -> list[str]:
        """Name the parts that have stood still for too long, in words."""
        still = {part: now - last for part, last in self._last.items()}
        return [
            f"the {part} have not moved for {seconds:.0f} s"
            for part, seconds in still.items()
            if seconds > self._limits[part]
        ]
