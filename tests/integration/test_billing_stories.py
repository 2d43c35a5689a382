"""What becomes of what a provider tells, over PostgreSQL: workers that meet wait for each other at the account."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import cast

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings

from adapters.memory.clock import FixedClock
from core.domain.jobs import JobStatus, Stream
from tests.contract.billing_stories import STORIES, TOO_LATE_FOR_AN_ANSWER, WITH_FAULTS, Act, Teller
from tests.contract.billing_world import LONG_AGO, TEAM_PRICE, BillingWorld
from tests.contract.storage import Storage

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def a_world(storage: Storage) -> BillingWorld:
    """Another tenant each time."""
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    world.order()
    return world


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=WITH_FAULTS)
def test_however_it_is_told_all_is_in_the_end_as_it_is_at_the_provider(
    storage: Storage, meanwhile: ThreadPoolExecutor, story: Sequence[Act]
) -> None:
    teller = Teller(world=a_world(storage), meanwhile=lambda act: meanwhile.submit(act).result)
    teller.play(story)
    teller.reconcile()
    teller.check()


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES)
@example(story=TOO_LATE_FOR_AN_ANSWER)
def test_whoever_is_told_everything_in_whatever_order_need_not_wait_for_a_day(
    storage: Storage, meanwhile: ThreadPoolExecutor, story: Sequence[Act]
) -> None:
    teller = Teller(world=a_world(storage), meanwhile=lambda act: meanwhile.submit(act).result)
    teller.play(story)
    teller.tell_the_rest()
    teller.check_known()


def test_an_older_answer_never_follows_a_newer_one(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    """The first worker is answered, and stalls; what it was answered changes, and that is told; the second worker is
    answered only when the first one has written."""
    world = a_world(storage)
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    world.deliver(world.payments.told[0])
    stalled, goes_on = Event(), Event()

    def stall() -> None:
        stalled.set()
        assert goes_on.wait(30)

    world.payments.asked = stall
    (first,) = world.jobs(Stream.BILLING)
    older = meanwhile.submit(world.work, first)
    assert stalled.wait(30)
    world.payments.change(world.customer, "ended")
    world.deliver(world.payments.told[1])
    (second,) = world.jobs(Stream.BILLING)
    with ThreadPoolExecutor(1) as other:
        newer = other.submit(world.work, second)
        while not cast(tuple[int], superuser.execute(_WAITING).fetchone())[0]:
            assert not newer.done(), "it was answered before the first one had written"
        goes_on.set()
        assert (older.result(30), newer.result(30)) == (JobStatus.DONE, JobStatus.DONE)
    assert world.account.subscription is not None
    assert world.account.subscription.status == "canceled"
    assert world.payments.answers == 2
