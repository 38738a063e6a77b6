-- Where events are sent. `types` has a bit for each type of event, by its number in `events`. All events up to `position` are
-- acknowledged, or left out, or of customers in `held_customers`; `position_id` and `position_at` tell that event from another
-- one at its position. Times are microseconds since the Unix epoch. Whoever takes an endpoint over, or starts it anew, raises
-- `epoch`, so that nobody writes down what was true before. `lease_ends_at` is in seconds, by the database's clock.
CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    url TEXT NOT NULL,
    types INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    position INTEGER NOT NULL,
    position_id BLOB NOT NULL,
    position_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    held_until INTEGER NOT NULL,
    last_failure TEXT,
    epoch INTEGER NOT NULL,
    holder TEXT,
    lease_ends_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What signs the requests, sealed. No seal key is forgotten that is needed to open one.
CREATE TABLE webhook_secrets (
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    sealed_by TEXT NOT NULL REFERENCES seal_keys (key_id),
    secret BLOB NOT NULL,
    PRIMARY KEY (webhook_id, secret_id)
) STRICT, WITHOUT ROWID;

-- Customers whose events wait, because one could not be sent: from `position` on, nothing is acknowledged.
CREATE TABLE held_customers (
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    customer_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, customer_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER webhook_secret_deleted AFTER DELETE ON webhook_secrets BEGIN
    UPDATE garbage SET state = 1 WHERE state <> 1;
END;

CREATE TRIGGER webhook_secret_replaced AFTER UPDATE ON webhook_secrets BEGIN
    UPDATE garbage SET state = 1 WHERE state <> 1;
END;
