"""How images stand to each other: keepers and extras at both levels, and what the second look saw on pairs."""

import numpy as np
from numpy.typing import NDArray

from store.database import Database
from store.records import Level, MatchKind, StoredLook


class Relations:
    """Write and read standings and second looks through the catalog's own connection."""

    def __init__(self, database: Database) -> None:
        self._execute = database.conn.execute

    def standings(self, level: Level) -> NDArray[np.int64]:
        """Return int64 [n, 2]: (image, its keeper) for all images in play at a level."""
        rows = self._execute("SELECT image_id, keeper_id FROM standings WHERE level = ?", (level,)).fetchall()
        return np.array(rows, np.int64).reshape(-1, 2)

    def keeper_of(self, level: Level, image_id: int) -> int | None:
        """Return the image's keeper (itself for a keeper), None when it is out of play."""
        sql = "SELECT keeper_id FROM standings WHERE level = ? AND image_id = ?"
        row = self._execute(sql, (level, image_id)).fetchone()
        return None if row is None else int(row[0])

    def extras_of(self, level: Level, keeper_id: int) -> list[int]:
        """List the extras of a keeper."""
        sql = "SELECT image_id FROM standings WHERE level = ? AND keeper_id = ? AND image_id <> keeper_id"
        return [row[0] for row in self._execute(sql, (level, keeper_id))]

    def count_extras(self, level: Level) -> dict[int, int]:
        """Count the extras of every keeper that has some."""
        sql = "SELECT keeper_id, count(*) FROM standings WHERE level = ? AND image_id <> keeper_id GROUP BY keeper_id"
        return dict(self._execute(sql, (level,)).fetchall())

    def put_standing(self, level: Level, image_id: int, keeper_id: int | None) -> None:
        """Store an image's standing; None takes it out of play."""
        if keeper_id is None:
            self._execute("DELETE FROM standings WHERE level = ? AND image_id = ?", (level, image_id))
        else:
            sql = "INSERT OR REPLACE INTO standings (level, image_id, keeper_id) VALUES (?, ?, ?)"
            self._execute(sql, (level, image_id, keeper_id))

    def clear_standings(self) -> None:
        """Take every image out of play, before a full walk."""
        self._execute("DELETE FROM standings")

    def look(self, a_id: int, b_id: int, verifier: str) -> StoredLook | None:
        """Return what this verifier saw on a pair (a_id < b_id), None when it never looked."""
        sql = "SELECT kind, explanation FROM second_looks WHERE a_id = ? AND b_id = ? AND verifier = ?"
        row = self._execute(sql, (a_id, b_id, verifier)).fetchone()
        return None if row is None else StoredLook(None if row[0] is None else MatchKind(row[0]), row[1])

    def put_look(self, a_id: int, b_id: int, verifier: str, look: StoredLook) -> None:
        """Store what the verifier saw on a pair (a_id < b_id)."""
        sql = "INSERT OR REPLACE INTO second_looks (a_id, b_id, verifier, kind, explanation) VALUES (?, ?, ?, ?, ?)"
        self._execute(sql, (a_id, b_id, verifier, look.kind, look.explanation))
