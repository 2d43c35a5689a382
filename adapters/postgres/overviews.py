"""What a dashboard shows that no other repository has. Each is one statement over an index or few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, case, func, literal, select, text

from adapters.postgres.review_tables import examples
from adapters.postgres.tables import connections, daily_counts
from core.domain.dashboard import DISABLED, Queue

_QUEUE = text("""
    SELECT count(*) AS size, min(created_at) AS oldest,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) AS median
    FROM approvals WHERE tenant_id = :tenant AND verdict IS NULL
""")

_ALIKE = text("""
    SELECT count(*) FROM approvals a
    WHERE a.tenant_id = :tenant AND a.verdict IS NULL AND a.group_key <> '' AND EXISTS (
        SELECT FROM examples e WHERE e.tenant_id = :tenant AND e.group_key = a.group_key
    )
""")


class PostgresOverviews:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def counts(self, since: date, until: date) -> Sequence[tuple[date, str, str, int]]:
        c = daily_counts.c
        query = (
            select(c.day, c.stage, c.status, c.records)
            .where(c.tenant_id == self._tenant_id, c.day.between(since, until))
            .order_by(c.day, c.stage, c.status)
        )
        return [(row[0], row[1], row[2], row[3]) for row in self._connection.execute(query)]

    def queue(self) -> Queue:
        return Queue(**self._connection.execute(_QUEUE, {"tenant": self._tenant_id}).mappings().one())

    def lessons(self) -> Mapping[UUID, int]:
        c, count = examples.c, func.count().label("count")
        query = select(c.category_id, count).where(c.tenant_id == self._tenant_id).group_by(c.category_id)
        return {row[0]: row[1] for row in self._connection.execute(query.order_by(count.desc(), c.category_id))}

    def alike(self) -> int:
        return int(self._connection.execute(_ALIKE, {"tenant": self._tenant_id}).scalar_one())

    def connections(self) -> Mapping[str, int]:
        c = connections.c
        health = case((c.disabled_at.is_not(None), literal(DISABLED)), else_=c.health).label("state")
        query = select(health, func.count()).where(c.tenant_id == self._tenant_id).group_by("state").order_by("state")
        return {row[0]: row[1] for row in self._connection.execute(query)}
