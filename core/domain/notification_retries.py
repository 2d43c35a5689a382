"""What becomes of a notification after a try: when the next one is, and when its endpoint is given up on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.domain.notifications import (
    TEST,
    Attempt,
    DisabledReason,
    Endpoint,
    Notification,
    NotificationStatus,
)

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long each try waits after the one before: as Standard Webhooks recommend, over three days and four hours."""
JITTER = 0.1
"""By so much of it a wait is longer at most: so that what failed together does not come back together."""
LONGEST_ASKED = timedelta(hours=24)
"""For so long a receiver may ask to be left alone, and no longer."""
FAILING_TIME = timedelta(days=5)
"""When a notification was tried for the last time, and nothing arrived for so long, its endpoint is disabled."""
MOST_ATTEMPTS = 30
"""In the log of a notification."""
OK = "ok"
GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The notification and its endpoint after a try. `next_at` of an open notification says when it is tried next."""

    notification: Notification
    endpoint: Endpoint


def after_try(
    notification: Notification,
    endpoint: Endpoint,
    attempt: Attempt,
    *,
    retry_after: float | None,
    jitter: float,
    for_good: bool = False,
) -> Tried:
    """`jitter` is uniform in [0, 1); `retry_after` are the seconds for which the receiver asked to be left alone;
    `for_good`: it will not be taken later either. A test is tried once: somebody waits for it."""
    tries = notification.tries + 1
    attempts = (*notification.attempts, attempt)[-MOST_ATTEMPTS:]
    tried = replace(notification, tries=tries, attempts=attempts, next_at=None)
    if attempt.code == OK:
        done = replace(tried, status=NotificationStatus.DELIVERED, finished_at=attempt.at)
        return Tried(notification=done, endpoint=replace(endpoint, succeeded_at=attempt.at, failing_since=None))
    failing = replace(endpoint, failing_since=endpoint.failing_since or attempt.at)
    if notification.type == TEST:
        failing = endpoint
    failed = replace(tried, status=NotificationStatus.FAILED, finished_at=attempt.at)
    if attempt.status == GONE:
        return Tried(notification=failed, endpoint=_disabled(failing, DisabledReason.GONE, attempt.at))
    if notification.type == TEST:
        return Tried(notification=failed, endpoint=failing)
    if tries < len(SCHEDULE) and not for_good:
        wait = SCHEDULE[tries] * (1 + JITTER * jitter)
        if retry_after is not None:
            wait = max(wait, min(timedelta(seconds=retry_after), LONGEST_ASKED))
        return Tried(notification=replace(tried, next_at=attempt.at + wait), endpoint=failing)
    if failing.failing_since is not None and attempt.at - failing.failing_since >= FAILING_TIME:
        failing = _disabled(failing, DisabledReason.FAILING, attempt.at)
    return Tried(notification=failed, endpoint=failing)


def given_up(notification: Notification, code: str, now: datetime) -> Notification:
    """One that is not tried any more, and why."""
    attempt = Attempt(at=now, status=None, code=code, seconds=0.0)
    attempts = (*notification.attempts, attempt)[-MOST_ATTEMPTS:]
    status = NotificationStatus.FAILED
    return replace(notification, status=status, attempts=attempts, next_at=None, finished_at=now)


def _disabled(endpoint: Endpoint, reason: DisabledReason, now: datetime) -> Endpoint:
    if endpoint.disabled_at is not None:
        return endpoint
    return replace(endpoint, disabled_at=now, disabled_reason=reason)
