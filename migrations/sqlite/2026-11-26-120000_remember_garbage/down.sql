DROP TABLE garbage;
