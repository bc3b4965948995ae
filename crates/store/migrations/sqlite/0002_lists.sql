-- Lists: an index for each filter of runs, in the order of pages.
CREATE INDEX run_of_project ON run (organization_id, project_id, id);
CREATE INDEX run_of_connection ON run (organization_id, connection_id, id) WHERE connection_id IS NOT NULL;
CREATE INDEX run_in_state ON run (organization_id, state, id);
CREATE INDEX run_of_kind ON run (organization_id, kind, id);
CREATE INDEX run_started ON run (organization_id, (coalesce(started_at, created_at)), id);
