"""What tenants no longer want to be kept: payloads, records, and who acted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from adapters.memory.clock import FixedClock
from adapters.memory.files import MemoryFileStore
from core.domain.connections import ImportStatus
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Stream
from core.domain.permissions import Role
from core.domain.tenants import Actor, Membership, TenantSettings, User
from core.errors import Conflict, NotFound
from core.usecases import retention
from core.usecases.retention import expire_records, forget_callers
from ports.storage import RecordFilter, Transaction, UnitOfWork
from tests.contract.storage import (
    START,
    Storage,
    a_draft,
    a_key,
    an_answer,
    an_arrival,
    an_example,
    an_import,
    asked,
    open_of,
    some_terms,
)

OLD, DAY_OF_LAW, NEW = date(2024, 6, 1), date(2025, 6, 1), date(2026, 1, 3)


def expire(storage: Storage, at: datetime = datetime(2026, 6, 1, 23, tzinfo=UTC), uow: UnitOfWork | None = None) -> int:
    return expire_records(
        refit_delay=0.0,
        max_attempts=1,
        terms=some_terms(),
        system=storage.system,
        uow=uow or storage.uow,
        files=MemoryFileStore(),
        clock=FixedClock(at),
        ids=storage.ids,
    )


def test_records_that_occurred_before_a_day_go_with_what_hangs_on_them(storage: Storage) -> None:
    actor, connection_id = storage.tenant(), None
    category = storage.category(actor)
    drafts = [a_draft("1", occurred_at=OLD), a_draft("2", occurred_at=NEW), a_draft("3", occurred_at=OLD)]
    stored = storage.store(actor, drafts)
    first, kept, third = stored.inserted
    with storage.writing(actor) as tx:
        connection_id = tx.records.get(first).connection_id
        tx.records.decide([asked(first), asked(kept)])
        tx.examples.put([an_example(storage.ids.new(), actor, category, id) for id in (first, kept)])
        tx.lessons.arrive({first: an_arrival(), kept: an_arrival()}, 1)
    told = len(storage.events(actor))
    with storage.writing(actor) as tx:
        assert list(tx.records.expire(DAY_OF_LAW, after=None, limit=1)) == [first]
        assert list(tx.records.expire(DAY_OF_LAW, after=first, limit=9)) == [third]
        assert list(tx.records.expire(DAY_OF_LAW, after=third, limit=9)) == []
    with storage.reading(actor) as tx:
        assert [row["id"] for row in tx.records.page(RecordFilter(), after=None, limit=9)] == [kept]
        assert open_of(tx, first) is None
        assert open_of(tx, kept) is not None
        assert len(tx.examples.list(after=None, limit=9)) == 1
        assert len(tx.lessons.fresh(9)) == 1
    assert len(storage.events(actor)) == told, "who calls it tells"
    again = storage.store(actor, drafts, connection_id=connection_id)
    assert (again.inserted, again.known) == ((), 3), "what went does not come back"


def test_a_record_that_got_another_id_comes_back_by_neither(storage: Storage) -> None:
    actor = storage.tenant()
    storage.store(actor, [a_draft("pending", occurred_at=OLD, pending=True)])
    posted = a_draft("posted", occurred_at=OLD, pending_external_id="pending")
    storage.store(actor, [posted])
    with storage.writing(actor) as tx:
        assert len(tx.records.expire(DAY_OF_LAW, after=None, limit=9)) == 1
    assert storage.store(actor, [a_draft("pending", occurred_at=OLD), a_draft("posted", occurred_at=OLD)]).known == 2


def test_a_tenants_records_go_after_its_days_and_nobody_elses(storage: Storage) -> None:
    a_year, for_ever = storage.tenant(settings=TenantSettings(record_retention_days=365)), storage.tenant()
    days = [OLD, date(2025, 6, 1), date(2025, 6, 2), NEW]  # at 23 h UTC it is the 2nd of June in Berlin
    for actor in (a_year, for_ever):
        storage.store(actor, [a_draft(str(day), occurred_at=day) for day in days])
    with storage.writing(a_year) as tx:
        tx.llm_answers.put({b"key": an_answer(None)})
    assert expire(storage) == 2
    assert expire(storage) == 0
    (told,) = storage.events(a_year, "RECORDS_EXPIRED")
    assert (told.actor, told.payload) == ("sortation", {"records": 2, "before": "2025-06-02"})
    with storage.reading(a_year) as tx:
        left = [row["occurred_at"] for row in tx.records.page(RecordFilter(), after=None, limit=9)]
        assert left == days[2:]
        assert tx.jobs.waiting(Stream.REFIT), "what was learned from them goes, too"
    with storage.reading(for_ever) as tx:
        assert tx.records.count(RecordFilter()) == 4


def test_an_owner_who_changes_their_mind_is_heard_while_records_go(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = storage.tenant(settings=TenantSettings(record_retention_days=365))
    storage.store(actor, [a_draft(str(n), occurred_at=OLD) for n in range(3)])
    monkeypatch.setattr(retention, "RECORDS_AT_ONCE", 1)

    def change(tx: Transaction) -> None:
        tenant = tx.tenants.get()
        tx.tenants.update(replace(tenant, settings=TenantSettings()))

    assert expire(storage, uow=Interrupting(storage, {actor.tenant_id: change})) == 1
    with storage.reading(actor) as tx:
        assert tx.records.count(RecordFilter()) == 2


def test_what_fails_for_one_tenant_keeps_no_other_from_its_turn(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (storage.tenant(settings=TenantSettings(record_retention_days=365)) for _ in range(2))
    for actor in (first, second):
        storage.store(actor, [a_draft(str(n), occurred_at=OLD) for n in range(2)])
    monkeypatch.setattr(retention, "RECORDS_AT_ONCE", 1)

    def fail(tx: Transaction) -> None:
        raise Conflict("something is wrong with this tenant")

    with pytest.raises(Conflict, match="something is wrong"):
        expire(storage, uow=Interrupting(storage, {min(first.tenant_id, second.tenant_id): fail}))
    counts = []
    for actor in (first, second):
        with storage.reading(actor) as tx:
            counts.append(tx.records.count(RecordFilter()))
    assert sorted(counts) == [0, 1]


class Interrupting:
    """A unit of work that does something after the tenant's first transaction, in one of its own."""

    def __init__(self, storage: Storage, does: Mapping[UUID, Callable[[Transaction], None]]) -> None:
        self._storage = storage
        self._does = dict(does)

    @contextmanager
    def begin(self, actor: Actor) -> Iterator[Transaction]:
        with self._storage.uow.begin(actor) as tx:
            yield tx
        if (does := self._does.pop(actor.tenant_id, None)) is not None:
            with self._storage.writing(actor) as tx:
                does(tx)


