-- As whom an agent calls its own cloud, as it told last: role, session, region. It stays when the agent calls none any more.
ALTER TABLE agent ADD COLUMN cloud_caller TEXT;
