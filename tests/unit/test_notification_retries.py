"""The schedule of tries, and when an endpoint is given up on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from adapters.memory.clock import START
from core.domain.notification_retries import (
    FAILING_TIME,
    JITTER,
    LONGEST_ASKED,
    MOST_ATTEMPTS,
    SCHEDULE,
    Tried,
    after_try,
    given_up,
)
from core.domain.notifications import (
    TEST,
    Attempt,
    DisabledReason,
    Endpoint,
    EndpointKind,
    Notification,
    NotificationStatus,
    Topic,
)

TENANT = UUID(int=1)
ENDPOINT = Endpoint(
    id=UUID(int=2),
    tenant_id=TENANT,
    kind=EndpointKind.WEBHOOK,
    name="Pager",
    url="https://hooks.example",
    topics=(Topic.FAILURES,),
    told_seq=0,
    created_at=START,
    version=1,
)
PENDING = Notification(
    id=UUID(int=3),
    tenant_id=TENANT,
    endpoint_id=ENDPOINT.id,
    seq=1,
    type="import.failed",
    data={},
    occurred_at=START,
    status=NotificationStatus.PENDING,
    next_at=START,
    created_at=START,
)


def attempt(at: datetime = START, status: int | None = 500, code: str = "refused") -> Attempt:
    return Attempt(at=at, status=status, code=code, seconds=0.1)


def tried(before: Tried, made: Attempt, **given: Any) -> Tried:
    return after_try(before.notification, before.endpoint, made, **{"retry_after": None, "jitter": 0.0, **given})


def begun(notification: Notification = PENDING, endpoint: Endpoint = ENDPOINT) -> Tried:
    return Tried(notification=notification, endpoint=endpoint)


def fail_to_the_end(before: Tried) -> tuple[Tried, list[timedelta]]:
    """All that is tried while everything fails, and how long each try waited."""
    now, waits = before.notification.next_at or START, list[timedelta]()
    while True:
        before = tried(before, attempt(now))
        if before.notification.next_at is None:
            return before, waits
        waits.append(before.notification.next_at - now)
        now = before.notification.next_at


def test_it_is_tried_by_the_schedule_of_the_standard() -> None:
    ended, waits = fail_to_the_end(begun())
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    assert waits == [timedelta(seconds=5), 5 * minute, 30 * minute] + [n * hour for n in (2, 5, 10, 14, 20, 24)]
    assert (timedelta(0), *waits) == SCHEDULE
    assert ended.notification.status is NotificationStatus.FAILED
    assert ended.notification.finished_at == START + sum(waits, timedelta())
    assert (ended.notification.tries, len(ended.notification.attempts)) == (10, 10)
    assert ended.endpoint.failing_since == START
    assert ended.endpoint.disabled_at is None, "it failed for three days, not for five"


def test_jitter_makes_a_wait_longer_by_a_tenth_at_most() -> None:
    first = begun()
    waits = [tried(first, attempt(), jitter=jitter).notification.next_at for jitter in (0.0, 0.5, 0.999)]
    assert waits[0] == START + timedelta(seconds=5)
    assert waits[1] == START + timedelta(seconds=5 * (1 + JITTER / 2))
    assert waits[2] is not None
    assert START + timedelta(seconds=5.49) < waits[2] < START + timedelta(seconds=5.5)


def test_what_arrives_ends_it_and_makes_the_endpoint_well() -> None:
    failed = tried(begun(), attempt())
    later = START + timedelta(seconds=5)
    arrived = tried(failed, attempt(later, 204, "ok"))
    assert (arrived.notification.status, arrived.notification.finished_at) == (NotificationStatus.DELIVERED, later)
    assert arrived.notification.next_at is None
    assert [one.code for one in arrived.notification.attempts] == ["refused", "ok"]
    assert (arrived.endpoint.succeeded_at, arrived.endpoint.failing_since) == (later, None)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (1.0, timedelta(seconds=5)),
        (60.0, timedelta(seconds=60)),
        (10 * 86_400.0, LONGEST_ASKED),
    ],
)
def test_who_asks_to_be_left_alone_is_within_bounds(asked: float, wait: timedelta) -> None:
    assert tried(begun(), attempt(status=429), retry_after=asked).notification.next_at == START + wait


def test_410_disables_at_once() -> None:
    gone = tried(begun(), attempt(status=410))
    assert gone.notification.status is NotificationStatus.FAILED
    assert (gone.endpoint.disabled_at, gone.endpoint.disabled_reason) == (START, DisabledReason.GONE)


def test_what_failed_for_five_days_is_disabled_when_a_schedule_has_run_out() -> None:
    ended, _ = fail_to_the_end(begun())
    # One that began two days later ends after five days in which nothing arrived.
    later = replace(PENDING, next_at=START + timedelta(days=2))
    second, _ = fail_to_the_end(begun(later, ended.endpoint))
    assert second.endpoint.disabled_reason is DisabledReason.FAILING
    assert second.endpoint.disabled_at == second.notification.finished_at
    assert second.notification.finished_at is not None
    assert second.notification.finished_at - START >= FAILING_TIME
    # Where something arrived meanwhile, its time begins anew.
    well = tried(begun(PENDING, ended.endpoint), attempt(START + timedelta(days=4), 200, "ok"))
    third, _ = fail_to_the_end(begun(later, well.endpoint))
    assert third.endpoint.disabled_at is None


def test_what_will_never_be_taken_is_not_tried_again() -> None:
    refused = tried(begun(), attempt(status=None), for_good=True)
    assert (refused.notification.status, refused.notification.next_at) == (NotificationStatus.FAILED, None)
    assert refused.endpoint.failing_since == START


def test_a_test_is_tried_once_and_says_nothing_of_the_endpoint_but_410() -> None:
    test = replace(PENDING, type=TEST, seq=None)
    failed = tried(begun(test), attempt())
    assert failed.notification.status is NotificationStatus.FAILED
    assert failed.endpoint == ENDPOINT
    assert tried(begun(test), attempt(status=410)).endpoint.disabled_reason is DisabledReason.GONE
    assert tried(begun(test), attempt(status=200, code="ok")).endpoint.succeeded_at == START


def test_the_log_is_bounded() -> None:
    many = begun()
    for n in range(MOST_ATTEMPTS + 5):
        many = begun(tried(many, attempt(START + timedelta(hours=n))).notification)
    assert len(many.notification.attempts) == MOST_ATTEMPTS
    assert many.notification.attempts[-1].at == START + timedelta(hours=MOST_ATTEMPTS + 4)
    ended = given_up(many.notification, "job_dead", START)
    assert (len(ended.attempts), ended.attempts[-1].code, ended.finished_at) == (MOST_ATTEMPTS, "job_dead", START)
