-- A small source for changed.waybill.yaml: whatever writes a row gives it the next revision.
CREATE TABLE tickets (id integer primary key, state text not null, revision integer not null);
INSERT INTO tickets VALUES (1, 'open', 1), (2, 'open', 2), (3, 'closed', 3);
CREATE TABLE messages (ticket_id integer not null, number integer not null, body text, revision integer not null, unique (ticket_id, number));
INSERT INTO messages VALUES (1, 1, 'It rattles.', 4), (1, 2, 'Does it still?', 5), (2, 1, 'Thank you.', 6);
