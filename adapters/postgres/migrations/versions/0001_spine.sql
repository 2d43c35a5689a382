-- The tables of the spine, their policies and grants.

CREATE TABLE embeddings (
    tenant_id UUID NOT NULL,
    model TEXT NOT NULL,
    text_digest BYTEA NOT NULL,
    embedding VECTOR(384) NOT NULL,
    PRIMARY KEY (tenant_id, model, text_digest)
);

CREATE TABLE events (
    tenant_id UUID NOT NULL,
    batch_id UUID NOT NULL,
    ordinal INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject_id UUID,
    payload JSONB NOT NULL,
    PRIMARY KEY (tenant_id, batch_id, ordinal)
);

CREATE INDEX events_of_subject ON events (tenant_id, subject_id);

CREATE TABLE record_tombstones (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    account TEXT NOT NULL,
    external_id TEXT NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, account, external_id)
);

CREATE TABLE tenants (
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    settings JSONB NOT NULL,
    rules_version INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE users (
    id UUID NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (email)
);

CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    UNIQUE (key_id)
);

CREATE TABLE categories (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    parent_id UUID,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, parent_id) REFERENCES categories (tenant_id, id),
    UNIQUE (tenant_id, key)
);

CREATE TABLE connections (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connector TEXT NOT NULL,
    name TEXT NOT NULL,
    config JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    UNIQUE (tenant_id, connector, name)
);

CREATE TABLE daily_counts (
    tenant_id UUID NOT NULL,
    day DATE NOT NULL,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    records BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, stage, status),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE event_batches (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    size INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source_agent TEXT NOT NULL,
    request_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seq BIGINT,
    digest BYTEA,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE UNIQUE INDEX event_batches_sealed ON event_batches (tenant_id, last_seq);

CREATE INDEX event_batches_unsealed ON event_batches (tenant_id, id) WHERE last_seq IS NULL;

CREATE TABLE idempotency_keys (
    tenant_id UUID NOT NULL,
    key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    status INTEGER,
    body BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, key),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE jobs (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    stream TEXT NOT NULL,
    status TEXT NOT NULL,
    payload JSONB NOT NULL,
    progress JSONB NOT NULL,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE,
    lease_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    request_id TEXT,
    source_agent TEXT NOT NULL,
    trace_parent TEXT,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE INDEX jobs_dead ON jobs (tenant_id, stream, id) WHERE status = 'dead';

CREATE INDEX jobs_due ON jobs (tenant_id, due_at, id) WHERE status = 'queued';

CREATE INDEX jobs_in_flight ON jobs (tenant_id, id) WHERE status IN ('published', 'running');

CREATE TABLE memberships (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE imports (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    job_id UUID NOT NULL,
    filename TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    approved BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    inserted INTEGER NOT NULL,
    known INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    refusals JSONB NOT NULL,
    failure TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id)
);

CREATE TABLE records (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    import_id UUID,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    external_id TEXT NOT NULL,
    former_external_id TEXT,
    occurred_on DATE NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE,
    text TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    amount NUMERIC,
    currency TEXT,
    attributes JSONB NOT NULL,
    raw JSONB NOT NULL,
    pending BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    category_id UUID,
    stage TEXT,
    confidence DOUBLE PRECISION,
    threshold DOUBLE PRECISION,
    model_version TEXT,
    selection_probability DOUBLE PRECISION,
    reasoning_trace JSONB,
    failure TEXT,
    tags TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id),
    FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id),
    UNIQUE (tenant_id, connection_id, account, external_id)
);

CREATE INDEX records_by_category ON records (tenant_id, category_id, id);

CREATE INDEX records_by_import ON records (tenant_id, import_id, id);

CREATE INDEX records_renamed ON records (tenant_id, connection_id, account, former_external_id)
    WHERE former_external_id IS NOT NULL;

CREATE INDEX records_waiting ON records (tenant_id, status, id) WHERE status IN ('ingested', 'needs_review', 'held', 'failed');

CREATE TABLE rules (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    stage TEXT NOT NULL,
    priority INTEGER NOT NULL,
    condition JSONB NOT NULL,
    action JSONB NOT NULL,
    stop BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    pack TEXT,
    hits BIGINT NOT NULL,
    last_hit_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    category_id UUID,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id)
);

