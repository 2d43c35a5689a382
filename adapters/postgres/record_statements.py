"""The set-based statements on records. Each takes what a staging table holds and tells its events itself.

Parameters: `tenant` and `batch` (of events), `told` (how many events the batch has so far).
"""

from __future__ import annotations

from sqlalchemy import text

STAGED_DRAFTS = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_drafts (
        n integer, id uuid, kind text, account text, external_id text, occurred_on date, occurred_at timestamptz,
        text text, counterparty text, amount numeric, currency text, attributes jsonb, raw jsonb, pending boolean,
        pending_external_id text, category_id uuid, example text, digest bytea, group_key text, party_key text
    ) ON COMMIT DELETE ROWS
"""

# A posted record that got a new id keeps the row that it had while it was pending, and is still known by the former id.
RENAME_PENDING = text("""
    UPDATE records r SET external_id = s.external_id, former_external_id = r.external_id
    FROM (
        SELECT DISTINCT ON (account, external_id) * FROM staged_drafts
        WHERE pending_external_id IS NOT NULL ORDER BY account, external_id, n
    ) s
    WHERE r.tenant_id = :tenant AND r.connection_id = :connection AND r.account = s.account
      AND r.external_id = s.pending_external_id AND r.pending
      AND NOT EXISTS (
          SELECT 1 FROM records other
          WHERE other.tenant_id = :tenant AND other.connection_id = :connection
            AND other.account = s.account AND other.external_id = s.external_id
      )
""")

ADD_DRAFTS = text("""
    WITH added AS (
        INSERT INTO records (
            tenant_id, id, connection_id, import_id, kind, account, external_id, occurred_on, occurred_at, text,
            counterparty, amount, currency, attributes, raw, pending, status, category_id, stage, confidence,
            selection_probability, reasoning_trace, tags, created_at, updated_at, version
        )
        SELECT
            :tenant, s.id, :connection, :import, s.kind, s.account, s.external_id, s.occurred_on, s.occurred_at, s.text,
            s.counterparty, s.amount, s.currency, s.attributes, s.raw, s.pending,
            CASE WHEN s.category_id IS NULL THEN 'ingested' ELSE 'approved' END,
            s.category_id,
            CASE WHEN s.category_id IS NOT NULL THEN 'human' END,
            CASE WHEN s.category_id IS NOT NULL THEN 1.0 END,
            CASE WHEN s.category_id IS NOT NULL THEN 1.0 END,
            CASE WHEN s.category_id IS NOT NULL
                 THEN '{"reason": "human: imported as approved", "stages": []}'::jsonb END,
            '{}', now(), now(), 1
        FROM staged_drafts s
        WHERE NOT EXISTS (
            SELECT 1 FROM record_tombstones t
            WHERE t.tenant_id = :tenant AND t.connection_id = :connection
              AND t.account = s.account AND t.external_id IN (s.external_id, s.pending_external_id)
        ) AND NOT EXISTS (
            SELECT 1 FROM records renamed
            WHERE renamed.tenant_id = :tenant AND renamed.connection_id = :connection
              AND renamed.account = s.account AND renamed.former_external_id = s.external_id
        )
        ORDER BY s.n
        ON CONFLICT (tenant_id, connection_id, account, external_id) DO NOTHING
        RETURNING id, status
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'INGESTED', id, CAST(:payload AS jsonb)
        FROM added
    )
    SELECT id, status = 'ingested' AS open FROM added ORDER BY id
""")

POST_PENDING = text("""
    WITH posted AS (
        UPDATE records r SET
            occurred_on = s.occurred_on, occurred_at = s.occurred_at, text = s.text, counterparty = s.counterparty,
            amount = s.amount, currency = s.currency, attributes = r.attributes || s.attributes, raw = s.raw,
            pending = false, updated_at = now(), version = r.version + 1
        FROM (
            SELECT DISTINCT ON (account, external_id) * FROM staged_drafts
            WHERE NOT pending ORDER BY account, external_id, n DESC
        ) s
        WHERE r.tenant_id = :tenant AND r.connection_id = :connection
          AND r.account = s.account AND r.external_id = s.external_id AND r.pending AND r.id <> s.id
        RETURNING r.id
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'UPDATED', id,
               jsonb_build_object('import_id', CAST(:import AS uuid), 'change', 'posted')
        FROM posted
    )
    SELECT count(*) FROM posted
