-- Timestamps are microseconds since the Unix epoch, UTC.
--
-- `seq` keeps rows in the order in which they were created, whatever the order of the callers' ids, so that new
-- customers are appended. `record` comes last: SQLite reads the columns before a long value without reading the value.
--
-- `version` is the hash of the signature that wrote the row, if it was signed, and `signature_expires_at` is when that
-- signature expires, in Unix seconds: a request that is sent again is known by them. When the row is replaced or deleted,
-- both move to `used_signatures`.
CREATE TABLE customers (
    seq INTEGER NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    signature_expires_at INTEGER,
    sealed_by TEXT,
    record BLOB NOT NULL,
    UNIQUE (account, customer_id)
) STRICT;

-- The order of a list. A new customer's entry is added at the end of its account's.
CREATE INDEX customers_by_creation ON customers (account, created_at, customer_id);

-- One row. New customers get a later timestamp and a larger `seq` than these: so many were used by customers that were
-- deleted or imported. It holds even if the newest customers are gone, the service was started again, and the clock was
-- set back.
CREATE TABLE high_water (
    timestamp INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO high_water VALUES (0, 0);

CREATE TABLE signing_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Values that the service makes once and must remember, such as the key that authenticates page tokens.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys that have sealed records, each with a known text that it sealed.
CREATE TABLE seal_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    check_value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Signatures that carried out a write, so that each does so once, if no row of `customers` shows it. `expires_at` is in
-- Unix seconds and comes first in the key: inserts are nearly in order, and what has expired is at one end. `hash` is over
-- the key and the signed text, `outcome` is what the caller was told.
CREATE TABLE used_signatures (
    expires_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    outcome BLOB NOT NULL,
    PRIMARY KEY (expires_at, hash)
) STRICT, WITHOUT ROWID;
