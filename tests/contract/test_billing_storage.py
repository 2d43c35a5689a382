"""Accounts, counters, reports, held records, and what is queued of billing: one suite for every storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread
from uuid import UUID

import pytest

from core.domain.billing import Access, Account, Comp, Subscription, SubscriptionStatus, Told
from core.domain.jobs import Job, Stream
from core.domain.payments import EventOutcome, PaymentEvent
from core.domain.plans import Meter
from core.domain.records import RecordStatus
from core.domain.tenants import Actor
from core.errors import Conflict, Transient
from tests.contract.storage import Storage, a_draft, a_payment_event

MONTH = date(2026, 5, 1)
NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
SUBSCRIPTION = Subscription(
    id="sub_1",
    status=SubscriptionStatus.ACTIVE,
    price_id="price_1",
    created_at=NOW,
    period_start=NOW,
    period_end=NOW + timedelta(days=31),
    cancel_at=NOW + timedelta(days=31),
)
TOLD = Told(plan_key="team", plan_version=2, access=Access.GRACE, reason="past_due", plan_since=NOW)


def customer(storage: Storage, actor: Actor, id: str = "cus_1", **fields: datetime | None) -> Account:
    with storage.writing(actor) as tx:
        account = replace(tx.billing.get(lock=True), provider="stripe/test", customer_id=id, **fields)  # type: ignore[arg-type]
        tx.billing.put(account, changes_at=None)
    return account


def jobs(storage: Storage, actor: Actor, stream: Stream | None = None) -> list[Job]:
    with storage.reading(actor) as tx:
        return list(tx.jobs.list(stream=stream and stream.value, statuses=(), after=None, limit=100))


def queue(storage: Storage, now: datetime) -> int:
    ids = [storage.ids.new() for _ in range(20)]
    return storage.billing.queue(ids, now, max_attempts=3, reconcile_seconds=86_400, report_seconds=3_600)


def test_an_account_is_empty_until_it_is_written_and_then_whole(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.reading(actor) as tx:
        assert tx.billing.get() == Account(tenant_id=actor.tenant_id)
    written = Account(
        tenant_id=actor.tenant_id,
        provider="stripe/test",
        customer_id="cus_1",
        subscription=SUBSCRIPTION,
        comp=Comp(plan_key="team", plan_version=2, until=None, reason="a pilot"),
        without_since=NOW,
        fetched_at=NOW,
        told=TOLD,
    )
    with storage.writing(actor) as tx:
        tx.billing.put(written, changes_at=NOW)
    with storage.reading(actor) as tx:
        assert tx.billing.get() == tx.billing.get(lock=True) == written
    with storage.writing(actor) as tx:
        tx.billing.put(replace(written, comp=None, subscription=None), changes_at=None)
    with storage.reading(actor) as tx:
        assert tx.billing.get() == replace(written, comp=None, subscription=None)


def test_one_tenants_account_is_not_another_ones(storage: Storage) -> None:
    one, other = storage.tenant(), storage.tenant("Other Books")
    customer(storage, one)
    with storage.reading(other) as tx:
        assert tx.billing.get() == Account(tenant_id=other.tenant_id)


def test_a_customer_is_one_tenants(storage: Storage) -> None:
    one, other = storage.tenant(), storage.tenant("Other Books")
    customer(storage, one)
    with pytest.raises(Conflict):
        customer(storage, other)


def test_what_is_held_is_noted_beside_the_rest(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.billing.note_held(NOW)
    account = customer(storage, actor)
    assert account.resumes_at == NOW
    with storage.writing(actor) as tx:
        tx.billing.put(replace(account, resumes_at=None), changes_at=None)
    with storage.reading(actor) as tx:
        assert tx.billing.get().resumes_at == NOW
    with storage.writing(actor) as tx:
        tx.billing.note_held(None)
    with storage.reading(actor) as tx:
        assert tx.billing.get().resumes_at is None


def test_a_provider_is_asked_out_of_turn_once_in_a_while(storage: Storage) -> None:
    actor = storage.tenant()
    asked = []
    for minutes in (0, 1, 6):
        now = NOW + timedelta(minutes=minutes)
        with storage.writing(actor) as tx:
            asked.append(tx.billing.ask(now, now - timedelta(minutes=5)))
    assert asked == [True, False, True]


def test_a_counter_takes_no_more_than_there_is_room_for(storage: Storage) -> None:
    actor = storage.tenant()
    counted = []
    for wanted, most in ((3, None), (4, Decimal(5)), (1, Decimal(5)), (7, Decimal(4)), (2, Decimal(6))):
        with storage.writing(actor) as tx:
            taken = tx.usages.take(Meter.RECORDS, MONTH, wanted, most)
        counted.append((taken.granted, taken.before, taken.after))
    assert counted == [(3, 0, 3), (2, 3, 5), (0, 5, 5), (0, 5, 5), (1, 5, 6)]
    with storage.writing(actor) as tx:
        tx.usages.take(Meter.RECORDS, date(2026, 6, 1), 9, None)
    with storage.reading(actor) as tx:
        assert tx.usages.since(MONTH) == [(Meter.RECORDS, MONTH, 6), (Meter.RECORDS, date(2026, 6, 1), 9)]
        assert tx.usages.since(date(2026, 6, 1)) == [(Meter.RECORDS, date(2026, 6, 1), 9)]


def test_what_is_rolled_back_is_not_counted(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.reading(actor) as tx:
        tx.usages.take(Meter.RECORDS, MONTH, 3, None)
    with storage.reading(actor) as tx:
        assert tx.usages.since(MONTH) == []


def test_who_counts_at_once_never_exceeds_the_limit(storage: Storage) -> None:
    actor, granted, begin = storage.tenant(), list[int](), Barrier(4)

    def work() -> None:
        begin.wait()
        for _ in range(10):
            while True:
                try:
                    with storage.writing(actor) as tx:
                        taken = tx.usages.take(Meter.RECORDS, MONTH, 3, Decimal(100)).granted
                    break
                except Transient:  # as the in-memory storage says it
                    continue
            granted.append(taken)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 100
    with storage.reading(actor) as tx:
        assert tx.usages.since(MONTH) == [(Meter.RECORDS, MONTH, 100)]


def test_usage_is_reported_once_under_an_id_that_stays(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.usages.take(Meter.RECORDS, MONTH, 5, None)
        tx.usages.to_report(Meter.RECORDS, NOW)
    with storage.writing(actor) as tx:
        tx.usages.to_report(Meter.RECORDS, NOW)
        (first,) = tx.usages.reports(limit=10)
        tx.usages.take(Meter.RECORDS, MONTH, 2, None)
        tx.usages.take(Meter.RECORDS, date(2026, 6, 1), 4, None)
        tx.usages.to_report(Meter.RECORDS, NOW)
    assert (first.quantity, first.month, first.created_at, first.tried_at) == (5, MONTH, NOW, None)
    with storage.writing(actor) as tx:
        reports = tx.usages.reports(limit=10)
        assert [(one.quantity, one.month) for one in reports] == [(5, MONTH), (2, MONTH), (4, date(2026, 6, 1))]
        tx.usages.note_reports([first.id], tried_at=NOW, sent_at=None)
    with storage.writing(actor) as tx:
        tx.usages.note_reports([first.id], tried_at=NOW + timedelta(hours=1), sent_at=None)
        assert tx.usages.reports(limit=1) == [replace(first, tried_at=NOW)]
        tx.usages.note_reports([first.id], tried_at=None, sent_at=NOW)
        assert [one.id for one in tx.usages.reports(limit=10)] == [one.id for one in reports[1:]]


def test_what_is_forgone_comes_into_no_report(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Other Books")
    for whose in (actor, other):
        with storage.writing(whose) as tx:
            tx.usages.take(Meter.RECORDS, MONTH, 5, None)
            tx.usages.take(Meter.LLM_SPEND, MONTH, 3, None)
    with storage.writing(actor) as tx:
        tx.usages.forgo(Meter.RECORDS)
    with storage.writing(actor) as tx:
        tx.usages.take(Meter.RECORDS, MONTH, 2, None)
        tx.usages.to_report(Meter.RECORDS, NOW)
        tx.usages.to_report(Meter.LLM_SPEND, NOW)
        assert [(one.meter, one.quantity) for one in tx.usages.reports(limit=9)] == [
            (Meter.RECORDS, 2),
            (Meter.LLM_SPEND, 3),
        ]
        assert tx.usages.since(MONTH) == [(Meter.LLM_SPEND, MONTH, 3), (Meter.RECORDS, MONTH, 7)]
    with storage.writing(other) as tx:
        tx.usages.to_report(Meter.RECORDS, NOW)
        assert [one.quantity for one in tx.usages.reports(limit=9)] == [5]


def test_records_are_held_and_released(storage: Storage) -> None:
    actor, import_id = storage.tenant(), storage.ids.new()
    stored = storage.store(actor, [a_draft(str(n)) for n in range(4)], import_id=import_id)
    assert stored.open == stored.inserted
    with storage.writing(actor) as tx:
        tx.held.hold(stored.open[1:])
        tx.held.hold([])
    with storage.writing(actor) as tx:
        assert tx.held.count() == 3
        assert tx.held.next(2) == [(id, import_id) for id in stored.open[1:3]]
        assert [r.id for r in tx.records.open_between(import_id, stored.open[0], stored.open[-1])] == [stored.open[0]]
        tx.held.release(stored.open[1:3])
    with storage.reading(actor) as tx:
        assert [record.status for record in tx.records.get_many(stored.open)] == [
            *[RecordStatus.INGESTED] * 3,
            RecordStatus.HELD,
        ]
        assert tx.held.count() == 1


def test_only_what_is_to_be_sorted_is_open(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    drafts = [a_draft("1", category="Food"), a_draft("2")]
    stored = storage.store(actor, drafts, categories={"food": food})
    assert stored.open == stored.inserted[1:]
    with storage.writing(actor) as tx:
        tx.held.hold(stored.inserted)
    with storage.reading(actor) as tx:
        assert [r.status for r in tx.records.get_many(stored.inserted)] == [RecordStatus.APPROVED, RecordStatus.HELD]


def test_a_job_waits_for_what_is_told_with_it(storage: Storage) -> None:
    actor = storage.tenant()
    customer(storage, actor)
    storage.billing.receive(a_payment_event(), storage.ids.new(), max_attempts=3, delay_seconds=60)
    (job,) = jobs(storage, actor)
    assert job.due_at - job.created_at == timedelta(seconds=60)
    with storage.writing(actor) as tx:
        assert tx.jobs.claim(job.id, UUID(int=1), 30.0) is None


def test_an_event_is_kept_once_and_queues_one_job(storage: Storage) -> None:
    actor = storage.tenant()
    customer(storage, actor)

    def receive(told: PaymentEvent) -> EventOutcome:
        return storage.billing.receive(told, storage.ids.new(), max_attempts=3, delay_seconds=0)

    assert [receive(a_payment_event()), receive(a_payment_event()), receive(a_payment_event("evt_2"))] == [
        EventOutcome.ACCEPTED,
        EventOutcome.DUPLICATE,
        EventOutcome.ACCEPTED,
    ]
    (job,) = jobs(storage, actor)
    assert (job.stream, job.max_attempts, job.payload) == (Stream.BILLING, 3, {"reason": "event"})
    with storage.writing(actor) as tx:
        assert tx.jobs.claim(job.id, UUID(int=1), 30.0) is not None
    # What is told after a job began may be newer than what it was answered.
    assert receive(a_payment_event("evt_3")) is EventOutcome.ACCEPTED
    assert len(jobs(storage, actor)) == 2


@pytest.mark.parametrize(
    "told",
    [a_payment_event(customer_id="cus_other"), a_payment_event(customer_id=None), a_payment_event(known=False)],
    ids=["other", "none", "type"],
)
def test_an_event_that_is_nobodys_or_means_nothing_is_kept_and_queues_nothing(
    storage: Storage, told: PaymentEvent
) -> None:
    actor = storage.tenant()
    customer(storage, actor)
    assert storage.billing.receive(told, storage.ids.new(), max_attempts=3, delay_seconds=0) is EventOutcome.IGNORED
    assert storage.billing.receive(told, storage.ids.new(), max_attempts=3, delay_seconds=0) is EventOutcome.DUPLICATE
    assert jobs(storage, actor) == []


def test_events_are_dropped_after_a_while(storage: Storage) -> None:
    customer(storage, storage.tenant())
    storage.billing.receive(a_payment_event(), storage.ids.new(), max_attempts=3, delay_seconds=0)
    assert storage.billing.sweep(3_600) == 0
    assert storage.billing.sweep(-1) == 1
    assert (
        storage.billing.receive(a_payment_event(), storage.ids.new(), max_attempts=3, delay_seconds=0)
        is EventOutcome.ACCEPTED
    )


def test_what_changes_by_the_clock_is_queued_once(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.billing.put(Account(tenant_id=actor.tenant_id), changes_at=NOW)
    assert [queue(storage, NOW - timedelta(seconds=1)), queue(storage, NOW), queue(storage, NOW)] == [0, 1, 0]
    (job,) = jobs(storage, actor)
    assert (job.stream, job.payload) == (Stream.BILLING, {"reason": "due"})


def test_a_provider_that_told_nothing_for_a_day_is_asked(storage: Storage) -> None:
    actor = storage.tenant()
    customer(storage, actor, fetched_at=NOW)
    customer(storage, storage.tenant("Other Books"), "cus_2", fetched_at=NOW + timedelta(hours=1))
    day = NOW + timedelta(days=1)
    assert [queue(storage, day - timedelta(seconds=1)), queue(storage, day), queue(storage, day)] == [0, 1, 0]
    (job,) = jobs(storage, actor)
    assert (job.stream, job.payload) == (Stream.BILLING, {"reason": "reconcile"})


def test_a_provider_that_was_never_asked_is_asked_at_once(storage: Storage) -> None:
    actor = storage.tenant()
    customer(storage, actor, fetched_at=None)
    assert [queue(storage, NOW), queue(storage, NOW)] == [1, 0]
    (job,) = jobs(storage, actor)
    assert (job.stream, job.payload) == (Stream.BILLING, {"reason": "reconcile"})


def test_what_is_held_is_looked_at_when_it_is_time(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.billing.note_held(NOW)
    assert [queue(storage, NOW - timedelta(seconds=1)), queue(storage, NOW), queue(storage, NOW)] == [0, 1, 0]
    assert [job.stream for job in jobs(storage, actor)] == [Stream.RESUME]


def test_usage_is_reported_as_often_as_that_where_there_is_something_to_report(storage: Storage) -> None:
    actor, hour = storage.tenant(), timedelta(hours=1)
    customer(storage, actor, fetched_at=NOW)
    assert queue(storage, NOW) == 0
    with storage.writing(actor) as tx:
        tx.usages.take(Meter.RECORDS, MONTH, 5, None)
    assert [queue(storage, NOW + hour / 2), queue(storage, NOW + hour), queue(storage, NOW + hour)] == [0, 1, 0]
    with storage.writing(actor) as tx:
        tx.usages.to_report(Meter.RECORDS, NOW)
        (report,) = tx.usages.reports(limit=10)
    assert queue(storage, NOW + 2 * hour) == 1
    with storage.writing(actor) as tx:
        tx.usages.note_reports([report.id], tried_at=NOW, sent_at=NOW)
    assert queue(storage, NOW + 3 * hour) == 0
    assert [job.stream for job in jobs(storage, actor)] == [Stream.REPORT, Stream.REPORT]


def test_nothing_is_queued_for_who_has_no_account(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.usages.take(Meter.RECORDS, MONTH, 5, None)
    assert queue(storage, NOW) == 0
