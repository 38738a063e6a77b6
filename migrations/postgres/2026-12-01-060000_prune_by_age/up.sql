-- When the oldest event of an account that is kept happened, so that whoever prunes need not look at every account. It is NULL
-- if there is none, or if nobody has looked yet.
ALTER TABLE feed_heads ADD COLUMN oldest_at BIGINT;

CREATE INDEX feed_heads_by_age ON feed_heads (oldest_at);
