-- The events of one transaction are one row of arrays, with an element for each event, in the order of the writes: to write,
-- find and delete a row for each event cost more than all else that an event does. The arrays are not compressed, because a
-- row lives for a few milliseconds.
ALTER TABLE outbox RENAME TO outbox_before;

CREATE TABLE outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT[] COLLATE "C" NOT NULL,
    customer_id TEXT[] COLLATE "C" NOT NULL,
    event_id BYTEA[] NOT NULL,
    event_type BIGINT[] NOT NULL,
    occurred_at BIGINT[] NOT NULL,
    previous BYTEA[] NOT NULL,
    key_id TEXT[] NOT NULL
);

ALTER TABLE outbox
    ALTER COLUMN account SET STORAGE EXTERNAL,
    ALTER COLUMN customer_id SET STORAGE EXTERNAL,
    ALTER COLUMN event_id SET STORAGE EXTERNAL,
    ALTER COLUMN event_type SET STORAGE EXTERNAL,
    ALTER COLUMN occurred_at SET STORAGE EXTERNAL,
    ALTER COLUMN previous SET STORAGE EXTERNAL,
    ALTER COLUMN key_id SET STORAGE EXTERNAL;

-- What has no position yet.
INSERT INTO outbox (account, customer_id, event_id, event_type, occurred_at, previous, key_id)
SELECT array_agg(account ORDER BY seq),
    array_agg(customer_id ORDER BY seq),
    array_agg(event_id ORDER BY seq),
    array_agg(event_type ORDER BY seq),
    array_agg(occurred_at ORDER BY seq),
    array_agg(previous ORDER BY seq),
    array_agg(key_id ORDER BY seq)
FROM outbox_before HAVING count(*) > 0;

DROP TABLE outbox_before;
