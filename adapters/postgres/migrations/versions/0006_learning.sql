-- What ensembles learned, and what they said of records on arrival.

CREATE TABLE ensembles (
    tenant_id UUID NOT NULL,
    version INTEGER NOT NULL,
    learner TEXT NOT NULL,
    taught BIGINT NOT NULL,
    arrived BIGINT NOT NULL,
    gate JSONB NOT NULL,
    arrays BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
-- Arrays don't compress: trying costs more than it saves.
ALTER TABLE ensembles ALTER COLUMN arrays SET STORAGE EXTERNAL;

CREATE TABLE arrivals (
    tenant_id UUID NOT NULL,
    record_id UUID NOT NULL,
    candidates UUID[] NOT NULL,
    features BYTEA NOT NULL,
    score REAL NOT NULL,
    stacked BOOLEAN NOT NULL,
    scope REAL NOT NULL,
    predicted UUID,
    arrived BIGINT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, record_id),
    FOREIGN KEY(tenant_id, record_id) REFERENCES records (tenant_id, id) ON DELETE CASCADE
);

ALTER TABLE examples ADD COLUMN learned BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX examples_to_learn ON examples (tenant_id, record_id) WHERE NOT learned;
CREATE INDEX examples_learned ON examples (tenant_id, record_id) WHERE learned;

-- Thresholds were numbers that nobody had chosen: now they follow the promise, unless somebody fixes them.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
UPDATE tenants SET settings = settings - 'similarity_threshold' WHERE settings -> 'similarity_threshold' = '0.9';
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ensembles', 'arrivals'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;
