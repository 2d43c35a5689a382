"""What syncs leave of a connection: cursors, health, log, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, Table, and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ColumnElement

from adapters.postgres.connection_tables import connection_health, connection_log, connector_counts, stream_cursors
from adapters.postgres.guards import conflicts
from core.domain.connections import StreamCursor
from core.domain.health import MAX_HISTORY, MAX_LINES, Health, HealthEntry, LogLine

_UNKNOWN = "this connection does not exist"


class PostgresSyncs:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def cursors(self, connection_id: UUID) -> Mapping[str, StreamCursor]:
        c = stream_cursors.c
        query = select(c.stream, c.cursor, c.state_version).where(self._of(stream_cursors, connection_id))
        return {row.stream: StreamCursor(**row._mapping) for row in self._connection.execute(query)}

    def put_cursor(self, connection_id: UUID, cursor: StreamCursor) -> None:
        values = {"cursor": cursor.cursor, "state_version": cursor.state_version, "updated_at": func.now()}
        key = {"tenant_id": self._tenant_id, "connection_id": connection_id, "stream": cursor.stream}
        put = insert(stream_cursors).values(**key, **values)
        with conflicts(unknown=_UNKNOWN):
            self._connection.execute(put.on_conflict_do_update(index_elements=list(key), set_=values))

    def forget_cursors(self, connection_id: UUID, stream: str | None = None) -> None:
        where = self._of(stream_cursors, connection_id)
        if stream is not None:
            where = and_(where, stream_cursors.c.stream == stream)
        self._connection.execute(stream_cursors.delete().where(where))

    def tell(self, connection_id: UUID, entry: HealthEntry) -> None:
        values = {name: getattr(entry, name) for name in HealthEntry.__slots__} | {"health": entry.health.value}
        self._add(connection_health, connection_id, [values], MAX_HISTORY)

    def history(self, connection_id: UUID, limit: int) -> Sequence[HealthEntry]:
        query = select(*(connection_health.c[name] for name in HealthEntry.__slots__))
        query = query.where(self._of(connection_health, connection_id))
        rows = self._connection.execute(query.order_by(connection_health.c.id.desc()).limit(limit)).mappings()
        return [HealthEntry(**{**row, "health": Health(row["health"])}) for row in rows]

    def log(self, connection_id: UUID, lines: Sequence[LogLine]) -> None:
        values = [{name: getattr(line, name) for name in LogLine.__slots__} for line in lines[-MAX_LINES:]]
        self._add(connection_log, connection_id, values, MAX_LINES)

    def lines(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[LogLine]:
        query = select(*(connection_log.c[name] for name in LogLine.__slots__))
        query = query.where(self._of(connection_log, connection_id))
        if before is not None:
            query = query.where(connection_log.c.id < before)
        rows = self._connection.execute(query.order_by(connection_log.c.id.desc()).limit(limit)).mappings()
        return [LogLine(**row) for row in rows]

    def count(self, connector: str, outcome: str, records: int) -> None:
        key = {"tenant_id": self._tenant_id, "connector": connector, "outcome": outcome}
        c = connector_counts.c
        more = {"runs": c.runs + 1, "records": c.records + records}
        put = insert(connector_counts).values(**key, runs=1, records=records)
        self._connection.execute(put.on_conflict_do_update(index_elements=list(key), set_=more))

    def _of(self, table: Table, connection_id: UUID) -> ColumnElement[bool]:
        return and_(table.c.tenant_id == self._tenant_id, table.c.connection_id == connection_id)

    def _add(self, table: Table, connection_id: UUID, rows: list[dict[str, object]], most: int) -> None:
        """Adds rows, and drops all but the latest."""
        if not rows:
            return
        key = {"tenant_id": self._tenant_id, "connection_id": connection_id}
        with conflicts(unknown=_UNKNOWN):
            self._connection.execute(insert(table), [{**key, **row} for row in rows])
        of_connection = self._of(table, connection_id)
        oldest = select(table.c.id).where(of_connection).order_by(table.c.id.desc()).offset(most).limit(1)
        self._connection.execute(table.delete().where(of_connection, table.c.id <= oldest.scalar_subquery()))
