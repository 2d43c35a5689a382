-- Connections that are synced: their secrets, schedule and health, how far their streams were read, their logs.

ALTER TABLE connections
    ADD COLUMN sealed BYTEA,
    ADD COLUMN secrets TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN schedule_seconds INTEGER,
    ADD COLUMN streams TEXT[],
    ADD COLUMN health TEXT NOT NULL DEFAULT 'healthy',
    ADD COLUMN failures INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN next_sync_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN last_synced_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX connections_due ON connections (tenant_id, next_sync_at) WHERE next_sync_at IS NOT NULL;

CREATE UNIQUE INDEX jobs_one_sync ON jobs (tenant_id, (payload ->> 'connection_id'))
    WHERE stream = 'connections:sync' AND status IN ('queued', 'published', 'running');

CREATE TABLE stream_cursors (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    stream TEXT NOT NULL,
    cursor JSONB NOT NULL,
    state_version INTEGER NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, stream),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE connection_health (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    health TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE connection_log (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE connector_counts (
    tenant_id UUID NOT NULL,
    connector TEXT NOT NULL,
    outcome TEXT NOT NULL,
    runs BIGINT NOT NULL,
    records BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connector, outcome),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['stream_cursors', 'connection_health', 'connection_log', 'connector_counts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;

CREATE POLICY system_read ON connector_counts FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON connector_counts TO sortation_system;

-- The relay queues what is due; it neither reads configurations nor adds other jobs.
CREATE POLICY synced ON connections TO CURRENT_USER USING (true);

-- `new_ids` are ids for jobs, and as many for their imports. One that is due while its last sync is open waits for its
-- next turn; several relays never take the same one.
CREATE FUNCTION queue_syncs(new_ids uuid[], attempts integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH due AS MATERIALIZED (
        SELECT tenant_id, id FROM connections
        WHERE next_sync_at <= now()
        ORDER BY next_sync_at LIMIT cardinality(new_ids) / 2
        FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE connections c
        SET next_sync_at = now() + make_interval(secs => c.schedule_seconds)
        FROM due WHERE c.tenant_id = due.tenant_id AND c.id = due.id
    ), queued AS (
        INSERT INTO jobs (tenant_id, id, stream, status, payload, progress, attempts, max_attempts, due_at,
                          source_agent, created_at)
        SELECT tenant_id, new_ids[n], 'connections:sync', 'queued',
               jsonb_build_object('connection_id', id, 'import_id', new_ids[cardinality(new_ids) / 2 + n]), '{}', 0,
               attempts, now(), 'balance', now()
        FROM (SELECT tenant_id, id, row_number() OVER (ORDER BY tenant_id, id) AS n FROM due) AS numbered
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*) FROM queued
$$;
REVOKE ALL ON FUNCTION queue_syncs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_syncs TO sortation_system;

CREATE FUNCTION count_connections() RETURNS TABLE (connector text, health text, connections bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT connector, health, count(*) FROM connections GROUP BY connector, health
$$;
REVOKE ALL ON FUNCTION count_connections FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_connections TO sortation_system;
