"""The catalog: SQLite, the only truth about files, images and how they stand to each other.

Every method runs inside the caller's transaction (`with catalog.transaction()`), or alone in autocommit.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.database import open_database, refuse_past, transaction
from store.records import CatalogFile, FileStat, Folder, ImageState, Observation, VerdictKind
from store.relations import Relations
from store.rows import FILE_ROW, IMAGE_ROW, file_of, image_of, row_of, signed, unsigned, upsert
from store.rulings import Rulings

_REMOVALS_KEY = "images_removed"
_CHUNK = 500  # bound parameters per statement, well below SQLite's limit


class Catalog:
    """Read and write the catalog's tables as facts."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.database = open_database(path, read_only=read_only)
        if read_only:
            refuse_past(self.database, path)
        self._execute = self.database.conn.execute
        self._models: dict[str, int] = {}
        self.relations = Relations(self.database)
        self.drafts = Relations(self.database, "drafts")
        self.rulings = Rulings(self.database)

    def close(self) -> None:
        """Close the connection."""
        self.database.conn.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open one immediate transaction around a block."""
        try:
            with transaction(self.database):
                yield
        except BaseException:
            self._models.clear()  # a model's number may have been rolled back
            raise

    # -- memory of settings -----------------------------------------------------------------------------------------

    def remembered(self, key: str) -> str | None:
        """Return the value stored under `key`."""
        row = self._execute("SELECT value FROM settings_memory WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Store a value under `key`."""
        self.database.table("settings_memory").upsert({"key": key, "value": value}, pk="key")

    # -- folders ----------------------------------------------------------------------------------------------------

    def folders(self) -> list[Folder]:
        """List the roots dedupd has been shown."""
        rows = self._execute("SELECT id, path, protected FROM folders ORDER BY id")
        return [Folder(row[0], os.fsdecode(row[1]), bool(row[2])) for row in rows]

    def put_folder(self, path: str, *, protected: bool) -> Folder:
        """Return the folder at `path`, made or updated."""
        sql = (
            "INSERT INTO folders (path, protected) VALUES (?, ?) "
            "ON CONFLICT (path) DO UPDATE SET protected = excluded.protected RETURNING id"
        )
        row = self._execute(sql, (os.fsencode(path), int(protected))).fetchone()
        return Folder(row[0], path, protected)

    def folder_identity(self, folder_id: int) -> tuple[str, int | None, int | None]:
        """Return (marker id, device, inode) noted when the folder was last seen healthy."""
        row = self._execute("SELECT marker, device, inode FROM folders WHERE id = ?", (folder_id,)).fetchone()
        device, inode = (None if number is None else unsigned(number) for number in row[1:])
        return row[0], device, inode

    def note_identity(self, folder_id: int, marker: str, device: int, inode: int) -> None:
        """Note by what the folder's root is recognised."""
        sql = "UPDATE folders SET marker = ?, device = ?, inode = ? WHERE id = ?"
        self._execute(sql, (marker, signed(device), signed(inode), folder_id))

    # -- images -----------------------------------------------------------------------------------------------------

    def image_id(self, sha256: bytes) -> int | None:
        """Find an image by its content hash."""
        row = self._execute("SELECT id FROM images WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row is None else int(row[0])

    def add_image(self, sha256: bytes, byte_size: int, reject: VerdictKind | None, reason: str) -> int:
        """Add content seen for the first time; return its id."""
        sql = "INSERT INTO images (sha256, byte_size, reject, reject_reason) VALUES (?, ?, ?, ?) RETURNING id"
        return int(self._execute(sql, (sha256, byte_size, reject, reason)).fetchone()[0])

    def set_reject(self, image_id: int, reject: VerdictKind | None, reason: str) -> None:
        """Change the quality verdict on an image."""
        self._execute("UPDATE images SET reject = ?, reject_reason = ? WHERE id = ?", (reject, reason, image_id))

    def put_observation(self, image_id: int, seen: Observation) -> None:
        """Store what was measured on an image."""
        row = row_of(image_id, seen)
        self._execute(upsert("observations", tuple(row)), tuple(row.values()))

    def image(self, image_id: int) -> ImageState:
        """Return one image's facts; KeyError for an unknown id."""
        row = self._execute(f"SELECT {IMAGE_ROW} WHERE i.id = ?", (image_id,)).fetchone()
        if row is None:
            raise KeyError(image_id)
        return image_of(row)

    def images(self, image_ids: Iterable[int]) -> dict[int, ImageState]:
        """Return many images' facts by id."""
        rows = self._in_chunks(f"SELECT {IMAGE_ROW} WHERE i.id IN", image_ids)
        return {row[0]: image_of(row) for row in rows}

    def image_ids(self) -> list[int]:
        """List the ids of all images that a file holds."""
        return [row[0] for row in self._execute("SELECT DISTINCT image_id FROM files ORDER BY image_id")]

    def same_pixels(self, pixels_sha256: bytes) -> list[int]:
        """List the images that decode to exactly these pixels."""
        sql = "SELECT image_id FROM observations WHERE pixels_sha256 = ? ORDER BY image_id"
        return [row[0] for row in self._execute(sql, (pixels_sha256,))]

    def hash_rows(self) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]:
        """Return (image ids, pHashes, dHashes) of every image whose hashes say something."""
        rows = self._execute("SELECT image_id, phash, dhash FROM observations WHERE hashable").fetchall()
        table = np.array(rows, np.int64).reshape(-1, 3)
        return table[:, 0].copy(), table[:, 1].astype(np.uint64), table[:, 2].astype(np.uint64)

    def mark_orphans(self, image_ids: Iterable[int], now_ns: int) -> None:
        """Note since when an image has no file; clear the note where one came back."""
        for image_id in image_ids:
            sql = (
                "UPDATE images SET orphaned_ns = CASE WHEN EXISTS (SELECT 1 FROM files WHERE image_id = images.id) "
                "THEN NULL ELSE coalesce(orphaned_ns, ?) END WHERE id = ?"
            )
            self._execute(sql, (now_ns, image_id))

    def has_orphans(self, before_ns: int) -> bool:
        """Tell whether some image has had no file since `before_ns`."""
        return self._execute("SELECT 1 FROM images WHERE orphaned_ns < ? LIMIT 1", (before_ns,)).fetchone() is not None

    def forget_orphans(self, before_ns: int) -> list[tuple[int, bytes]]:
        """Delete what is known of images without a file since `before_ns`; return their (id, SHA-256)."""
        sql = "DELETE FROM images WHERE orphaned_ns < ? RETURNING id, sha256"
        gone = [(row[0], bytes(row[1])) for row in self._execute(sql, (before_ns,)).fetchall()]
        self.remember(_REMOVALS_KEY, str(self.count_removals() + len(gone)))
        return gone

    def count_removals(self) -> int:
        """Count images and embeddings ever deleted: an index snapshot from before a deletion is out of date."""
        return int(self.remembered(_REMOVALS_KEY) or 0)

    # -- files ------------------------------------------------------------------------------------------------------

    def file(self, path: str) -> CatalogFile | None:
        """Find the file that lies at a path, at home."""
        row = self._execute(
            f"SELECT {FILE_ROW} WHERE f.path = ? AND f.lies_at IS NULL", (os.fsencode(path),)
        ).fetchone()
        return None if row is None else file_of(row)

    def file_lying_at(self, place: str) -> CatalogFile | None:
        """Find a file by the place in quarantine where it lies."""
        row = self._execute(f"SELECT {FILE_ROW} WHERE f.lies_at = ?", (os.fsencode(place),)).fetchone()
        return None if row is None else file_of(row)

    def file_with_body(self, stat: FileStat) -> CatalogFile | None:
        """Find a file at home with the same device, inode, size and mtime: the same file under another name."""
        body = "f.inode = ? AND f.device = ? AND f.size = ? AND f.mtime_ns = ?"
        sql = f"SELECT {FILE_ROW} WHERE {body} AND f.lies_at IS NULL"
        values = (signed(stat.inode), signed(stat.device), stat.size, stat.mtime_ns)
        row = self._execute(sql, values).fetchone()
        return None if row is None else file_of(row)

    def file_by_id(self, file_id: int) -> CatalogFile | None:
        """Find a file by its id."""
        row = self._execute(f"SELECT {FILE_ROW} WHERE f.id = ?", (file_id,)).fetchone()
        return None if row is None else file_of(row)

    def file_of_entry(self, entry_id: int) -> CatalogFile | None:
        """Find the file that a ledger entry moved or copied."""
        row = self._execute(f"SELECT {FILE_ROW} WHERE f.entry_id = ?", (entry_id,)).fetchone()
        return None if row is None else file_of(row)

    def files_of(self, image_ids: Iterable[int]) -> dict[int, list[CatalogFile]]:
        """Return the files that hold each of the images."""
        found: dict[int, list[CatalogFile]] = {}
        for row in self._in_chunks(f"SELECT {FILE_ROW} WHERE f.image_id IN", image_ids):
            found.setdefault(row[9], []).append(file_of(row))
        return found

    def primary_of(self, image_id: int) -> CatalogFile | None:
        """Find the file that stands for an image, as `pipeline.keeper.primary_file` does, without loading all."""
        order = "d.protected DESC, f.lies_at IS NOT NULL, f.mtime_ns, length(f.path), f.path, f.id"
        row = self._execute(f"SELECT {FILE_ROW} WHERE f.image_id = ? ORDER BY {order} LIMIT 1", (image_id,)).fetchone()
        return None if row is None else file_of(row)

    def files_in(self, folder_id: int) -> Iterator[CatalogFile]:
        """Walk the files of one folder."""
        for row in self._execute(f"SELECT {FILE_ROW} WHERE f.folder_id = ? ORDER BY f.path", (folder_id,)):
            yield file_of(row)

    def files_with(self, verdicts: Sequence[VerdictKind]) -> list[CatalogFile]:
        """List the files that have one of the verdicts."""
        marks = ",".join("?" * len(verdicts))
        return [
            file_of(row) for row in self._execute(f"SELECT {FILE_ROW} WHERE f.verdict IN ({marks})", list(verdicts))
        ]

    def files_away(self) -> list[CatalogFile]:
        """List the files that dedupd has moved or copied."""
        return [file_of(row) for row in self._execute(f"SELECT {FILE_ROW} WHERE f.entry_id IS NOT NULL")]

    def put_file(self, folder_id: int, stat: FileStat, image_id: int) -> None:
        """Note that content lies at a path."""
        sql = (
            "INSERT INTO files (path, folder_id, device, inode, size, mtime_ns, ctime_ns, image_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) WHERE lies_at IS NULL DO UPDATE "
            "SET folder_id = excluded.folder_id, device = excluded.device, inode = excluded.inode, "
            "size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, "
            "returned_ns = CASE WHEN image_id = excluded.image_id THEN returned_ns END, "
            "image_id = excluded.image_id, entry_id = CASE WHEN image_id = excluded.image_id THEN entry_id END"
        )
        values = (os.fsencode(stat.path), folder_id, signed(stat.device), signed(stat.inode), stat.size,
                  stat.mtime_ns, stat.ctime_ns, image_id)  # fmt: skip
        self._execute(sql, values)
        self.rulings.recall_return(stat.path, image_id)

    def adopt_files(self, folder: Folder) -> None:
        """Give a folder the files below its path that were found through another one, a parent or a part of it.

        What a protected folder holds stays protected: only another protected folder may take it.
        """
        root = os.fsencode(folder.path.rstrip("/")) + b"/"
        sql = (
            "UPDATE files SET folder_id = ? WHERE path >= ? AND path < ? AND folder_id <> ? AND lies_at IS NULL "
            "AND (? OR folder_id NOT IN (SELECT id FROM folders WHERE protected))"
        )
        self._execute(sql, (folder.id, root, root[:-1] + b"0", folder.id, folder.protected))  # "0" follows "/"

    def relocate(self, file_id: int, folder_id: int, stat: FileStat) -> None:
        """Note that a file at home has another name; all else about it stays. The name must be free."""
        sql = (
            "UPDATE files SET folder_id = ?, path = ?, device = ?, inode = ?, size = ?, mtime_ns = ?, ctime_ns = ? "
            "WHERE id = ?"
        )
        values = (folder_id, os.fsencode(stat.path), signed(stat.device), signed(stat.inode), stat.size,
                  stat.mtime_ns, stat.ctime_ns, file_id)  # fmt: skip
        self._execute(sql, values)

    def remove_file(self, file_id: int) -> None:
        """Forget a place; the image stays known."""
        self._execute("DELETE FROM files WHERE id = ?", (file_id,))

    def set_verdict(self, file_id: int, verdict: VerdictKind) -> None:
        """Store the verdict on a file."""
        self._execute("UPDATE files SET verdict = ? WHERE id = ?", (verdict, file_id))

    def set_away(self, file_id: int, lies_at: str | None, entry_id: int) -> None:
        """Note that dedupd moved a file (`lies_at`) or copied it (None)."""
        place = None if lies_at is None else os.fsencode(lies_at)
        self._execute("UPDATE files SET lies_at = ?, entry_id = ? WHERE id = ?", (place, entry_id, file_id))

    def set_home(self, file_id: int, stat: FileStat, returned_ns: int | None) -> None:
        """Note that a file lies at its home again; `returned_ns` when a person wanted it there."""
        sql = (
            "UPDATE files SET lies_at = NULL, entry_id = NULL, path = ?, device = ?, inode = ?, size = ?, "
            "mtime_ns = ?, ctime_ns = ?, returned_ns = coalesce(?, returned_ns) WHERE id = ?"
        )
        values = (os.fsencode(stat.path), signed(stat.device), signed(stat.inode), stat.size, stat.mtime_ns,
                  stat.ctime_ns, returned_ns, file_id)  # fmt: skip
        self._execute(sql, values)

    def entries_without_file(self) -> list[int]:
        """List the ledger entries that are done and that no file knows of: a crash came between."""
        sql = (
            "SELECT l.id FROM ledger l LEFT JOIN files f ON f.entry_id = l.id "
            "WHERE l.state = 'done' AND f.id IS NULL ORDER BY l.id"
        )
        return [row[0] for row in self._execute(sql)]

    def files_misplaced(self) -> list[CatalogFile]:
        """List the files that dedupd moved or copied for another verdict than they have now."""
        sql = f"SELECT {FILE_ROW} JOIN ledger l ON l.id = f.entry_id WHERE l.verdict <> f.verdict"
        return [file_of(row) for row in self._execute(sql)]

    def files_of_undone_entries(self) -> list[CatalogFile]:
        """List the files that still point at a ledger entry that was undone: a crash came between."""
        sql = f"SELECT {FILE_ROW} JOIN ledger l ON l.id = f.entry_id WHERE l.state = 'undone'"
        return [file_of(row) for row in self._execute(sql)]

    # -- embeddings -------------------------------------------------------------------------------------------------

    def put_embedding(self, image_id: int, model_id: str, vector: NDArray[np.float32]) -> None:
        """Store an embedding (float32 [d]) as float16."""
        if self._model(model_id) < 0:
            self._execute("INSERT INTO models (model_id) VALUES (?)", (model_id,))
        sql = "INSERT OR REPLACE INTO embeddings (model, image_id, vector) VALUES (?, ?, ?)"
        self._execute(sql, (self._model(model_id), image_id, vector.astype(np.float16).tobytes()))

    def embedding(self, image_id: int, model_id: str) -> NDArray[np.float32] | None:
        """Return one embedding as float32 [d]."""
        sql = "SELECT vector FROM embeddings WHERE model = ? AND image_id = ?"
        row = self._execute(sql, (self._model(model_id), image_id)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float16).astype(np.float32)

    def embeddings_after(self, model_id: str, after: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return up to `limit` embeddings with an image id above `after`: (ids [n], float32 [n, d]), ascending."""
        sql = "SELECT image_id, vector FROM embeddings WHERE model = ? AND image_id > ? ORDER BY image_id LIMIT ?"
        rows = self._execute(sql, (self._model(model_id), after, limit)).fetchall()
        ids = np.array([row[0] for row in rows], np.int64)
        raw = np.frombuffer(b"".join(row[1] for row in rows), np.float16).astype(np.float32)
        return ids, raw.reshape(len(rows), -1) if rows else raw.reshape(0, 0)

    def count_embeddings(self, model_id: str) -> int:
        """Count the embeddings of a model."""
        sql = "SELECT count(*) FROM embeddings WHERE model = ?"
        return int(self._execute(sql, (self._model(model_id),)).fetchone()[0])

    def newest_embedding(self, model_id: str) -> int:
        """Return the highest image id that has an embedding of the model, 0 when there is none."""
        sql = "SELECT coalesce(max(image_id), 0) FROM embeddings WHERE model = ?"
        return int(self._execute(sql, (self._model(model_id),)).fetchone()[0])

    def without_embedding(self, model_id: str, limit: int) -> list[tuple[int, bytes]]:
        """List (id, SHA-256) of images in play that lack an embedding of the model."""
        sql = (
            "SELECT i.id, i.sha256 FROM images i JOIN observations o ON o.image_id = i.id "
            "LEFT JOIN embeddings e ON e.model = ? AND e.image_id = i.id "
            "WHERE e.image_id IS NULL AND i.orphaned_ns IS NULL AND (i.reject IS NULL OR i.sha256 IN kept_contents OR "
            "EXISTS (SELECT 1 FROM files f JOIN folders d ON d.id = f.folder_id "
            "WHERE f.image_id = i.id AND d.protected)) ORDER BY i.id LIMIT ?"
        )
        return [(row[0], bytes(row[1])) for row in self._execute(sql, (self._model(model_id), limit))]

    def drop_embeddings(self, image_id: int) -> None:
        """Delete an image's embeddings by all models: they were made of a preview that is no more."""
        gone = self._execute("DELETE FROM embeddings WHERE image_id = ?", (image_id,)).rowcount
        self.remember(_REMOVALS_KEY, str(self.count_removals() + gone))

    def drop_other_models(self, model_id: str) -> int:
        """Delete the embeddings of every other model; return how many."""
        return int(self._execute("DELETE FROM embeddings WHERE model <> ?", (self._model(model_id),)).rowcount)

    def _model(self, model_id: str) -> int:
        """Return the model's number, -1 for one without embeddings."""
        if model_id not in self._models:
            row = self._execute("SELECT id FROM models WHERE model_id = ?", (model_id,)).fetchone()
            if row is None:
                return -1
            self._models[model_id] = int(row[0])
        return self._models[model_id]

    # -- counts -----------------------------------------------------------------------------------------------------

    def verdict_counts(self) -> dict[str, int]:
        """Count files by verdict."""
        rows = self._execute("SELECT verdict, count(*) FROM files GROUP BY verdict")
        return {str(row[0]): int(row[1]) for row in rows}

    def folder_counts(self) -> dict[str, int]:
        """Count files by folder path."""
        sql = "SELECT d.path, count(f.id) FROM folders d LEFT JOIN files f ON f.folder_id = d.id GROUP BY d.id"
        return {os.fsdecode(row[0]): int(row[1]) for row in self._execute(sql)}

    def count_groups(self) -> int:
        """Count the images that another image or another file of their own content stands behind."""
        sql = (
            "SELECT count(*) FROM (SELECT keeper_id FROM standings WHERE image_id <> keeper_id UNION "
            "SELECT image_id FROM files WHERE verdict = 'duplicate' AND image_id IN "
            "(SELECT keeper_id FROM standings WHERE level = 'duplicates' AND image_id = keeper_id))"
        )
        return int(self._execute(sql).fetchone()[0])

    def count_images(self) -> int:
        """Count the images that a file holds."""
        return int(self._execute("SELECT count(*) FROM images WHERE orphaned_ns IS NULL").fetchone()[0])

    def integrity_problems(self) -> list[str]:
        """Let SQLite check the file; an empty list when it is sound."""
        rows = [str(row[0]) for row in self._execute("PRAGMA quick_check")]
        broken = [f"the catalog's file: {row}" for row in rows if row != "ok"]
        return broken + [f"the catalog's references: {tuple(row)}" for row in self._execute("PRAGMA foreign_key_check")]

    def _in_chunks(self, sql: str, ids: Iterable[int]) -> Iterator[Any]:
        wanted = list(ids)
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            yield from self._execute(f"{sql} ({','.join('?' * len(part))})", part)
