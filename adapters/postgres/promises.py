"""What proves the promise: spot checks, what was decided, and the running tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.promise_tables import SUMS, promise_watches
from core.domain.decisions import Stage
from core.domain.drift import Watch
from core.domain.llm_gate import LlmLabel
from core.domain.promise import ALONE, Cell, Check, Tally

# What `core.domain.promise.check_of` tells of an item and its record.
ANSWERED = """
    SELECT a.id, a.created_at, a.decided_at, r.selection_probability AS probability,
           a.category_id = a.suggested_id AS correct,
           jsonb_path_query_first(
               r.reasoning_trace, '$.stages[*] ? (@.outcome == "decided" && @.stage != "human").stage'
           ) #>> '{}' AS stage
    FROM approvals a JOIN records r ON r.tenant_id = a.tenant_id AND r.id = a.record_id
    WHERE a.tenant_id = :tenant AND a.reason = 'spot_check' AND a.verdict IS NOT NULL AND a.withdrawn_at IS NULL
      AND a.suggested_id IS NOT NULL AND r.selection_probability > 0
"""

_CELLS = text(f"""
    WITH there AS (
        SELECT time_zone, CAST(:since AS date) AS first FROM tenants WHERE tenant_id = :tenant
    ), parts AS (
        SELECT CAST(date_trunc('month', CAST(day AS timestamp)) AS date) AS month, stage, records AS decided,
               NULL::float8 AS weight, false AS correct, false AS recent
        FROM daily_counts, there
        WHERE tenant_id = :tenant AND day >= first
          AND (stage = ANY(:alone) AND status = 'processed' OR stage = '' AND status = 'needs_review')
        UNION ALL
        SELECT CAST(date_trunc('month', created_at AT TIME ZONE time_zone) AS date), stage, 0,
               1 / probability, correct, decided_at > :recent
        FROM (
            {ANSWERED} AND a.created_at >= (SELECT CAST(first AS timestamp) AT TIME ZONE time_zone FROM there)
        ) answered, there
        WHERE stage = ANY(:alone)
    )
    SELECT month, stage, sum(decided) AS decided, count(weight) AS checked, count(*) FILTER (WHERE recent) AS recent,
           coalesce(sum(weight), 0) AS weight, coalesce(sum(weight ^ 2), 0) AS squares,
           coalesce(sum(weight) FILTER (WHERE NOT correct), 0) AS wrong,
           coalesce(sum(weight ^ 2) FILTER (WHERE NOT correct), 0) AS wrong_squares
    FROM parts GROUP BY month, stage ORDER BY month, array_position(CAST(:alone AS text[]), stage)
""")  # noqa: S608 - a constant

_CHECKS = text(f"""
    SELECT * FROM (
        SELECT * FROM ({ANSWERED}) answered
        WHERE stage = :stage AND (CAST(:since AS timestamptz) IS NULL OR created_at > :since)
        ORDER BY decided_at DESC, id DESC LIMIT :limit
    ) latest ORDER BY decided_at, id
