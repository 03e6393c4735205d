-- Version 2 of the schema, from version 1. Never changed after its release.

CREATE TABLE lists (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    value TEXT NOT NULL
);

CREATE INDEX lists_key ON lists (key, number);
