"""The event log: a sequence per tenant, without gaps, in the order in which events became visible."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.domain.events import EventFilter, EventType, NewEvent
from core.domain.tenants import Actor
from tests.contract.storage import Storage


def tell(storage: Storage, actor: Actor, *types: EventType) -> None:
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=type) for type in types])


def test_an_event_says_who_did_what_to_what(storage: Storage) -> None:
    actor = replace(storage.tenant(), name="key:import", source_agent="clerk", request_id="req-1")
    subject = storage.ids.new()
    payload = {"category_id": subject, "amount": Decimal("1.50"), "n": 3}
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.RULE_CREATED, subject_id=subject, payload=payload)])
    (told,) = storage.events(actor)
    assert (told.tenant_id, told.seq, told.type, told.subject_id) == (actor.tenant_id, 1, "RULE_CREATED", subject)
    assert (told.actor, told.source_agent, told.request_id) == ("key:import", "clerk", "req-1")
    assert told.payload == {"category_id": str(subject), "amount": "1.50", "n": 3}
    assert abs(told.occurred_at - storage.now()) < timedelta(minutes=1)


def test_events_are_seen_once_they_are_sealed(storage: Storage) -> None:
    actor = storage.tenant()
    tell(storage, actor, EventType.IMPORT_RECEIVED)
    with storage.reading(actor) as tx:
        assert list(tx.events.list(EventFilter(), after=0, limit=9)) == []
    assert storage.system.seal() == 1
    assert storage.system.seal() == 0
    assert len(storage.events(actor)) == 1


def test_the_sequence_has_no_gaps_over_interleaved_transactions(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.uow.begin(actor) as slow:
        slow.events.append([NewEvent(type=EventType.IMPORT_RECEIVED), NewEvent(type=EventType.IMPORT_DONE)])
        with storage.uow.begin(actor) as lost:
            lost.events.append([NewEvent(type=EventType.IMPORT_FAILED)])
        tell(storage, actor, EventType.RULE_CREATED)
        assert [(e.seq, e.type) for e in storage.events(actor)] == [(1, "RULE_CREATED")]
        slow.commit()
    tell(storage, actor, EventType.RULE_CHANGED)
    # Who had read as far as 1 misses nothing, although the slow transaction began first.
    assert [(e.seq, e.type) for e in storage.events(actor, after=1)] == [
        (2, "IMPORT_RECEIVED"),
        (3, "IMPORT_DONE"),
        (4, "RULE_CHANGED"),
    ]


def test_each_tenant_has_a_sequence_of_its_own(storage: Storage) -> None:
    first, second = storage.tenant(), storage.tenant()
    for actor in (first, second, first):
        tell(storage, actor, EventType.IMPORT_DONE)
    assert storage.system.seal() == 3
    assert [e.seq for e in storage.events(first)] == [1, 2]
    assert [e.seq for e in storage.events(second)] == [1]


def test_events_of_one_transaction_keep_their_order(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.events.append([NewEvent(type=EventType.IMPORT_RECEIVED)])
        tx.events.append([])
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE), NewEvent(type=EventType.JOB_DEAD)])
    assert [e.type for e in storage.events(actor)] == ["IMPORT_RECEIVED", "IMPORT_DONE", "JOB_DEAD"]


def test_events_are_read_page_by_page_within_and_across_transactions(storage: Storage) -> None:
    actor = storage.tenant()
    for _ in range(3):
        tell(storage, actor, *[EventType.IMPORT_DONE] * 3)
    seen: list[int] = []
    while page := storage.events(actor, after=seen[-1] if seen else 0, limit=2):
        seen += [e.seq for e in page]
    assert seen == list(range(1, 10))


def test_events_are_filtered_by_what_is_given(storage: Storage) -> None:
    actor = storage.tenant()
    subject = storage.ids.new()
    tell(storage, actor, EventType.IMPORT_DONE, EventType.RULE_CREATED)
    with storage.writing(replace(actor, source_agent="clerk")) as tx:
        tx.events.append([NewEvent(type=EventType.RULE_CREATED, subject_id=subject)])
    moment = storage.events(actor)[2].occurred_at
    hour = timedelta(hours=1)

    def seqs(**where: object) -> list[int]:
        with storage.reading(actor) as tx:
            return [e.seq for e in tx.events.list(EventFilter(**where), after=0, limit=9)]  # type: ignore[arg-type]

    assert seqs() == [1, 2, 3]
    assert seqs(types=("RULE_CREATED",)) == [2, 3]
    assert seqs(types=("RULE_CREATED", "IMPORT_DONE")) == [1, 2, 3]
    assert seqs(source_agent="clerk") == [3]
    assert seqs(subject_id=subject) == [3]
    assert seqs(since=moment - hour, until=moment + hour) == [1, 2, 3]
    assert seqs(since=moment + hour) == []
    assert seqs(until=moment, source_agent="clerk") == []
    assert 3 in seqs(since=moment)
