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

-- Names are not unique, so ids stand beside them: of the person whose transaction it is. Rows of before have the name.
CREATE FUNCTION acting_person() RETURNS uuid
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT nullif(current_setting('app.user_id', true), '')::uuid
$$;
REVOKE ALL ON FUNCTION acting_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION acting_person TO sortation_app;
ALTER TABLE approvals ADD COLUMN decided_by_id UUID, ADD COLUMN withdrawn_by_id UUID;
ALTER TABLE rule_proposals ADD COLUMN decided_by_id UUID;
ALTER TABLE rule_runs ADD COLUMN requested_by_id UUID DEFAULT acting_person();
ALTER TABLE evaluations ADD COLUMN requested_by_id UUID DEFAULT acting_person();
ALTER TABLE invitations ADD COLUMN invited_by_id UUID;
ALTER TABLE connection_health ADD COLUMN by_id UUID DEFAULT acting_person();

-- By whom a key was made, since it goes with them.
ALTER TABLE api_keys ADD COLUMN created_by UUID;

DROP FUNCTION places_of_names;
CREATE FUNCTION places_of_names() RETURNS TABLE (in_table text, in_column text, id_column text, before_name text)
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    VALUES ('approvals', 'decided_by', 'decided_by_id', ''), ('approvals', 'withdrawn_by', 'withdrawn_by_id', ''),
           ('rule_proposals', 'decided_by', 'decided_by_id', ''), ('rule_runs', 'requested_by', 'requested_by_id', ''),
           ('evaluations', 'requested_by', 'requested_by_id', ''), ('oauth_states', 'started_by', 'user_id', ''),
           ('invitations', 'invited_by', 'invited_by_id', ''), ('connection_health', 'message', 'by_id', 'by ')
$$;
REVOKE ALL ON FUNCTION places_of_names FROM PUBLIC;

