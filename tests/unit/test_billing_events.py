"""Whatever becomes of what a provider tells, a tenant may do in the end what it pays for; and a denial that is wrong
ends soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import example, given, settings

from adapters.memory.agreements import MemoryAgreements
from adapters.memory.billing_system import MemoryBillingSystem
from adapters.memory.clock import CountingIds, FixedClock
from adapters.memory.notifications import MemoryNotificationSystem
from adapters.memory.people import MemoryPeople
from adapters.memory.privacy import MemoryPrivacy
from adapters.memory.state import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.unit_of_work import MemoryUnitOfWork
from core.domain.billing import Access
from core.domain.events import EventType
from core.domain.jobs import JobStatus, Stream
from core.domain.payments import EventOutcome
from tests.contract.billing_stories import STORIES, TOO_LATE_FOR_AN_ANSWER, WITH_FAULTS, Act, Teller
from tests.contract.billing_world import DAY, LONG_AGO, TEAM_PRICE, BillingWorld
from tests.contract.storage import Storage


def a_world() -> BillingWorld:
    clock = FixedClock(LONG_AGO)
    store = MemoryStore(clock, CountingIds())
    storage = Storage(
        uow=MemoryUnitOfWork(store),
        system=MemorySystem(store),
        people=MemoryPeople(store),
        privacy=MemoryPrivacy(store),
        billing=MemoryBillingSystem(store),
        agreements=MemoryAgreements(store),
        notifications=MemoryNotificationSystem(store),
        now=clock.now,
    )
    return BillingWorld(storage=storage, clock=clock)


@pytest.fixture
def world() -> BillingWorld:
    """Of a tenant that was on its way to pay."""
    made = a_world()
    made.order()
    return made


def at_once(act: Callable[[], None]) -> Callable[[], object]:
    act()
    return lambda: None


@settings(max_examples=300)
@given(STORIES)
@example(TOO_LATE_FOR_AN_ANSWER)
def test_whoever_is_told_everything_in_whatever_order_need_not_wait_for_a_day(story: Sequence[Act]) -> None:
    world = a_world()
    world.order()
    teller = Teller(world=world, meanwhile=at_once)
    teller.play(story)
    teller.tell_the_rest()
    teller.check_known()


@settings(max_examples=300)
@given(WITH_FAULTS)
def test_however_it_is_told_all_is_in_the_end_as_it_is_at_the_provider(story: Sequence[Act]) -> None:
    world = a_world()
    world.order()
    teller = Teller(world=world, meanwhile=at_once)
    teller.play(story)
    teller.reconcile()
    teller.check()


def test_who_pays_is_found_out_within_a_day_though_nothing_was_ever_told(world: BillingWorld) -> None:
    world.pass_time(timedelta(minutes=1))
    assert world.payments.answers == 1, "a customer that was never asked about is asked about at once"
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    world.pass_time(DAY - timedelta(seconds=1))
    assert world.entitled().plan.key == "free"
    world.pass_time(timedelta(seconds=1))
    assert world.entitled().plan.key == "team"
    (repaired,) = world.told(EventType.SUBSCRIPTION_REPAIRED)
    assert (repaired["before"], repaired["now"]["status"]) == (None, "active")


def test_what_is_told_is_no_repair(world: BillingWorld) -> None:
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    world.pass_time(timedelta(minutes=1))
    assert world.deliver(world.payments.told[0]) is EventOutcome.ACCEPTED
    world.drain()
    world.payments.change(world.customer, "failed")
    world.deliver(world.payments.told[1])
    world.drain()
    statuses = [change["now"]["status"] for change in world.told(EventType.SUBSCRIPTION_CHANGED)]
    assert statuses == ["active", "past_due"]
    assert world.told(EventType.SUBSCRIPTION_REPAIRED) == []


def test_an_order_that_is_given_up_leaves_the_end_of_a_comp_to_the_clock() -> None:
    world = a_world()
    world.comp("team", world.clock.now() + 3 * DAY)
    world.order()
    world.drain()
    world.pass_time(3 * DAY)
    assert [change["now"]["plan"] for change in world.told(EventType.ACCESS_CHANGED)] == ["team", "free"]


def a_debtor() -> BillingWorld:
    """A tenant that is read-only."""
    world = a_world()
    world.order()
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    for what in ("failed", "given up"):
        world.payments.change(world.customer, what)
    world.pass_time(timedelta(minutes=1))
    assert world.entitled().access is Access.READ_ONLY
    return world


def test_a_wrong_denial_ends_as_soon_as_it_is_doubted() -> None:
    world = a_debtor()
    world.payments.change(world.customer, "paid")  # which nobody tells
    world.pass_time(timedelta(hours=1))
    assert world.entitled().access is Access.READ_ONLY
    assert world.deny()
    (job,) = world.jobs(Stream.BILLING)
    assert world.work(job) is JobStatus.DONE
    assert world.entitled().access is Access.FULL
    assert world.told(EventType.SUBSCRIPTION_REPAIRED) == [], "it was not the daily look that found it"


def test_records_that_are_held_doubt_it_too() -> None:
    world = a_debtor()
    world.payments.change(world.customer, "paid")
    assert world.bring("1", "2").held == 2
    assert [job.payload for job in world.jobs(Stream.BILLING)] == [{"reason": "denied"}]
    world.drain()
    assert (world.held(), world.used()) == (0, 2)


def test_who_does_not_pay_makes_us_ask_no_more_often_than_once_in_five_minutes() -> None:
    world = a_debtor()
    asked, before = 0, world.payments.answers
    for second in range(3_600):
        world.clock.advance(timedelta(seconds=1))
        asked += world.deny()
        if second % 60 == 0:
            world.bring(str(second))
        world.drain(Stream.BILLING)
    assert world.held() == 60
    assert world.payments.answers - before in (12, 13)
    assert asked <= 13


def test_a_provider_that_is_away_is_asked_again_and_the_answer_counts() -> None:
    world = a_debtor()
    world.payments.change(world.customer, "paid")
    world.payments.unavailable = 2
    assert world.deny()
    (job,) = world.jobs(Stream.BILLING)
    assert [world.work(job), world.work(job)] == [JobStatus.QUEUED, None], "it waits before it asks again"
    for expected in (JobStatus.QUEUED, JobStatus.DONE):
        world.clock.advance(timedelta(minutes=1))
        assert world.work(job) is expected
    assert world.entitled().access is Access.FULL


def test_a_tenant_that_is_nobodys_customer_is_denied_without_a_question() -> None:
    world = a_world()
    assert not world.deny()
    assert world.jobs(Stream.BILLING) == []


def test_a_customer_of_another_provider_has_nothing_here(world: BillingWorld) -> None:
    """As after an installation went over to another one."""
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    world.pass_time(timedelta(minutes=1))
    assert world.entitled().plan.key == "team"
    world.payments.name = "other"
    world.pass_time(DAY)
    assert (world.account.subscription, world.entitled().plan.key) == (None, "free")
    assert world.deliver(world.payments.told[0]) is EventOutcome.IGNORED
    world.order()
    assert world.account.provider == "other/test"


def test_what_the_provider_has_of_a_former_customer_counts_as_soon_as_it_is_asked(world: BillingWorld) -> None:
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    world.payments.name = "other"
    world.order()
    world.pass_time(timedelta(minutes=1))
    assert world.entitled().plan.key == "team"
