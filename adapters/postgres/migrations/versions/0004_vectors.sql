-- Where each tenant's vectors live, and which model's a search asks; the vectors themselves, by home.

CREATE TABLE vector_homes (
    tenant_id UUID NOT NULL,
    home UUID NOT NULL,
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL,
    serving TEXT NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE example_vectors (
    tenant_id UUID NOT NULL,
    example_id UUID NOT NULL,
    model TEXT NOT NULL,
    home UUID NOT NULL,
    embedding VECTOR(384) NOT NULL,
    PRIMARY KEY (tenant_id, example_id, model, home),
    FOREIGN KEY(tenant_id, example_id) REFERENCES examples (tenant_id, id) ON DELETE CASCADE
) PARTITION BY LIST (home);

CREATE TABLE example_vectors_shared (
    tenant_id UUID NOT NULL,
    example_id UUID NOT NULL,
    model TEXT NOT NULL,
    home UUID NOT NULL,
    embedding VECTOR(384) NOT NULL,
    PRIMARY KEY (tenant_id, example_id, model, home),
    FOREIGN KEY(tenant_id, example_id) REFERENCES examples (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE example_vectors ATTACH PARTITION example_vectors_shared FOR VALUES IN ('00000000-0000-0000-0000-000000000000');

-- What there is moves over. The owner, too, is under row-level security but for these statements.
ALTER TABLE examples NO FORCE ROW LEVEL SECURITY;
INSERT INTO example_vectors (tenant_id, example_id, model, home, embedding)
SELECT tenant_id, id, model, '00000000-0000-0000-0000-000000000000', embedding FROM examples
WHERE model IS NOT NULL AND embedding IS NOT NULL
ORDER BY tenant_id, id;
ALTER TABLE examples FORCE ROW LEVEL SECURITY;
INSERT INTO vector_homes (tenant_id, home, moved_at, serving)
SELECT DISTINCT ON (tenant_id) tenant_id, '00000000-0000-0000-0000-000000000000', now(), model
FROM (SELECT tenant_id, model, count(*) AS vectors FROM example_vectors GROUP BY tenant_id, model) AS counted
ORDER BY tenant_id, vectors DESC, model;
ALTER TABLE examples DROP COLUMN model, DROP COLUMN embedding;

-- It carries the vectors, and so keeps each tenant's together, in whatever order they came.
CREATE INDEX example_vectors_scan ON example_vectors_shared (tenant_id, model) INCLUDE (example_id, embedding);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['vector_homes', 'example_vectors', 'example_vectors_shared'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO sortation_app '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sortation_app', name);
        -- The owner moves them from home to home.
        EXECUTE format('CREATE POLICY owned ON %I TO CURRENT_USER USING (true)', name);
    END LOOP;
END $$;

-- And locks their examples meanwhile, so that none goes while its vector is copied.
CREATE POLICY owned ON examples TO CURRENT_USER USING (true);

-- The relay asks whose vectors of another model serve.
CREATE POLICY system_read ON vector_homes FOR SELECT TO sortation_system USING (true);
GRANT SELECT ON vector_homes TO sortation_system;
