"""Connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.tables import connections
from core.domain.connections import Connection
from core.errors import NotFound

_NAME_TAKEN = "this connector has a connection of that name"


class PostgresConnections:
    def __init__(self, connection: SqlConnection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def list(self) -> Sequence[Connection]:
        rows = self._connection.execute(
            select(connections).where(connections.c.tenant_id == self._tenant_id).order_by(connections.c.id)
        ).mappings()
        return [_to_connection(row) for row in rows]

    def get(self, id: UUID) -> Connection:
        row = (
            self._connection.execute(select(connections).where(at(connections, self._tenant_id, id))).mappings().first()
        )
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
        values = {"name": connection.name, "config": connection.config}
        with conflicts(taken=_NAME_TAKEN):
            update_versioned(self._connection, connections, where, connection.version, values)

    def delete(self, id: UUID, version: int | None) -> None:
        with conflicts(used="this connection has records or imports"):
            delete_versioned(self._connection, connections, at(connections, self._tenant_id, id), version)


def _to_connection(row: RowMapping) -> Connection:
    return Connection(**{name: row[name] for name in Connection.__slots__})


def _connection_values(connection: Connection) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in Connection.__slots__}
