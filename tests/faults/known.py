"""What a catalog knows, read beside the service that writes it."""

import os
from pathlib import Path

from store.database import open_database


def knows(state: Path, path: Path) -> bool:
    """Tell whether a file is in the catalog under this path."""
    if not (state / "catalog.sqlite3").exists():
        return False
    database = open_database(state / "catalog.sqlite3", read_only=True)
    try:
        if not database["files"].exists():  # it is being made
            return False
        sql = "SELECT 1 FROM files WHERE path = ?"
        return database.execute(sql, (os.fsencode(path),)).fetchone() is not None
    finally:
        database.close()
