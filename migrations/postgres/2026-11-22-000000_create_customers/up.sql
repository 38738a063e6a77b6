-- Moments are microseconds since the Unix epoch, UTC. No column has a collation, which CockroachDB would refuse: the
-- queries that order rows say themselves that bytes are compared.
CREATE TABLE customers (
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    middle_name TEXT,
    date_of_birth DATE NOT NULL,
    identities TEXT NOT NULL,
    street TEXT NOT NULL,
    street2 TEXT,
    city TEXT NOT NULL,
    post_code TEXT NOT NULL,
    state TEXT NOT NULL,
    country TEXT NOT NULL,
    version BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, customer_id)
);

CREATE INDEX customers_by_creation ON customers (account, created_at, customer_id);

CREATE TABLE signing_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- What the service makes up once and must remember, such as the key that authenticates page tokens.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
