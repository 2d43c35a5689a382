-- What rules decided, what people answered, what is proposed as a rule, and what runs changed.

ALTER TABLE rules
    ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN overridden BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN corrected BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN demoted BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN proved BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN proposal_id UUID,
    ADD COLUMN evidence_from INTEGER NOT NULL DEFAULT 0;

-- The rule that decided a record, or suggested something, stands in its trace as the first candidate. Where a rule sent
-- it to a person, the first candidate may be one that lost. The owner, too, is under row-level security but for this
-- statement.
ALTER TABLE records ADD COLUMN rule_id UUID;
ALTER TABLE records NO FORCE ROW LEVEL SECURITY;
UPDATE records
SET rule_id = substr(reasoning_trace -> 'stages' -> 0 -> 'candidates' -> 0 ->> 'source', 6)::uuid
WHERE reasoning_trace -> 'stages' -> 0 ->> 'stage' = 'rules'
  AND reasoning_trace -> 'stages' -> 0 ->> 'outcome' IN ('decided', 'unsure')
  AND reasoning_trace -> 'stages' -> 0 -> 'candidates' -> 0 ->> 'source' LIKE 'rule:%';
ALTER TABLE records FORCE ROW LEVEL SECURITY;

-- Records of the same counterparty (or text, where they have none), however long that is.
ALTER TABLE records ADD COLUMN party UUID
    GENERATED ALWAYS AS (md5(CASE counterparty WHEN '' THEN text ELSE counterparty END)::uuid) STORED;
CREATE INDEX records_by_party ON records (tenant_id, party, occurred_on);
CREATE INDEX records_by_people ON records (tenant_id, id) WHERE status IN ('approved', 'overridden');

CREATE TABLE rule_proposals (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    condition JSONB NOT NULL,
    category_id UUID NOT NULL,
    evidence JSONB NOT NULL,
    status TEXT NOT NULL,
    rule_id UUID,
    decided_by TEXT,
    decided_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id) ON DELETE CASCADE,
    UNIQUE (tenant_id, key)
);

CREATE TABLE rule_runs (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    job_id UUID NOT NULL,
    status TEXT NOT NULL,
    rule_ids UUID[],
    record_filter JSONB NOT NULL,
    counts JSONB NOT NULL,
    requested_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    undone_at TIMESTAMP WITH TIME ZONE,
    failure TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE rule_run_changes (
    tenant_id UUID NOT NULL,
    run_id UUID NOT NULL,
    record_id UUID NOT NULL,
    before JSONB NOT NULL,
    after JSONB NOT NULL,
    before_version INTEGER NOT NULL,
    after_version INTEGER NOT NULL,
    undone BOOLEAN,
    PRIMARY KEY (tenant_id, run_id, record_id),
    FOREIGN KEY(tenant_id, run_id) REFERENCES rule_runs (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id, record_id) REFERENCES records (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX rule_run_changes_of_record ON rule_run_changes (tenant_id, record_id);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rule_proposals', 'rule_runs', 'rule_run_changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
