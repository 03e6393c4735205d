-- Version 3 of the schema, from version 2. Never changed after its release.

ALTER TABLE rooms ADD COLUMN origin TEXT NOT NULL DEFAULT 'backend';

ALTER TABLE rooms ADD COLUMN maker TEXT NOT NULL DEFAULT '';

ALTER TABLE rooms ADD COLUMN life TEXT NOT NULL DEFAULT '';

-- Seconds a record may be unused before it ends; 0 for one that does not end unused.
ALTER TABLE rooms ADD COLUMN idle REAL NOT NULL DEFAULT 0;

-- The origin of older records is not known: all of them stay.
UPDATE rooms SET until = 9e999, life = lower(hex(randomblob(8)));

CREATE INDEX rooms_maker ON rooms (maker) WHERE maker <> '';
