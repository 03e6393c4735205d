-- Version 4 of the schema, from version 3. Never changed after its release.
-- After these statements `migration.py` moves the rows of older tables into the new ones, and drops those.

-- Values by key; without `until` they do not expire.
ALTER TABLE kept ADD COLUMN until REAL;

CREATE INDEX kept_until ON kept (until) WHERE until IS NOT NULL;

CREATE TABLE records (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    until REAL,
    cache INTEGER NOT NULL DEFAULT 0 -- 1 when an index evicts its fields: the oldest of these may go
);

CREATE INDEX records_until ON records (until) WHERE until IS NOT NULL;

CREATE INDEX records_cache ON records (number) WHERE cache = 1;

CREATE TABLE fields (
    record INTEGER NOT NULL REFERENCES records (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (record, name)
) WITHOUT ROWID;

CREATE TABLE members (
    list TEXT NOT NULL,
    member TEXT NOT NULL,
    score REAL NOT NULL,
    record INTEGER NOT NULL REFERENCES records (number) ON DELETE CASCADE,
    PRIMARY KEY (list, member)
) WITHOUT ROWID;

CREATE INDEX members_score ON members (list, score);

CREATE INDEX members_record ON members (record);
