-- The running tests of the promise, and the answered spot checks that tell how it is kept.

CREATE TABLE promise_watches (
    tenant_id UUID NOT NULL,
    stage TEXT NOT NULL,
    promise DOUBLE PRECISION NOT NULL,
    since TIMESTAMP WITH TIME ZONE,
    strictness INTEGER NOT NULL,
    against DOUBLE PRECISION[] NOT NULL,
    in_favour DOUBLE PRECISION NOT NULL,
    checked INTEGER NOT NULL,
    weight DOUBLE PRECISION NOT NULL,
    wrong DOUBLE PRECISION NOT NULL,
    squares DOUBLE PRECISION NOT NULL,
    wrong_squares DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (tenant_id, stage),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE INDEX approvals_checks ON approvals (tenant_id, created_at)
    WHERE reason = 'spot_check' AND verdict IS NOT NULL AND withdrawn_at IS NULL;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['promise_watches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
