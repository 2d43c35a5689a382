-- Webhooks that came in, each event once.
CREATE TABLE webhook_deliveries (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    event_id TEXT NOT NULL,
    job_id UUID NOT NULL,
    headers JSONB,
    body BYTEA,
    bytes INTEGER NOT NULL,
    status TEXT NOT NULL,
    inserted INTEGER NOT NULL,
    known INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    refusals JSONB NOT NULL,
    failure TEXT,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE,
    UNIQUE (tenant_id, connection_id, event_id)
);

CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (tenant_id, connection_id, id DESC);

CREATE INDEX webhook_deliveries_kept ON webhook_deliveries (tenant_id, finished_at) WHERE body IS NOT NULL;

-- The tokens of a connection that a person, or the connection itself, signed in for.
CREATE TABLE oauth_tokens (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    account TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);

-- Sign-ins that are under way.
CREATE TABLE oauth_states (
    tenant_id UUID NOT NULL,
    state_hash BYTEA NOT NULL,
    connection_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    redirect_uri TEXT NOT NULL,
    started_by TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, state_hash),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE,
    UNIQUE (state_hash)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['webhook_deliveries', 'oauth_tokens', 'oauth_states'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;

-- Whose a connection is must be known before a delivery to it can be verified: this answers for one id, with no more
-- than its tenant.
CREATE POLICY found ON connections FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION tenant_of_connection(wanted uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT tenant_id FROM connections WHERE id = wanted
$$;
REVOKE ALL ON FUNCTION tenant_of_connection FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_connection TO sortation_system;
CREATE INDEX connections_by_id ON connections (id);

-- A sign-in comes back with its state alone. Who finds it has used it up.
CREATE POLICY taken ON oauth_states TO CURRENT_USER USING (true);
CREATE FUNCTION take_oauth_state(wanted bytea) RETURNS SETOF oauth_states
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM oauth_states WHERE state_hash = wanted RETURNING *
$$;
REVOKE ALL ON FUNCTION take_oauth_state FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_oauth_state TO sortation_system;

-- What deliveries brought goes as payloads of imports do; that they came is kept, so that none is taken twice.
CREATE POLICY swept ON webhook_deliveries TO CURRENT_USER USING (true);
CREATE FUNCTION sweep_arrivals(payload_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH bodies AS (
        UPDATE webhook_deliveries SET body = NULL, headers = NULL
        WHERE body IS NOT NULL AND finished_at < now() - make_interval(secs => payload_seconds)
        RETURNING 1
    ), states AS (
        DELETE FROM oauth_states WHERE expires_at < now() RETURNING 1
    )
    SELECT (SELECT count(*) FROM bodies) + (SELECT count(*) FROM states)
$$;
REVOKE ALL ON FUNCTION sweep_arrivals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_arrivals TO sortation_system;
