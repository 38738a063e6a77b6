-- What happened to customers, for those who follow: no field of a customer. The events of an account have the positions 1, 2,
-- 3, …, from which the oldest are pruned in the end. `event_id` is the version that the customer has since then, or the name
-- of a delete. `event_type` is 1 for a customer that is new, 2 for one that was replaced, and 3 for one that is gone.
CREATE TABLE events (
    account TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    event_id BYTEA NOT NULL,
    event_type BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    previous BYTEA,
    key_id TEXT,
    PRIMARY KEY (account, position)
);

-- An expression and not the account itself, so that each statement goes through the index that it is made for.
CREATE INDEX events_by_customer ON events ((account || ''), customer_id, position);

-- Where the events of an account begin and end. The last one that was pruned is remembered, for whoever has read just that.
-- `oldest_at` is when the first one after it happened, so that whoever prunes need not look at every account. It is NULL if
-- there is none, or if nobody has looked yet.
CREATE TABLE feed_heads (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    newest BIGINT NOT NULL,
    pruned BIGINT NOT NULL,
    pruned_id BYTEA,
    pruned_at BIGINT,
    oldest_at BIGINT
);

CREATE INDEX feed_heads_by_age ON feed_heads (oldest_at);

-- Events that are committed, and have no position yet. `seq` is drawn while the customer is locked, so that it orders the
-- events of each customer; those of different customers may become visible in another order.
CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    event_id BYTEA NOT NULL,
    event_type BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    previous BYTEA,
    key_id TEXT
);
