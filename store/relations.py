"""How images stand to each other: keepers and extras at both levels, and what the second look saw on pairs."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.database import Database
from store.records import Lineage, MatchKind, Relation, StoredLook

_LOOK = ("kind", "explanation", "relation", "whole", "first_covered", "second_covered")


class Relations:
    """Write and read standings, or drafts of them, and second looks through the catalog's own connection."""

    def __init__(self, database: Database, table: Literal["standings", "drafts"] = "standings") -> None:
        self._execute = database.conn.execute
        self._table = table

    def standings(self, level: str) -> NDArray[np.int64]:
        """Return int64 [n, 2]: (image, its keeper) for all images in play at a level."""
        rows = self._execute(f"SELECT image_id, keeper_id FROM {self._table} WHERE level = ?", (level,)).fetchall()
        return np.array(rows, np.int64).reshape(-1, 2)

    def keeper_of(self, level: str, image_id: int) -> int | None:
        """Return the image's keeper (itself for a keeper), None when it is out of play."""
        sql = f"SELECT keeper_id FROM {self._table} WHERE level = ? AND image_id = ?"
        row = self._execute(sql, (level, image_id)).fetchone()
        return None if row is None else int(row[0])

    def extras_of(self, level: str, keeper_id: int) -> list[int]:
        """List the extras of a keeper."""
        sql = f"SELECT image_id FROM {self._table} WHERE level = ? AND keeper_id = ? AND image_id <> keeper_id"
        return [row[0] for row in self._execute(sql, (level, keeper_id))]

    def count_extras(self, level: str) -> dict[int, int]:
        """Count the extras of every keeper that has some."""
        sql = "SELECT keeper_id, count(*) FROM standings WHERE level = ? AND image_id <> keeper_id GROUP BY keeper_id"
        return dict(self._execute(sql, (level,)).fetchall())

    def put_standing(self, level: str, image_id: int, keeper_id: int | None) -> None:
        """Store an image's standing; None takes it out of play."""
        if keeper_id is None:
            self._execute(f"DELETE FROM {self._table} WHERE level = ? AND image_id = ?", (level, image_id))
        else:
            sql = f"INSERT OR REPLACE INTO {self._table} (level, image_id, keeper_id) VALUES (?, ?, ?)"
            self._execute(sql, (level, image_id, keeper_id))

    def clear_standings(self) -> None:
        """Take every image out of play, before a full walk."""
        self._execute(f"DELETE FROM {self._table}")

    def look(self, a_id: int, b_id: int, verifier: str) -> StoredLook | None:
        """Return what this verifier saw on a pair (a_id < b_id), None when it never looked."""
        sql = f"SELECT {', '.join(_LOOK)} FROM second_looks WHERE a_id = ? AND b_id = ? AND verifier = ?"
        row = self._execute(sql, (a_id, b_id, verifier)).fetchone()
        if row is None:
            return None
        return StoredLook(None if row[0] is None else MatchKind(row[0]), row[1], Lineage(Relation(row[2]), *row[3:]))

    def put_look(self, a_id: int, b_id: int, verifier: str, look: StoredLook) -> None:
        """Store what the verifier saw on a pair (a_id < b_id)."""
        seen = look.lineage
        values = look.kind, look.explanation, seen.relation, seen.whole, seen.first_covered, seen.second_covered
        marks = ", ".join("?" * (3 + len(values)))
        sql = f"INSERT OR REPLACE INTO second_looks (a_id, b_id, verifier, {', '.join(_LOOK)}) VALUES ({marks})"
        self._execute(sql, (a_id, b_id, verifier, *values))
