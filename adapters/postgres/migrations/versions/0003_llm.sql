-- What the LLM answered, what it took month by month, and what is set aside for calls under way.

CREATE TABLE llm_answers (
    tenant_id UUID NOT NULL,
    key BYTEA NOT NULL,
    category_id UUID,
    confidence DOUBLE PRECISION NOT NULL,
    rationale TEXT NOT NULL,
    measured BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, key),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE INDEX llm_answers_by_age ON llm_answers (tenant_id, created_at);

CREATE TABLE llm_usages (
    tenant_id UUID NOT NULL,
    month DATE NOT NULL,
    calls BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    estimated BIGINT NOT NULL DEFAULT 0,
    unpriced BIGINT NOT NULL DEFAULT 0,
    records BIGINT NOT NULL DEFAULT 0,
    cached BIGINT NOT NULL DEFAULT 0,
    prompt_tokens BIGINT NOT NULL DEFAULT 0,
    completion_tokens BIGINT NOT NULL DEFAULT 0,
    cost NUMERIC NOT NULL DEFAULT 0,
    seconds DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE llm_reservations (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    month DATE NOT NULL,
    cost NUMERIC NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['llm_answers', 'llm_usages', 'llm_reservations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