""")

# The example of a record has the record's id: one each, and nothing to look up.
TEACH_HISTORY = text("""
    WITH approved AS (
        SELECT s.* FROM staged_drafts s WHERE s.category_id IS NOT NULL AND s.id = ANY(:ids)
    ), taught AS (
        INSERT INTO examples (
            tenant_id, id, record_id, text, text_digest, category_id, created_at, group_key, party_key, occurred_on
        )
        SELECT :tenant, id, id, example, digest, category_id, now(), group_key, party_key, occurred_on FROM approved
    ), counted AS (
        INSERT INTO daily_counts (tenant_id, day, stage, status, records)
        SELECT :tenant, (SELECT CAST(now() AT TIME ZONE time_zone AS date) FROM tenants WHERE tenant_id = :tenant),
               'human', 'approved', count(*)
        FROM approved HAVING count(*) > 0
        ON CONFLICT (tenant_id, day, stage, status)
        DO UPDATE SET records = daily_counts.records + excluded.records
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'TX_APPROVED', id,
               jsonb_build_object('category_id', category_id, 'verdict', 'approve', 'import_id', CAST(:import AS uuid))
        FROM approved
    )
    SELECT count(*) FROM approved
""")

STAGED_DECISIONS = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_decisions (
        id uuid, status text, category_id uuid, stage text, confidence float8, threshold float8, model_version text,
        selection_probability float8, trace jsonb, failure text, tags text[], attributes jsonb, rule_id uuid,
        approval_id uuid, reason text, suggested_id uuid, suggested_confidence float8, urgency float8, group_key text,
        version integer, before jsonb, candidates uuid[], features bytea, score real, stacked boolean, scope real,
        predicted uuid, arrived bigint
    ) ON COMMIT DELETE ROWS
"""

# What a person or another worker decided meanwhile is no longer `ingested`, and left alone. A later stage does not
# know the rule that suggested something before. The range of ids keeps the plan to the chunk: without statistics all of
# the tenant's open records would be read for each.
DECIDE = text("""
    WITH changed AS (
        UPDATE records r SET
            status = s.status, category_id = s.category_id, stage = s.stage, confidence = s.confidence,
            threshold = s.threshold, model_version = s.model_version,
            selection_probability = s.selection_probability, reasoning_trace = s.trace, failure = s.failure,
            tags = CASE WHEN s.tags = '{}' THEN r.tags ELSE
                r.tags || ARRAY(SELECT added FROM unnest(s.tags) AS added WHERE added <> ALL (r.tags)) END,
            attributes = CASE WHEN s.attributes = '{}' THEN r.attributes ELSE r.attributes || s.attributes END,
            rule_id = coalesce(s.rule_id, r.rule_id), updated_at = now(), version = r.version + 1
        FROM staged_decisions s
        WHERE r.tenant_id = :tenant AND r.id = s.id AND r.status = 'ingested' AND r.id BETWEEN :first AND :last
        RETURNING r.id, r.status, r.stage, r.category_id, r.confidence
    ), final AS (
        SELECT * FROM changed WHERE status <> 'ingested'
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'PROCESSED', id,
               jsonb_build_object('status', status, 'stage', stage, 'category_id', category_id,
                                  'confidence', round(confidence::numeric, 4))
        FROM final
    ), asked AS (
        INSERT INTO approvals (
            tenant_id, id, record_id, reason, suggested_id, confidence, urgency, group_key, created_at
        )
        SELECT :tenant, s.approval_id, s.id, s.reason, s.suggested_id, s.suggested_confidence,
               s.urgency, s.group_key, now()
        FROM staged_decisions s JOIN final USING (id)
        WHERE s.approval_id IS NOT NULL
    ), arrived AS (
        INSERT INTO arrivals
        SELECT :tenant, s.id, s.candidates, s.features, s.score, s.stacked, s.scope, s.predicted, s.arrived,
               CAST(:version AS integer)
        FROM staged_decisions s JOIN changed USING (id)
        WHERE s.score IS NOT NULL
        ON CONFLICT (tenant_id, record_id) DO UPDATE SET
            candidates = excluded.candidates, features = excluded.features, score = excluded.score,
            stacked = excluded.stacked, scope = excluded.scope, predicted = excluded.predicted,
            arrived = excluded.arrived, version = excluded.version
    ), counted AS (
        INSERT INTO daily_counts (tenant_id, day, stage, status, records)
        SELECT :tenant, (SELECT CAST(now() AT TIME ZONE time_zone AS date) FROM tenants WHERE tenant_id = :tenant),
               stage, status, count(*)
        FROM (
            SELECT coalesce(stage, '') AS stage,
                   CASE WHEN status = 'processed' AND category_id IS NULL THEN 'skipped' ELSE status END AS status
            FROM final
        ) counts
        GROUP BY stage, status ORDER BY stage, status
        ON CONFLICT (tenant_id, day, stage, status) DO UPDATE SET records = daily_counts.records + excluded.records
    )
    SELECT id, status <> 'ingested' AS final FROM changed ORDER BY id
""")

