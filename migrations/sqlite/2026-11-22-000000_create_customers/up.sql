-- Timestamps are microseconds since the Unix epoch, UTC.
--
-- `seq` keeps rows in the order in which they were created, whatever the order of the callers' ids, so that new
-- customers are appended. `record` comes last: SQLite reads the columns before a long value without reading the value.
CREATE TABLE customers (
    seq INTEGER NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sealed_by TEXT,
    record BLOB NOT NULL,
    UNIQUE (account, customer_id)
) STRICT;

CREATE INDEX customers_by_creation ON customers (account, created_at);

-- One row. Customers get later timestamps than the last delete, even if the newest ones are gone, the service was started
-- again, and the clock was set back.
CREATE TABLE last_delete (
    timestamp INTEGER NOT NULL
) STRICT;

INSERT INTO last_delete VALUES (0);

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