def test_answers_of_the_llm_go_with_the_records_that_they_quote(storage: Storage) -> None:
    actor = storage.tenant(settings=TenantSettings(record_retention_days=1))
    storage.record(actor)
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"key": an_answer(None)})
    expire(storage, datetime(2080, 1, 1, tzinfo=UTC))
    with storage.reading(actor) as tx:
        assert tx.llm_answers.get([b"key"], since=START) == {}


def test_payloads_go_after_the_shorter_of_the_tenants_time_and_the_operators(storage: Storage) -> None:
    short = storage.tenant(settings=TenantSettings(payload_retention_days=1))
    long = storage.tenant(settings=TenantSettings(payload_retention_days=36_500))
    plain = storage.tenant()
    imports: dict[UUID, UUID] = {}
    for actor in (short, long, plain):
        imported = an_import(storage.ids.new(), actor, storage.connection(actor))
        with storage.writing(actor) as tx:
            tx.imports.add(imported, [b"payload"])
            tx.imports.update(replace(imported, status=ImportStatus.DONE, finished_at=datetime(2020, 1, 1, tzinfo=UTC)))
        imports[actor.tenant_id] = imported.id
    keep = {"job_seconds": 1e9, "key_seconds": 1e9}
    assert storage.system.sweep(payload_seconds=1e9, **keep) == 1
    with storage.reading(short) as tx, pytest.raises(NotFound, match="dropped"):
        tx.imports.open(imports[short.tenant_id])
    assert storage.system.sweep(payload_seconds=60, **keep) == 2


def test_who_was_told_by_name_alone_is_forgotten_and_erased(storage: Storage) -> None:
    """As events of finished sign-ins at sources formerly told it."""
    forgetful = storage.tenant(settings=TenantSettings(log_retention_days=-1))
    patient = storage.tenant()
    for actor in (forgetful, patient):
        ada = User(id=storage.ids.new(), email="ada@example.org", name="Ada", created_at=START)
        with storage.writing(replace(actor, name="Ada")) as tx:
            ada = tx.members.add(ada, Membership(tenant_id=actor.tenant_id, user_id=ada.id, role=Role.ADMIN))
            tx.events.append([NewEvent(type=EventType.CONNECTION_CHANGED)])
        with storage.writing(replace(actor, name="operator")) as tx:
            tx.events.append([NewEvent(type=EventType.EXPORTED)])
    storage.system.seal()
    assert forget_callers(system=storage.system) == 2
    assert [e.actor for e in storage.events(forgetful)] == ["somebody", "operator"]
    assert [e.actor for e in storage.events(patient)] == ["Ada", "operator"]
    storage.privacy.erase_person(ada.id)
    assert [e.actor for e in storage.events(patient)] == ["erased person", "operator"]
    for actor in (forgetful, patient):
        assert storage.system.verify_events(actor.tenant_id).fault is None


def test_who_acted_is_forgotten_and_the_chain_stays_whole(storage: Storage) -> None:
    forgetful = storage.tenant(settings=TenantSettings(log_retention_days=-1))
    patient = storage.tenant(settings=TenantSettings(log_retention_days=7))
    key_id, person_id = storage.ids.batch(2)
    with storage.writing(forgetful) as tx:
        tx.api_keys.add(a_key(key_id, forgetful))
    for actor in (forgetful, patient):
        from_outside = replace(actor, address="192.0.2.7", user_agent="A browser")
        for one in (
            replace(from_outside, name="Ada", user_id=person_id),
            replace(from_outside, name="key Import", api_key_id=key_id),
            actor,
        ):
            with storage.writing(one) as tx:
                tx.events.append([NewEvent(type=EventType.KEY_CREATED, subject_id=key_id)])
    assert storage.system.forget_callers(9) == 0, "what is not sealed yet waits"
    storage.system.seal()
    assert storage.system.forget_callers(1) == 1
    assert forget_callers(system=storage.system) == 1
    assert forget_callers(system=storage.system) == 0
    told = [(e.actor, e.actor_id, e.address, e.user_agent) for e in storage.events(forgetful)]
    assert told == [
        ("somebody", person_id, None, None),
        ("key Import", key_id, None, None),
        ("sortation", None, None, None),
    ]
    assert [e.address for e in storage.events(patient)] == ["192.0.2.7", "192.0.2.7", None]
    for actor in (forgetful, patient):
        found = storage.system.verify_events(actor.tenant_id)
        assert (found.events, found.fault) == (3, None)
