"""Whoever queues, receives, asks or orders at once: each thing is done once, in every storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TypeVar

from adapters.memory.clock import FixedClock
from core.domain.billing import Account
from core.domain.jobs import Job, Stream
from core.domain.payments import EventOutcome
from core.domain.plans import Meter
from core.domain.tenants import Actor
from core.errors import Transient
from tests.contract.billing_world import LONG_AGO, BillingWorld
from tests.contract.storage import Storage, a_payment_event

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
MONTH = NOW.date().replace(day=1)
T = TypeVar("T")


def at_once(number: int, act: Callable[[], T]) -> list[T]:
    """What each of so many gets who do it at once; who is told to come again does."""
    begin = Barrier(number)

    def one() -> T:
        begin.wait()
        while True:
            try:
                return act()
            except Transient:  # as the in-memory storage says that another transaction was first
                continue

    with ThreadPoolExecutor(number) as pool:
        return [under_way.result() for under_way in [pool.submit(one) for _ in range(number)]]


def account(storage: Storage, actor: Actor, changes_at: datetime | None = None, **fields: object) -> None:
    with storage.writing(actor) as tx:
        written: Account = replace(tx.billing.get(lock=True), **fields)  # type: ignore[arg-type]
        tx.billing.put(written, changes_at=changes_at)


def jobs(storage: Storage, actor: Actor) -> list[Job]:
    with storage.reading(actor) as tx:
        return list(tx.jobs.list(stream=None, statuses=(), after=None, limit=100))


def queue(storage: Storage, ids: int = 20, now: datetime = NOW) -> int:
    free = [storage.ids.new() for _ in range(ids)]
    return storage.billing.queue(free, now, max_attempts=3, reconcile_seconds=86_400, report_seconds=3_600)


def test_who_queues_at_once_queues_nothing_twice(storage: Storage) -> None:
    """Who finds an account in use leaves it to who uses it."""
    tenants = [storage.tenant(f"Tenant {n}") for n in range(12)]
    for actor in tenants:
        account(storage, actor, NOW)
        with storage.writing(actor) as tx:
            tx.billing.note_held(NOW)
    queued = sum(at_once(4, lambda: queue(storage, 60)))
    queued += queue(storage, 60)
    assert queued == 24
    for actor in tenants:
        assert Counter(job.stream for job in jobs(storage, actor)) == {Stream.BILLING: 1, Stream.RESUME: 1}


def test_where_more_is_due_than_there_are_ids_all_have_their_turn(storage: Storage) -> None:
    tenants = [storage.tenant(f"Tenant {n}") for n in range(10)]
    for number, actor in enumerate(tenants):
        account(storage, actor, NOW, provider="stripe/test", customer_id=f"cus_{number}", fetched_at=NOW)
        with storage.writing(actor) as tx:
            tx.usages.take(Meter.RECORDS, MONTH, 5, None)
            tx.billing.note_held(NOW)
    turns = []
    while queued := queue(storage, 7):
        turns.append(queued)
        assert len(turns) < 20
    assert sum(turns) == 30
    assert max(turns) <= 7
    for actor in tenants:
        assert sorted(job.stream for job in jobs(storage, actor)) == [Stream.REPORT, Stream.BILLING, Stream.RESUME]


def test_an_event_that_arrives_many_times_at_once_is_one(storage: Storage) -> None:
    actor = storage.tenant()
    account(storage, actor, provider="stripe/test", customer_id="cus_1")
    event = a_payment_event()
    outcomes = at_once(6, lambda: storage.billing.receive(event, storage.ids.new(), max_attempts=3, delay_seconds=0))
    assert Counter(outcomes) == {EventOutcome.ACCEPTED: 1, EventOutcome.DUPLICATE: 5}
    assert len(jobs(storage, actor)) == 1


def test_many_that_are_denied_at_once_make_us_ask_once(storage: Storage) -> None:
    actor = storage.tenant()
    account(storage, actor, provider="stripe/test", customer_id="cus_1")

    def ask() -> bool:
        with storage.writing(actor) as tx:
            return tx.billing.ask(NOW, NOW - timedelta(minutes=5))

    assert sorted(at_once(6, ask)) == [False] * 5 + [True]


def test_two_who_order_at_once_are_one_customer(storage: Storage) -> None:
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    at_once(3, world.order)
    assert world.payments.customers == {world.tenant.tenant_id: 1}
    assert len({order.customer_id for order in world.payments.orders}) == 1
    assert world.account.customer_id == world.customer


def test_what_is_held_while_it_is_taken_up_is_noted_to_be_looked_at(storage: Storage) -> None:
    """Who finds nothing left to take up, and who holds more just then: the latter is noted."""
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    world.bring(*(str(n) for n in range(5)))
    ids = iter(range(5, 100))

    def hold() -> None:
        world.bring(str(next(ids)))

    def take_up() -> None:
        job = storage.job(world.tenant, Stream.RESUME, payload={})
        with storage.reading(world.tenant) as tx:
            queued = tx.jobs.get(job)
        world.work(queued)

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            holding, taking_up = pool.submit(at_once, 1, hold), pool.submit(take_up)
            holding.result()
            taking_up.result()
    assert world.held() >= 5
    assert world.account.resumes_at == datetime(2025, 4, 1, tzinfo=UTC)
