"""What only PostgreSQL can show: processes that meet, connections that break, values that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from adapters.embedded import APP_ROLE, OWNER_ROLE
from adapters.embedded.postgres import DatabaseUrls
from adapters.postgres.engine import create
from adapters.postgres.migrate import head, migrate
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from core.domain.events import EventType, NewEvent
from core.domain.jobs import JobStatus
from core.domain.rules import Action
from core.errors import NotFound, StartFailed, Transient
from entrypoints.settings import role_password
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, a_rule, an_import


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


def test_migrating_after_another_secret_key_gives_derived_roles_their_new_passwords(
    database: DatabaseUrls, superuser: psycopg.Connection
) -> None:
    name = make_url(database.app).database
    row = superuser.execute("SHOW hba_file").fetchone()
    assert row is not None
    file = Path(row[0])
    before = file.read_text()

    def with_key(secret_key: str) -> str:
        parsed = make_url(database.app)
        password = role_password(secret_key, APP_ROLE)
        return parsed.set(password=password).render_as_string(hide_password=False)

    try:
        file.write_text(f"local {name} {APP_ROLE} scram-sha-256\n{before}")
        superuser.execute("SELECT pg_reload_conf()")
        for key in ("the old one", "the new one", "the new one"):
            migrate(database.superuser, with_key(key), database.system)
            psycopg.connect(with_key(key)).close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(with_key("the old one"))
        migrate(database.owner, with_key("another"), database.system)  # which may not change it, and goes on
    finally:
        file.write_text(before)
        superuser.execute("ALTER ROLE sortation_app PASSWORD NULL")
        superuser.execute("SELECT pg_reload_conf()")


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
        assert tx.records.count(RecordFilter()) == 1
