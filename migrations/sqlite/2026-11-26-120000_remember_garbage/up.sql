-- One row: whether something that was deleted or replaced may still be in the files. 0 is no; 1 is yes; 2 is that it is
-- being erased. Then a start need not go over the whole file. Of a database that has customers already, nobody knows.
CREATE TABLE garbage (state INTEGER NOT NULL) STRICT;

INSERT INTO garbage SELECT EXISTS (SELECT 1 FROM customers);
