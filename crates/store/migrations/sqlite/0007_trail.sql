-- The infrastructure trail: calls to a customer's cloud. It outlives runs and attempts where it is kept longer than they are.
CREATE TABLE trail (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    id TEXT PRIMARY KEY,
    data_plane_id TEXT NOT NULL,
    run_id TEXT,
    attempt_id TEXT,
    -- Such as `ecs:RunTask`.
    action TEXT NOT NULL,
    -- As whom.
    role TEXT NOT NULL,
    session TEXT NOT NULL,
    region TEXT NOT NULL,
    -- `ok`, `no_answer` or the cloud's code from a closed list.
    outcome TEXT NOT NULL,
    -- An entry tells of one call, or of several looks of the same kind and outcome: how many, and when the first and the last were sent.
    calls BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    -- What the cloud calls them, with a blank between; fewer than calls where answers did not come.
    request_ids TEXT NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX trail_by_time ON trail (organization_id, last_at, id);
CREATE INDEX trail_of_run ON trail (organization_id, run_id, last_at, id) WHERE run_id IS NOT NULL;
CREATE INDEX trail_age ON trail (recorded_at);
-- Whose task it is that a call was about.
CREATE INDEX attempt_of_task ON attempt (organization_id, task_ref) WHERE task_ref IS NOT NULL;
