"""What is used of a plan, over every storage: told once each, whoever counts at once, and reported once to who sells it
by use, whatever breaks in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from threading import Barrier
from uuid import UUID

import pytest

from adapters.memory.clock import FixedClock
from core.domain.events import EventType
from core.domain.jobs import JobStatus, Stream
from core.domain.llm import LlmAnswer, LlmCategory, LlmEstimate, LlmQuestion, LlmRecord, LlmReply, LlmRequest, LlmUsage
from core.domain.payments import MeterReading
from core.domain.plans import Meter
from core.errors import PaymentsUnavailable, Transient
from core.usecases import ask_llm
from core.usecases.shared.llm_calls import call
from tests.contract.billing_world import BUSINESS_PRICE, DAY, FREE, HOUR, LONG_AGO, METER, TEAM, BillingWorld
from tests.contract.storage import Storage, some_terms

SECOND = timedelta(seconds=1)
IDS = count(1)


@pytest.fixture
def world(storage: Storage) -> BillingWorld:
    """Of a tenant on the plan Team, of which 10 records and 10 US dollars are told, and 20 and 12 the end."""
    made = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    made.subscribe()
    made.sent.clear()
    return made


def bring(world: BillingWorld, number: int) -> int:
    """So many records that were not there; returns how many are held."""
    while True:
        try:
            return world.bring(*(str(next(IDS)) for _ in range(number))).held
        except Transient:  # as the in-memory storage says that another transaction was first
            continue


def noticed(world: BillingWorld, meter: Meter = Meter.RECORDS) -> list[tuple[int, str]]:
    told = world.told(EventType.USAGE_NOTICED)
    return [(one["percent"], one["month"]) for one in told if one["meter"] == meter.value]


def mailed(world: BillingWorld) -> list[str]:
    world.drain(Stream.MAIL)
    return [f"{mail.subject.partition(':')[0]}. {mail.text.splitlines()[0]}" for mail in world.sent]


def test_people_are_told_at_80_and_at_100_percent_once_a_month(world: BillingWorld) -> None:
    seen = []
    for number in (7, 1, 1, 1, 5):
        bring(world, number)
        seen.append(len(noticed(world)))
    assert seen == [0, 1, 1, 2, 2]
    kept = "What comes in beyond what the plan allows is kept, and sorted when there is room again."
    assert mailed(world) == [
        f"80 % of the plan is used. 80 % of this month's 10 records are used. {kept}",
        f"100 % of the plan is used. All of this month's 10 records are used. {kept}",
    ]
    world.clock.set(datetime(2025, 4, 1, tzinfo=UTC))
    bring(world, 10)
    march, april = "2025-03-01", "2025-04-01"
    assert noticed(world) == [(80, march), (100, march), (80, april), (100, april)]


def test_what_is_read_again_is_told_no_second_time(world: BillingWorld) -> None:
    for _ in range(2):
        world.bring(*(f"r{n}" for n in range(10)))
    assert (world.used(), [percent for percent, _ in noticed(world)]) == (10, [80, 100])


def test_what_is_counted_at_once_is_told_once_and_never_exceeds_the_plan(world: BillingWorld) -> None:
    begin = Barrier(4)

    def some() -> int:
        begin.wait()
        return sum(bring(world, 1) for _ in range(8))

    with ThreadPoolExecutor(4) as pool:
        held = sum(one.result() for one in [pool.submit(some) for _ in range(4)])
    assert [percent for percent, _ in noticed(world)] == [80, 100]
    assert (held, world.held(), world.used()) == (12, 12, 20)


class Charging:
    """An LLM that costs this much a call. `asked` is called in the middle of each."""

    model = "m"
    priced = True

    def __init__(self, cost: str, asked: Callable[[], object] = lambda: None) -> None:
        self._cost, self._asked = Decimal(cost), asked

    def keys(self, questions: Sequence[LlmQuestion]) -> Sequence[bytes]:
        return [question.record.id.encode() for question in questions]

    def estimate(self, request: LlmRequest) -> LlmEstimate:
        return LlmEstimate(prompt_tokens=1, completion_tokens=1, cost=self._cost, at_most=self._cost)

    def classify(self, request: LlmRequest) -> LlmReply:
        self._asked()
        said = [
            LlmAnswer(record_id=record.id, category_key=None, confidence=0.0, rationale="")
            for record in request.records
        ]
        usage = LlmUsage(
            model="m",
            calls=1,
            failed=0,
            estimated=0,
            prompt_tokens=1,
            completion_tokens=1,
            cost=self._cost,
            seconds=0.1,
        )
        return LlmReply(answers=tuple(said), usage=usage)


def ask(world: BillingWorld, llm: Charging) -> None:
    """A call as the stage makes it."""
    queued = world.storage.job(world.tenant, Stream.LLM)
    with world.storage.reading(world.tenant) as tx:
        job, tenant = tx.jobs.get(queued), tx.tenants.get()
    id = str(next(IDS))
    category = LlmCategory(key="food", path="Food")
    question = LlmQuestion(record=LlmRecord(id=id, text="REWE"), categories=(category,))
    note = partial(ask_llm._note_spending, terms=world.terms, job=job, clock=world.clock, ids=world.storage.ids)
    world.call(call, {id.encode(): question}, world.tenant, tenant, llm=llm, note=note)


def test_what_the_llm_costs_is_told_at_80_and_at_100_percent_once_a_month(world: BillingWorld) -> None:
    seen = []
    for cost in ("7.99", "0.01", "1.99", "0.01", "5"):
        ask(world, Charging(cost))
        seen.append([percent for percent, _ in noticed(world, Meter.LLM_SPEND)])
    assert seen == [[], [80], [80], [80, 100], [80, 100]]
    gone = "When nothing is left of it, records go to review without being asked about."
    assert mailed(world) == [
        f"80 % of the plan is used. 80 % of this month's 10 US dollars of the LLM are used. {gone}",
        f"100 % of the plan is used. All of this month's 10 US dollars of the LLM are used. {gone}",
    ]


def test_a_call_that_outlasts_its_month_is_told_of_the_month_that_it_is_counted_in(world: BillingWorld) -> None:
    world.clock.set(datetime(2025, 3, 31, 23, 59, 59, tzinfo=UTC))
    ask(world, Charging("9", lambda: world.clock.advance(10 * SECOND)))
    assert noticed(world, Meter.LLM_SPEND) == [(80, "2025-03-01")]


def test_calls_that_are_paid_for_at_once_are_told_once(world: BillingWorld) -> None:
    begin = Barrier(4)

    def some() -> None:
        begin.wait()
        for _ in range(5):
            try:
                ask(world, Charging("0.5"))
            except Transient:
                continue

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(some) for _ in range(4)]:
            one.result()
    with world.storage.reading(world.tenant) as tx:
        spent = tx.llm_usages.since(date(2025, 3, 1))[0].spend.cost
    expected = [percent for percent in (80, 100) if spent * 100 >= 10 * percent]
    assert [percent for percent, _ in noticed(world, Meter.LLM_SPEND)] == expected


def a_report(world: BillingWorld) -> JobStatus | None:
    """The next hour's report."""
    world.clock.advance(HOUR)
    world.tick()
    jobs = world.jobs(Stream.REPORT)
    return world.work(jobs[0]) if jobs else None