-- Whether a trace tells of this person: by their id, or by a name that is nobody else's there.
CREATE FUNCTION tells_of(trace text, person uuid, name text, own_names text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT (strpos(trace, '"person:' || quoted || '"') > 0 OR strpos(trace, ' by ' || quoted || ' at ') > 0)
           AND (name = ANY (own_names) OR strpos(trace, '"by_id": "' || person || '"') > 0)
    FROM (SELECT substr(written, 2, length(written) - 2) AS quoted FROM (SELECT to_jsonb(name)::text AS written) AS w) AS q
$$;
REVOKE ALL ON FUNCTION tells_of FROM PUBLIC;

CREATE OR REPLACE FUNCTION rows_that_name(person uuid) RETURNS TABLE (kind text, told jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    names text[];
    own text[];
    involved uuid[] := tenants_of_person(person);
    of_tenant uuid;
    place record;
BEGIN
    PERFORM set_config('app.names_in', array_to_string(involved, ','), true);
    SELECT array_remove(array[email, nullif(name, '')], NULL) INTO names FROM users WHERE id = person;
    RETURN QUERY SELECT 'local_accounts', jsonb_build_object(
            'user_id', user_id, 'failures', failures, 'locked_until', locked_until, 'changed_at', changed_at)
        FROM local_accounts WHERE user_id = person;
    RETURN QUERY SELECT 'invitations', to_jsonb(i) FROM invitations i WHERE email = names[1];
    FOREACH of_tenant IN ARRAY involved LOOP
        own := names_in(of_tenant, person);
        FOR place IN SELECT * FROM places_of_names() LOOP
            RETURN QUERY EXECUTE format(
                'SELECT %L::text, to_jsonb(t) - ''sealed'' - ''state_hash'' FROM %1$I t
                 WHERE tenant_id = $1 AND %2$I = ANY (SELECT %4$L || n FROM unnest($2) AS n)
                   AND (%3$I = $4 OR %3$I IS NULL AND %2$I = ANY (SELECT %4$L || n FROM unnest($3) AS n))',
                place.in_table, place.in_column, place.id_column, place.before_name)
            USING of_tenant, names, own, person;
        END LOOP;
        RETURN QUERY SELECT 'records', jsonb_build_object(
                'tenant_id', r.tenant_id, 'id', r.id, 'reason', r.reasoning_trace ->> 'reason')
            FROM records r, unnest(names) AS n
            WHERE r.tenant_id = of_tenant AND strpos(r.reasoning_trace ->> 'reason', ' by ' || n || ' at ') > 0
              AND tells_of(r.reasoning_trace::text, person, n, own);
        RETURN QUERY SELECT 'event_batches', to_jsonb(b) - 'digest' - 'head' - 'contents' - 'salt'
            FROM event_batches b WHERE b.tenant_id = of_tenant AND b.actor_id IS NULL AND b.actor = ANY (own);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION erase_traces(person uuid, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    involved uuid[] := tenants_of_person(person);
    own text[];
    of_tenant uuid;
    told record;
    place record;
    changed bigint;
    total bigint := 0;
BEGIN
    PERFORM set_config('app.names_in', array_to_string(involved, ','), true);
    FOREACH of_tenant IN ARRAY involved LOOP
        own := names_in(of_tenant, person);
        FOR told IN
            SELECT name, substr(written, 2, length(written) - 2) AS quoted
            FROM (SELECT n AS name, to_jsonb(n)::text AS written
                  FROM users u, unnest(array[u.email, nullif(u.name, '')]) AS n WHERE u.id = person) AS w
            WHERE name IS NOT NULL
        LOOP
            FOR place IN SELECT * FROM (VALUES
                ('records', 'reasoning_trace'), ('rule_run_changes', 'before'), ('rule_run_changes', 'after')
            ) AS places (in_table, in_column) LOOP
                EXECUTE format(
                    'UPDATE %1$I SET %2$I = replace(replace(%2$I::text, $2, ''"person:erased person"''),
                                                    $3, '' by erased person at '')::jsonb
                     WHERE ctid = ANY (ARRAY(
                         SELECT ctid FROM %1$I WHERE tenant_id = $1 AND tells_of(%2$I::text, $5, $6, $7) LIMIT $4))',
                    place.in_table, place.in_column)
                USING of_tenant, '"person:' || told.quoted || '"', ' by ' || told.quoted || ' at ', most,
                      person, told.name, own;
                GET DIAGNOSTICS changed = ROW_COUNT;
                total := total + changed;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN total;
END $$;

CREATE OR REPLACE FUNCTION erase_person(person uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    names text[];
    own text[];
    involved uuid[] := tenants_of_person(person);
    of_tenant uuid;
    place record;
BEGIN
    SELECT array_remove(array[email, nullif(name, '')], NULL) INTO names FROM users WHERE id = person FOR UPDATE;
    PERFORM erase_traces(person, NULL);
    FOREACH of_tenant IN ARRAY involved LOOP
        own := names_in(of_tenant, person);
        FOR place IN SELECT * FROM places_of_names() LOOP
            EXECUTE format(
                'UPDATE %1$I SET %2$I = %4$L || ''erased person''
                 WHERE tenant_id = $1 AND %2$I = ANY (SELECT %4$L || n FROM unnest($2) AS n)
                   AND (%3$I = $4 OR %3$I IS NULL AND %2$I = ANY (SELECT %4$L || n FROM unnest($3) AS n))',
                place.in_table, place.in_column, place.id_column, place.before_name)
            USING of_tenant, names, own, person;
        END LOOP;
        UPDATE event_batches SET actor = 'erased person', address = NULL, user_agent = NULL, salt = NULL, erased = true
        WHERE tenant_id = of_tenant AND (
            actor_id = person
            OR actor_id IS NULL AND actor = ANY (own) AND (head IS NOT NULL OR last_seq IS NULL));
    END LOOP;
    DELETE FROM invitations WHERE email = names[1];
    DELETE FROM memberships WHERE user_id = person;
    DELETE FROM sessions WHERE user_id = person;
    DELETE FROM identities WHERE user_id = person;
    DELETE FROM local_accounts WHERE user_id = person;
    UPDATE users SET email = 'erased-' || person || '@invalid', name = '' WHERE id = person;
END $$;

-- When a tenant was last told that the operator reads its log.
ALTER TABLE tenants ADD COLUMN operator_read_at TIMESTAMPTZ;
