-- A head is three digests: of what no erasure takes, of the actor's name, and of from where they acted. The last two are
-- salted, so that nobody finds by guessing what was erased; with it goes its half of the salt.
ALTER TABLE event_batches ADD COLUMN salt BYTEA;
ALTER TABLE event_batches
    ALTER COLUMN salt SET DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

-- Who seals changes what sealing writes, and who tells writes what is told.
REVOKE UPDATE ON event_batches FROM sortation_system;
GRANT UPDATE (last_seq, digest, head, contents) ON event_batches TO sortation_system;
REVOKE INSERT ON event_batches FROM sortation_app;
GRANT INSERT (tenant_id, id, size, actor, source_agent, request_id, actor_id, address, user_agent, created_at)
    ON event_batches TO sortation_app;

CREATE OR REPLACE FUNCTION forget_callers(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT b.tenant_id, b.id, b.actor_id IS NULL OR EXISTS (
            SELECT 1 FROM api_keys k WHERE k.tenant_id = b.tenant_id AND k.id = b.actor_id
        ) AS by_program
        FROM tenants t JOIN event_batches b ON b.tenant_id = t.tenant_id
        WHERE b.created_at < now() - make_interval(secs => (t.settings ->> 'log_retention_days')::float8 * 86400)
          AND b.head IS NOT NULL AND NOT b.erased AND (b.actor_id IS NOT NULL OR b.user_agent IS NOT NULL)
        LIMIT most
    ), forgotten AS (
        UPDATE event_batches b SET address = NULL, user_agent = NULL, erased = true,
            actor = CASE WHEN old.by_program THEN b.actor ELSE 'somebody' END,
            salt = CASE WHEN old.by_program THEN substr(b.salt, 1, 16) END
        FROM old WHERE b.tenant_id = old.tenant_id AND b.id = old.id
        RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$;

CREATE OR REPLACE FUNCTION erase_person(person uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    names text[];
    involved uuid[] := tenants_of_person(person);
    place record;
BEGIN
    SELECT array[email, nullif(name, '')] INTO names FROM users WHERE id = person FOR UPDATE;
    PERFORM erase_traces(person, NULL);
    FOR place IN SELECT * FROM places_of_names() LOOP
        EXECUTE format('UPDATE %1$I SET %2$I = %3$L || ''erased person''
                        WHERE tenant_id = ANY ($1) AND %2$I = ANY (SELECT %3$L || n FROM unnest($2) AS n)',
                       place.in_table, place.in_column, place.before_name) USING involved, names;
    END LOOP;
    UPDATE event_batches SET actor = 'erased person', address = NULL, user_agent = NULL, salt = NULL, erased = true
    WHERE tenant_id = ANY (involved) AND actor_id = person;
    DELETE FROM invitations WHERE email = names[1];
    DELETE FROM memberships WHERE user_id = person;
    DELETE FROM sessions WHERE user_id = person;
    DELETE FROM identities WHERE user_id = person;
    DELETE FROM local_accounts WHERE user_id = person;
    UPDATE users SET email = 'erased-' || person || '@invalid', name = '' WHERE id = person;
END $$;
