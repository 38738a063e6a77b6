DROP TABLE key_uses;
DROP TABLE key_limits;
