-- Keys of services: programs that call without a person. Of a key only its id and a digest are kept.
CREATE TABLE api_key (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- SHA-256 of the whole key, in hex.
    digest TEXT NOT NULL,
    -- Ranges of addresses that it may come from, separated by spaces; empty: from anywhere.
    networks TEXT NOT NULL,
    -- Whose rights bound it, at each use.
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    -- To within minutes, so that not every request writes.
    last_used_at BIGINT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id),
    FOREIGN KEY (organization_id, created_by) REFERENCES app_user (organization_id, id)
);
CREATE UNIQUE INDEX api_key_name ON api_key (organization_id, project_id, name) WHERE revoked_at IS NULL;

-- The pipelines that a key of role `api` starts.
CREATE TABLE api_key_pipeline (
    organization_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    pipeline_id TEXT NOT NULL,
    PRIMARY KEY (organization_id, key_id, pipeline_id),
    FOREIGN KEY (organization_id, key_id) REFERENCES api_key (organization_id, id),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipeline (organization_id, id)
);
-- The runs that a key started.
CREATE INDEX run_requested_by ON run (organization_id, requested_by, id);
