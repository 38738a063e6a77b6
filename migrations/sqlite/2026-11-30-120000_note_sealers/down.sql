DROP TABLE sealers;
