-- What tells which of two pictures is the original: traces in the pixels, and what the second look saw of what lies where.

-- NULL for images measured before there were traces; `reindex` measures those again.
ALTER TABLE observations ADD COLUMN spectrum BLOB;
ALTER TABLE observations ADD COLUMN overshoot REAL;
ALTER TABLE observations ADD COLUMN noise REAL;
ALTER TABLE observations ADD COLUMN clipped REAL;
ALTER TABLE observations ADD COLUMN stored_step REAL;
ALTER TABLE observations ADD COLUMN seen_step REAL;
ALTER TABLE observations ADD COLUMN colour REAL;
ALTER TABLE observations ADD COLUMN margin REAL;

-- Of the two, the one whose content hash comes first is the first: ids depend on the order of arrival.
ALTER TABLE second_looks ADD COLUMN relation TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE second_looks ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;
ALTER TABLE second_looks ADD COLUMN first_covered REAL NOT NULL DEFAULT 1;
ALTER TABLE second_looks ADD COLUMN second_covered REAL NOT NULL DEFAULT 1;

-- Standings of the rounds before the last, each at a level, in which pairs are found to ask which is the original.
CREATE TABLE drafts (
    level TEXT NOT NULL,  -- and round: "duplicates 0"
    image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    keeper_id INTEGER NOT NULL REFERENCES images (id),
    PRIMARY KEY (level, image_id)
) WITHOUT ROWID;
CREATE INDEX drafts_keeper ON drafts (level, keeper_id);
