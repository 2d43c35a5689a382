-- People: passwords, identities at other issuers, sessions, invitations.
CREATE TABLE local_accounts (
    user_id UUID NOT NULL,
    password_hash TEXT NOT NULL,
    failures INTEGER NOT NULL,
    locked_until TIMESTAMPTZ,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (issuer, subject),
    FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX identities_of_user ON identities (user_id);

CREATE TABLE sessions (
    id UUID NOT NULL,
    secret_hash BYTEA NOT NULL,
    user_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    via TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (id),
    UNIQUE (secret_hash),
    FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX sessions_open ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE invitations (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE UNIQUE INDEX invitations_open ON invitations (tenant_id, email) WHERE status = 'open';

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invitations TO sortation_app
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON invitations TO sortation_app;

-- Whoever signs in has no tenant yet: what proves them is the system's, and no tenant's transaction sees it.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['local_accounts', 'identities', 'sessions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('GRANT SELECT ON %I TO sortation_app', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO sortation_system', name);
        EXECUTE format('CREATE POLICY system_read ON %I FOR SELECT TO sortation_system USING (true)', name);
        EXECUTE format('CREATE POLICY system_add ON %I FOR INSERT TO sortation_system WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY system_change ON %I FOR UPDATE TO sortation_system USING (true)', name);
    END LOOP;
END $$;
CREATE POLICY system_read ON users FOR SELECT TO sortation_system USING (true);
CREATE POLICY system_read ON memberships FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON users, memberships TO sortation_system;
ALTER TABLE memberships ADD COLUMN granted_by TEXT;
CREATE INDEX memberships_of_user ON memberships (user_id);

-- Who acted from where: for what people do at the console and programs by the API.
ALTER TABLE event_batches ADD COLUMN actor_id UUID, ADD COLUMN address TEXT, ADD COLUMN user_agent TEXT;

CREATE POLICY swept ON sessions TO CURRENT_USER USING (true);
CREATE FUNCTION sweep_sessions(ended_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM sessions
        WHERE coalesce(ended_at, expires_at) < now() - make_interval(secs => ended_seconds)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION sweep_sessions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_sessions TO sortation_system;
