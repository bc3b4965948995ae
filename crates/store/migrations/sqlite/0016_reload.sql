-- A stream of a run that is read whole, whatever its load, in place of what its table has.
ALTER TABLE run_stream ADD COLUMN reload BIGINT NOT NULL DEFAULT 0;
