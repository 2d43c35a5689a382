"""Notifications: what tenants are told of what happened, where, and how often it is tried.

What is told is made of sealed events, and has ids, states and counts alone: it leaves the installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.events import Event
from core.domain.jobs import Stream

TEST = "endpoint.test"
DIGEST = "digest"
"""Types of messages that are made of no event, or of several."""


class Topic(StrEnum):
    """What an endpoint may want to be told of."""

    FAILURES = "failures"
    QUEUE = "queue"
    REAUTH = "reauth"
    PROMISE = "promise"
    QUOTA = "quota"
    REPORTS = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How an event is told: `subject` is what its `subject_id` is called, `fields` are what its payload may show."""

    topic: Topic
    subject: str | None = None
    fields: tuple[str, ...] = ()


_EVIDENCE = ("stage", "promise", "was", "checked", "since", "precision", "interval", "strictness")
TOLD: Mapping[str, Told] = MappingProxyType(
    {
        "JOB_DEAD": Told(topic=Topic.FAILURES, subject="job_id", fields=("stream",)),
        "IMPORT_FAILED": Told(topic=Topic.FAILURES, subject="import_id"),
        "WEBHOOK_FAILED": Told(topic=Topic.FAILURES, subject="delivery_id"),
        "QUEUE_OVER_LIMIT": Told(topic=Topic.QUEUE, fields=("open", "limit")),
        "CONNECTION_REAUTH": Told(topic=Topic.REAUTH, subject="connection_id", fields=("code", "was")),
        "PROMISE_AT_RISK": Told(topic=Topic.PROMISE, fields=_EVIDENCE),
        "USAGE_NOTICED": Told(topic=Topic.QUOTA, fields=("meter", "percent", "month", "limit")),
        "REPORT_GENERATED": Told(topic=Topic.REPORTS, subject="report_id"),
    }
)
"""The types of events that are told. The index `events_told` has just these."""
TOLD_STREAMS = frozenset(
    {
        Stream.SYNC,
        Stream.PROCESS,
        Stream.LLM,
        Stream.EMBED,
        Stream.REFIT,
        Stream.LEARN,
        Stream.RUN,
        Stream.RESUME,
    }
)
"""Of dead jobs those that ingest or sort. Imports and webhooks have events of their own; and that a notification could
not be sent is never told by another one, which might not be sent either."""


def message_type(event_type: str) -> str:
    """As Standard Webhooks write it: `CONNECTION_REAUTH` is `connection.reauth`."""
    return event_type.lower().replace("_", ".", 1)


def told_of(event: Event) -> tuple[Topic, Mapping[str, Any]] | None:
    """The topic and the data of what is told of an event; None where it is not told."""
    told = TOLD.get(event.type)
    if told is None or (event.type == "JOB_DEAD" and event.payload.get("stream") not in TOLD_STREAMS):
        return None
    data: dict[str, Any] = {"tenant_id": str(event.tenant_id), "seq": event.seq}
    if told.subject is not None and event.subject_id is not None:
        data[told.subject] = str(event.subject_id)
    return told.topic, data | {name: event.payload[name] for name in told.fields if name in event.payload}


class EndpointKind(StrEnum):
    WEBHOOK = "webhook"
    MAIL = "mail"


class Digest(StrEnum):
    """When an endpoint is told: at once, or of all that came in an hour or a day by one message."""

    NONE = "none"
    HOURLY = "hourly"
    DAILY = "daily"


class DisabledReason(StrEnum):
    ASKED = "asked"
    GONE = "gone"
    """The receiver answered 410."""
    FAILING = "failing"
    """Nothing arrived for `FAILING_TIME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a tenant is told of its `topics`: a webhook at `url`, signed with the secrets in `sealed`, or the mail
    address of a member. A daily digest goes at `digest_hour` in the tenant's time zone.

    It was told of all events up to `told_seq`, or was not there for them. `failing_since` is the first failure since
    something arrived.
    """

    id: UUID
    tenant_id: UUID
    kind: EndpointKind
    name: str
    url: str | None = field(default=None, repr=False)
    """May be a secret in itself: there are receivers whose address is all that they ask for."""
    user_id: UUID | None = None
    topics: tuple[Topic, ...]
    digest: Digest = Digest.NONE
    digest_hour: int = 8
    sealed: bytes | None = field(default=None, repr=False)
    told_seq: int
    succeeded_at: datetime | None = None
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: DisabledReason | None = None
    created_at: datetime
    version: int


class NotificationStatus(StrEnum):
    WAITING = "waiting"
    """For a digest, which takes it along."""
    COLLECTING = "collecting"
    """A digest that has not begun to be sent."""
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


OPEN = frozenset({NotificationStatus.WAITING, NotificationStatus.COLLECTING, NotificationStatus.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: the status of the answer where there was one; `code` says what it came to (`ok`, or what went wrong)."""

    at: datetime
    status: int | None
    code: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What an endpoint is told of one event (`seq`); of a digest's, by a message that is one, too; or a test (`seq` is
    None for both). `id` is what receivers know it by, however often it is sent.

    `job_id` is the job that sends it, `tries` how often it was tried by the present schedule. `attempts` are the latest
    of all tries.
    """

    id: UUID
    tenant_id: UUID
    endpoint_id: UUID
    seq: int | None
    type: str
    data: Mapping[str, Any]
    occurred_at: datetime
    status: NotificationStatus
    digest_id: UUID | None = None
    job_id: UUID | None = None
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    next_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None


def digest_due(digest: Digest, hour: int, zone: ZoneInfo, now: datetime) -> datetime:
    """When a digest that begins now is sent: at the next full hour, or when it is next that hour in the zone (of one
    that a clock change skips, or repeats, once)."""
    if digest is Digest.HOURLY:
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    today = now.astimezone(zone).date()
    days = (datetime.combine(today + timedelta(days=n), time(hour), zone).astimezone(now.tzinfo) for n in range(3))
    return next(due for due in days if due > now)


def body_of(notification: Notification) -> Mapping[str, Any]:
    """The message, in the form that Standard Webhooks recommend."""
    return {
        "type": notification.type,
        "timestamp": notification.occurred_at.isoformat(),
        "data": dict(notification.data),
    }


MOST_LISTED = 200
"""Of a digest; beyond that it only counts."""


def digest_data(tenant_id: UUID, items: int, listed: list[Notification]) -> dict[str, Any]:
    """What a digest of so many items tells: each of those that are `listed`, as its own message would."""
    return {"tenant_id": str(tenant_id), "count": items, "events": [body_of(one) for one in listed[:MOST_LISTED]]}
