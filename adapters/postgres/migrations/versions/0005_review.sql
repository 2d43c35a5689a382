-- Answers that can be withdrawn, categories that are known by what they were, and the queue's history.

ALTER TABLE approvals
    ADD COLUMN withdrawn_by TEXT,
    ADD COLUMN withdrawn_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX approvals_decided ON approvals (tenant_id, decided_at DESC, id DESC) WHERE verdict IS NOT NULL;

-- Names, keys, paths and (as texts) ids that a category, or one that was merged into it, had before.
CREATE TABLE category_aliases (
    tenant_id UUID NOT NULL,
    alias TEXT NOT NULL,
    category_id UUID NOT NULL,
    PRIMARY KEY (tenant_id, alias),
    FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id) ON DELETE CASCADE
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['category_aliases'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
