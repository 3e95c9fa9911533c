"""Every law runs with the stand-ins in place."""

from collections.abc import Iterator

import pytest

from tests.laws.synthetic import Looks, stand_ins


@pytest.fixture(scope="module")
def looks() -> Iterator[Looks]:
    """The counter of second looks, while the stand-ins are in place; other modules look for themselves."""
    with stand_ins() as counter:
        yield counter
