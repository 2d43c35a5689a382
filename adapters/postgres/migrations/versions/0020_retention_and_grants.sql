-- A key by which the operator acts in the tenant.
ALTER TABLE api_keys ADD COLUMN operators BOOLEAN NOT NULL DEFAULT false;

-- Roles have what they need, and whoever else connects has nothing. Only the app's fills temporary tables. Where this
-- role does not own the database, its administrator's grants stay as they are.
REVOKE SELECT ON local_accounts, identities, sessions, plugin_inventories FROM sortation_app;
REVOKE EXECUTE ON FUNCTION find_api_key FROM sortation_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO sortation_app', current_database());
END $$;

-- A tenant has payloads dropped before the operator would.
CREATE POLICY swept ON tenants FOR SELECT TO CURRENT_USER USING (true);
CREATE OR REPLACE FUNCTION sweep(payload_seconds float8, job_seconds float8, key_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH payloads AS (
        DELETE FROM import_chunks c USING imports i JOIN tenants t ON t.tenant_id = i.tenant_id
        WHERE i.tenant_id = c.tenant_id AND i.id = c.import_id AND i.status IN ('done', 'failed', 'undone')
          AND i.finished_at < now() - make_interval(secs => least(
              payload_seconds, (t.settings ->> 'payload_retention_days')::float8 * 86400))
        RETURNING 1
    ), finished AS (
        DELETE FROM jobs WHERE status = 'done' AND finished_at < now() - make_interval(secs => job_seconds)
        RETURNING 1
    ), answered AS (
        DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => key_seconds)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM payloads) + (SELECT count(*) FROM finished) + (SELECT count(*) FROM answered)
$$;
CREATE OR REPLACE FUNCTION sweep_arrivals(payload_seconds float8) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH bodies AS (
        UPDATE webhook_deliveries d SET body = NULL, headers = NULL FROM tenants t
        WHERE t.tenant_id = d.tenant_id AND d.body IS NOT NULL
          AND d.finished_at < now() - make_interval(secs => least(
              payload_seconds, (t.settings ->> 'payload_retention_days')::float8 * 86400))
        RETURNING 1
    ), states AS (
        DELETE FROM oauth_states WHERE expires_at < now() RETURNING 1
    )
    SELECT (SELECT count(*) FROM bodies) + (SELECT count(*) FROM states)
$$;

-- Who acted, and from where, is forgotten when the tenant wants it so: of at most so many batches at once. Their digests
-- stay, and so does the chain. Batches that nothing of it was kept beside are left as they are: it would break there.
CREATE INDEX event_batches_of_somebody ON event_batches (tenant_id, created_at)
    WHERE head IS NOT NULL AND NOT erased AND (actor_id IS NOT NULL OR user_agent IS NOT NULL);
CREATE FUNCTION forget_callers(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT b.tenant_id, b.id FROM tenants t JOIN event_batches b ON b.tenant_id = t.tenant_id
        WHERE b.created_at < now() - make_interval(secs => (t.settings ->> 'log_retention_days')::float8 * 86400)
          AND b.head IS NOT NULL AND NOT b.erased AND (b.actor_id IS NOT NULL OR b.user_agent IS NOT NULL)
        LIMIT most
    ), forgotten AS (
        UPDATE event_batches b SET address = NULL, user_agent = NULL, erased = true,
            actor = CASE WHEN b.actor_id IS NULL OR EXISTS (
                SELECT 1 FROM api_keys k WHERE k.tenant_id = b.tenant_id AND k.id = b.actor_id
            ) THEN b.actor ELSE 'somebody' END
        FROM old WHERE b.tenant_id = old.tenant_id AND b.id = old.id
        RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$;
REVOKE ALL ON FUNCTION forget_callers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_callers TO sortation_system;

-- Where a person is named beside the tables of people: by whom something was decided, begun or asked for.
CREATE FUNCTION places_of_names() RETURNS TABLE (in_table text, in_column text, before_name text)
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    VALUES ('approvals', 'decided_by', ''), ('approvals', 'withdrawn_by', ''), ('rule_proposals', 'decided_by', ''),
           ('rule_runs', 'requested_by', ''), ('evaluations', 'requested_by', ''), ('oauth_states', 'started_by', ''),
           ('invitations', 'invited_by', ''), ('connection_health', 'message', 'by ')
$$;
REVOKE ALL ON FUNCTION places_of_names FROM PUBLIC;
-- The owner stays under row-level security but for the tenants that a function below names to it.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['connection_health', 'records', 'rule_run_changes'] LOOP
        EXECUTE format('CREATE POLICY erased ON %I TO CURRENT_USER USING (tenant_id = ANY (ARRAY(
            SELECT unnest(string_to_array(current_setting(''app.names_in'', true), '',''))::uuid)))', name);
    END LOOP;
END $$;

