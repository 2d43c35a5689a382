"""The set-based statements that move all that belongs to a category, or take it apart.

Parameters: `tenant`, `id` (the category) and `into`. It is locked first, so that nothing new comes to it; then the
review queue, then records, as where people answer it.
"""

from __future__ import annotations

from sqlalchemy import text

FINGERPRINT = text(
    "SELECT coalesce(md5(string_agg(id::text, ',' ORDER BY id)), '') FROM categories WHERE tenant_id = :tenant"
)

BELONGINGS = text("""
    SELECT (SELECT count(*) FROM records WHERE tenant_id = :tenant AND category_id = :id) AS records,
           (SELECT count(*) FROM examples WHERE tenant_id = :tenant AND category_id = :id) AS examples,
           (SELECT count(*) FROM rules WHERE tenant_id = :tenant AND category_id = :id) AS rules,
           (SELECT count(*) FROM rule_proposals WHERE tenant_id = :tenant AND category_id = :id) AS proposals,
           (SELECT count(*) FROM approvals
            WHERE tenant_id = :tenant AND suggested_id = :id AND verdict IS NULL) AS approvals,
           (SELECT count(*) FROM categories WHERE tenant_id = :tenant AND parent_id = :id) AS children
""")

USAGE = text("""
    SELECT 'records' AS what, category_id, count(*) FROM records
    WHERE tenant_id = :tenant AND category_id IS NOT NULL GROUP BY category_id
    UNION ALL SELECT 'examples', category_id, count(*) FROM examples WHERE tenant_id = :tenant GROUP BY category_id
    UNION ALL SELECT 'rules', category_id, count(*) FROM rules
    WHERE tenant_id = :tenant AND category_id IS NOT NULL GROUP BY category_id
    UNION ALL SELECT 'proposals', category_id, count(*) FROM rule_proposals
    WHERE tenant_id = :tenant GROUP BY category_id
    UNION ALL SELECT 'approvals', suggested_id, count(*) FROM approvals
    WHERE tenant_id = :tenant AND suggested_id IS NOT NULL AND verdict IS NULL GROUP BY suggested_id
    UNION ALL SELECT 'children', parent_id, count(*) FROM categories
    WHERE tenant_id = :tenant AND parent_id IS NOT NULL GROUP BY parent_id
""")

LOCK_APPROVALS = text("""
    SELECT a.id FROM approvals a
    WHERE a.tenant_id = :tenant AND (
        a.suggested_id = :id OR a.category_id = :id OR a.verdict IS NULL AND EXISTS (
            SELECT 1 FROM records r WHERE r.tenant_id = :tenant AND r.id = a.record_id AND r.category_id = :id
        )
    )
    ORDER BY a.id FOR UPDATE
""")

# A rule run over them is still the last to have changed them: it can be undone as before.
MOVE_RECORDS = text("""
    WITH locked AS MATERIALIZED (
        SELECT id FROM records WHERE tenant_id = :tenant AND category_id = :id ORDER BY id FOR UPDATE
    ), moved AS (
        UPDATE records r SET category_id = :into, updated_at = now(), version = r.version + 1
        FROM locked WHERE r.tenant_id = :tenant AND r.id = locked.id
        RETURNING r.id, r.version
    ), continued AS (
        UPDATE rule_run_changes c SET after_version = moved.version
        FROM moved WHERE c.tenant_id = :tenant AND c.record_id = moved.id AND c.after_version = moved.version - 1
    )
    SELECT count(*) FROM moved
""")

MOVE_EXAMPLES = text("UPDATE examples SET category_id = :into WHERE tenant_id = :tenant AND category_id = :id")

MOVE_RULES = text("""
    UPDATE rules SET category_id = :into, action = jsonb_set(action, '{category}', to_jsonb(CAST(:into AS text))),
        version = version + 1
    WHERE tenant_id = :tenant AND category_id = :id
""")

MOVE_APPROVALS = text("""
    WITH moved AS (
        UPDATE approvals SET
            suggested_id = CASE WHEN suggested_id = :id THEN :into ELSE suggested_id END,
            category_id = CASE WHEN category_id = :id THEN :into ELSE category_id END
        WHERE tenant_id = :tenant AND (suggested_id = :id OR category_id = :id)
        RETURNING verdict
    )
    SELECT count(*) FROM moved WHERE verdict IS NULL
""")

MOVE_ALIASES = text("UPDATE category_aliases SET category_id = :into WHERE tenant_id = :tenant AND category_id = :id")

MOVE_PROPOSALS = text("""
    UPDATE rule_proposals p SET category_id = :into, key = k.key, version = p.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[])) AS k(id, key)
    WHERE p.tenant_id = :tenant AND p.id = k.id
""")

MOVE_CHILDREN = text("""
    UPDATE categories c SET parent_id = p.parent_id, version = c.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:parents AS uuid[])) AS p(id, parent_id)
    WHERE c.tenant_id = :tenant AND c.id = p.id
""")

STAGED_REOPENED = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_reopened (id uuid, approval_id uuid, group_key text)
    ON COMMIT DELETE ROWS
"""

RECORDS_TO_REOPEN = """
    SELECT id, kind, text, counterparty, amount FROM records
    WHERE tenant_id = %(tenant)s AND category_id = %(id)s ORDER BY id FOR UPDATE
"""

# As `core.domain.category_changes.withdrawn` writes the trace; `word` is the stage that it adds.
REOPEN_RECORDS = text("""
    WITH changed AS (
        UPDATE records r SET
            status = 'needs_review', category_id = NULL, stage = NULL, confidence = 0, selection_probability = 1,
            reasoning_trace = coalesce(r.reasoning_trace, '{}') || jsonb_build_object(
                'reason', CAST(:reason AS text),
                'stages', coalesce(r.reasoning_trace -> 'stages', '[]') || CASE WHEN acting_person() IS NULL
                    THEN CAST(:word AS jsonb)
                    ELSE jsonb_set(CAST(:word AS jsonb), '{0,by_id}', to_jsonb(acting_person())) END
            ),
            updated_at = now(), version = r.version + 1
        FROM staged_reopened s WHERE r.tenant_id = :tenant AND r.id = s.id
        RETURNING r.id
    ), taken_back AS (
        UPDATE approvals a SET withdrawn_by = :by, withdrawn_by_id = acting_person(), withdrawn_at = now()
        FROM changed
        WHERE a.tenant_id = :tenant AND a.record_id = changed.id AND a.verdict IS NOT NULL AND a.withdrawn_at IS NULL
    ), asked AS (
        INSERT INTO approvals (tenant_id, id, record_id, reason, confidence, urgency, group_key, created_at)
        SELECT :tenant, s.approval_id, s.id, 'unsure', 0, :urgency, s.group_key, now()
        FROM staged_reopened s JOIN changed USING (id)
        WHERE NOT EXISTS (
            SELECT 1 FROM approvals a WHERE a.tenant_id = :tenant AND a.record_id = s.id AND a.verdict IS NULL
        )
    )
    SELECT count(*) FROM changed
""")

FORGET_EXAMPLES = text("DELETE FROM examples WHERE tenant_id = :tenant AND category_id = :id")

DISABLE_RULES = text("""
    UPDATE rules SET enabled = false, category_id = NULL, action = (action - 'category') || '{"review": true}',
        version = version + 1
    WHERE tenant_id = :tenant AND category_id = :id
""")

UNSUGGEST = text("""
    UPDATE approvals SET suggested_id = NULL, confidence = 0
    WHERE tenant_id = :tenant AND suggested_id = :id AND verdict IS NULL
""")
