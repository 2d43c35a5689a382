-- A person is erased: what proves them and what names them goes; what they decided stays, as somebody's.
CREATE POLICY erased ON local_accounts TO CURRENT_USER USING (true);
CREATE POLICY erased ON identities TO CURRENT_USER USING (true);
CREATE POLICY erased ON memberships TO CURRENT_USER USING (true);
CREATE POLICY erased ON invitations TO CURRENT_USER USING (true);
CREATE POLICY erased ON approvals TO CURRENT_USER USING (true);
CREATE POLICY erased ON rule_proposals TO CURRENT_USER USING (true);
CREATE POLICY erased ON rule_runs TO CURRENT_USER USING (true);
CREATE POLICY erased ON evaluations TO CURRENT_USER USING (true);
CREATE POLICY erased ON events TO CURRENT_USER USING (true);
CREATE POLICY erased ON event_batches TO CURRENT_USER USING (true);

CREATE FUNCTION erase_person(person uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    names text[];
    involved uuid[];
    place record;
BEGIN
    SELECT array[email, nullif(name, '')] INTO names FROM users WHERE id = person FOR UPDATE;
    SELECT array(SELECT tenant_id FROM memberships WHERE user_id = person
                 UNION SELECT tenant_id FROM event_batches WHERE actor_id = person) INTO involved;
    FOR place IN SELECT * FROM (VALUES
        ('approvals', 'decided_by'), ('approvals', 'withdrawn_by'), ('rule_proposals', 'decided_by'),
        ('rule_runs', 'requested_by'), ('evaluations', 'requested_by'), ('oauth_states', 'started_by'),
        ('invitations', 'invited_by')
    ) AS places (in_table, in_column) LOOP
        EXECUTE format('UPDATE %I SET %I = ''erased person'' WHERE tenant_id = ANY ($1) AND %2$I = ANY ($2)',
                       place.in_table, place.in_column) USING involved, names;
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
REVOKE ALL ON FUNCTION erase_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_person TO sortation_system;

-- The log is append-only for who writes it; with its tenant it goes, at most so many batches at once.
CREATE FUNCTION erase_events(of_tenant uuid, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH doomed AS (
        SELECT id FROM event_batches WHERE tenant_id = of_tenant LIMIT most
    ), told AS (
        DELETE FROM events e USING doomed WHERE e.tenant_id = of_tenant AND e.batch_id = doomed.id RETURNING 1
    ), gone AS (
        DELETE FROM event_batches b USING doomed WHERE b.tenant_id = of_tenant AND b.id = doomed.id RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION erase_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_events TO sortation_app;
CREATE INDEX event_batches_of_actor ON event_batches (actor_id) WHERE actor_id IS NOT NULL;
