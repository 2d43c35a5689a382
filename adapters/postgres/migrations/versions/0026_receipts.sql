-- Receipts, what they say, and what they are matched with. Their files are in the file store.
CREATE TABLE receipts (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    filename TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    source TEXT NOT NULL,
    connection_id UUID,
    uploaded_by TEXT NOT NULL,
    uploaded_by_id UUID DEFAULT acting_person(),
    uploaded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    amount NUMERIC,
    currency TEXT,
    day DATE,
    merchant TEXT,
    by_person TEXT[] NOT NULL,
    links INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    UNIQUE (tenant_id, sha256)
);
CREATE INDEX receipts_open ON receipts (tenant_id, id) WHERE links = 0;
CREATE INDEX receipts_waiting ON receipts (tenant_id, id) WHERE links = 0 AND amount IS NOT NULL;

CREATE TABLE receipt_matches (
    tenant_id UUID NOT NULL,
    receipt_id UUID NOT NULL,
    record_id UUID NOT NULL,
    state TEXT NOT NULL,
    score DOUBLE PRECISION,
    decided_by TEXT,
    decided_by_id UUID,
    decided_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant_id, receipt_id, record_id),
    FOREIGN KEY(tenant_id, receipt_id) REFERENCES receipts (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id, record_id) REFERENCES records (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX receipt_matches_of_record ON receipt_matches (tenant_id, record_id);

-- How many records a receipt is linked to, whatever ends a link: a person, an import that is undone, a record that is
-- deleted or too old. A transaction is told of it, too.
CREATE FUNCTION count_links() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'linked' THEN
        PERFORM set_config('app.unlinked', 'true', true);
        UPDATE receipts SET links = links - 1 WHERE tenant_id = OLD.tenant_id AND id = OLD.receipt_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'linked' THEN
        UPDATE receipts SET links = links + 1 WHERE tenant_id = NEW.tenant_id AND id = NEW.receipt_id;
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION count_links FROM PUBLIC;
CREATE TRIGGER count_links AFTER INSERT OR UPDATE OF state OR DELETE ON receipt_matches
    FOR EACH ROW EXECUTE FUNCTION count_links();

-- By which a receipt's records are found: operators of numeric are not leakproof, so that under row-level security no
-- index on the amount itself would be used; those of float8 and date are.
ALTER TABLE records ADD COLUMN magnitude DOUBLE PRECISION GENERATED ALWAYS AS (abs(amount)::double precision) STORED;
CREATE INDEX records_by_day ON records (tenant_id, occurred_on, magnitude);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['receipts', 'receipt_matches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY erased ON %I TO CURRENT_USER USING (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
    END LOOP;
END $$;

-- Where people are named, here beside where they were.
DO $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION places_of_names() '
        'RETURNS TABLE (in_table text, in_column text, id_column text, before_name text) '
        'LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS %L',
        rtrim((SELECT prosrc FROM pg_proc WHERE oid = 'places_of_names'::regproc), E' \n') || E'\n    UNION ALL '
        'VALUES (''receipts'', ''uploaded_by'', ''uploaded_by_id'', ''''),'
        ' (''receipt_matches'', ''decided_by'', ''decided_by_id'', '''')');
END $$;
