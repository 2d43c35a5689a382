"""What only PostgreSQL can show: transactions that meet, connections that break, values that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime
from time import monotonic, sleep
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from adapters.embedded import OWNER_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.engine import create
from adapters.postgres.migrate import head, migrate
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from core.domain.approvals import Verdict
from core.domain.events import EventType, NewEvent
from core.domain.jobs import JobStatus
from core.domain.records import RecordStatus
from core.domain.rules import Action
from core.domain.tenants import Idempotency
from core.errors import IdempotencyReplay, NotFound, StartFailed, Transient
from tests.contract.storage import Storage, a_draft, a_rule, an_import, answered, decided


@pytest.fixture
def storage(uow: PostgresUnitOfWork, system: PostgresSystem) -> Storage:
    return Storage(uow=uow, system=system, now=lambda: datetime.now(UTC))


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def superuser(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.superuser, autocommit=True) as connection:
        yield connection


def until_waiting(superuser: psycopg.Connection, other: Future[object]) -> None:
    """Returns when the other transaction waits for a lock of ours."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = monotonic() + 10
    while superuser.execute(waiting).fetchone() is None:
        assert not other.done(), "it did not wait"
        assert monotonic() < deadline
        sleep(0.005)


def test_the_same_upload_twice_at_once_is_stored_once(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    drafts = [a_draft(f"{n}") for n in range(50)]
    staged = [(storage.ids.new(), draft, date(2026, 1, 3)) for draft in drafts]
    with storage.uow.begin(actor) as tx:
        first = tx.records.store(staged, connection_id=connection_id, import_id=storage.ids.new())
        second = meanwhile.submit(storage.store, actor, drafts, connection_id=connection_id)
        until_waiting(superuser, second)
        tx.commit()
    assert len(first.inserted) == 50
    assert (second.result().inserted, second.result().known) == ((), 50)
    assert len(storage.events(actor, "INGESTED")) == 50


@pytest.mark.parametrize("first_commits", [True, False])
def test_a_concurrent_request_with_the_same_key_waits_for_the_first(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, first_commits: bool
) -> None:
    actor = replace(storage.tenant(), idempotency=Idempotency(key="k", request_digest="d"))

    def request() -> None:
        with storage.writing(actor):
            pass

    with storage.uow.begin(actor) as tx:
        second = meanwhile.submit(request)
        until_waiting(superuser, second)
        if first_commits:
            tx.commit()
    if first_commits:
        with pytest.raises(IdempotencyReplay):
            second.result()
    else:
        second.result()


def test_two_workers_that_claim_at_once_do_not_both_get_the_job(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    id = storage.job(actor)

    def claim() -> object:
        with storage.writing(actor) as tx:
            return tx.jobs.claim(id, storage.ids.new(), 60)

    with storage.uow.begin(actor) as tx:
        assert tx.jobs.claim(id, storage.ids.new(), 60) is not None
        second = meanwhile.submit(claim)
        until_waiting(superuser, second)
        tx.commit()
    assert second.result() is None


def test_a_run_waits_for_a_person_who_answers_and_leaves_the_record_to_them(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    food, run = storage.category(actor), storage.run(actor)
    approval_id = storage.review(actor)
    with storage.uow.begin(actor) as tx:
        (approval,) = tx.approvals.get_many([approval_id], lock=True)
        record = tx.records.get(approval.record_id)

        def redecide() -> list[UUID]:
            with storage.writing(actor) as other:
                return list(other.records.redecide(run, [(decided(record.id, food), record.version)]))

        second = meanwhile.submit(redecide)
        until_waiting(superuser, second)
        tx.records.update([replace(record, status=RecordStatus.OVERRIDDEN, category_id=food)])
        tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.commit()
    assert second.result() == []
    with storage.reading(actor) as tx:
        assert tx.approvals.get_many([approval_id])[0].verdict is Verdict.OVERRIDE
        assert list(tx.runs.changes(run, after=None, limit=9)) == []


def test_rules_that_one_process_changed_are_seen_by_another(storage: Storage, database: DatabaseUrls) -> None:
    engine = create(database.app, pool_size=1)
    elsewhere = replace(storage, uow=PostgresUnitOfWork(engine, SystemIds()))
    actor = storage.tenant()
    food = storage.category(actor)
    rule = a_rule(storage.ids.new(), actor, food)
    with storage.writing(actor) as tx:
        tx.rules.add([rule])
    for one, other, name in ((storage, elsewhere, "A"), (elsewhere, storage, "B")):
        with one.writing(actor) as tx:
            tx.rules.update(replace(tx.rules.list()[0], name=name, then=Action(category_id=food, tags=(name,))))
        with other.reading(actor) as tx:
            (seen,) = tx.rules.list()
            assert (seen.name, seen.then.tags) == (name, (name,))
    engine.dispose()


def test_the_reaper_leaves_a_worker_in_peace_that_is_about_to_commit(storage: Storage) -> None:
    actor = storage.tenant()
    job = storage.claim(actor, storage.job(actor), seconds=-1)
    with storage.uow.begin(actor) as tx:
        tx.jobs.hold(job)
        assert storage.system.reap(republish_after=60) == 0
        tx.jobs.finish(job)
        tx.commit()
    with storage.reading(actor) as tx:
        assert tx.jobs.get(job.id).status is JobStatus.DONE


@pytest.mark.parametrize("when", ["in a statement", "in a copy"])
def test_a_connection_that_breaks_is_a_passing_fault(
    storage: Storage, superuser: psycopg.Connection, when: str
) -> None:
    actor = storage.tenant()
    connection_id = storage.connection(actor)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sortation_app'"
    with pytest.raises(Transient), storage.uow.begin(actor) as tx:  # noqa: PT012 - the fault is in between
        tx.tenants.get()
        superuser.execute(kill)
        if when == "in a statement":
            tx.tenants.get()
        else:
            staged = [(storage.ids.new(), a_draft(), date(2026, 1, 3))]
            tx.records.store(staged, connection_id=connection_id, import_id=storage.ids.new())
    superuser.execute(kill)  # those that wait in the pool as well
    with storage.reading(actor) as tx:
        assert tx.tenants.get().id == actor.tenant_id


def test_the_listener_listens_again_after_its_connection_broke(storage: Storage, superuser: psycopg.Connection) -> None:
    storage.system.wait(0)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sortation_system'"
    superuser.execute(kill)
    with pytest.raises(Transient):
        storage.system.wait(10)
    storage.system.wait(10)  # at once: it begins to listen


def test_what_postgres_refuses_in_json_poisons_no_batch(storage: Storage) -> None:
    actor = storage.tenant()
    raw = {"nul\x00": "a\x00b", "half": "\ud800", "big": 2**70, "deep": [{"x": "\x00"}, 1.5, None, True], "n": -7}
    id = storage.record(actor, raw=raw, attributes={"half": "\udfff"})
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
    assert record.raw == {
        "nul\ufffd": "a\ufffdb",
        "half": "\ufffd",
        "big": str(2**70),
        "deep": [{"x": "\ufffd"}, 1.5, None, True],
        "n": -7,
    }
    assert record.attributes == {"half": "\ufffd"}


def test_a_payload_that_was_dropped_is_not_found(storage: Storage, superuser: psycopg.Connection) -> None:
    actor = storage.tenant()
    imported = an_import(storage.ids.new(), actor, storage.connection(actor))
    with storage.writing(actor) as tx:
        tx.imports.add(imported, [b"payload"])
    superuser.execute("DELETE FROM import_chunks")
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.imports.open(imported.id)


def test_the_digests_of_event_batches_are_chained(storage: Storage, superuser: psycopg.Connection) -> None:
    def digests() -> list[bytes]:
        rows = superuser.execute("SELECT digest FROM event_batches ORDER BY last_seq").fetchall()
        return [bytes(row[0]) for row in rows]

    def seal_again() -> list[bytes]:
        superuser.execute("UPDATE event_batches SET last_seq = NULL, digest = NULL")
        assert storage.system.seal() == 3
        return digests()

    actor = storage.tenant()
    for _ in range(3):
        with storage.writing(actor) as tx:
            tx.events.append([NewEvent(type=EventType.IMPORT_DONE), NewEvent(type=EventType.RULE_CREATED)])
    storage.system.seal()
    honest = digests()
    assert len(set(honest)) == 3
    assert seal_again() == honest
    for tampering in (
        "UPDATE events SET payload = '{\"n\": 1}' WHERE ordinal = 2",
        "UPDATE event_batches SET actor = 'somebody else'",
    ):
        superuser.execute(tampering)  # type: ignore[call-overload]
        forged = seal_again()
        assert not set(forged) & set(honest)
        honest = forged


def test_two_processes_that_migrate_at_once_migrate_once(postgres: DatabaseUrls, meanwhile: ThreadPoolExecutor) -> None:
    def of(url: str) -> str:
        return make_url(url).set(database="blank").render_as_string(hide_password=False)

    with psycopg.connect(postgres.superuser, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("CREATE DATABASE blank TEMPLATE template0 OWNER {}").format(sql.Identifier(OWNER_ROLE))
        )
        try:
            urls = (of(postgres.owner), of(postgres.app), of(postgres.system))
            engine = create(urls[2], pool_size=1)
            assert not PostgresSystem(engine, SystemIds()).ready()
            with pytest.raises(StartFailed, match="CREATE EXTENSION vector"):
                migrate(*urls)
            with psycopg.connect(of(postgres.superuser), autocommit=True) as inside:
                inside.execute("CREATE EXTENSION vector")
            other = meanwhile.submit(migrate, *urls)
            results = [migrate(*urls), other.result()]
            assert sorted(results, key=str) == sorted([(None, head()), (head(), head())], key=str)
            assert PostgresSystem(engine, SystemIds()).ready()
            engine.dispose()
        finally:
            superuser.execute("DROP DATABASE blank WITH (FORCE)")


def test_a_database_that_is_away_is_not_ready_and_a_passing_fault(
    fresh_database: Callable[[], AbstractContextManager[DatabaseUrls]],
) -> None:
    with fresh_database() as urls:
        pass
    engine = create(urls.system, pool_size=1)
    system = PostgresSystem(engine, SystemIds())
    assert not system.ready()
    with pytest.raises(Transient):
        system.seal()
    with pytest.raises(Transient):
        system.wait(1)
    engine.dispose()


def test_text_of_a_query_is_never_sql(storage: Storage) -> None:
    actor = storage.tenant()
    nasty = "'; DROP TABLE records; -- % \\ _ :tenant %(x)s"
    id = storage.record(actor, nasty, text=nasty, attributes={nasty: nasty})
    with storage.reading(actor) as tx:
        record = tx.records.get(id)
        assert (record.text, record.external_id, record.attributes) == (nasty, nasty, {nasty: nasty})
        assert tx._connection.execute(text("SELECT count(*) FROM records")).scalar() == 1  # type: ignore[attr-defined]
