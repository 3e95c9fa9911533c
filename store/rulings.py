"""Rulings: what people said about contents, and which files they took back by hand of the manifest."""

import os
from collections.abc import Iterable, Sequence

from store.database import Database
from store.records import Ruling, RulingKind

HASH_DIGITS = 64


class Rulings:
    """Write and read rulings through the catalog's own connection."""

    def __init__(self, database: Database) -> None:
        self._execute = database.conn.execute

    def add(self, kind: RulingKind, contents: Sequence[tuple[bytes, str]], now_ns: int) -> Ruling:
        """Store a ruling on (SHA-256, name) pairs; it is newer than every other."""
        sql = "INSERT INTO rulings (kind, ruled_ns) VALUES (?, ?) RETURNING id"
        ruling_id = int(self._execute(sql, (kind, now_ns)).fetchone()[0])
        for sha256, name in contents:
            sql = "INSERT INTO ruled_contents (ruling_id, sha256, name) VALUES (?, ?, ?)"
            self._execute(sql, (ruling_id, sha256, os.fsencode(name)))
        return Ruling(ruling_id, kind, tuple(contents), now_ns)

    def remove(self, ruling_ids: Iterable[int]) -> None:
        """Take rulings back."""
        for ruling_id in ruling_ids:
            self._execute("DELETE FROM rulings WHERE id = ?", (ruling_id,))

    def all(self) -> list[Ruling]:
        """List the rulings, oldest first; the contents of each as they are ordered by hash."""
        contents: dict[int, list[tuple[bytes, str]]] = {}
        for ruling_id, sha256, name in self._execute("SELECT ruling_id, sha256, name FROM ruled_contents"):
            contents.setdefault(ruling_id, []).append((bytes(sha256), os.fsdecode(name)))
        rows = self._execute("SELECT id, kind, ruled_ns FROM rulings ORDER BY id").fetchall()
        return [Ruling(row[0], RulingKind(row[1]), tuple(sorted(contents.get(row[0], ()))), row[2]) for row in rows]

    def count(self) -> int:
        """Count the rulings."""
        return int(self._execute("SELECT count(*) FROM rulings").fetchone()[0])

    def hashes_starting(self, digits: str) -> list[bytes]:
        """List the contents, known or ruled on, whose SHA-256 begins with these hexadecimal digits."""
        low, high = (bytes.fromhex(digits.ljust(HASH_DIGITS, end)) for end in "0f")
        sql = (
            "SELECT sha256 FROM images WHERE sha256 BETWEEN ? AND ? UNION "
            "SELECT sha256 FROM ruled_contents WHERE sha256 BETWEEN ? AND ?"
        )
        return [bytes(row[0]) for row in self._execute(sql, (low, high, low, high))]

    def remember_return(self, path: str, sha256: bytes, now_ns: int) -> None:
        """Note that a person took back a file which no row of the catalog stands for."""
        sql = "INSERT OR REPLACE INTO taken_back (path, sha256, returned_ns) VALUES (?, ?, ?)"
        self._execute(sql, (os.fsencode(path), sha256, now_ns))

    def recall_return(self, path: str, image_id: int) -> None:
        """Mark the file at home at `path` as taken back if its content was, to that path; this is told once."""
        sql = (
            "DELETE FROM taken_back WHERE path = ? AND sha256 = (SELECT sha256 FROM images WHERE id = ?) "
            "RETURNING returned_ns"
        )
        row = self._execute(sql, (os.fsencode(path), image_id)).fetchone()
        if row is not None:
            sql = "UPDATE files SET returned_ns = ? WHERE path = ? AND lies_at IS NULL"
            self._execute(sql, (row[0], os.fsencode(path)))
