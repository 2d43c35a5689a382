"""What is kept of a tenant or a person, given out as a whole or erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Engine, LargeBinary, Table, func, select, text
from sqlalchemy.exc import IntegrityError

from adapters.postgres.people_tables import identities, known_devices, sessions
from adapters.postgres.tables import TENANT_TABLES, memberships, metadata, tenants, users
from adapters.postgres.unit_of_work import passing_faults, set_tenant
from adapters.postgres.view_tables import saved_views
from adapters.postgres.work_tables import event_batches
from core.domain.tenants import worker_actor
from core.errors import Conflict

_AT_ONCE = 10_000
_ROUNDS = 20
"""How often it is tried to erase what others write meanwhile: who works for the tenant ends when its rows are gone."""
_DERIVED = frozenset(
    {"embeddings", "example_vectors", "example_vectors_shared", "ensembles", "idempotency_keys", "jobs"}
)
"""What is made of the rest, or says nothing of the tenant."""
_BYTES_OF_THEIRS = frozenset({("import_chunks", "data"), ("webhook_deliveries", "body")})
"""What came in, as it came. All other bytes are secrets, digests or learned arrays, which are not given out."""
_LOG = frozenset({"events", "event_batches"})


_NAMED = text("SELECT kind, told FROM rows_that_name(:person) ORDER BY kind")
_KNOW = text("SELECT tenants_that_know(:person)")


class PostgresPrivacy:
    """`app` is the engine of the app's role, `system` that of the system's."""

    def __init__(self, app: Engine, system: Engine) -> None:
        self._app = app
        self._system = system

    def tenant_rows(self, tenant_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with passing_faults(), self._app.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ", yield_per=1_000)
            set_tenant(connection, worker_actor(tenant_id))
            members = select(memberships.c.user_id).where(memberships.c.tenant_id == tenant_id)
            yield from _rows(connection, users, users.c.id.in_(members))
            for table in metadata.sorted_tables:
                if table.name in TENANT_TABLES and table.name not in _DERIVED:
                    yield from _rows(connection, table, table.c.tenant_id == tenant_id)

    def person_rows(self, user_id: UUID) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with passing_faults(), self._system.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ", yield_per=1_000)
            yield from _rows(connection, users, users.c.id == user_id)
            yield from _rows(connection, memberships, memberships.c.user_id == user_id)
            yield from _rows(connection, identities, identities.c.user_id == user_id)
            yield from _rows(connection, sessions, sessions.c.user_id == user_id)
            yield from _rows(connection, known_devices, known_devices.c.user_id == user_id)
            yield from _rows(connection, saved_views, saved_views.c.user_id == user_id)
            yield from _rows(connection, event_batches, event_batches.c.actor_id == user_id)
            for row in connection.execute(_NAMED, {"person": user_id}):
                yield row.kind, row.told
            for told in connection.execute(select(func.endpoints_of_person(user_id))).scalars():
                yield "notification_endpoints", told

    def tenants_of_person(self, user_id: UUID) -> Sequence[UUID]:
        with passing_faults(), self._system.connect() as connection:
            return list(connection.execute(_KNOW, {"person": user_id}).scalars())

    def erase_tenant(self, tenant_id: UUID) -> None:
        for _ in range(_ROUNDS):
            for table in reversed(metadata.sorted_tables):
                if table.name in TENANT_TABLES and table is not tenants:
                    self._empty(table, tenant_id)
            if self._removed(tenant_id):
                return
        raise Conflict("others still write for this tenant: erase it again when their work has ended")

    def erase_person(self, user_id: UUID) -> None:
        with passing_faults(), self._system.connect() as connection:
            while connection.execute(select(func.erase_traces(user_id, _AT_ONCE))).scalar_one():
                connection.commit()
            connection.execute(select(func.erase_person(user_id)))
            connection.commit()

    def _empty(self, table: Table, tenant_id: UUID) -> None:
        gone = _AT_ONCE
        while gone == _AT_ONCE:
            with passing_faults(), self._app.connect() as connection:
                set_tenant(connection, worker_actor(tenant_id))
                if table.name in _LOG:
                    gone = connection.execute(select(func.erase_events(tenant_id, _AT_ONCE))).scalar_one()
                else:
                    gone = connection.execute(_deletion(table), {"tenant": tenant_id, "most": _AT_ONCE}).rowcount
                connection.commit()

    def _removed(self, tenant_id: UUID) -> bool:
        with passing_faults(), self._app.connect() as connection:
            set_tenant(connection, worker_actor(tenant_id))
            try:
                connection.execute(tenants.delete().where(tenants.c.tenant_id == tenant_id))
                connection.commit()
            except IntegrityError:
                return False
        return True


def _deletion(table: Table) -> Any:
    key = ", ".join(column.name for column in table.primary_key.columns)
    return text(
        f"DELETE FROM {table.name} WHERE tenant_id = :tenant AND ({key}) IN"  # noqa: S608 - of names in our tables
        f" (SELECT {key} FROM {table.name} WHERE tenant_id = :tenant LIMIT :most)"
    )


def _rows(connection: Connection, table: Table, where: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told = [_told(table, column) for column in table.columns if _is_told(table, column)]
    query = select(*told).where(where).order_by(*table.primary_key.columns)
    for row in connection.execute(query).mappings():
        yield table.name, {str(name): value for name, value in row.items()}


def _is_told(table: Table, column: Column[Any]) -> bool:
    return not isinstance(column.type, LargeBinary) or (table.name, column.name) in _BYTES_OF_THEIRS


def _told(table: Table, column: Column[Any]) -> ColumnElement[Any]:
    if (table.name, column.name) in _BYTES_OF_THEIRS:
        return func.encode(column, "base64").label(column.name)
    return column
