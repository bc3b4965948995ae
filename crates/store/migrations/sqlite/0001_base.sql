-- The control plane's nouns. Columns are TEXT, BIGINT (flags 0/1, times in unix microseconds) and BLOB only, so that
-- one SQL text serves both databases. Every tenant table holds organization_id, and references carry it along.
CREATE TABLE organization (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE project (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Most bytes of table and column names that one discovery may bring; 0 forbids them.
    name_ceiling BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, id),
    UNIQUE (organization_id, name)
);

CREATE TABLE app_user (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    id TEXT PRIMARY KEY,
    -- Lower case; unique over all organizations since it is what a login begins with.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled BIGINT NOT NULL,
    failed_logins BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, id)
);

CREATE TABLE setup_token (
    hash TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE TABLE session (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, user_id) REFERENCES app_user (organization_id, id)
);

CREATE TABLE refresh_token (
    organization_id TEXT NOT NULL,
    hash TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    FOREIGN KEY (organization_id, session_id) REFERENCES session (organization_id, id)
);

CREATE TABLE idempotency_key (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    status BIGINT NOT NULL,
    response TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, actor, key)
);

CREATE TABLE data_plane (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- JSON of the kind's own settings; for `process`: names of environment variables that pass.
    settings TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, id),
    UNIQUE (organization_id, name)
);

CREATE TABLE connection (
    organization_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Canonical JSON of the system; references to secrets, never secrets.
    system TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id)
);
CREATE UNIQUE INDEX connection_name ON connection (organization_id, project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE pipeline (
    organization_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    data_plane_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Why the pipeline takes no runs: `poison` or `user`; none where it does.
    paused TEXT,
    paused_hint TEXT,
    -- Highest epoch ever given or found in the bucket.
    last_epoch BIGINT NOT NULL,
    -- The last failure's fingerprint and how many runs in a row ended with it.
    poison TEXT,
    poison_runs BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id),
    FOREIGN KEY (organization_id, data_plane_id) REFERENCES data_plane (organization_id, id)
);
CREATE UNIQUE INDEX pipeline_name ON pipeline (organization_id, project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE pipeline_version (
    organization_id TEXT NOT NULL,
    pipeline_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Canonical JSON of the plan, and what the user wrote where it is known.
    plan TEXT NOT NULL,
    source TEXT,
    digest TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (pipeline_id, version),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipeline (organization_id, id)
);

CREATE TABLE schedule (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    pipeline_id TEXT NOT NULL UNIQUE,
    cron TEXT,
    every_us BIGINT,
    zone TEXT NOT NULL,
    overlap TEXT NOT NULL,
    -- What happens to slots that were missed: `last` or `none`.
    catch_up TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    -- The next point in time that is due; the scheduler alone moves it on.
    next_slot BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipeline (organization_id, id)
);
CREATE INDEX schedule_due ON schedule (next_slot) WHERE enabled = 1;

CREATE TABLE run (
    organization_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    -- The pipeline, or the connection that a check or a discovery looks at.
    pipeline_id TEXT,
    connection_id TEXT,
    -- What the epoch belongs to: the pipeline's id, or an id of this run's own in the same form.
    owner_id TEXT NOT NULL,
    pipeline_version BIGINT,
    -- Name of the pipeline or connection when the run was made.
    subject TEXT NOT NULL,
    data_plane_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    desired TEXT NOT NULL,
    trigger_kind TEXT NOT NULL,
    schedule_id TEXT,
    slot BIGINT,
    retry_of TEXT,
    requested_by TEXT NOT NULL,
    plan TEXT NOT NULL,
    time_limit_us BIGINT NOT NULL,
    -- Attempts in all, and those since the last progress: the limit counts the second.
    attempts BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    cancel_at BIGINT,
    failure TEXT,
    tables TEXT,
    withheld BIGINT NOT NULL,
    event_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipeline (organization_id, id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES connection (organization_id, id),
    FOREIGN KEY (organization_id, data_plane_id) REFERENCES data_plane (organization_id, id)
);
CREATE UNIQUE INDEX run_live ON run (owner_id) WHERE state IN ('launching', 'running');
CREATE UNIQUE INDEX run_slot ON run (schedule_id, slot);
CREATE INDEX run_queue ON run (not_before) WHERE state = 'queued';
CREATE INDEX run_list ON run (organization_id, id);
CREATE INDEX run_of_pipeline ON run (organization_id, pipeline_id, id);

CREATE TABLE run_stream (
    organization_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    stream BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- 0: delivered by the run that this one retries.
    selected BIGINT NOT NULL,
    state TEXT NOT NULL,
    rows_done BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    files_done BIGINT NOT NULL,
    rows_estimate BIGINT,
    coerced BIGINT NOT NULL,
    grade TEXT,
    log_version BIGINT,
    bucket_epoch BIGINT,
    receipt TEXT,
    adopted BIGINT NOT NULL,
    failure TEXT,
    attempt_id TEXT,
    granted_at BIGINT,
    grant_digest TEXT,
    delivered_at BIGINT,
    delivered_late BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (run_id, stream),
    FOREIGN KEY (organization_id, run_id) REFERENCES run (organization_id, id)
);

CREATE TABLE run_event (
    organization_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    attempt_id TEXT,
    -- 'worker' or 'control'.
    origin TEXT NOT NULL,
    code TEXT NOT NULL,
    at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    -- JSON of the typed arguments.
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, seq),
    FOREIGN KEY (organization_id, run_id) REFERENCES run (organization_id, id)
);

CREATE TABLE attempt (
    organization_id TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL,
    data_plane_id TEXT NOT NULL,
    -- The exact bytes of the launch request, with a placeholder where the ticket goes.
    launch_request BLOB NOT NULL,
    -- Who may call the launcher for it, and until when.
    launch_holder TEXT NOT NULL,
    launch_until BIGINT NOT NULL,
    task_ref TEXT,
    -- 1: the task is known to be over, or none was ever started.
    task_over BIGINT NOT NULL,
    task_misses BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    seen_at BIGINT,
    report_seq BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    unreachable_since BIGINT,
    fenced_at BIGINT,
    stop_due BIGINT,
    stop_sent BIGINT,
    ticket_used_at BIGINT,
    spki TEXT,
    outcome_digest TEXT,
    failure TEXT,
    created_at BIGINT NOT NULL,
    enrolled_at BIGINT,
    finished_at BIGINT,
    UNIQUE (organization_id, id),
    UNIQUE (run_id, number),
    FOREIGN KEY (organization_id, run_id) REFERENCES run (organization_id, id)
);
CREATE UNIQUE INDEX attempt_live ON attempt (run_id) WHERE state IN ('launching', 'running');
CREATE INDEX attempt_open ON attempt (id) WHERE task_over = 0;

CREATE TABLE certificate (
    organization_id TEXT NOT NULL,
    serial TEXT PRIMARY KEY,
    attempt_id TEXT NOT NULL,
    spki TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT,
    FOREIGN KEY (organization_id, attempt_id) REFERENCES attempt (organization_id, id)
);

CREATE TABLE audit (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    seq BIGINT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ip TEXT,
    before_digest TEXT,
    after_digest TEXT,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (organization_id, seq)
);

CREATE TABLE audit_head (
    organization_id TEXT PRIMARY KEY REFERENCES organization (id),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE loop_lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    held_until BIGINT NOT NULL
);
