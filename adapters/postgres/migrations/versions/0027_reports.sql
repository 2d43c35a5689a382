-- Reports: their definitions, and what became of each that was asked for or due.

CREATE TABLE report_definitions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    spec JSONB NOT NULL,
    schedule JSONB,
    next_run_at TIMESTAMP WITH TIME ZONE,
    created_by TEXT NOT NULL,
    created_by_id UUID DEFAULT acting_person(),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    UNIQUE (tenant_id, name)
);
CREATE INDEX report_definitions_due ON report_definitions (tenant_id, next_run_at) WHERE next_run_at IS NOT NULL;

CREATE TABLE report_runs (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    job_id UUID NOT NULL,
    definition_id UUID,
    name TEXT NOT NULL,
    spec JSONB NOT NULL,
    today DATE NOT NULL,
    slot TIMESTAMP WITH TIME ZONE,
    status TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_by_id UUID DEFAULT acting_person(),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    rows BIGINT,
    files JSONB NOT NULL DEFAULT '[]',
    failure TEXT,
    expired_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    UNIQUE (tenant_id, definition_id, slot)
);
CREATE INDEX report_runs_kept ON report_runs (tenant_id, id) WHERE expired_at IS NULL;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['report_definitions', 'report_runs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
        EXECUTE format('CREATE POLICY queued ON %I TO CURRENT_USER USING (true)', name);
    END LOOP;
END $$;

-- What is due, with the time zone in which its next turn is told. When that is, the relay works out: it knows the zones.
CREATE FUNCTION due_reports(most integer) RETURNS TABLE (
    tenant_id uuid, id uuid, schedule jsonb, time_zone text, next_run_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.tenant_id, d.id, d.schedule, t.time_zone, d.next_run_at
    FROM report_definitions d JOIN tenants t ON t.tenant_id = d.tenant_id
    WHERE d.next_run_at <= now() AND d.schedule IS NOT NULL
    ORDER BY d.next_run_at, d.tenant_id, d.id LIMIT most
$$;
REVOKE ALL ON FUNCTION due_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_reports TO sortation_system;

-- Of these, queues each whose turn is still the one that was seen: however many relays saw it, the first one's is all.
CREATE FUNCTION queue_reports(
    tenant_ids uuid[], definition_ids uuid[], seen timestamptz[], slots timestamptz[], todays date[],
    following timestamptz[], run_ids uuid[], job_ids uuid[], attempts integer
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH turns AS (
        SELECT * FROM unnest(tenant_ids, definition_ids, seen, slots, todays, following, run_ids, job_ids)
            AS turn(tenant_id, definition_id, seen, slot, today, next, run_id, job_id)
    ), moved AS (
        UPDATE report_definitions d SET next_run_at = turns.next
        FROM turns
        WHERE d.tenant_id = turns.tenant_id AND d.id = turns.definition_id AND d.next_run_at = turns.seen
        RETURNING d.tenant_id, d.id, d.name, d.spec, turns.slot, turns.today, turns.run_id, turns.job_id
    ), told AS (
        INSERT INTO report_runs (tenant_id, id, job_id, definition_id, name, spec, today, slot, status, requested_by,
                                 created_at)
        SELECT tenant_id, run_id, job_id, id, name, spec, today, slot, 'queued', 'sortation', now() FROM moved
        ON CONFLICT (tenant_id, definition_id, slot) DO NOTHING
        RETURNING tenant_id, id, job_id
    ), queued AS (
        INSERT INTO jobs (tenant_id, id, stream, status, payload, progress, attempts, max_attempts, due_at,
                          source_agent, created_at)
        SELECT tenant_id, job_id, 'reports:generate', 'queued', jsonb_build_object('run_id', id), '{}', 0, attempts,
               now(), 'balance', now()
        FROM told
        RETURNING 1
    )
    SELECT count(*) FROM queued
$$;
REVOKE ALL ON FUNCTION queue_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_reports TO sortation_system;

-- Reports whose files have been kept for long enough; and that these are gone.
CREATE FUNCTION old_reports(seconds float8, most integer) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.tenant_id, r.id FROM report_runs r
    WHERE r.expired_at IS NULL AND r.status IN ('done', 'failed')
      AND r.finished_at < now() - make_interval(secs => seconds)
    ORDER BY r.tenant_id, r.id LIMIT most
$$;
REVOKE ALL ON FUNCTION old_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION old_reports TO sortation_system;

CREATE FUNCTION expire_reports(tenant_ids uuid[], run_ids uuid[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        UPDATE report_runs r SET files = '[]', expired_at = now()
        FROM unnest(tenant_ids, run_ids) AS old(tenant_id, id)
        WHERE r.tenant_id = old.tenant_id AND r.id = old.id AND r.expired_at IS NULL
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION expire_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expire_reports TO sortation_system;

-- Where people are named, beside the places that are known so far.
DO $$
DECLARE places text;
BEGIN
    SELECT string_agg(format('(%L, %L, %L, %L)', in_table, in_column, id_column, before_name), ', ') INTO places
    FROM (SELECT * FROM places_of_names()
          UNION ALL VALUES ('report_definitions', 'created_by', 'created_by_id', ''),
                           ('report_runs', 'requested_by', 'requested_by_id', '')) AS place;
    EXECUTE 'CREATE OR REPLACE FUNCTION places_of_names() RETURNS TABLE ('
        'in_table text, in_column text, id_column text, before_name text) '
        'LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $places$ VALUES ' || places || ' $places$';
END $$;