CREATE TABLE approvals (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    record_id UUID NOT NULL,
    reason TEXT NOT NULL,
    suggested_id UUID,
    confidence DOUBLE PRECISION NOT NULL,
    urgency DOUBLE PRECISION NOT NULL,
    group_key TEXT NOT NULL,
    verdict TEXT,
    category_id UUID,
    decided_by TEXT,
    decided_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, record_id) REFERENCES records (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX approvals_groups ON approvals (tenant_id, group_key) WHERE verdict IS NULL;

CREATE INDEX approvals_history ON approvals (tenant_id, record_id);

CREATE UNIQUE INDEX approvals_of_record ON approvals (tenant_id, record_id) WHERE verdict IS NULL;

CREATE INDEX approvals_queue ON approvals (tenant_id, urgency DESC, id) WHERE verdict IS NULL;

CREATE TABLE examples (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    record_id UUID,
    text TEXT NOT NULL,
    text_digest BYTEA NOT NULL,
    category_id UUID NOT NULL,
    model TEXT,
    embedding VECTOR(384),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, record_id) REFERENCES records (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id),
    UNIQUE (tenant_id, record_id)
);

CREATE TABLE import_chunks (
    tenant_id UUID NOT NULL,
    import_id UUID NOT NULL,
    position INTEGER NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, import_id, position),
    FOREIGN KEY(tenant_id, import_id) REFERENCES imports (tenant_id, id) ON DELETE CASCADE
);

-- Row-level security: a transaction sees the tenant that it named at its begin, and nothing without one.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'tenants', 'memberships', 'api_keys', 'categories', 'connections', 'imports', 'import_chunks', 'records',
        'record_tombstones', 'examples', 'embeddings', 'rules', 'approvals', 'jobs', 'event_batches', 'events',
        'idempotency_keys', 'daily_counts'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['tenants', 'jobs', 'events', 'event_batches', 'daily_counts'] LOOP
        EXECUTE format('CREATE POLICY system_read ON %I FOR SELECT TO sortation_system USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO sortation_system', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['jobs', 'event_batches'] LOOP
        EXECUTE format('CREATE POLICY system_change ON %I FOR UPDATE TO sortation_system USING (true)', name);
        EXECUTE format('GRANT UPDATE ON %I TO sortation_system', name);
    END LOOP;
END $$;

REVOKE UPDATE, DELETE ON events FROM sortation_app;
REVOKE UPDATE, DELETE ON event_batches FROM sortation_app;

-- People belong to no tenant: a tenant's transactions see its members, and add people by e-mail address.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY members ON users FOR SELECT TO sortation_app USING (
    id IN (SELECT user_id FROM memberships
           WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
);
GRANT SELECT ON users TO sortation_app;
CREATE POLICY owned ON users TO CURRENT_USER USING (true) WITH CHECK (true);

CREATE FUNCTION ensure_user(new_id uuid, new_email text, new_name text, at timestamptz) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO users (id, email, name, created_at) VALUES (new_id, lower(new_email), new_name, at)
    ON CONFLICT (email) DO UPDATE SET email = excluded.email
    RETURNING id
$$;
REVOKE ALL ON FUNCTION ensure_user FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_user TO sortation_app;

-- A key must be found before its tenant is known: this answers for one key id, and lists nothing.
CREATE POLICY owned ON api_keys FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION find_api_key(wanted text) RETURNS SETOF api_keys
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM api_keys WHERE key_id = wanted
$$;
REVOKE ALL ON FUNCTION find_api_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key TO sortation_app, sortation_system;

-- What has served its time goes: payloads that were read, jobs that are done, keys of requests that nobody repeats.
CREATE POLICY swept ON imports FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY swept ON import_chunks TO CURRENT_USER USING (true);
CREATE POLICY swept ON jobs TO CURRENT_USER USING (true);
CREATE POLICY swept ON idempotency_keys TO CURRENT_USER USING (true);
CREATE FUNCTION sweep(payload_seconds float8, job_seconds float8, key_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH payloads AS (
        DELETE FROM import_chunks c USING imports i
        WHERE i.tenant_id = c.tenant_id AND i.id = c.import_id AND i.status IN ('done', 'failed', 'undone')
          AND i.finished_at < now() - make_interval(secs => payload_seconds)
        RETURNING 1
    ), finished AS (
        DELETE FROM jobs WHERE status = 'done' AND finished_at < now() - make_interval(secs => job_seconds)
        RETURNING 1
    ), answered AS (
        DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => key_seconds)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM payloads) + (SELECT count(*) FROM finished) + (SELECT count(*) FROM answered)
$$;
REVOKE ALL ON FUNCTION sweep FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep TO sortation_system;

GRANT SELECT ON alembic_version TO sortation_app, sortation_system;
