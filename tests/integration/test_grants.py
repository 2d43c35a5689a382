"""What each role may, to the last grant, as the migrations leave it; and what holds tenants' rows together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from adapters.embedded import APP_ROLE, OWNER_ROLE, SYSTEM_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.tables import (
    GLOBAL_TABLES,
    SEALING_WRITES,
    SYSTEM_MAY_ADD,
    SYSTEM_MAY_CHANGE,
    SYSTEM_MAY_READ,
    TELLING_WRITES,
    TENANT_TABLES,
)

ADDED_TO_ALONE = ("events", "event_batches")
ALL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
APP = {name: ALL - ({"UPDATE", "DELETE"} if name in ADDED_TO_ALONE else set()) for name in TENANT_TABLES}
APP |= {"users": {"SELECT"}, "alembic_version": {"SELECT"}, "event_batches": {"SELECT"}}
SYSTEM = {
    name: {
        verb
        for verb, names in (("SELECT", SYSTEM_MAY_READ), ("UPDATE", SYSTEM_MAY_CHANGE), ("INSERT", SYSTEM_MAY_ADD))
        if name in names
    }
    for name in SYSTEM_MAY_READ
}
SYSTEM |= {"alembic_version": {"SELECT"}}
FUNCTIONS = {
    APP_ROLE: {"acting_person", "ensure_user", "erase_events"},
    SYSTEM_ROLE: {
        "announce_plugins",
        "endpoints_of_person",
        "count_connections",
        "due_reports",
        "erase_person",
        "erase_traces",
        "find_api_key",
        "forget_callers",
        "expire_reports",
        "forget_devices",
        "old_reports",
        "queue_billing",
        "queue_reports",
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
    },
}


@pytest.fixture
def catalog(postgres: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.superuser) as connection:
        yield connection
        connection.rollback()


def grants(catalog: psycopg.Connection[Any], query: str) -> dict[str, dict[str, set[str]]]:
    """By grantee (`public`: everybody) and thing, but for what is the owner's; the query gives (thing, acl)."""
    rows = catalog.execute(f"""
        SELECT CASE WHEN a.grantee = 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END, thing, a.privilege_type
        FROM ({query}) AS things, aclexplode(acl) AS a
    """).fetchall()  # type: ignore[arg-type]  # noqa: S608 - of this file
    found: dict[str, dict[str, set[str]]] = {}
    for grantee, thing, privilege in rows:
        if grantee not in (OWNER_ROLE, "pg_database_owner"):
            found.setdefault(grantee, {}).setdefault(thing, set()).add(privilege)
    return found


def test_each_role_has_just_these_grants_on_tables(catalog: psycopg.Connection[Any]) -> None:
    query = "SELECT relname AS thing, relacl AS acl FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert grants(catalog, query) == {APP_ROLE: APP, SYSTEM_ROLE: SYSTEM}
    columns = (
        "SELECT attrelid::regclass || '.' || attname AS thing, attacl AS acl FROM pg_attribute"
        " WHERE attacl IS NOT NULL AND attrelid > 16383"
    )
    assert grants(catalog, columns) == {
        APP_ROLE: {f"event_batches.{name}": {"INSERT"} for name in TELLING_WRITES},
        SYSTEM_ROLE: {f"event_batches.{name}": {"UPDATE"} for name in SEALING_WRITES},
    }


def test_each_role_may_call_just_these_functions(catalog: psycopg.Connection[Any]) -> None:
    found = grants(
        catalog,
        f"SELECT proname AS thing, coalesce(proacl, acldefault('f', proowner)) AS acl FROM pg_proc"  # noqa: S608
        f" WHERE proowner = '{OWNER_ROLE}'::regrole",
    )
    assert {grantee: set(functions) for grantee, functions in found.items()} == FUNCTIONS


def test_nobody_makes_anything_and_only_the_app_fills_temporary_tables(catalog: psycopg.Connection[Any]) -> None:
    schemas = "SELECT nspname AS thing, nspacl AS acl FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema'"
    assert grants(catalog, schemas) == {"public": {"public": {"USAGE"}}}
    database = "SELECT datname AS thing, datacl AS acl FROM pg_database WHERE datname = current_database()"
    name = catalog.info.dbname
    assert grants(catalog, database) == {"public": {name: {"CONNECT"}}, APP_ROLE: {name: {"TEMPORARY"}}}
    assert catalog.execute("SELECT 1 FROM pg_default_acl").fetchall() == []


@pytest.mark.parametrize("role", ["app", "system"])
def test_who_serves_makes_nothing(postgres: DatabaseUrls, role: str) -> None:
    makes = ["CREATE TABLE loot (n int)", "CREATE SCHEMA loot", "CREATE ROLE thief", "ALTER TABLE users ADD n int"]
    makes += ["CREATE FUNCTION loot() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SET ROLE sortation_owner"]
    makes += ["ALTER TABLE users NO FORCE ROW LEVEL SECURITY", "DROP POLICY tenant ON records", "TRUNCATE records"]
    makes += ["COPY users TO PROGRAM 'true'"] + ["CREATE TEMPORARY TABLE loot (n int)"] * (role == "system")
    with psycopg.connect(getattr(postgres, role)) as connection:
        for make in makes:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(make)  # type: ignore[arg-type]
            connection.rollback()


def test_there_is_nothing_but_these_tables(catalog: psycopg.Connection[Any]) -> None:
    """No view, sequence or foreign table, which no policy would hold, and no schema that nobody looks at."""
    found = catalog.execute(
        "SELECT c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname !~ '^pg_|^information_schema' AND c.relkind NOT IN ('i', 'I')"
    ).fetchall()
    assert {name for name, _ in found} == {*TENANT_TABLES, *GLOBAL_TABLES, "alembic_version"}
    assert {kind for _, kind in found} == {"r", "p"}


def test_what_points_to_a_tenants_row_points_to_its_own_tenants(catalog: psycopg.Connection[Any]) -> None:
    """A foreign key between tenants' tables has `tenant_id` at the same place on both sides."""
    rows = catalog.execute("""
        SELECT conname, conrelid::regclass::text, confrelid::regclass::text, array(
            SELECT (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = here)
                   || '->' || (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = there)
            FROM unnest(conkey, confkey) AS pair (here, there))
        FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    """).fetchall()
    between = [row for row in rows if row[1] in TENANT_TABLES and row[2] in TENANT_TABLES]
    assert len(between) > 40
    for name, table, other, pairs in between:
        assert "tenant_id->tenant_id" in pairs, (name, table, other)
    assert {(row[1], row[2]) for row in rows if row not in between} == {
        ("memberships", "users"),
        ("local_accounts", "users"),
        ("identities", "users"),
        ("sessions", "users"),
        ("known_devices", "local_accounts"),
        ("payment_events", "tenants"),
    }, "a person belongs to no tenant, and what a provider tells perhaps to none"
