-- Timestamps are microseconds since the Unix epoch, UTC. Keys are compared byte by byte, whatever the database's collation.
-- There is no `seq`: a heap has no order to keep.
--
-- `version` is the hash of the signature that wrote the row, if it was signed, and `signature_expires_at` is when that
-- signature expires, in Unix seconds: a request that is sent again is known by them. When the row is replaced or deleted,
-- both move to `used_signatures`.
--
-- `created_in` is the transaction that created the customer: a list that was begun before leaves the customer out.
-- `imported_at` is when it came from another database, if it did; `created_at` is older then.
CREATE TABLE customers (
    account TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    version BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_in XID8 NOT NULL DEFAULT pg_current_xact_id(),
    imported_at BIGINT,
    signature_expires_at BIGINT,
    sealed_by TEXT,
    record BYTEA NOT NULL,
    PRIMARY KEY (account, customer_id)
);

-- The order of a list. A new customer's entry is added at the end of its account's. An expression and not the account
-- itself: otherwise, a look-up by key that is planned while each account has one customer might go through this index, and
-- so through all customers of the account when it has many.
CREATE INDEX customers_by_creation ON customers ((account || ''), created_at, customer_id);

CREATE TABLE signing_keys (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Values that the service makes once and must remember, such as the key that authenticates page tokens.
CREATE TABLE secrets (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- The keys that have sealed records, each with a known text that it sealed.
CREATE TABLE seal_keys (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    check_value BYTEA NOT NULL
);

-- Signatures that carried out a write, so that each does so once, if no row of `customers` shows it. `expires_at` is in
-- Unix seconds and comes first in the key: inserts are nearly in order, and what has expired is at one end. `hash` is over
-- the key and the signed text, `outcome` is what the caller was told.
CREATE TABLE used_signatures (
    expires_at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    PRIMARY KEY (expires_at, hash)
);
