-- Links by which people choose a new password: one for each person, of which only a digest is kept. It goes when it is used.
CREATE TABLE password_reset (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- SHA-256 of the token, in hex.
    digest TEXT NOT NULL UNIQUE,
    -- Whose rights bound it, at the moment that it is used.
    made_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES app_user (organization_id, id),
    FOREIGN KEY (organization_id, made_by) REFERENCES app_user (organization_id, id)
);

ALTER TABLE password_reset ENABLE ROW LEVEL SECURITY;
ALTER TABLE password_reset FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON password_reset USING (organization_id = (SELECT current_setting('waybill.organization', true)) OR (SELECT current_setting('waybill.organization', true)) = '*');
