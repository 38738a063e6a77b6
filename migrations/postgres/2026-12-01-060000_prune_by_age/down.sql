DROP INDEX feed_heads_by_age;
ALTER TABLE feed_heads DROP COLUMN oldest_at;
