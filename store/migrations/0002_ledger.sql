-- What dedupd did to files. A row is written, durably, before its file is touched, and is never removed.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- ids are never reused: temporary names carry them
    batch INTEGER NOT NULL,  -- one per run of decisions
    verb TEXT NOT NULL CHECK (verb IN ('move', 'copy')),
    source BLOB NOT NULL,
    target BLOB NOT NULL,  -- the one name in use: changed, durably, before another is tried
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    mode INTEGER NOT NULL,  -- permission bits
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    keeper BLOB,
    folder_root BLOB NOT NULL,
    quarantine_root BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'done', 'undoing', 'undone', 'failed', 'abandoned')),
    inode INTEGER,  -- of the file dedupd is about to place; tells its own from a stranger's after a crash
    restored BLOB,  -- where the undo puts it: the source's path unless that is taken
    error TEXT NOT NULL DEFAULT '',
    not_kept TEXT NOT NULL DEFAULT '',  -- metadata that the target's file system could not take
    planned_ns INTEGER NOT NULL,
    finished_ns INTEGER,  -- done, failed or abandoned since
    undone_ns INTEGER
);
CREATE INDEX ledger_unfinished ON ledger (id) WHERE state IN ('planned', 'undoing');
CREATE INDEX ledger_state ON ledger (state, batch);
CREATE INDEX ledger_batch ON ledger (batch);
CREATE INDEX ledger_source ON ledger (source);
CREATE INDEX ledger_target ON ledger (target);
CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;
CREATE TRIGGER ledger_facts_stay
BEFORE UPDATE OF id, batch, verb, source, sha256, size, mtime_ns, mode, verdict, reason, keeper, planned_ns ON ledger
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;
