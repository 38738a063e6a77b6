-- Where events are sent. `types` has a bit for each type of event, by its number in `events`. All events up to `position` are
-- acknowledged, or left out, or of customers in `held_customers`; `position_id` and `position_at` tell that event from another
-- one at its position. Times are microseconds since the Unix epoch. Whoever takes an endpoint over, or starts it anew, raises
-- `epoch`, so that nobody writes down what was true before. `lease_ends_at` is in seconds, by the database's clock.
CREATE TABLE webhooks (
    webhook_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    types BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    position BIGINT NOT NULL,
    position_id BYTEA NOT NULL,
    position_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since BIGINT,
    held_until BIGINT NOT NULL,
    last_failure TEXT,
    epoch BIGINT NOT NULL,
    holder TEXT,
    lease_ends_at BIGINT NOT NULL DEFAULT 0
);

-- What signs the requests, sealed. No seal key is forgotten that is needed to open one.
CREATE TABLE webhook_secrets (
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    secret_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    sealed_by TEXT NOT NULL REFERENCES seal_keys (key_id),
    secret BYTEA NOT NULL,
    PRIMARY KEY (webhook_id, secret_id)
);

-- Customers whose events wait, because one could not be sent: from `position` on, nothing is acknowledged.
CREATE TABLE held_customers (
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    customer_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (webhook_id, customer_id)
);

