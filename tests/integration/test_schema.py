"""The schema: what the migrations make is what the tables say, and no tenant reaches another's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text

from adapters.embedded import APP_ROLE, OWNER_ROLE, SYSTEM_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.engine import create
from adapters.postgres.notification_system import PostgresNotificationSystem
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.tables import (
    GLOBAL_TABLES,
    SYSTEM_MAY_ADD,
    SYSTEM_MAY_CHANGE,
    SYSTEM_MAY_READ,
    TELLING_WRITES,
    TENANT_TABLES,
    metadata,
)
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from tests.contract.belongings import belongings
from tests.contract.storage import Storage

ALL_TABLES = (*TENANT_TABLES, *GLOBAL_TABLES)
APPEND_ONLY = ("events", "event_batches")
NOT_THE_APPS = tuple(name for name in GLOBAL_TABLES if name != "users")
"""What the app's role has no business with at all."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A database in which two tenants have one of everything."""

    urls: DatabaseUrls
    first: UUID
    second: UUID


@pytest.fixture(scope="module")
def filled(fresh_database: Callable[[], AbstractContextManager[DatabaseUrls]]) -> Iterator[Filled]:
    with fresh_database() as urls:
        app, system = create(urls.app, pool_size=2), create(urls.system, pool_size=1)
        storage = Storage(
            uow=PostgresUnitOfWork(app, SystemIds()),
            system=PostgresSystem(system, SystemIds()),
            people=PostgresPeople(system),
            privacy=PostgresPrivacy(app, system),
            billing=PostgresBillingSystem(system),
            agreements=PostgresAgreements(app, system),
            notifications=PostgresNotificationSystem(system),
            now=lambda: datetime.now(UTC),
        )
        first, second = belongings(storage, key_id="k1"), belongings(storage, key_id="k2")
        app.dispose()
        system.dispose()
        yield Filled(urls=urls, first=first.actor.tenant_id, second=second.actor.tenant_id)


@pytest.fixture
def as_superuser(filled: Filled) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(filled.urls.superuser) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def as_app(filled: Filled) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(filled.urls.app) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def as_system(filled: Filled) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(filled.urls.system) as connection:
        yield connection
        connection.rollback()


def enter(connection: psycopg.Connection[Any], tenant_id: UUID) -> None:
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant_id)])


def count(connection: psycopg.Connection[Any], table: str, tenant_id: UUID | None = None) -> int:
    """How many rows the connection sees: of that tenant, or in all."""
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    if tenant_id is not None:
        query += sql.SQL(" WHERE tenant_id = {}").format(tenant_id)
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def one_more(connection: psycopg.Connection[Any], table: str, tenant_id: UUID) -> tuple[sql.Composed, tuple[Any, ...]]:
    """What adds a row that the tenant has once more, and its parameters."""
    given = [column.name for column in metadata.tables[table].columns if column.computed is None]
    if table == "event_batches":
        given = list(TELLING_WRITES)
    take = sql.SQL("SELECT to_jsonb(t)::text FROM {} AS t WHERE tenant_id = {} LIMIT 1")
    row = connection.execute(take.format(sql.Identifier(table), tenant_id)).fetchone()
    assert row is not None
    insert = sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM jsonb_populate_record(NULL::{0}, %s::jsonb)")
    return insert.format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, given))), row


def declared(database: DatabaseUrls, reads: Callable[[Connection, str], Any]) -> tuple[Any, Any]:
    """What `reads` says of the migrated schema, and of one that is made out of `tables.metadata`."""
    engine = create(database.superuser, pool_size=1)
    try:
        with engine.connect() as connection:
            connection.execute(text("CREATE SCHEMA declared"))
            metadata.create_all(connection.execution_options(schema_translate_map={None: "declared"}))
            return reads(connection, "public"), reads(connection, "declared")
    finally:
        engine.dispose()