""")  # noqa: S608 - a constant

# What a person was asked because the LLM was not sure, or to check what it was sure of: what somebody corrected unasked
# and then withdrew is asked again, too, but was not drawn by chance.
_LLM_LABELS = text("""
    WITH latest AS (
        SELECT id, record_id, reason, group_key, decided_at FROM approvals
        WHERE tenant_id = :tenant AND verdict IS NOT NULL AND withdrawn_at IS NULL
        ORDER BY decided_at DESC, id DESC LIMIT :latest
    ), asked AS MATERIALIZED (  -- or the path is looked for once for each of its uses
        SELECT a.id, a.reason, a.group_key, a.decided_at, r.category_id, r.selection_probability,
               jsonb_path_query_first(r.reasoning_trace, '$.stages[*] ? (@.stage == "llm")') AS llm
        FROM latest a JOIN records r ON r.tenant_id = :tenant AND r.id = a.record_id
        WHERE r.status IN ('approved', 'overridden') AND r.selection_probability > 0
    )
    SELECT CAST(llm #>> '{candidates,0,confidence}' AS float8) AS confidence,
           coalesce(became.category_id, CAST(llm #>> '{candidates,0,category_id}' AS uuid)) = asked.category_id
               AS right,
           1 / selection_probability AS weight,
           coalesce(llm #> '{evidence,0,measured}' = 'true', false) AS measured, group_key
    FROM asked LEFT JOIN category_aliases became
        ON became.tenant_id = :tenant AND became.alias = llm #>> '{candidates,0,category_id}'
    WHERE llm ->> 'model' = :model AND llm #>> '{candidates,0,category_id}' IS NOT NULL
      AND (reason = 'spot_check') = (llm ->> 'outcome' = 'decided')
    ORDER BY decided_at, id
""")


class PostgresPromises:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def cells(self, since: date, *, recent: datetime) -> Sequence[Cell]:
        given = {"tenant": self._tenant_id, "since": since, "recent": recent, "alone": [s.value for s in ALONE]}
        return [
            Cell(
                month=row.month,
                stage=Stage(row.stage) if row.stage else None,
                decided=int(row.decided),
                checks=tally_of(row),
                recent=row.recent,
            )
            for row in self._connection.execute(_CELLS, given)
        ]

    def checks(self, stage: Stage, *, since: datetime | None, limit: int) -> Sequence[Check]:
        given = {"tenant": self._tenant_id, "stage": stage.value, "since": since, "limit": limit}
        return [
            Check(stage=stage, probability=row.probability, right=row.correct)
            for row in self._connection.execute(_CHECKS, given)
        ]

    def llm_labels(self, model: str, latest: int) -> Sequence[LlmLabel]:
        given = {"tenant": self._tenant_id, "model": model, "latest": latest}
        return [LlmLabel(**row) for row in self._connection.execute(_LLM_LABELS, given).mappings()]

    def strictness(self) -> Mapping[Stage, int]:
        c = promise_watches.c
        rows = self._connection.execute(select(c.stage, c.strictness).where(c.tenant_id == self._tenant_id)).all()
        return dict.fromkeys(ALONE, 0) | {Stage(row.stage): row.strictness for row in rows}

    def hold(self, stages: Iterable[Stage], promise: float) -> Mapping[Stage, Watch]:
        wanted = sorted(stages)
        if not wanted:
            return {}
        new = [self._values(Watch(stage=stage, promise=promise)) for stage in wanted]
        self._connection.execute(insert(promise_watches).values(new).on_conflict_do_nothing())
        c = promise_watches.c
        query = (
            select(promise_watches)
            .where(c.tenant_id == self._tenant_id, c.stage.in_([stage.value for stage in wanted]))
            .order_by(c.stage)
            .with_for_update()
        )
        return {Stage(row.stage): _watch(row) for row in self._connection.execute(query)}

    def put(self, watches: Iterable[Watch]) -> None:
        c = promise_watches.c
        for watch in watches:  # one of each stage: three at most
            of_stage = (c.tenant_id == self._tenant_id, c.stage == watch.stage.value)
            self._connection.execute(promise_watches.update().where(*of_stage).values(self._values(watch)))

    def _values(self, watch: Watch) -> dict[str, object]:
        return {
            "tenant_id": self._tenant_id,
            "stage": watch.stage.value,
            "promise": watch.promise,
            "since": watch.since,
            "strictness": watch.strictness,
            "against": list(watch.against),
            "in_favour": watch.in_favour,
            "checked": watch.checks.checked,
            **{name: getattr(watch.checks, name) for name in SUMS},
        }


def tally_of(row: Row[Any]) -> Tally:
    return Tally(checked=row.checked, **{name: getattr(row, name) for name in SUMS})


def _watch(row: Row[Any]) -> Watch:
    return Watch(
        stage=Stage(row.stage),
        promise=row.promise,
        since=row.since,
        strictness=row.strictness,
        against=tuple(row.against),
        in_favour=row.in_favour,
        checks=tally_of(row),
    )
