-- Endpoints, and what they are told.
CREATE TABLE notification_endpoints (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT,
    user_id UUID,
    topics TEXT[] NOT NULL,
    digest TEXT NOT NULL,
    digest_hour INTEGER NOT NULL,
    sealed BYTEA,
    told_seq BIGINT NOT NULL,
    succeeded_at TIMESTAMP WITH TIME ZONE,
    failing_since TIMESTAMP WITH TIME ZONE,
    disabled_at TIMESTAMP WITH TIME ZONE,
    disabled_reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX notification_endpoints_of_member ON notification_endpoints (tenant_id, user_id) WHERE user_id IS NOT NULL;

CREATE TABLE notifications (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    seq BIGINT,
    type TEXT NOT NULL,
    data JSONB NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    status TEXT NOT NULL,
    digest_id UUID,
    job_id UUID,
    tries INTEGER NOT NULL,
    attempts JSONB NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, endpoint_id) REFERENCES notification_endpoints (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX notifications_once ON notifications (tenant_id, endpoint_id, seq);
CREATE INDEX notifications_listed ON notifications (tenant_id, endpoint_id, id DESC);
CREATE UNIQUE INDEX notifications_collecting ON notifications (tenant_id, endpoint_id) WHERE status = 'collecting';
CREATE INDEX notifications_waiting ON notifications (tenant_id, endpoint_id, id) WHERE status = 'waiting';
CREATE INDEX notifications_failed ON notifications (tenant_id, endpoint_id, created_at) WHERE status = 'failed';
CREATE INDEX notifications_of_digest ON notifications (tenant_id, digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX notifications_ended ON notifications (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX events_told ON events (tenant_id, batch_id, ordinal) WHERE type IN (
    'CONNECTION_REAUTH', 'IMPORT_FAILED', 'JOB_DEAD', 'PROMISE_AT_RISK', 'QUEUE_OVER_LIMIT', 'REPORT_GENERATED',
    'USAGE_NOTICED', 'WEBHOOK_FAILED'
);

-- When it was told that the queue is over its limit; NULL while it is not.
ALTER TABLE tenants ADD COLUMN queue_told_at TIMESTAMP WITH TIME ZONE;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['notification_endpoints', 'notifications'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
CREATE POLICY told ON notification_endpoints FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY swept ON notifications TO CURRENT_USER USING (true);

-- One look at each endpoint, and none at tenants without.
CREATE FUNCTION tenants_with_news() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT tenant_id FROM (
        SELECT tenant_id, min(told_seq) AS told_seq FROM notification_endpoints
        WHERE disabled_at IS NULL GROUP BY tenant_id
    ) AS listening
    WHERE EXISTS (
        SELECT FROM event_batches b WHERE b.tenant_id = listening.tenant_id AND b.last_seq > listening.told_seq)
    ORDER BY tenant_id
$$;
REVOKE ALL ON FUNCTION tenants_with_news FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_news TO sortation_system;

-- Of each tenant with a limit no more of its queue is counted than tells on which side of that it is.
CREATE FUNCTION queues_to_tell(low_share float8) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT tenant_id FROM (
        SELECT tenant_id, queue_told_at, (settings ->> 'queue_limit')::integer AS most FROM tenants
        WHERE queue_told_at IS NOT NULL OR settings ->> 'queue_limit' IS NOT NULL
    ) AS limited
    WHERE most IS NULL OR CASE WHEN queue_told_at IS NULL
        THEN (SELECT count(*) FROM (SELECT FROM approvals a
                  WHERE a.tenant_id = limited.tenant_id AND verdict IS NULL LIMIT most + 1) AS counted) > most
        ELSE (SELECT count(*) FROM (SELECT FROM approvals a
                  WHERE a.tenant_id = limited.tenant_id AND verdict IS NULL LIMIT ceil(most * low_share)::bigint) AS counted)
             < most * low_share
    END
    ORDER BY tenant_id
$$;
REVOKE ALL ON FUNCTION queues_to_tell FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queues_to_tell TO sortation_system;

CREATE FUNCTION sweep_notifications(seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM notifications WHERE finished_at < now() - make_interval(secs => seconds) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION sweep_notifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_notifications TO sortation_system;

-- Where somebody is written to: for who asks what is kept of them.
CREATE FUNCTION endpoints_of_person(person uuid) RETURNS SETOF jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT to_jsonb(e) - 'sealed' - 'kind' FROM notification_endpoints e WHERE user_id = person ORDER BY tenant_id, id
$$;
REVOKE ALL ON FUNCTION endpoints_of_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION endpoints_of_person TO sortation_system;