def test_alembic_finds_nothing_to_migrate(database: DatabaseUrls) -> None:
    engine = create(database.owner, pool_size=1)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_indexes_and_constraints_are_those_that_the_tables_declare(database: DatabaseUrls) -> None:
    # Alembic compares neither the conditions of partial indexes nor what a deletion cascades to.
    def reads(connection: Connection, schema: str) -> tuple[set[str], set[str]]:
        indexes = connection.execute(
            text("SELECT indexdef FROM pg_indexes WHERE schemaname = :schema AND tablename <> 'alembic_version'"),
            {"schema": schema},
        ).scalars()
        constraints = connection.execute(
            text("""
                SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                WHERE connamespace = CAST(:schema AS regnamespace) AND conrelid <> 'alembic_version'::regclass
            """),
            {"schema": schema},
        ).scalars()
        plain = {definition.replace(f"{schema}.", "") for definition in indexes}
        return plain, {definition.replace(f"{schema}.", "") for definition in constraints}

    migrated, said = declared(database, reads)
    assert migrated == said


def test_tenant_id_leads_every_primary_key() -> None:
    for name in TENANT_TABLES:
        assert next(iter(metadata.tables[name].primary_key.columns)).name == "tenant_id", name


def test_every_table_is_under_forced_row_level_security(as_superuser: psycopg.Connection[Any]) -> None:
    rows = as_superuser.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner) FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    ).fetchall()
    assert {row[0] for row in rows} == set(ALL_TABLES)
    assert {row[1:] for row in rows} == {(True, True, OWNER_ROLE)}


def test_the_policies_are_those_of_the_lists(as_superuser: psycopg.Connection[Any]) -> None:
    rows = as_superuser.execute("SELECT tablename, policyname, cmd, roles::text[], qual FROM pg_policies").fetchall()
    tenant = [row for row in rows if row[1] == "tenant"]
    assert {row[0] for row in tenant} == set(TENANT_TABLES)
    assert {(row[2], tuple(row[3])) for row in tenant} == {("ALL", (APP_ROLE,))}
    assert len({row[4] for row in tenant}) == 1
    assert "app.tenant_id" in tenant[0][4]
    of_system = {(row[0], row[2]) for row in rows if row[3] == [SYSTEM_ROLE]}
    assert of_system == {
        *((name, "SELECT") for name in SYSTEM_MAY_READ),
        *((name, "UPDATE") for name in (*SYSTEM_MAY_CHANGE, "event_batches")),
        *((name, "INSERT") for name in SYSTEM_MAY_ADD),
    }


def test_the_roles_that_serve_are_ordinary(as_superuser: psycopg.Connection[Any]) -> None:
    rows = as_superuser.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,"
        " pg_has_role(rolname, 'sortation_owner', 'usage') FROM pg_roles WHERE rolname = ANY(%s)",
        [[APP_ROLE, SYSTEM_ROLE]],
    ).fetchall()
    assert {row[0] for row in rows} == {APP_ROLE, SYSTEM_ROLE}
    assert {row[1:] for row in rows} == {(False, False, False, False, False)}


