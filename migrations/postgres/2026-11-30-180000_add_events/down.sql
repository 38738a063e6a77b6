DROP TABLE outbox;
DROP TABLE events;
DROP TABLE feed_heads;
