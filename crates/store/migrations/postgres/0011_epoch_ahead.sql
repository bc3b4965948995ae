-- The highest epoch that was found, or given, too far in the future to be believed; and the one that a user accepted all the same.
ALTER TABLE pipeline ADD COLUMN ahead_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline ADD COLUMN accepted_epoch BIGINT NOT NULL DEFAULT 0;
