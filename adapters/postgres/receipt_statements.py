"""The set-based statements on what receipts are matched with. Parameter `tenant`: whose they are."""

from __future__ import annotations

from sqlalchemy import text

# The days are listed, since an index that leads with a range of them would be read for all amounts; and made before
# records are asked for: what adds days is not leakproof, so no condition with it would reach the index.
CANDIDATES = """
    WITH wanted AS MATERIALIZED (
        SELECT w.*, ARRAY(SELECT CAST(d AS date) FROM generate_series(w.since, w.until, interval '1 day') AS d) AS days
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:amounts AS float8[]), CAST(:lowest AS float8[]), CAST(:highest AS float8[]),
            CAST(:since AS date[]), CAST(:until AS date[]), CAST(:near AS date[])
        ) AS w(id, amount, lowest, highest, since, until, near)
    ), asked AS MATERIALIZED (
        SELECT * FROM wanted w {asked}
    )
    SELECT w.id AS receipt_id, c.* FROM asked w CROSS JOIN LATERAL (
        SELECT r.id AS record_id, r.amount, r.currency, r.occurred_on AS day, r.text, r.counterparty FROM records r
        WHERE r.tenant_id = :tenant AND r.occurred_on = ANY (w.days) AND r.magnitude BETWEEN w.lowest AND w.highest
          AND NOT EXISTS (
              SELECT FROM receipt_matches m WHERE m.tenant_id = :tenant AND m.receipt_id = w.id
                AND m.record_id = r.id AND m.state <> 'suggested'
          )
        ORDER BY abs(r.magnitude - w.amount), abs(r.occurred_on - w.near), r.id LIMIT :limit
    ) c
    ORDER BY w.id, c.record_id
"""
OF_ARRIVED = """
        WHERE EXISTS (
            SELECT FROM records r WHERE r.tenant_id = :tenant AND r.occurred_on = ANY (w.days)
              AND r.magnitude BETWEEN w.lowest AND w.highest AND r.import_id = :import AND r.id BETWEEN :first AND :last
        )
"""

WITHDRAW = text("""
    DELETE FROM receipt_matches m WHERE m.tenant_id = :tenant AND m.receipt_id = ANY (:asked) AND m.state = 'suggested'
      AND NOT EXISTS (
          SELECT FROM unnest(CAST(:receipts AS uuid[]), CAST(:records AS uuid[])) AS s(receipt_id, record_id)
          WHERE s.receipt_id = m.receipt_id AND s.record_id = m.record_id
      )
""")

# Who deletes a record or a receipt meanwhile is waited for: then it is gone, and nothing is suggested of it.
SUGGEST = text("""
    WITH said AS (
        SELECT * FROM unnest(CAST(:receipts AS uuid[]), CAST(:records AS uuid[]), CAST(:scores AS float8[]))
            AS s(receipt_id, record_id, score)
    ), waiting AS (
        SELECT id FROM receipts WHERE tenant_id = :tenant AND id = ANY (:receipts) AND links = 0
        ORDER BY id FOR KEY SHARE
    ), there AS (
        SELECT id FROM records WHERE tenant_id = :tenant AND id = ANY (:records) ORDER BY id FOR KEY SHARE
    )
    INSERT INTO receipt_matches AS m (tenant_id, receipt_id, record_id, state, score)
    SELECT :tenant, s.receipt_id, s.record_id, 'suggested', s.score FROM said s
    JOIN waiting ON waiting.id = s.receipt_id JOIN there ON there.id = s.record_id
    ORDER BY s.receipt_id, s.record_id
    ON CONFLICT (tenant_id, receipt_id, record_id) DO UPDATE SET score = excluded.score
    WHERE m.state = 'suggested' AND m.score IS DISTINCT FROM excluded.score
""")

# A receipt that is linked is suggested for nothing, so that each has matches of one state.
MATCHES_OF = text("""
    SELECT receipt_id, record_id, state, score, decided_by, decided_at
    FROM (
        SELECT *, row_number() OVER (PARTITION BY receipt_id ORDER BY score DESC NULLS LAST, record_id) AS place
        FROM receipt_matches
        WHERE tenant_id = :tenant AND receipt_id = ANY (:ids) AND state IN ('linked', 'suggested')
    ) m
    WHERE place <= :most
    ORDER BY receipt_id, place
""")

OF_RECORDS = text("""
    SELECT m.record_id, m.receipt_id, m.state, m.score, m.decided_by, m.decided_at, r.filename, r.mime_type, r.amount,
           r.currency, r.day, r.merchant
    FROM (
        SELECT *, row_number() OVER (PARTITION BY record_id, state ORDER BY score DESC NULLS LAST, receipt_id) AS place
        FROM receipt_matches
        WHERE tenant_id = :tenant AND record_id = ANY (:ids) AND state IN ('linked', 'suggested')
    ) m JOIN receipts r ON r.tenant_id = :tenant AND r.id = m.receipt_id
    WHERE m.state = 'linked' OR m.place <= :suggested
    ORDER BY m.record_id, m.state, m.place
""")

DECIDE = text("""
    INSERT INTO receipt_matches (tenant_id, receipt_id, record_id, state, decided_by, decided_by_id, decided_at)
    VALUES (:tenant, :receipt, :record, :state, :by, acting_person(), :at)
    ON CONFLICT (tenant_id, receipt_id, record_id) DO UPDATE SET
        state = excluded.state, decided_by = excluded.decided_by, decided_by_id = excluded.decided_by_id,
        decided_at = excluded.decided_at
""")
