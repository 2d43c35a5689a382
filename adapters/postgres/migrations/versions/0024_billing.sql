-- What tenants pay for, used, and were billed.
CREATE TABLE billing_accounts (
    tenant_id UUID NOT NULL,
    provider TEXT,
    customer_id TEXT,
    subscription JSONB,
    comp JSONB,
    without_since TIMESTAMP WITH TIME ZONE,
    fetched_at TIMESTAMP WITH TIME ZONE,
    asked_at TIMESTAMP WITH TIME ZONE,
    told JSONB,
    changes_at TIMESTAMP WITH TIME ZONE,
    resumes_at TIMESTAMP WITH TIME ZONE,
    reported_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE UNIQUE INDEX billing_accounts_of_customer ON billing_accounts (provider, customer_id);

CREATE TABLE usage_counters (
    tenant_id UUID NOT NULL,
    month DATE NOT NULL,
    meter TEXT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    reported BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month, meter),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE usage_reports (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    meter TEXT NOT NULL,
    month DATE NOT NULL,
    quantity BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    tried_at TIMESTAMP WITH TIME ZONE,
    sent_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX usage_reports_unsent ON usage_reports (tenant_id, id) WHERE sent_at IS NULL;

CREATE TABLE agreements (
    tenant_id UUID NOT NULL,
    agreement JSONB NOT NULL,
    ordered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['billing_accounts', 'usage_counters', 'usage_reports', 'agreements'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;

-- Orders by hand are the operator's to read.
CREATE POLICY system_read ON agreements FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON agreements TO sortation_system;

-- What providers told of their own accord: that something happened, and to whom. No tenant's transaction sees it.
CREATE TABLE payment_events (
    provider TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    tenant_id UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (provider, event_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id) ON DELETE CASCADE
);
CREATE INDEX payment_events_of_tenant ON payment_events (tenant_id);
CREATE INDEX payment_events_by_age ON payment_events (received_at);
ALTER TABLE payment_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_events FORCE ROW LEVEL SECURITY;
CREATE POLICY received ON payment_events TO CURRENT_USER USING (true);
CREATE POLICY system_read ON payment_events FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON payment_events TO sortation_system;

CREATE POLICY queued ON billing_accounts TO CURRENT_USER USING (true);
CREATE POLICY queued ON usage_counters FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY queued ON usage_reports FOR SELECT TO CURRENT_USER USING (true);

-- A job of this stream that nobody has begun, nor begins before this transaction ends.
CREATE FUNCTION waits(of_tenant uuid, of_stream text) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM jobs WHERE tenant_id = of_tenant AND stream = of_stream AND status = 'queued'
        LIMIT 1 FOR SHARE SKIP LOCKED;
    IF FOUND THEN RETURN true; END IF;
    PERFORM FROM jobs WHERE tenant_id = of_tenant AND stream = of_stream AND status = 'published'
        LIMIT 1 FOR SHARE SKIP LOCKED;
    RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION waits FROM PUBLIC;

CREATE FUNCTION queue_job(
    of_tenant uuid, job uuid, of_stream text, attempts integer, why text, delay_seconds float8
) RETURNS void
LANGUAGE sql SET search_path = public, pg_temp AS $$
    INSERT INTO jobs (tenant_id, id, stream, status, payload, progress, attempts, max_attempts, due_at, source_agent,
                      created_at)
    VALUES (of_tenant, job, of_stream, 'queued', jsonb_build_object('reason', why), '{}', 0, attempts,
            now() + make_interval(secs => delay_seconds), 'balance', now())
$$;
REVOKE ALL ON FUNCTION queue_job FROM PUBLIC;

-- Keeps an event with the job that asks the provider what is so now. One such job does for all events before it, so it
-- waits a moment for those that are told together.
CREATE FUNCTION receive_payment_event(
    of_provider text, new_id text, of_type text, customer text, known boolean, told_at timestamptz, job uuid,
    attempts integer, delay_seconds float8
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE whose uuid;
BEGIN
    SELECT tenant_id INTO whose FROM billing_accounts WHERE provider = of_provider AND customer_id = customer;
    INSERT INTO payment_events VALUES (of_provider, new_id, of_type, whose, told_at, now()) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN 'duplicate'; END IF;
    IF whose IS NULL OR NOT known THEN RETURN 'ignored'; END IF;
    IF NOT waits(whose, 'billing:sync') THEN
        PERFORM queue_job(whose, job, 'billing:sync', attempts, 'event', delay_seconds);
        PERFORM pg_notify('sortation', '');
    END IF;
    RETURN 'accepted';
END $$;
REVOKE ALL ON FUNCTION receive_payment_event FROM PUBLIC;
GRANT EXECUTE ON FUNCTION receive_payment_event TO sortation_system;

-- Queues what is due of billing: to ask providers for what changes now or was not asked for in a day, or ever; to take up
-- what is held; and to report usage. `new_ids` are ids for jobs; what there is no id for waits for the next call.
CREATE FUNCTION queue_billing(
    at timestamptz, new_ids uuid[], attempts integer, reconcile_seconds float8, report_seconds float8
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account record;
    queued integer := 0;
BEGIN
    FOR account IN
        SELECT tenant_id, resumes_at <= at AS resumes, customer_id IS NOT NULL
                   AND (reported_at IS NULL OR reported_at <= at - make_interval(secs => report_seconds)) AS reports,
               changes_at <= at AS changes, customer_id IS NOT NULL
                   AND (fetched_at IS NULL OR fetched_at <= at - make_interval(secs => reconcile_seconds)) AS stale
        FROM billing_accounts
        WHERE changes_at <= at OR resumes_at <= at OR customer_id IS NOT NULL AND (
            fetched_at IS NULL OR fetched_at <= at - make_interval(secs => reconcile_seconds)
            OR reported_at IS NULL OR reported_at <= at - make_interval(secs => report_seconds))
        ORDER BY tenant_id
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        EXIT WHEN queued + 3 > cardinality(new_ids);
        IF account.changes OR account.stale THEN
            IF NOT EXISTS (SELECT FROM jobs WHERE tenant_id = account.tenant_id AND stream = 'billing:sync'
                               AND status IN ('queued', 'published', 'running')) THEN
                queued := queued + 1;
                PERFORM queue_job(account.tenant_id, new_ids[queued], 'billing:sync', attempts,
                                  CASE WHEN account.changes THEN 'due' ELSE 'reconcile' END, 0);
            END IF;
            UPDATE billing_accounts SET changes_at = NULL WHERE tenant_id = account.tenant_id AND changes_at <= at;
        END IF;
        IF account.resumes AND NOT EXISTS (
            SELECT FROM jobs WHERE tenant_id = account.tenant_id AND stream = 'records:resume'
                AND status IN ('queued', 'published', 'running')
        ) THEN
            queued := queued + 1;
            PERFORM queue_job(account.tenant_id, new_ids[queued], 'records:resume', attempts, 'due', 0);
        END IF;
        IF account.reports THEN
            IF EXISTS (SELECT FROM usage_counters WHERE tenant_id = account.tenant_id AND used > reported)
                OR EXISTS (SELECT FROM usage_reports WHERE tenant_id = account.tenant_id AND sent_at IS NULL)
            THEN
                queued := queued + 1;
                PERFORM queue_job(account.tenant_id, new_ids[queued], 'billing:report', attempts, 'due', 0);
            END IF;
            UPDATE billing_accounts SET reported_at = at WHERE tenant_id = account.tenant_id;
        END IF;
    END LOOP;
    RETURN queued;
END $$;
REVOKE ALL ON FUNCTION queue_billing FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_billing TO sortation_system;

CREATE FUNCTION sweep_payment_events(seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM payment_events WHERE received_at < now() - make_interval(secs => seconds) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION sweep_payment_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_payment_events TO sortation_system;

-- What an import brought beyond what its tenant's plan holds.
ALTER TABLE imports ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
