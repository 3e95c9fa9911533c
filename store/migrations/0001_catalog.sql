-- What dedupd knows: where content lies (files), what it is (images), and how images stand to each other.

CREATE TABLE settings_memory (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    protected INTEGER NOT NULL DEFAULT 0,
    marker TEXT NOT NULL DEFAULT '',
    device INTEGER,
    inode INTEGER
);

-- Content. `reject` is the quality verdict on it; NULL for a picture that may stay.
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- ids are never reused: indexes are keyed by them
    sha256 BLOB NOT NULL UNIQUE,
    byte_size INTEGER NOT NULL,
    reject TEXT,
    reject_reason TEXT NOT NULL DEFAULT '',
    orphaned_ns INTEGER  -- since when no file holds it; NULL while one does
);
CREATE INDEX images_orphaned ON images (orphaned_ns) WHERE orphaned_ns IS NOT NULL;

-- One row per decodable image; an undecodable one has none, its reason is the reject_reason.
CREATE TABLE observations (
    image_id INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    format TEXT NOT NULL,
    pixels_sha256 BLOB NOT NULL,
    metadata_fields INTEGER NOT NULL,
    sharpness REAL NOT NULL,
    brightness REAL NOT NULL,
    contrast REAL NOT NULL,
    detail REAL NOT NULL,
    entropy REAL NOT NULL,
    sharpest REAL NOT NULL,
    highlights REAL NOT NULL,
    tones REAL NOT NULL,
    phash INTEGER NOT NULL,  -- 64 bits as a signed integer
    dhash INTEGER NOT NULL,
    hashable INTEGER NOT NULL
);
CREATE INDEX observations_pixels ON observations (pixels_sha256);

CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL UNIQUE
);

CREATE TABLE embeddings (
    model INTEGER NOT NULL REFERENCES models (id),
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    vector BLOB NOT NULL,  -- float16, L2-normalised
    PRIMARY KEY (model, image_id)
) WITHOUT ROWID;
CREATE INDEX embeddings_image ON embeddings (image_id);

-- Places. `path` is the file's home; `lies_at` is where dedupd put it, NULL while it is at home.
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images (id),
    verdict TEXT NOT NULL DEFAULT 'keep',
    lies_at BLOB,
    entry_id INTEGER,  -- the ledger entry that put it there, or made the copy
    returned_ns INTEGER  -- when a person took it back: dedupd leaves it alone from then on
);
-- One file at a time lies at a path; files in quarantine may share a home with each other and with a newcomer.
CREATE UNIQUE INDEX files_home ON files (path) WHERE lies_at IS NULL;
CREATE INDEX files_image ON files (image_id);
CREATE INDEX files_inode ON files (inode);
CREATE INDEX files_folder ON files (folder_id, verdict);
CREATE INDEX files_verdict ON files (verdict);
CREATE INDEX files_place ON files (lies_at) WHERE lies_at IS NOT NULL;
CREATE INDEX files_away ON files (entry_id) WHERE entry_id IS NOT NULL;

-- Keepers point at themselves, extras at their keeper. An image out of play has no row.
CREATE TABLE standings (
    level TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    keeper_id INTEGER NOT NULL REFERENCES images (id),
    PRIMARY KEY (level, image_id)
) WITHOUT ROWID;
CREATE INDEX standings_keeper ON standings (level, keeper_id);

-- What the second look saw on a pair (smaller id first); `kind` NULL when it did not confirm the pair.
CREATE TABLE second_looks (
    a_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    b_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    verifier TEXT NOT NULL,
    kind TEXT,
    explanation TEXT NOT NULL,
    PRIMARY KEY (a_id, b_id)
) WITHOUT ROWID;
CREATE INDEX second_looks_b ON second_looks (b_id);

-- Files seen and not yet decided. A row leaves in the transaction that decides it.
CREATE TABLE arrivals (
    path BLOB PRIMARY KEY,
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    state TEXT NOT NULL,  -- seen | failed
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_ns INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    seen_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX arrivals_failed ON arrivals (retry_ns) WHERE state = 'failed';
CREATE INDEX arrivals_folder ON arrivals (folder_id);
