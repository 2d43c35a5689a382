"""The set-based statements of rule runs: deciding records anew, and putting back what was.

`before` of a change is what REDECIDE writes over, by column, and the whole open approval; RESTORE reads it back
as rows.
Categories are locked first, so that none goes while records get it; then approvals, then their records, as where people
answer them.
"""

from __future__ import annotations

from sqlalchemy import text

LOCK_CATEGORIES = text("""
    SELECT id FROM categories
    WHERE tenant_id = :tenant AND id IN (SELECT category_id FROM staged_decisions)
    ORDER BY id FOR KEY SHARE
""")

LOCK_APPROVALS = text("""
    SELECT a.id FROM approvals a JOIN staged_decisions s ON s.id = a.record_id
    WHERE a.tenant_id = :tenant AND a.verdict IS NULL
    ORDER BY a.id FOR UPDATE OF a
""")

# What somebody changed meanwhile, or was to get a category that is gone, gets no `before`, and is left alone.
NOTE_BEFORE = text("""
    WITH locked AS (
        SELECT r.* FROM records r JOIN staged_decisions s ON s.id = r.id
        WHERE r.tenant_id = :tenant AND r.version = s.version AND r.status IN ('processed', 'needs_review', 'failed')
          AND (s.category_id IS NULL OR EXISTS (
              SELECT 1 FROM categories k WHERE k.tenant_id = :tenant AND k.id = s.category_id
          ))
        ORDER BY r.id FOR UPDATE OF r
    ), gone AS (
        DELETE FROM approvals a USING locked r
        WHERE a.tenant_id = :tenant AND a.record_id = r.id AND a.verdict IS NULL
        RETURNING a.*
    )
    UPDATE staged_decisions s SET before = jsonb_build_object(
        'status', r.status, 'category_id', r.category_id, 'stage', r.stage, 'confidence', r.confidence,
        'threshold', r.threshold, 'model_version', r.model_version, 'selection_probability', r.selection_probability,
        'reasoning_trace', r.reasoning_trace, 'failure', r.failure, 'tags', r.tags, 'attributes', r.attributes,
        'rule_id', r.rule_id, 'approval', to_jsonb(gone)
    )
    FROM locked r LEFT JOIN gone ON gone.record_id = r.id
    WHERE s.id = r.id
""")

# A record that the run changed before keeps the first `before`, unless somebody changed it in between. Rules only add
# attributes: one that is there may have been set by a person.
REDECIDE = text("""
    WITH changed AS (
        UPDATE records r SET
            status = s.status, category_id = s.category_id, stage = s.stage, confidence = s.confidence,
            threshold = s.threshold, model_version = s.model_version,
            selection_probability = s.selection_probability, reasoning_trace = s.trace, failure = s.failure,
            tags = r.tags || ARRAY(SELECT added FROM unnest(s.tags) AS added WHERE added <> ALL (r.tags)),
            attributes = s.attributes || r.attributes, rule_id = s.rule_id,
            updated_at = now(), version = r.version + 1
        FROM staged_decisions s
        WHERE r.tenant_id = :tenant AND r.id = s.id AND s.before IS NOT NULL
        RETURNING r.id, r.status, r.category_id, r.stage, r.confidence, r.rule_id, r.tags, r.attributes, r.version
    ), noted AS (
        INSERT INTO rule_run_changes AS c (
            tenant_id, run_id, record_id, before, after, before_version, after_version
        )
        SELECT :tenant, CAST(:run AS uuid), id, s.before,
               to_jsonb(changed) - 'id' - 'version', s.version, changed.version
        FROM changed JOIN staged_decisions s USING (id)
        ON CONFLICT (tenant_id, run_id, record_id) DO UPDATE SET
            before = CASE WHEN c.after_version = excluded.after_version - 1 THEN c.before ELSE excluded.before END,
            before_version = CASE WHEN c.after_version = excluded.after_version - 1
                             THEN c.before_version ELSE excluded.before_version END,
            after = excluded.after, after_version = excluded.after_version, undone = NULL
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'PROCESSED', id,
               jsonb_build_object('status', status, 'stage', stage, 'category_id', category_id,
                                  'confidence', round(confidence::numeric, 4), 'run_id', CAST(:run AS uuid))
        FROM changed
    ), asked AS (
        INSERT INTO approvals (
            tenant_id, id, record_id, reason, suggested_id, confidence, urgency, group_key, created_at
        )
        SELECT :tenant, s.approval_id, s.id, s.reason, s.suggested_id, s.suggested_confidence,
               s.urgency, s.group_key, now()
        FROM staged_decisions s JOIN changed USING (id)
        WHERE s.approval_id IS NOT NULL
    )
    SELECT id FROM changed ORDER BY id
""")

NEXT_CHANGES = text("""
    SELECT record_id FROM rule_run_changes
    WHERE tenant_id = :tenant AND run_id = :run AND undone IS NULL
      AND (CAST(:after AS uuid) IS NULL OR record_id > :after)
    ORDER BY record_id LIMIT :limit
""")

