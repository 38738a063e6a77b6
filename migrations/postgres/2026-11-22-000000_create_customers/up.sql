-- Timestamps are microseconds since the Unix epoch, UTC. No column has a collation, which CockroachDB would refuse: the
-- queries that order rows say that bytes are compared. There is no `seq`: a heap has no order to keep.
--
-- `created_in` is the transaction that created the customer: a list that was begun before leaves the customer out.
-- `imported_at` is when it came from another database, if it did; `created_at` is older then.
CREATE TABLE customers (
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_in XID8 NOT NULL DEFAULT pg_current_xact_id(),
    imported_at BIGINT,
    sealed_by TEXT,
    record BYTEA NOT NULL,
    PRIMARY KEY (account, customer_id)
);

CREATE INDEX customers_by_creation ON customers (account, created_at);

CREATE TABLE signing_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Values that the service makes once and must remember, such as the key that authenticates page tokens.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- The keys that have sealed records, each with a known text that it sealed.
CREATE TABLE seal_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    check_value BYTEA NOT NULL
);

-- Signatures that carried out a write, so that each does so once. `expires_at` is in Unix seconds and comes first in the
-- key: inserts are nearly in order, and what has expired is at one end. `hash` is over the key and the signed text,
-- `outcome` is what the caller was told.
CREATE TABLE used_signatures (
    expires_at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    PRIMARY KEY (expires_at, hash)
);
