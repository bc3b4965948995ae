-- How long an attempt may take from its row to the enrolment of its worker: its own, so that a restart gives it the same again.
-- The orchestrator of the last version, which may run beside this one for a while, names none: 15 minutes, as it took by default.
ALTER TABLE attempt ADD COLUMN start_bound_us BIGINT NOT NULL DEFAULT 900000000;
-- What waits for its worker was given that long; of all others nobody asks any more.
UPDATE attempt SET start_bound_us = lease_until - created_at WHERE state = 'launching';
