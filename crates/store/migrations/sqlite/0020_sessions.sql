-- From where a session was begun; none for those of before.
ALTER TABLE session ADD COLUMN ip TEXT;
-- How somebody signed in, read from the chain without walking it.
CREATE INDEX audit_sign_in ON audit (organization_id, actor, seq) WHERE action IN ('login', 'refresh_token_reused', 'setup');
