-- Version 1 of the schema, from version 0. Never changed after its release.

CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    channel TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    ttl REAL NOT NULL,
    idle_ttl REAL NOT NULL,
    by_key INTEGER NOT NULL,
    used REAL NOT NULL,
    due REAL NOT NULL -- when the sweep looks at it next
);

CREATE INDEX streams_due ON streams (due);

CREATE TABLE publications (
    stream INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    stored REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (stream, offset)
) WITHOUT ROWID;

CREATE TABLE latest (
    stream INTEGER NOT NULL,
    key TEXT NOT NULL,
    offset INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;

CREATE INDEX latest_offset ON latest (stream, offset);

CREATE TABLE keys (
    stream INTEGER NOT NULL,
    key TEXT NOT NULL,
    until REAL NOT NULL,
    id TEXT NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;

CREATE INDEX keys_until ON keys (until);

CREATE TABLE facts (
    user TEXT PRIMARY KEY,
    roles BLOB,
    permissions BLOB,
    workspaces BLOB
) WITHOUT ROWID;

CREATE TABLE rooms (
    channel TEXT PRIMARY KEY,
    until REAL NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX rooms_until ON rooms (until);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    nonce TEXT NOT NULL,
    client TEXT NOT NULL,
    until REAL NOT NULL,
    identity BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_until ON sessions (until);

CREATE TABLE tickets (
    digest TEXT PRIMARY KEY,
    until REAL NOT NULL,
    identity BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX tickets_until ON tickets (until);

CREATE TABLE revocations (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    at REAL NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;

CREATE INDEX revocations_at ON revocations (at);

CREATE INDEX revocations_until ON revocations (until);

CREATE TABLE approvals (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    decided INTEGER NOT NULL,
    body BLOB NOT NULL
);

CREATE INDEX approvals_waiting ON approvals (channel, created_at) WHERE decided = 0;

CREATE INDEX approvals_expiry ON approvals (expires_at);

CREATE TABLE owners (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL UNIQUE,
    until REAL NOT NULL
);

CREATE INDEX owners_until ON owners (until);

CREATE TABLE shared (
    owner INTEGER NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;

CREATE TABLE counters (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value INTEGER NOT NULL,
    until REAL NOT NULL
);

CREATE INDEX counters_until ON counters (until);

CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
