"""What one call of the command left behind; the fixture `call` makes them."""

import json
from collections.abc import Callable
from typing import Any


class Answer:
    """What one call of the command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        """The object on the last line."""
        line: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return line


Call = Callable[..., Answer]
