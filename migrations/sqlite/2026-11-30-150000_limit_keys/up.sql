-- Keys that may only read, or that expire. `expires_at` and `revoked_at` are in microseconds since the Unix epoch. A version
-- that does not know this table must not take such a key for one that may write for ever. So the key's row in `signing_keys`
-- says that it is revoked, and when it really was stands here.
CREATE TABLE key_limits (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES signing_keys (key_id),
    scope TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- The last day on which a signature of a key was verified: days since the Unix epoch, UTC.
CREATE TABLE key_uses (
    key_id TEXT NOT NULL PRIMARY KEY,
    used_on INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