KNOWN = text("""
    SELECT count(*) FROM unnest(CAST(:accounts AS text[]), CAST(:external_ids AS text[])) AS k(account, external_id)
    WHERE EXISTS (
        SELECT 1 FROM records r WHERE r.tenant_id = :tenant AND r.connection_id = :connection
          AND r.account = k.account AND r.external_id = k.external_id
    ) OR EXISTS (
        SELECT 1 FROM records r WHERE r.tenant_id = :tenant AND r.connection_id = :connection
          AND r.account = k.account AND r.former_external_id = k.external_id
    ) OR EXISTS (
        SELECT 1 FROM record_tombstones t WHERE t.tenant_id = :tenant AND t.connection_id = :connection
          AND t.account = k.account AND t.external_id = k.external_id
    )
""")

SETTLE = text("""
    UPDATE records r SET
        status = s.status, category_id = s.category_id, stage = s.stage, confidence = s.confidence,
        reasoning_trace = s.trace, tags = ARRAY(SELECT jsonb_array_elements_text(s.tags)), attributes = s.attributes,
        failure = s.failure, updated_at = now(), version = r.version + 1
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:statuses AS text[]), CAST(:categories AS uuid[]),
        CAST(:stages AS text[]), CAST(:confidences AS float8[]), CAST(:traces AS jsonb[]), CAST(:tags AS jsonb[]),
        CAST(:attributes AS jsonb[]), CAST(:failures AS text[])
    ) AS s(id, version, status, category_id, stage, confidence, trace, tags, attributes, failure)
    WHERE r.tenant_id = :tenant AND r.id = s.id AND r.version = s.version
""")

# A person's answer locks the approval, then the record: a deletion, which cascades to the approval, must not be ahead.
LOCK_APPROVALS_OF_IMPORT = text("""
    SELECT a.id FROM approvals a JOIN records r ON r.tenant_id = a.tenant_id AND r.id = a.record_id
    WHERE a.tenant_id = :tenant AND r.import_id = :import AND a.verdict IS NULL
    ORDER BY a.id FOR UPDATE OF a
""")

# What a person decided after the import stays: in review, or by changing a record that came in as approved. Records are
# held first, so that all that others wrote about them is there to be deleted.
LOCK_RECORDS_OF_IMPORT = text("""
    SELECT id FROM records
    WHERE tenant_id = :tenant AND import_id = :import
      AND status <> 'overridden'
      AND (status <> 'approved' OR reasoning_trace ->> 'reason' = 'human: imported as approved')
    ORDER BY id FOR UPDATE
""")

UNDO_IMPORT = text("""
    WITH removed AS (
        DELETE FROM records WHERE tenant_id = :tenant AND id = ANY(:ids)
        RETURNING id
    ), told AS (
        INSERT INTO events (tenant_id, batch_id, ordinal, type, subject_id, payload)
        SELECT :tenant, :batch, :told + row_number() OVER (ORDER BY id), 'DELETED', id,
               jsonb_build_object('import_id', CAST(:import AS uuid))
        FROM removed
    )
    SELECT count(*) FROM removed
""")
EXPIRING = text("""
    SELECT id FROM records
    WHERE tenant_id = :tenant AND occurred_on < :before AND (CAST(:after AS uuid) IS NULL OR id > :after)
    ORDER BY id LIMIT :limit
""")

EXPIRE = text("""
    WITH gone AS (
        DELETE FROM records WHERE tenant_id = :tenant AND id = ANY(:ids) AND occurred_on < :before
        RETURNING id, connection_id, account, external_id, former_external_id
    ), left_behind AS (
        INSERT INTO record_tombstones (tenant_id, connection_id, account, external_id, deleted_at)
        SELECT DISTINCT CAST(:tenant AS uuid), connection_id, account, known_as, now()
        FROM gone CROSS JOIN unnest(ARRAY[external_id, former_external_id]) AS known_as
        WHERE known_as IS NOT NULL
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM gone ORDER BY id
""")
# By itself, as it then sees what a refit told while the records were waited for.
FORGET_ARRIVALS = text("DELETE FROM arrivals WHERE tenant_id = :tenant AND record_id = ANY(:ids)")
