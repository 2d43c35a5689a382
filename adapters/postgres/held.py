"""Records that wait until their tenant's plan has room for them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, func, select

from adapters.postgres.tables import records
from core.domain.records import RecordStatus


class PostgresHeld:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def hold(self, ids: Sequence[UUID]) -> None:
        self._move(ids, RecordStatus.INGESTED, RecordStatus.HELD)

    def next(self, limit: int) -> Sequence[tuple[UUID, UUID]]:
        query = (
            select(records.c.id, records.c.import_id)
            .where(records.c.tenant_id == self._tenant_id, records.c.status == RecordStatus.HELD.value)
            .order_by(records.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [(row.id, row.import_id) for row in self._connection.execute(query)]

    def release(self, ids: Sequence[UUID]) -> None:
        self._move(ids, RecordStatus.HELD, RecordStatus.INGESTED)

    def count(self) -> int:
        query = select(func.count()).where(
            records.c.tenant_id == self._tenant_id, records.c.status == RecordStatus.HELD.value
        )
        return self._connection.execute(query).scalar_one()

    def _move(self, ids: Sequence[UUID], before: RecordStatus, after: RecordStatus) -> None:
        if ids:
            c = records.c
            self._connection.execute(
                records.update()
                .where(c.tenant_id == self._tenant_id, c.id == func.any(list(ids)), c.status == before.value)
                .values(status=after.value, updated_at=func.now(), version=c.version + 1)
            )
