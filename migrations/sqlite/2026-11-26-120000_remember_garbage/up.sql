-- One row: whether something that was deleted or replaced may still be in the files. 0 is no; 1 is yes; 2 is that it is
-- being erased. So a start need not go over the whole file. Of a database that has customers already, nobody knows.
CREATE TABLE garbage (state INTEGER NOT NULL) STRICT;

INSERT INTO garbage SELECT EXISTS (SELECT 1 FROM customers);

-- Whoever deletes or replaces, in the same transaction. No page is written if it is noted already.
CREATE TRIGGER customer_deleted AFTER DELETE ON customers BEGIN
    UPDATE garbage SET state = 1 WHERE state <> 1;
END;

CREATE TRIGGER customer_replaced AFTER UPDATE ON customers BEGIN
    UPDATE garbage SET state = 1 WHERE state <> 1;
END;