CREATE FUNCTION tenants_of_person(person uuid) RETURNS uuid[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT array(SELECT tenant_id FROM memberships WHERE user_id = person
                 UNION SELECT tenant_id FROM event_batches WHERE actor_id = person)
$$;
REVOKE ALL ON FUNCTION tenants_of_person FROM PUBLIC;

-- What names them there, as (table, row), for who asks what is kept of them.
CREATE FUNCTION rows_that_name(person uuid) RETURNS TABLE (kind text, told jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    names text[];
    involved uuid[] := tenants_of_person(person);
    place record;
BEGIN
    PERFORM set_config('app.names_in', array_to_string(involved, ','), true);
    SELECT array_remove(array[email, nullif(name, '')], NULL) INTO names FROM users WHERE id = person;
    RETURN QUERY SELECT 'local_accounts', jsonb_build_object(
            'user_id', user_id, 'failures', failures, 'locked_until', locked_until, 'changed_at', changed_at)
        FROM local_accounts WHERE user_id = person;
    RETURN QUERY SELECT 'invitations', to_jsonb(i) FROM invitations i WHERE email = names[1];
    FOR place IN SELECT * FROM places_of_names() LOOP
        RETURN QUERY EXECUTE format(
            'SELECT %L::text, to_jsonb(t) - ''sealed'' - ''state_hash'' FROM %1$I t
             WHERE tenant_id = ANY ($1) AND %2$I = ANY (SELECT %3$L || n FROM unnest($2) AS n)',
            place.in_table, place.in_column, place.before_name) USING involved, names;
    END LOOP;
    RETURN QUERY SELECT 'records', jsonb_build_object(
            'tenant_id', r.tenant_id, 'id', r.id, 'reason', r.reasoning_trace ->> 'reason')
        FROM records r, unnest(names) AS n
        WHERE r.tenant_id = ANY (involved) AND strpos(r.reasoning_trace ->> 'reason', ' by ' || n || ' at ') > 0;
END $$;
REVOKE ALL ON FUNCTION rows_that_name FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rows_that_name TO sortation_system;

-- In what a record tells of how it was decided, and in what a run noted of that: of at most so many rows at once.
CREATE FUNCTION erase_traces(person uuid, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    involved uuid[] := tenants_of_person(person);
    quoted text;
    place record;
    changed bigint;
    total bigint := 0;
BEGIN
    PERFORM set_config('app.names_in', array_to_string(involved, ','), true);
    FOR quoted IN
        SELECT substr(written, 2, length(written) - 2)
        FROM (SELECT to_jsonb(unnest(array[email, nullif(name, '')]))::text AS written FROM users WHERE id = person) AS w
        WHERE written IS NOT NULL
    LOOP
        FOR place IN SELECT * FROM (VALUES
            ('records', 'reasoning_trace'), ('rule_run_changes', 'before'), ('rule_run_changes', 'after')
        ) AS places (in_table, in_column) LOOP
            EXECUTE format(
                'UPDATE %1$I SET %2$I = replace(replace(%2$I::text, $2, ''"person:erased person"''),
                                                $3, '' by erased person at '')::jsonb
                 WHERE ctid = ANY (ARRAY(
                     SELECT ctid FROM %1$I WHERE tenant_id = ANY ($1)
                       AND (strpos(%2$I::text, $2) > 0 OR strpos(%2$I::text, $3) > 0) LIMIT $4))',
                place.in_table, place.in_column)
            USING involved, '"person:' || quoted || '"', ' by ' || quoted || ' at ', most;
            GET DIAGNOSTICS changed = ROW_COUNT;
            total := total + changed;
        END LOOP;
    END LOOP;
    RETURN total;
END $$;
REVOKE ALL ON FUNCTION erase_traces FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_traces TO sortation_system;

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
    UPDATE event_batches SET actor = 'erased person', address = NULL, user_agent = NULL, erased = true
    WHERE tenant_id = ANY (involved) AND actor_id = person;
    DELETE FROM invitations WHERE email = names[1];
    DELETE FROM memberships WHERE user_id = person;
    DELETE FROM sessions WHERE user_id = person;
    DELETE FROM identities WHERE user_id = person;
    DELETE FROM local_accounts WHERE user_id = person;
    UPDATE users SET email = 'erased-' || person || '@invalid', name = '' WHERE id = person;
END $$;

-- What lifts row-level security in a tenant's name does so in its own transactions alone.
CREATE OR REPLACE FUNCTION erase_events(of_tenant uuid, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH doomed AS (
        SELECT id FROM event_batches
        WHERE tenant_id = of_tenant AND of_tenant = nullif(current_setting('app.tenant_id', true), '')::uuid
        LIMIT most
    ), told AS (
        DELETE FROM events e USING doomed WHERE e.tenant_id = of_tenant AND e.batch_id = doomed.id RETURNING 1
    ), gone AS (
        DELETE FROM event_batches b USING doomed WHERE b.tenant_id = of_tenant AND b.id = doomed.id RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
