-- What happened to customers, for those who follow: no field of a customer. The events of an account have the positions 1, 2,
-- 3, …, from which the oldest are pruned in the end. `event_id` is the version that the customer has since then, or the name
-- of a delete. `event_type` is 1 for a customer that is new, 2 for one that was replaced, and 3 for one that is gone.
CREATE TABLE events (
    account TEXT NOT NULL,
    position INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    event_id BLOB NOT NULL,
    event_type INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    previous BLOB,
    key_id TEXT,
    PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX events_by_customer ON events (account, customer_id, position);

-- Where the events of an account begin and end. The last one that was pruned is remembered, for whoever has read just that.
-- `oldest_at` is when the first one after it happened, so that whoever prunes need not look at every account. It is NULL if
-- there is none, or if nobody has looked yet.
CREATE TABLE feed_heads (
    account TEXT NOT NULL PRIMARY KEY,
    newest INTEGER NOT NULL,
    pruned INTEGER NOT NULL,
    pruned_id BLOB,
    pruned_at INTEGER,
    oldest_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX feed_heads_by_age ON feed_heads (oldest_at);

CREATE TRIGGER event_pruned AFTER DELETE ON events BEGIN
    UPDATE garbage SET state = 1 WHERE state <> 1;
END;
