"""The set of row ids against Python's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.idset import IdSet


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(-5, 30) | st.just(2**62), max_size=6))))
@settings(deadline=None)
def test_id_set_is_a_set(steps: list[tuple[bool, list[int]]]) -> None:
    held: set[int] = set()
    ids = IdSet()
    for adding, batch in steps:
        keys = np.array(batch, np.int64)
        if not adding:
            assert ids.remove(keys).tolist() == sorted(held & set(batch))
            held -= set(batch)
        elif len(set(batch)) < len(batch) or held & set(batch):
            with pytest.raises(ValueError, match="already"):
                ids.add(keys)
        else:
            ids.add(keys)
            held |= set(batch)
        assert ids.ids.tolist() == sorted(held)
        assert ids.contains(keys).tolist() == [key in held for key in batch]