def test_functions_that_lift_row_level_security_are_narrow(as_superuser: psycopg.Connection[Any]) -> None:
    rows = as_superuser.execute(
        "SELECT proname, proconfig, has_function_privilege('public', oid, 'execute') FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    ).fetchall()
    assert {row[0] for row in rows} == {
        "announce_plugins",
        "due_reports",
        "expire_reports",
        "old_reports",
        "queue_reports",
        "endpoints_of_person",
        "count_connections",
        "ensure_user",
        "erase_events",
        "erase_person",
        "erase_traces",
        "find_api_key",
        "forget_callers",
        "forget_devices",
        "queue_billing",
        "queue_syncs",
        "queues_to_tell",
        "receive_payment_event",
        "rows_that_name",
        "sweep",
        "sweep_arrivals",
        "sweep_devices",
        "sweep_notifications",
        "sweep_payment_events",
        "sweep_sessions",
        "sweep_skips",
        "take_oauth_state",
        "tenant_of_connection",
        "tenants_that_know",
        "tenants_with_news",
        "unlink_identities",
    }
    assert {(tuple(row[1]), row[2]) for row in rows} == {(("search_path=public, pg_temp",), False)}


@pytest.mark.parametrize("table", ALL_TABLES)
def test_without_a_tenant_every_table_reads_empty(
    table: str, as_app: psycopg.Connection[Any], as_superuser: psycopg.Connection[Any]
) -> None:
    assert count(as_superuser, table) > 0, "fill this table in tests/contract/belongings.py"
    if table in NOT_THE_APPS:
        with pytest.raises(InsufficientPrivilege, match="permission denied"):
            count(as_app, table)
    else:
        assert count(as_app, table) == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_without_a_tenant_nothing_is_changed_or_added(
    table: str, filled: Filled, as_app: psycopg.Connection[Any], as_superuser: psycopg.Connection[Any]
) -> None:
    if table not in APPEND_ONLY:
        for change in ("UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}"):
            assert as_app.execute(sql.SQL(change).format(sql.Identifier(table))).rowcount == 0
    insert, row = one_more(as_superuser, table, filled.second)
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        as_app.execute(insert, row)


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_a_tenant_reaches_its_own_rows_alone(table: str, filled: Filled, as_app: psycopg.Connection[Any]) -> None:
    enter(as_app, filled.first)
    assert count(as_app, table, filled.first) == count(as_app, table) > 0
    assert count(as_app, table, filled.second) == 0
    if table in APPEND_ONLY:
        return
    for change in ("UPDATE {} SET tenant_id = tenant_id WHERE tenant_id = %s", "DELETE FROM {} WHERE tenant_id = %s"):
        assert as_app.execute(sql.SQL(change).format(sql.Identifier(table)), [filled.second]).rowcount == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_a_tenant_cannot_write_a_row_of_another(
    table: str, filled: Filled, as_app: psycopg.Connection[Any], as_superuser: psycopg.Connection[Any]
) -> None:
    insert, row = one_more(as_superuser, table, filled.second)
    enter(as_app, filled.first)
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        as_app.execute(insert, row)
    as_app.rollback()
    enter(as_app, filled.first)
    with pytest.raises(InsufficientPrivilege):  # nor give one away
        as_app.execute(sql.SQL("UPDATE {} SET tenant_id = %s").format(sql.Identifier(table)), [filled.second])


def test_people_are_seen_by_the_tenants_that_they_are_members_of(
    filled: Filled, as_app: psycopg.Connection[Any]
) -> None:
    enter(as_app, filled.first)
    assert count(as_app, "users") == 1
    enter(as_app, UUID(int=1))
    assert count(as_app, "users") == 0
    with pytest.raises(InsufficientPrivilege):
        as_app.execute("UPDATE users SET name = 'x'")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_log_is_append_only(table: str, change: str, filled: Filled, as_app: psycopg.Connection[Any]) -> None:
    enter(as_app, filled.first)
    with pytest.raises(InsufficientPrivilege):
        as_app.execute(sql.SQL(change).format(sql.Identifier(table)))  # type: ignore[arg-type]


def test_a_tenant_erases_no_log_but_its_own(
    filled: Filled, as_app: psycopg.Connection[Any], as_superuser: psycopg.Connection[Any]
) -> None:
    erase = "SELECT erase_events(%s, 1000)"
    assert as_app.execute(erase, [filled.second]).fetchone() == (0,)
    enter(as_app, filled.first)
    assert as_app.execute(erase, [filled.second]).fetchone() == (0,)
    assert count(as_superuser, "events", filled.second) > 0
    erased = as_app.execute(erase, [filled.first]).fetchone()
    assert erased is not None
    assert erased[0] > 0


@pytest.mark.parametrize("table", ALL_TABLES)
def test_the_system_reaches_only_the_tables_that_it_needs(table: str, as_system: psycopg.Connection[Any]) -> None:
    if table in SYSTEM_MAY_READ:
        assert count(as_system, table) > 0
    else:
        with pytest.raises(InsufficientPrivilege):
            count(as_system, table)
        as_system.rollback()
    update = sql.SQL("UPDATE {0} SET {1} = {1}").format(
        sql.Identifier(table), sql.Identifier(next(iter(metadata.tables[table].primary_key.columns)).name)
    )
    if table in SYSTEM_MAY_CHANGE:
        assert as_system.execute(update).rowcount > 0
    else:
        with pytest.raises(InsufficientPrivilege):
            as_system.execute(update)
        as_system.rollback()
    with pytest.raises(InsufficientPrivilege):
        as_system.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
