"""A pooled connection carries no tenant to whoever has it next, however its last transaction ended."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.engine import create, driver
from adapters.postgres.notification_system import PostgresNotificationSystem
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresTransaction, PostgresUnitOfWork
from adapters.system import SystemIds
from core.errors import NotFound, Transient
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft

ENDINGS = (
    "commit",
    "commit in the middle",
    "rollback",
    "domain error",
    "error in Python",
    "broken statement",
    "broken constraint",
    "broken COPY",
    "time-out",
    "savepoint",
    "savepoint rolled back",
    "server that went away",
)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pooled_connection_carries_no_tenant_to_its_next_user(database: DatabaseUrls, ending: str) -> None:
    engine = create(database.app, pool_size=1, overflow=0)
    uow = PostgresUnitOfWork(engine, SystemIds())
    storage = Storage(
        uow=uow,
        system=PostgresSystem(engine, SystemIds()),
        people=PostgresPeople(engine),
        privacy=PostgresPrivacy(engine, engine),
        billing=PostgresBillingSystem(engine),
        agreements=PostgresAgreements(engine, engine),
        notifications=PostgresNotificationSystem(engine),
        now=lambda: datetime.now(UTC),
    )
    actor = storage.tenant()
    storage.store(actor, [a_draft()])
    with suppress(NotFound, KeyError, DBAPIError, psycopg.Error, Transient), uow.begin(actor) as tx:
        assert tx.records.count(RecordFilter()) == 1
        _end(tx, tx._connection, ending)
    with engine.connect() as connection:
        left = connection.execute(text("SELECT nullif(current_setting('app.tenant_id', true), '')")).scalar()
        assert left is None
        assert connection.execute(text("SELECT count(*) FROM records")).scalar() == 0
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]  # it was one and the same connection
    engine.dispose()


def _end(tx: PostgresTransaction, connection: Connection, ending: str) -> None:
    """Whatever is left without a commit is rolled back."""
    match ending:
        case "commit":
            tx.commit()
        case "commit in the middle":
            tx.commit()
            assert tx.records.count(RecordFilter()) == 0, "the next transaction is nobody's"
        case "rollback":
            connection.rollback()
            assert tx.records.count(RecordFilter()) == 0
        case "domain error":
            tx.records.get(UUID(int=0))
        case "error in Python":
            raise KeyError(ending)
        case "broken statement":
            connection.execute(text("SELECT nonsense"))
        case "broken constraint":
            connection.execute(text("INSERT INTO tenants SELECT * FROM tenants"))
        case "broken COPY":
            connection.execute(text("CREATE TEMPORARY TABLE numbers (n integer) ON COMMIT DROP"))
            with driver(connection).cursor() as cursor, cursor.copy("COPY numbers FROM STDIN") as copy:
                copy.write("nonsense")
        case "time-out":
            connection.execute(text("SET LOCAL statement_timeout = 1"))
            connection.execute(text("SELECT pg_sleep(9)"))
        case "savepoint":
            with connection.begin_nested():
                assert tx.records.count(RecordFilter()) == 1
        case "savepoint rolled back":
            with suppress(DBAPIError), connection.begin_nested():
                connection.execute(text("SELECT set_config('app.tenant_id', :id, true)"), {"id": str(UUID(int=1))})
                connection.execute(text("SELECT nonsense"))
            assert tx.records.count(RecordFilter()) == 1, "it is the tenant's that it was"
        case "server that went away":
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
