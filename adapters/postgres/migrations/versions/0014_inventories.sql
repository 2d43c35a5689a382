-- Which plugins the processes of each role have. Each says so every few seconds; those with the same ones share a row.
CREATE TABLE plugin_inventories (
    role TEXT NOT NULL,
    digest TEXT NOT NULL,
    offers JSONB NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (role, digest)
);

ALTER TABLE plugin_inventories ENABLE ROW LEVEL SECURITY;
ALTER TABLE plugin_inventories FORCE ROW LEVEL SECURITY;
GRANT SELECT ON plugin_inventories TO sortation_app, sortation_system;
CREATE POLICY system_read ON plugin_inventories FOR SELECT TO sortation_system USING (true);

CREATE POLICY announced ON plugin_inventories TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE FUNCTION announce_plugins(by_role text, its_digest text, offered jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM plugin_inventories WHERE seen_at < now() - interval '1 day';
    INSERT INTO plugin_inventories (role, digest, offers, seen_at) VALUES (by_role, its_digest, offered, now())
    ON CONFLICT (role, digest) DO UPDATE SET seen_at = excluded.seen_at
$$;
REVOKE ALL ON FUNCTION announce_plugins FROM PUBLIC;
GRANT EXECUTE ON FUNCTION announce_plugins TO sortation_system;
