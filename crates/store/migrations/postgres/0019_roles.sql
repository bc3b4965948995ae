-- Roles: what a person is in the organization, and in each project. Who was first of an organization's administrators owns it.
ALTER TABLE app_user ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
UPDATE app_user SET role = 'owner' WHERE id IN (
    SELECT min(id) FROM app_user WHERE role = 'administrator' AND disabled = 0 GROUP BY organization_id
);

CREATE TABLE project_member (
    organization_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, project_id, user_id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id),
    FOREIGN KEY (organization_id, user_id) REFERENCES app_user (organization_id, id)
);
-- What a request's authority is read from.
CREATE INDEX project_member_user ON project_member (organization_id, user_id, project_id);

ALTER TABLE project_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON project_member USING (organization_id = (SELECT current_setting('waybill.organization', true)) OR (SELECT current_setting('waybill.organization', true)) = '*');
