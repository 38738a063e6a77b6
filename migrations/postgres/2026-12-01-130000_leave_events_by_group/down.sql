ALTER TABLE outbox RENAME TO outbox_after;

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

INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id)
SELECT event.* FROM (SELECT * FROM outbox_after ORDER BY seq) AS left_over,
    unnest(account, customer_id, event_id, event_type, occurred_at, previous, key_id) AS event;

DROP TABLE outbox_after;
