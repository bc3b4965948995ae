-- A small source for laptop.waybill.yaml.
CREATE TABLE customers (id integer primary key, name text not null, email text);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Grace', NULL);
CREATE TABLE orders (id integer primary key, customer_id integer not null, total decimal(12,2) not null);
INSERT INTO orders VALUES (1, 1, 12.50), (2, 2, 0.99), (3, 1, 1048.00);
