"""How what is told is found among all else: by an index over just its types; and by one of several relays."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import event

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, SystemIds
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Stream
from core.domain.notifications import TOLD, Digest
from core.usecases.telling import make_notifications
from tests.conftest import Engines
from tests.contract.notification_support import an_endpoint
from tests.contract.storage import Storage

MANY = 20_000
ROUNDS = 40


def test_the_index_has_the_types_that_are_told(superuser: psycopg.Connection) -> None:
    row = superuser.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'events_told'").fetchone()
    assert row is not None
    assert set(re.findall(r"'(\w+)'", row[0])) == set(TOLD)


@pytest.fixture
def seen(engines: Engines) -> Iterator[list[tuple[str, object]]]:
    """The statements of the app's role."""
    statements: list[tuple[str, object]] = []

    def note(_: object, cursor: object, statement: str, parameters: object, *__: object) -> None:
        statements.append((statement, parameters))

    event.listen(engines.app, "before_cursor_execute", note)
    yield statements
    event.remove(engines.app, "before_cursor_execute", note)


def test_few_that_are_told_are_found_among_very_many_others(
    storage: Storage, engines: Engines, superuser: psycopg.Connection, seen: list[tuple[str, object]]
) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.endpoints.add(an_endpoint(storage.ids.new(), actor))
    for told in (EventType.INGESTED, EventType.JOB_DEAD, EventType.INGESTED):
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=EventType.INGESTED)] * (MANY // 3))
            tx.events.append([NewEvent(type=told)])
    storage.system.seal()
    superuser.execute("ANALYZE")
    seen.clear()
    with PostgresUnitOfWork(engines.app, SystemIds()).begin(actor) as tx:
        assert [event.type for event in tx.notifications.news(0, 9).events] == ["JOB_DEAD"]
    (statement, parameters) = next(one for one in seen if "events.type IN" in one[0])
    with engines.app.connect() as connection:
        connection.exec_driver_sql("SELECT set_config('app.tenant_id', %s, true)", (str(actor.tenant_id),))
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS OFF) {statement}", parameters).scalars().all()
    assert any("events_told" in line for line in plan), "\n".join(plan)


def test_relays_that_meet_make_each_notification_once(storage: Storage) -> None:
    actor = storage.tenant()
    at_once, hourly = storage.ids.batch(2)
    with storage.writing(actor) as tx:
        tx.endpoints.add(an_endpoint(at_once, actor))
        tx.endpoints.add(an_endpoint(hourly, actor, digest=Digest.HOURLY))
    over = threading.Event()

    def relay() -> int:
        made, ports = 0, {"max_attempts": 1, "uow": storage.uow, "clock": SystemClock(), "ids": SystemIds()}
        while not over.is_set():
            made += make_notifications(actor.tenant_id, **ports)
        return made + make_notifications(actor.tenant_id, **ports)

    with ThreadPoolExecutor(3) as relays:
        running = [relays.submit(relay) for _ in range(3)]
        for _ in range(ROUNDS):
            with storage.writing(actor) as tx:
                tx.events.append([NewEvent(type=EventType.IMPORT_FAILED)] * 3)
            storage.system.seal()
        over.set()
        made = sum(one.result() for one in running)
    assert made == 2 * 3 * ROUNDS + 1, "and one digest"
    with storage.reading(actor) as tx:
        told = {id: tx.notifications.list(id, before=None, limit=1_000) for id in (at_once, hourly)}
        jobs = tx.jobs.list(stream=Stream.SEND, statuses=(), after=None, limit=1_000)
    assert sorted(one.seq for one in told[at_once]) == list(range(1, 3 * ROUNDS + 1))
    assert {one.job_id for one in told[at_once]} < {job.id for job in jobs}
    assert len(jobs) == 3 * ROUNDS + 1
    assert Counter(one.status for one in told[hourly]) == {"waiting": 3 * ROUNDS, "collecting": 1}
