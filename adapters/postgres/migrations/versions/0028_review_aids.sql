-- By what examples are like a record that waits for a person: those of one group, or of one counterparty, are counted by
-- category. What there is gets its keys from the migration.
ALTER TABLE examples
    ADD COLUMN group_key TEXT NOT NULL DEFAULT '',
    ADD COLUMN party_key TEXT NOT NULL DEFAULT '',
    ADD COLUMN occurred_on DATE;
CREATE INDEX examples_alike ON examples (tenant_id, group_key, occurred_on DESC)
    INCLUDE (category_id, text_digest, record_id);
CREATE INDEX examples_of_party ON examples (tenant_id, party_key, occurred_on DESC)
    INCLUDE (category_id, record_id) WHERE party_key <> '';

-- Which agent decided, by an API key; NULL is a person, and what was decided before this was noted.
ALTER TABLE approvals ADD COLUMN decided_agent TEXT;

-- What somebody (a person, or an API key) left for later: it stays out of their queue for a while.
CREATE TABLE approval_skips (
    tenant_id UUID NOT NULL,
    by_id UUID NOT NULL,
    approval_id UUID NOT NULL,
    skipped_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, by_id, approval_id),
    FOREIGN KEY(tenant_id, approval_id) REFERENCES approvals (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX approval_skips_of_approval ON approval_skips (tenant_id, approval_id);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['approval_skips'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;

CREATE POLICY swept ON approval_skips TO CURRENT_USER USING (true);
CREATE FUNCTION sweep_skips(seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM approval_skips WHERE skipped_at < now() - make_interval(secs => seconds) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION sweep_skips FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_skips TO sortation_system;

-- Saved views: filters of the list of records by a name. Without a user it is everybody's; a person's own go with them.
CREATE TABLE saved_views (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID,
    name TEXT NOT NULL,
    query JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    FOREIGN KEY(tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, name)
);
ALTER TABLE saved_views ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_views FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON saved_views TO sortation_app
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON saved_views TO sortation_app;

-- What is a person's own is given out to them.
CREATE POLICY system_read ON saved_views FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON saved_views TO sortation_system;
