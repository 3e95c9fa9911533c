"""A set of row ids in a sorted array: what the indexes hold, without a Python object per row."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


class IdSet:
    """Row ids kept sorted in RAM, 8 bytes each; adding in ascending order, the usual case, is an append."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._buffer = np.unique(ids) if ids is not None else np.empty(0, np.int64)
        self._size = len(self._buffer)

    def __len__(self) -> int:
        return self._size

    @property
    def ids(self) -> Ids:
        """All ids, ascending; a view that the next `add` may outdate."""
        return self._buffer[: self._size]

    def contains(self, ids: Ids) -> NDArray[np.bool_]:
        """Tell for each id whether it is held; bool [n]."""
        if not self._size:
            return np.zeros(len(ids), np.bool_)
        at = np.searchsorted(self.ids, ids)
        held: NDArray[np.bool_] = self.ids[np.minimum(at, self._size - 1)] == ids
        return held

    def fresh(self, ids: Ids) -> Ids:
        """Sort new ids, int64 [n]; raise ValueError when one is known or occurs twice."""
        ascending = np.unique(ids)
        if len(ascending) != len(ids) or self.contains(ascending).any():
            raise ValueError("an id is already in the index or occurs twice")
        return ascending

    def add(self, ids: Ids) -> None:
        """Take in new ids, int64 [n]; raise ValueError when one is known or occurs twice."""
        ascending = self.fresh(ids)
        held, total = self.ids, self._size + len(ascending)
        if not len(ascending):
            return
        if self._size and ascending[0] < held[-1]:
            self._buffer = np.insert(held, np.searchsorted(held, ascending), ascending)
        else:
            if total > len(self._buffer):
                self._buffer = np.empty(total + total // 2, np.int64)
                self._buffer[: self._size] = held
            self._buffer[self._size : total] = ascending
        self._size = total

    def remove(self, ids: Ids) -> Ids:
        """Forget ids, int64 [n], unknown ones included; return those that were held, ascending."""
        known = np.unique(ids[self.contains(ids)])
        self._buffer = np.delete(self.ids, np.searchsorted(self.ids, known))
        self._size = len(self._buffer)
        return known
