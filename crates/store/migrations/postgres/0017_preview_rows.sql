-- How many rows of each stream a preview takes; none for other kinds of runs.
ALTER TABLE run ADD COLUMN preview_rows BIGINT;
