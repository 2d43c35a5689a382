"""What connections and endpoints keep sealed, in whichever table it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Table, func, literal, select, text, union_all

from adapters.postgres.notification_tables import notification_endpoints
from adapters.postgres.oauth_tables import oauth_states, oauth_tokens
from adapters.postgres.tables import connections
from core.domain.connections import SealedPurpose, SealedValue

_PLACES: Mapping[SealedPurpose, tuple[Table, Column[Any]]] = {
    SealedPurpose.CONFIG: (connections, connections.c.id),
    SealedPurpose.TOKENS: (oauth_tokens, oauth_tokens.c.connection_id),
    SealedPurpose.SIGN_IN: (oauth_states, oauth_states.c.connection_id),
    SealedPurpose.ENDPOINT: (notification_endpoints, notification_endpoints.c.id),
}
"""The table, and its column with the id of whose it is."""
_HOLD = """
    SELECT FROM {table} WHERE tenant_id = :tenant AND {id} = ANY(:ids) ORDER BY {id}, sealed FOR NO KEY UPDATE
"""
"""Rows are locked one after the other, in the same order by all who do this, so that none waits in a circle. In a
statement of its own: the one that writes sees then what others committed before they let go."""
_RESEAL = """
    UPDATE {table} SET sealed = anew.after
    FROM unnest(CAST(:ids AS uuid[]), CAST(:before AS bytea[]), CAST(:after AS bytea[])) AS anew(id, before, after)
    WHERE {table}.tenant_id = :tenant AND {table}.{id} = anew.id AND {table}.sealed = anew.before
"""


class PostgresSealed:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def otherwise(self, prefix: bytes, *, after: UUID | None, limit: int) -> Sequence[SealedValue]:
        places = (
            select(literal(purpose.value).label("purpose"), id.label("of_id"), table.c.sealed).where(
                table.c.tenant_id == self._tenant_id,
                func.substring(table.c.sealed, 1, len(prefix)) != prefix,
                *(() if after is None else (id > after,)),
            )
            for purpose, (table, id) in _PLACES.items()
        )
        found = union_all(*places).subquery()
        place = func.dense_rank().over(order_by=found.c.of_id).label("place")
        ranked = select(*found.c, place).subquery()
        query = select(ranked).where(ranked.c.place <= limit)
        return [
            SealedValue(purpose=SealedPurpose(row.purpose), of_id=row.of_id, sealed=bytes(row.sealed))
            for row in self._connection.execute(query.order_by(ranked.c.of_id, ranked.c.purpose))
        ]

    def reseal(self, anew: Sequence[tuple[SealedValue, bytes]]) -> int:
        count = 0
        for purpose, (table, id) in _PLACES.items():
            if not (ours := [(value, sealed) for value, sealed in anew if value.purpose is purpose]):
                continue
            place = {"table": table.name, "id": id.name}
            of = {"tenant": self._tenant_id, "ids": [value.of_id for value, _ in ours]}
            given = of | {"before": [value.sealed for value, _ in ours], "after": [sealed for _, sealed in ours]}
            self._connection.execute(text(_HOLD.format(**place)), of)
            count += self._connection.execute(text(_RESEAL.format(**place)), given).rowcount
        return count
