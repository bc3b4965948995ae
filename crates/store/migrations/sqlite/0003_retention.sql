-- Retention: what was removed of a run, and indexes for what is looked for by age. Revoked identities, for every process.
ALTER TABLE run ADD COLUMN events_removed_at BIGINT;
CREATE INDEX run_ended ON run (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX run_with_events ON run (finished_at) WHERE finished_at IS NOT NULL AND events_removed_at IS NULL;
CREATE INDEX attempt_with_request ON attempt (finished_at) WHERE task_over = 1 AND length(launch_request) > 0;
CREATE INDEX certificate_of_attempt ON certificate (organization_id, attempt_id);
CREATE INDEX refresh_token_of_session ON refresh_token (organization_id, session_id);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);

CREATE TABLE denial (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    -- Id of what is refused, such as an attempt's.
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (organization_id, subject)
);
