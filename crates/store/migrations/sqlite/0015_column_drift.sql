-- Columns of a stream that were others than its table's, by what became of them: numbers only, names never leave.
ALTER TABLE run_stream ADD COLUMN columns_new BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run_stream ADD COLUMN columns_gone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run_stream ADD COLUMN columns_changed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run_stream ADD COLUMN columns_ignored BIGINT NOT NULL DEFAULT 0;
