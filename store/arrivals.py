"""Arrivals: files that were seen and are not yet decided, durable, with their retries."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from store.database import Database, transaction


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file on its way to a verdict."""

    path: str
    folder_id: int
    attempts: int  # failed ones
    retry_ns: int  # not before; 0 for a file that never failed
    reason: str  # of the last failure


class Arrivals:
    """Write and read arrivals through the catalog's own connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._execute = database.conn.execute

    def add(self, seen: Iterable[tuple[str, int]], now_ns: int) -> None:
        """Note (path, folder id) pairs before any work on them; known ones keep their history."""
        sql = "INSERT INTO arrivals (path, folder_id, state, seen_ns) VALUES (?, ?, 'seen', ?) ON CONFLICT DO NOTHING"
        rows = [(os.fsencode(path), folder_id, now_ns) for path, folder_id in seen]
        if rows:
            with transaction(self._database):
                self._database.conn.executemany(sql, rows)

    def remove(self, paths: Iterable[str]) -> None:
        """Forget arrivals: they are decided, or gone."""
        rows = [(os.fsencode(path),) for path in paths]
        if rows:
            with transaction(self._database):
                self._database.conn.executemany("DELETE FROM arrivals WHERE path = ?", rows)

    def fail(
        self, path: str, folder_id: int, reason: str, now_ns: int, wait_seconds: Callable[[int], float]
    ) -> Arrival:
        """Note a failed attempt; `wait_seconds(attempts)` says how long to wait before the next."""
        row = self._execute("SELECT attempts FROM arrivals WHERE path = ?", (os.fsencode(path),)).fetchone()
        attempts = 1 + (0 if row is None else row[0])
        retry_ns = now_ns + int(wait_seconds(attempts - 1) * 1e9)
        sql = (
            "INSERT INTO arrivals (path, folder_id, state, attempts, retry_ns, reason, seen_ns) "
            "VALUES (?, ?, 'failed', ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET state = 'failed', "
            "attempts = excluded.attempts, retry_ns = excluded.retry_ns, reason = excluded.reason"
        )
        self._execute(sql, (os.fsencode(path), folder_id, attempts, retry_ns, reason, now_ns))
        return Arrival(path, folder_id, attempts, retry_ns, reason)

    def all(self, folder_id: int | None = None) -> list[Arrival]:
        """List the arrivals, of one folder or of all."""
        return self._select("", ()) if folder_id is None else self._select("WHERE folder_id = ?", (folder_id,))

    def due(self, now_ns: int) -> list[Arrival]:
        """List the failed arrivals whose time to be tried again has come."""
        return self._select("WHERE state = 'failed' AND retry_ns <= ?", (now_ns,))

    def count(self) -> int:
        """Count the arrivals."""
        return int(self._execute("SELECT count(*) FROM arrivals").fetchone()[0])

    def _select(self, where: str, values: tuple[int, ...]) -> list[Arrival]:
        rows = self._execute(f"SELECT path, folder_id, attempts, retry_ns, reason FROM arrivals {where}", values)
        return [Arrival(os.fsdecode(row[0]), *row[1:]) for row in rows]
