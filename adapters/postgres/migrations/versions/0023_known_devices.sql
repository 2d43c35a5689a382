-- Browsers that somebody signed in with by a password. They go with it.
CREATE TABLE known_devices (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    secret_hash BYTEA NOT NULL,
    failures INTEGER NOT NULL,
    locked_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (secret_hash),
    FOREIGN KEY(user_id) REFERENCES local_accounts (user_id) ON DELETE CASCADE
);
CREATE INDEX known_devices_of_user ON known_devices (user_id);

-- As with sessions: the system's, and no tenant's transaction sees it.
ALTER TABLE known_devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE known_devices FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON known_devices TO sortation_system;
CREATE POLICY system_read ON known_devices FOR SELECT TO sortation_system USING (true);
CREATE POLICY system_add ON known_devices FOR INSERT TO sortation_system WITH CHECK (true);
CREATE POLICY system_change ON known_devices FOR UPDATE TO sortation_system USING (true);
CREATE POLICY swept ON known_devices TO CURRENT_USER USING (true);

-- All of the person's but so many that were seen last.
CREATE FUNCTION forget_devices(person uuid, kept integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM known_devices WHERE id IN (
            SELECT id FROM known_devices WHERE user_id = person ORDER BY seen_at DESC, id DESC OFFSET kept)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION forget_devices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_devices TO sortation_system;

CREATE FUNCTION sweep_devices(unseen_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM known_devices WHERE seen_at < now() - make_interval(secs => unseen_seconds) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION sweep_devices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sweep_devices TO sortation_system;

-- What somebody is known by at a provider, when they unlink it.
CREATE FUNCTION unlink_identities(person uuid, of_issuer text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM identities WHERE user_id = person AND issuer = of_issuer RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION unlink_identities FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unlink_identities TO sortation_system;
