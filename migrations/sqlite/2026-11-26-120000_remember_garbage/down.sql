DROP TRIGGER customer_replaced;
DROP TRIGGER customer_deleted;
DROP TABLE garbage;
