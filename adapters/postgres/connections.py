"""Connections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import RowMapping, func, select, union_all
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.tables import connections, imports
from adapters.postgres.webhook_tables import webhook_deliveries
from core.domain.connections import HAS_RECORDS, Connection, ImportStatus, Totals
from core.domain.health import Health
from core.errors import NotFound

_COUNTS = ("inserted", "known", "refused")
_NAME_TAKEN = "this connector has a connection of that name"
_CHANGED = ("name", "config", "sealed", "secrets", "schedule_seconds", "streams", "disabled_at")
"""What a person changes; the rest is noted by syncs, or stays."""
_NOTED = ("health", "failures", "next_sync_at", "last_synced_at")


class PostgresConnections:
    def __init__(self, connection: SqlConnection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def list(self) -> Sequence[Connection]:
        rows = self._connection.execute(
            select(connections).where(connections.c.tenant_id == self._tenant_id).order_by(connections.c.id)
        ).mappings()
        return [_to_connection(row) for row in rows]

    def get(self, id: UUID, *, lock: bool = False) -> Connection:
        query = select(connections).where(at(connections, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update(key_share=True) if lock else query).mappings().first()
        if row is None:
            raise NotFound("this connection does not exist")
        return _to_connection(row)

    def ensure(self, connection: Connection) -> Connection:
        self._connection.execute(insert(connections).values(**_connection_values(connection)).on_conflict_do_nothing())
        row = self._connection.execute(
            select(connections).where(
                connections.c.tenant_id == self._tenant_id,
                connections.c.connector == connection.connector,
                connections.c.name == connection.name,
            )
        )
        return _to_connection(row.mappings().one())

    def add(self, connection: Connection) -> None:
        with conflicts(taken=_NAME_TAKEN):
            self._connection.execute(connections.insert().values(**_connection_values(connection)))

    def update(self, connection: Connection) -> None:
        where = at(connections, self._tenant_id, connection.id)
        values = {name: value for name, value in _connection_values(connection).items() if name in _CHANGED + _NOTED}
        with conflicts(taken=_NAME_TAKEN):
            update_versioned(self._connection, connections, where, connection.version, values)

    def note(self, connection: Connection) -> None:
        values = {name: value for name, value in _connection_values(connection).items() if name in _NOTED}
        noted = connections.update().where(at(connections, self._tenant_id, connection.id)).values(**values)
        if self._connection.execute(noted).rowcount == 0:
            raise NotFound("this connection does not exist")

    def totals(self, id: UUID, since: Sequence[datetime]) -> Sequence[Totals]:
        i, d = imports.c, webhook_deliveries.c
        of_connection = (i.tenant_id == self._tenant_id, i.connection_id == id, i.status != ImportStatus.UNDONE.value)
        arrived = union_all(
            select(i.created_at.label("at"), i.inserted, i.known, i.refused).where(*of_connection),
            select(d.received_at, d.inserted, d.known, d.refused).where(
                d.tenant_id == self._tenant_id, d.connection_id == id
            ),
        ).subquery()
        a = arrived.c
        columns = [
            column
            for n, begin in enumerate(since)
            for column in (
                func.count().filter(a.at >= begin).label(f"imports_{n}"),
                *(func.coalesce(func.sum(a[name]).filter(a.at >= begin), 0).label(f"{name}_{n}") for name in _COUNTS),
            )
        ]
        row = self._connection.execute(select(*columns)).mappings().one()
        return [Totals(**{name: int(row[f"{name}_{n}"]) for name in ("imports", *_COUNTS)}) for n in range(len(since))]

    def delete(self, id: UUID, version: int | None) -> None:
        with conflicts(used=HAS_RECORDS):
            delete_versioned(self._connection, connections, at(connections, self._tenant_id, id), version)


def _to_connection(row: RowMapping) -> Connection:
    values = {name: row[name] for name in Connection.__slots__}
    return Connection(
        **values
        | {
            "sealed": None if row["sealed"] is None else bytes(row["sealed"]),
            "secrets": tuple(row["secrets"]),
            "streams": None if row["streams"] is None else tuple(row["streams"]),
            "health": Health(row["health"]),
        }
    )


def _connection_values(connection: Connection) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in Connection.__slots__} | {
        "secrets": list(connection.secrets),
        "streams": None if connection.streams is None else list(connection.streams),
        "health": connection.health.value,
    }
