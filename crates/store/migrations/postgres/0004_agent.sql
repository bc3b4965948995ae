-- Agents: programs on the customer's side that start workers there, and the tasks that were given to them.
CREATE TABLE agent (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    data_plane_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- 'invited', 'pending' (an approval is waited for), 'active', 'disabled' or 'locked' (its identity was copied).
    state TEXT NOT NULL,
    -- Which invitation counts, until when it can be used, and when it was.
    invitation BIGINT NOT NULL,
    invited_until BIGINT NOT NULL,
    invitation_used_at BIGINT,
    needs_approval BIGINT NOT NULL,
    -- SHA-256 of the public key in hex, the certificate's serial number in hex and its generation.
    spki TEXT,
    serial TEXT,
    generation BIGINT NOT NULL,
    not_after BIGINT,
    -- The one session that counts, and what the agent told in it.
    session TEXT,
    seen_at BIGINT,
    draining BIGINT NOT NULL,
    slots BIGINT NOT NULL,
    program_version TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, data_plane_id) REFERENCES data_plane (organization_id, id)
);
CREATE UNIQUE INDEX agent_name ON agent (organization_id, name) WHERE removed_at IS NULL;
CREATE INDEX agent_of_plane ON agent (organization_id, data_plane_id) WHERE removed_at IS NULL;

CREATE TABLE agent_task (
    organization_id TEXT NOT NULL,
    attempt_id TEXT PRIMARY KEY,
    -- The agent that the task is given to; another one where the first was silent and no worker had enrolled.
    agent_id TEXT NOT NULL,
    -- 'asked', 'running', 'unknown', 'stopped' or 'failed'.
    state TEXT NOT NULL,
    -- 1: it is to end.
    stop_wanted BIGINT NOT NULL,
    -- When the order to start went out.
    sent_at BIGINT,
    exit_code BIGINT,
    failure TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    FOREIGN KEY (organization_id, attempt_id) REFERENCES attempt (organization_id, id),
    FOREIGN KEY (organization_id, agent_id) REFERENCES agent (organization_id, id)
);
CREATE INDEX agent_task_live ON agent_task (agent_id) WHERE state IN ('asked', 'running', 'unknown');
