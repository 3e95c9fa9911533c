-- What a person said. By content, so that it outlives files, names, indexes and models; an id is never used again, and
-- of two rulings that disagree the one with the higher id holds.
CREATE TABLE rulings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('not-duplicates', 'keep-all', 'keep-this')),
    ruled_ns INTEGER NOT NULL
);
CREATE TABLE ruled_contents (
    ruling_id INTEGER NOT NULL REFERENCES rulings (id) ON DELETE CASCADE,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),  -- no reference: the image may be forgotten, the ruling is not
    name BLOB NOT NULL,  -- the path it was ruled on by, for people
    PRIMARY KEY (ruling_id, sha256)
) WITHOUT ROWID;
CREATE INDEX ruled_contents_sha256 ON ruled_contents (sha256);
-- What a person wants to stay, whatever its quality: it is in play although it was rejected.
CREATE VIEW kept_contents AS
SELECT DISTINCT c.sha256 FROM ruled_contents c JOIN rulings r ON r.id = c.ruling_id WHERE r.kind <> 'not-duplicates';

-- Files that a person took back by the manifest while the catalog did not know them: when they are seen, they are
-- files that were taken back, and the row goes.
CREATE TABLE taken_back (
    path BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    returned_ns INTEGER NOT NULL,
    PRIMARY KEY (path, sha256)
) WITHOUT ROWID;