def counted(world: BillingWorld) -> list[int]:
    """What the provider has, each id once."""
    return [int(reading.quantity) for reading in world.payments.reports.values()]


def test_what_is_used_is_reported_once(world: BillingWorld) -> None:
    a_report(world)
    bring(world, 3)
    assert a_report(world) is JobStatus.DONE
    assert a_report(world) is None, "nothing is to be told"
    bring(world, 2)
    bring(world, 2)
    assert a_report(world) is JobStatus.DONE
    assert counted(world) == [3, 4]
    (first, second) = world.payments.sent
    assert (first.customer_id, first.name) == (world.customer, METER)
    assert (first.at, second.at) == (LONG_AGO + 2 * HOUR, LONG_AGO + 4 * HOUR)


def test_a_worker_that_dies_after_it_told_tells_the_same_again(
    world: BillingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(world, 3)
    told = world.payments.report

    def lost(readings: Sequence[MeterReading]) -> Sequence[UUID]:
        told(readings)
        raise RuntimeError("killed before it could note that")

    monkeypatch.setattr(world.payments, "report", lost)
    assert a_report(world) is JobStatus.QUEUED
    monkeypatch.setattr(world.payments, "report", told)
    bring(world, 4)
    while (status := a_report(world)) is not None:
        assert status is JobStatus.DONE
    assert counted(world) == [3, 4]
    assert [int(reading.quantity) for reading in world.payments.sent] == [3, 3, 4]
    assert world.told(EventType.USAGE_DOUBTFUL) == []


def test_what_a_fault_keeps_back_is_told_the_next_time_under_the_same_id(world: BillingWorld) -> None:
    world.clock.set(datetime(2025, 3, 31, 22, 30, tzinfo=UTC))
    bring(world, 3)
    world.clock.set(datetime(2025, 4, 1, 0, 30, tzinfo=UTC))
    bring(world, 4)
    world.payments.untaken = 1
    assert a_report(world) is JobStatus.DONE
    assert counted(world) == [4]
    assert a_report(world) is JobStatus.DONE
    assert sorted(counted(world)) == [3, 4]
    assert len({reading.id for reading in world.payments.sent}) == 2


def test_what_a_month_used_is_told_in_that_month_when_it_is_over(world: BillingWorld) -> None:
    world.clock.set(datetime(2025, 3, 31, 23, 30, tzinfo=UTC))
    bring(world, 3)
    world.clock.set(datetime(2025, 4, 1, 0, 10, tzinfo=UTC))
    bring(world, 4)
    assert a_report(world) is JobStatus.DONE
    assert [(int(reading.quantity), reading.at) for reading in world.payments.sent] == [
        (3, datetime(2025, 3, 31, 23, 59, 59, tzinfo=UTC)),
        (4, datetime(2025, 4, 1, 1, 10, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(("tried", "given_up"), [(23 * HOUR, False), (23 * HOUR + SECOND, True)])
def test_what_may_have_arrived_is_told_again_for_less_than_a_day(
    world: BillingWorld, tried: timedelta, given_up: bool
) -> None:
    """A provider counts the same id twice after a day."""
    bring(world, 3)
    world.payments.untaken = 1
    assert a_report(world) is JobStatus.QUEUED
    sent = len(world.payments.sent)
    bring(world, 4)
    world.clock.advance(tried - HOUR)
    assert a_report(world) is JobStatus.DONE
    assert counted(world) == ([4] if given_up else [3, 4])
    assert len(world.payments.sent) == sent + len(counted(world))
    doubtful = world.told(EventType.USAGE_DOUBTFUL)
    assert [one["records"] for one in doubtful] == ([3] if given_up else [])
    if given_up:
        assert doubtful[0]["reports"] == [str(world.payments.sent[0].id)]
    world.drain()
    assert a_report(world) is None


def test_a_provider_that_is_away_is_told_when_it_is_back(world: BillingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(world, 3)

    def away(readings: Sequence[MeterReading]) -> Sequence[UUID]:
        raise PaymentsUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.payments, "report", away)
        assert a_report(world) is JobStatus.QUEUED
    world.drain()
    assert counted(world) == [3]


def test_more_than_goes_out_at_once_goes_out_all_the_same(world: BillingWorld) -> None:
    with world.storage.writing(world.tenant) as tx:
        for _ in range(250):
            tx.usages.take(Meter.RECORDS, date(2025, 3, 1), 2, None)
            tx.usages.to_report(Meter.RECORDS, world.clock.now())
    assert a_report(world) is JobStatus.DONE
    assert sum(counted(world)) == 500
    assert len(world.payments.sent) == 250


def test_what_was_used_under_a_plan_that_is_not_sold_by_use_is_never_reported(storage: Storage) -> None:
    """Neither what somebody used before they paid, nor what they used on another plan in between."""
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    bring(world, 4)
    world.clock.advance(40 * DAY)
    bring(world, 5)
    world.order()
    world.pass_time(SECOND)
    world.subscribe()
    bring(world, 1)
    assert a_report(world) is JobStatus.DONE
    assert counted(world) == [1]
    world.payments.change_plan(world.customer, BUSINESS_PRICE)
    world.deliver(world.payments.told[-1])
    world.drain()
    bring(world, 7)
    assert a_report(world) is JobStatus.DONE
    assert a_report(world) is None, "there is nothing to look at"
    world.payments.change_plan(world.customer, TEAM.prices["test"]["month"])  # type: ignore[index]
    world.deliver(world.payments.told[-1])
    world.drain()
    bring(world, 2)
    assert a_report(world) is JobStatus.DONE
    assert counted(world) == [1, 2]


def test_without_a_name_for_it_nothing_is_reported(storage: Storage) -> None:
    terms = some_terms(FREE, replace(TEAM, meters={}))
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO), terms=terms)
    world.subscribe()
    bring(world, 3)
    a_report(world)
    assert world.payments.sent == []
