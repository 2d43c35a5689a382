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

-- Who began a sign-in at a source is known by their id when it is finished, too. Formerly what was told then had their
-- name alone: it is found by that.
ALTER TABLE oauth_states ADD COLUMN user_id UUID, ADD COLUMN api_key_id UUID;
DROP INDEX event_batches_of_somebody;
CREATE INDEX event_batches_of_somebody ON event_batches (tenant_id, created_at)
    WHERE head IS NOT NULL AND NOT erased
      AND (actor_id IS NOT NULL OR user_agent IS NOT NULL OR actor NOT IN ('sortation', 'webhook', 'somebody'));

CREATE OR REPLACE FUNCTION forget_callers(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT b.tenant_id, b.id, CASE WHEN b.actor_id IS NULL THEN NOT EXISTS (
            SELECT 1 FROM users u WHERE b.actor IN (u.name, u.email)
        ) ELSE EXISTS (
            SELECT 1 FROM api_keys k WHERE k.tenant_id = b.tenant_id AND k.id = b.actor_id
        ) END AS by_program
        FROM tenants t JOIN event_batches b ON b.tenant_id = t.tenant_id
        WHERE b.created_at < now() - make_interval(secs => (t.settings ->> 'log_retention_days')::float8 * 86400)
          AND b.head IS NOT NULL AND NOT b.erased
          AND (b.actor_id IS NOT NULL OR b.user_agent IS NOT NULL OR b.actor NOT IN ('sortation', 'webhook', 'somebody'))
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

-- Where there is anything of the person's, also since they left, or were asked and never came.
CREATE FUNCTION tenants_that_know(person uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT unnest(tenants_of_person(person))
    UNION SELECT i.tenant_id FROM invitations i JOIN users u ON u.email = i.email WHERE u.id = person
    ORDER BY 1
$$;
REVOKE ALL ON FUNCTION tenants_that_know FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_that_know TO sortation_system;

-- The names by which something in the tenant tells the person and nobody else: neither one that another has, who is or
-- was there, nor what the log calls programs.
CREATE FUNCTION names_in(of_tenant uuid, person uuid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT array(
        SELECT n FROM users u, unnest(array[u.email, nullif(u.name, '')]) AS n
        WHERE u.id = person AND n IS NOT NULL AND lower(n) NOT LIKE 'key %'
          AND lower(n) NOT IN ('operator', 'sortation', 'webhook', 'erased person', 'somebody')
          AND NOT EXISTS (
              SELECT 1 FROM users o WHERE o.id <> person AND n IN (o.name, o.email) AND (
                  EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = of_tenant AND m.user_id = o.id)
                  OR EXISTS (SELECT 1 FROM event_batches b WHERE b.tenant_id = of_tenant AND b.actor_id = o.id)))
    )
$$;
REVOKE ALL ON FUNCTION names_in FROM PUBLIC;

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
    WHERE tenant_id = ANY (involved) AND (
        actor_id = person
        OR actor_id IS NULL AND actor = ANY (names_in(tenant_id, person)) AND (head IS NOT NULL OR last_seq IS NULL));
    DELETE FROM invitations WHERE email = names[1];
    DELETE FROM memberships WHERE user_id = person;
    DELETE FROM sessions WHERE user_id = person;
    DELETE FROM identities WHERE user_id = person;
    DELETE FROM local_accounts WHERE user_id = person;
    UPDATE users SET email = 'erased-' || person || '@invalid', name = '' WHERE id = person;
END $$;
