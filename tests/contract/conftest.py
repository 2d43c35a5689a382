"""`storage`: each contract test runs against the in-memory adapter and against PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from adapters.embedded.postgres import DatabaseUrls
from adapters.memory.agreements import MemoryAgreements
from adapters.memory.billing_system import MemoryBillingSystem
from adapters.memory.clock import CountingIds, FixedClock
from adapters.memory.notifications import MemoryNotificationSystem
from adapters.memory.people import MemoryPeople
from adapters.memory.privacy import MemoryPrivacy
from adapters.memory.state import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.unit_of_work import MemoryUnitOfWork
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.engine import create
from adapters.postgres.notification_system import PostgresNotificationSystem
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.tables import metadata
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from tests.contract.storage import Storage
from tests.scoping import watch


@pytest.fixture(params=["memory", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    made: Storage = request.getfixturevalue(f"{request.param}_storage")
    return made


@pytest.fixture
def memory_storage() -> Storage:
    clock = FixedClock()
    store = MemoryStore(clock, CountingIds())
    return Storage(
        uow=MemoryUnitOfWork(store),
        system=MemorySystem(store),
        people=MemoryPeople(store),
        privacy=MemoryPrivacy(store),
        billing=MemoryBillingSystem(store),
        agreements=MemoryAgreements(store),
        notifications=MemoryNotificationSystem(store),
        now=clock.now,
    )


@pytest.fixture
def postgres_storage(kept_storage: tuple[Storage, psycopg.Connection]) -> Storage:
    """The same database for every test, emptied before each: a fresh one would take most of a test's time."""
    storage, superuser = kept_storage
    superuser.execute(sql.SQL(";").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(t)) for t in metadata.tables))
    return storage


@pytest.fixture
def unguarded_storage(kept_storage: tuple[Storage, psycopg.Connection], postgres_storage: Storage) -> Iterator[Storage]:
    """The same, asked by a superuser, whom no policy holds: what stays apart does so by what repositories ask for."""
    known = kept_storage[1].info
    url = f"postgresql://{known.user}@/{known.dbname}?host={known.host}&port={known.port}"
    engine = create(url, pool_size=2)
    yield replace(postgres_storage, uow=PostgresUnitOfWork(engine, SystemIds()))
    engine.dispose()


@pytest.fixture(scope="session")
def kept_storage(
    fresh_database: Callable[[], AbstractContextManager[DatabaseUrls]],
) -> Iterator[tuple[Storage, psycopg.Connection]]:
    with fresh_database() as urls, psycopg.connect(urls.superuser, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")  # references are not checked while emptying
        app, system = create(urls.app, pool_size=5), create(urls.system, pool_size=2)
        faults = watch(app)
        listening = PostgresSystem(system, SystemIds())
        yield (
            Storage(
                uow=PostgresUnitOfWork(app, SystemIds()),
                system=listening,
                people=PostgresPeople(system),
                privacy=PostgresPrivacy(app, system),
                billing=PostgresBillingSystem(system),
                agreements=PostgresAgreements(app, system),
                notifications=PostgresNotificationSystem(system),
                now=lambda: datetime.now(UTC),
            ),
            superuser,
        )
        listening.close()
        app.dispose()
        system.dispose()
    assert not faults, faults[0]
