-- Data planes in a customer's cloud: the external id is made by the server once and never changed.
ALTER TABLE data_plane ADD COLUMN external_id TEXT;
-- What the last check found about it: `enforced` or `open`; nothing is started unless it was enforced.
ALTER TABLE data_plane ADD COLUMN trust TEXT;
ALTER TABLE data_plane ADD COLUMN checked_at BIGINT;
-- How far a task is that does not run yet, as its run's timeline tells it.
ALTER TABLE attempt ADD COLUMN task_phase TEXT;
-- Which data planes started tasks of late.
CREATE INDEX attempt_of_plane ON attempt (data_plane_id, created_at);
