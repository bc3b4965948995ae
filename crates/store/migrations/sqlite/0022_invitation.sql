-- People who are asked to come into an organization. Of the token that takes them in only a digest is kept.
CREATE TABLE invitation (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    -- In the organization.
    role TEXT NOT NULL,
    -- In a project, where they are to be in one.
    project_id TEXT,
    project_role TEXT,
    -- SHA-256 of the token, in hex.
    digest TEXT NOT NULL UNIQUE,
    -- Whose rights bound it, at the moment that it is accepted.
    invited_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    accepted_at BIGINT,
    accepted_by TEXT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id),
    FOREIGN KEY (organization_id, invited_by) REFERENCES app_user (organization_id, id),
    FOREIGN KEY (organization_id, accepted_by) REFERENCES app_user (organization_id, id)
);
-- One that is open for each address.
CREATE UNIQUE INDEX invitation_open ON invitation (organization_id, email) WHERE revoked_at IS NULL AND accepted_at IS NULL;
