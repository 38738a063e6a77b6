-- Who may write records that are sealed by which key; without a key they are plain. A process that writes records notes
-- that first, and renews it. `expires_at` is in Unix seconds, by the database's clock: after it, the process writes
-- nothing more by this note. A seal key is forgotten only when nobody is noted for it, and nobody is noted for a key that
-- was forgotten.
CREATE TABLE sealers (
    sealer TEXT NOT NULL PRIMARY KEY,
    key_id TEXT REFERENCES seal_keys (key_id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