LOCK_FORMER_CATEGORIES = text("""
    SELECT id FROM categories
    WHERE tenant_id = :tenant AND id IN (
        SELECT coalesce(m.category_id, CAST(c.before ->> 'category_id' AS uuid)) FROM rule_run_changes c
        LEFT JOIN category_aliases m ON m.tenant_id = :tenant AND m.alias = c.before ->> 'category_id'
        WHERE c.tenant_id = :tenant AND c.run_id = :run AND c.record_id = ANY(:ids)
    )
    ORDER BY id FOR KEY SHARE
""")

LOCK_APPROVALS_OF = text("""
    SELECT id FROM approvals WHERE tenant_id = :tenant AND record_id = ANY(:ids) AND verdict IS NULL
    ORDER BY id FOR UPDATE
""")

# All of them, so that two undoings that meet on a record see what the other one made of it.
LOCK_RECORDS = text("""
    SELECT id FROM records WHERE tenant_id = :tenant AND id = ANY(:ids) ORDER BY id FOR UPDATE
""")

# A person's decision raises the version, as any change does. A record whose former category is gone stays as it is; one
# whose former category was merged gets what that became.
# Where the former state was an earlier run's result, the record is that again, under a new version.
# `loses` and `regains` are the rules that the record counts as a hit of no longer, and again.
RESTORE = text("""
    WITH unchanged AS (
        SELECT r.id, c.after, c.before_version,
               c.before || jsonb_build_object('category_id', coalesce(k.id, m.category_id)) AS before
        FROM unnest(CAST(:ids AS uuid[])) AS n(id)
        JOIN rule_run_changes c ON c.tenant_id = :tenant AND c.run_id = :run AND c.record_id = n.id
        JOIN records r ON r.tenant_id = :tenant AND r.id = n.id AND r.version = c.after_version
        LEFT JOIN categories k ON k.tenant_id = :tenant AND k.id = CAST(c.before ->> 'category_id' AS uuid)
        LEFT JOIN category_aliases m ON m.tenant_id = :tenant AND m.alias = c.before ->> 'category_id'
        WHERE c.before ->> 'category_id' IS NULL OR coalesce(k.id, m.category_id) IS NOT NULL
    ), gone AS (
        DELETE FROM approvals a USING unchanged
        WHERE a.tenant_id = :tenant AND a.record_id = unchanged.id AND a.verdict IS NULL
    ), back AS (
        UPDATE records r SET
            status = b.status, category_id = b.category_id, stage = b.stage, confidence = b.confidence,
            threshold = b.threshold, model_version = b.model_version, selection_probability = b.selection_probability,
            reasoning_trace = b.reasoning_trace, failure = b.failure, tags = b.tags, attributes = b.attributes,
            rule_id = b.rule_id, updated_at = now(), version = r.version + 1
        FROM unchanged, jsonb_populate_record(NULL::records, unchanged.before) b
        WHERE r.tenant_id = :tenant AND r.id = unchanged.id
        RETURNING r.id, r.version
    ), marked AS (
        UPDATE rule_run_changes c SET undone = c.record_id IN (SELECT id FROM back)
        WHERE c.tenant_id = :tenant AND c.run_id = :run AND c.record_id = ANY(:ids)
    ), continued AS (
        UPDATE rule_run_changes c SET after_version = back.version
        FROM back JOIN unchanged USING (id)
        WHERE c.tenant_id = :tenant AND c.record_id = back.id AND c.run_id <> :run
          AND c.after_version = unchanged.before_version
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'UPDATED', id,
               jsonb_build_object('change', 'undone', 'run_id', CAST(:run AS uuid))
        FROM back
    )
    SELECT id, CASE WHEN after ->> 'stage' = 'rules' THEN CAST(after ->> 'rule_id' AS uuid) END AS loses,
           CASE WHEN before ->> 'stage' = 'rules' THEN CAST(before ->> 'rule_id' AS uuid) END AS regains
    FROM back JOIN unchanged USING (id)
""")

REOPEN = text("""
    INSERT INTO approvals
    SELECT a.* FROM rule_run_changes c
    LEFT JOIN categories k
        ON k.tenant_id = :tenant AND k.id = CAST(c.before -> 'approval' ->> 'suggested_id' AS uuid)
    LEFT JOIN category_aliases m ON m.tenant_id = :tenant AND m.alias = c.before -> 'approval' ->> 'suggested_id',
    jsonb_populate_record(
        NULL::approvals,
        c.before -> 'approval' || jsonb_build_object('suggested_id', coalesce(k.id, m.category_id))
    ) a
    WHERE c.tenant_id = :tenant AND c.run_id = :run AND c.record_id = ANY(:ids)
      AND jsonb_typeof(c.before -> 'approval') = 'object'
""")
