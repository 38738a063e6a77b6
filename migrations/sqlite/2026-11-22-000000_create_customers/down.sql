DROP TABLE used_signatures;
DROP TABLE secrets;
DROP TABLE signing_keys;
DROP TABLE high_water;
DROP TABLE customers;
