"""Who may open a transaction, and that what watches statements for their tenant sees those that name none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from entrypoints.container import Container
from tests.scoping import unscoped_tables

ROOT = Path(__file__).parents[2]
OPENS_TRANSACTIONS = {
    "adapters/postgres/unit_of_work.py": "a tenant's, which it names first",
    "adapters/postgres/privacy.py": "the same, to give out or erase a whole tenant; and the system's, of a person",
    "adapters/postgres/people.py": "the system's: who signs in has no tenant yet",
    "adapters/postgres/system.py": "the system's: relay, sealer, and what is found before the tenant is known",
    "adapters/postgres/billing_system.py": "the system's: what providers tell, and what is due",
    "adapters/postgres/notification_system.py": "the system's: who is to be told, and what was told long ago",
    "adapters/postgres/agreements.py": "a tenant's, which it names first; and the system's, for the operator's list",
    "adapters/postgres/vector_homes.py": "the owner's: makes tables",
    "adapters/postgres/migrate.py": "the owner's",
    "adapters/embedded/postgres.py": "the superuser's: makes the embedded database",
}
"""Modules that open connections to the database, and whose. Everything else is handed one."""
HAS_THE_APPS_ENGINE = {"uow", "renewals", "privacy", "agreements"}


def opened(path: Path) -> list[str]:
    """What opens connections in a module: of an engine, or of the driver."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            of_engine = node.func.attr in ("connect", "begin") and ast.unparse(node.func.value).lower().endswith(
                ("engine", "_app", "_system")
            )
            if of_engine or called.startswith(("psycopg.connect", "psycopg.Connection.connect", "raw_connection")):
                found.append(called)
    return found


def test_only_these_modules_open_transactions() -> None:
    tops = ("core", "ports", "adapters", "entrypoints", "plugins", "sortation")
    files = (path for top in tops for path in (ROOT / top).rglob("*.py"))
    assert {str(path.relative_to(ROOT)) for path in files if opened(path)} == OPENS_TRANSACTIONS.keys()


def test_only_what_names_a_tenant_has_the_apps_engine() -> None:
    engines = {"app_engine", "renewal_engine"}
    having = {
        name
        for name, provider in Container.providers.items()
        if any(getattr(Container, engine) in getattr(provider, "args", ()) for engine in engines)
    }
    assert having == HAS_THE_APPS_ENGINE


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM records",
        "SELECT * FROM records WHERE id = %(id)s",
        "SELECT r.id FROM records AS r WHERE r.id = %(id)s",
        "SELECT r.id FROM approvals a JOIN records r ON r.id = a.record_id WHERE a.tenant_id = %(tenant)s",
        "SELECT a.id FROM approvals a, records r WHERE r.id = a.record_id AND a.tenant_id = %(tenant)s",
        "SELECT a.id FROM approvals a JOIN records r ON r.tenant_id = a.tenant_id",
        "UPDATE records SET status = 'x' WHERE id = ANY(%(ids)s)",
        "DELETE FROM api_keys -- WHERE tenant_id = %(tenant)s",
        "DELETE FROM records WHERE id IN (SELECT record_id FROM examples WHERE tenant_id = %(tenant)s)",
        "WITH x AS (SELECT * FROM rules) SELECT * FROM x WHERE text = 'rules.tenant_id = 1'",
    ],
)
def test_a_statement_that_does_not_say_whose_rows_it_means_is_found(statement: str) -> None:
    assert unscoped_tables(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT * FROM records WHERE records.tenant_id = %(tenant)s",
        "SELECT * FROM records WHERE tenant_id = %s",
        "SELECT r.id FROM approvals a JOIN records r ON r.tenant_id = a.tenant_id WHERE a.tenant_id = %(tenant)s",
        "INSERT INTO records (tenant_id) VALUES (%(tenant)s)",
        "SELECT day, records FROM daily_counts WHERE tenant_id = %(tenant)s",
        "UPDATE examples e SET learned = true FROM had WHERE e.tenant_id = %(tenant)s",
    ],
)
def test_a_statement_that_says_it_is_not(statement: str) -> None:
    assert unscoped_tables(statement) == ()
