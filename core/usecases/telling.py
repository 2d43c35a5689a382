"""Sealed events are made into notifications, and queues over their limits into events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob
from core.domain.notifications import (
    DIGEST,
    Digest,
    Endpoint,
    Notification,
    NotificationStatus,
    digest_due,
    message_type,
    told_of,
)
from core.domain.tenants import worker_actor
from core.errors import NotFound
from core.usecases.shared.notifying import sending_job
from ports.clock import Clock, Ids
from ports.notification_storage import News, NotificationSystem
from ports.storage import Transaction, UnitOfWork

EVENTS_AT_ONCE = 500
LOW_SHARE = 0.8
"""A queue that was told of is told of again once it was below this share of its limit."""
DAY = 86_400.0


def tenants_with_news(*, notifications: NotificationSystem) -> Sequence[UUID]:
    """Those for which `make_notifications` has something to do."""
    return notifications.tenants_with_news()


def make_notifications(tenant_id: UUID, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids) -> int:
    """Makes what the tenant's endpoints are to be told of the events that were sealed; returns how many. Some at a
    time, each in one transaction with the jobs that send them and how far the endpoints are told: a kill at any point
    loses none and doubles none."""
    made = 0
    while (more := _make(tenant_id, max_attempts, uow, clock, ids)) is not None:
        made += more
    return made


def _make(tenant_id: UUID, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids) -> int | None:
    """How many were made; None where all is told."""
    now, made, jobs = clock.now(), list[Notification](), list[NewJob]()
    with uow.begin(worker_actor(tenant_id)) as tx:
        endpoints = tx.endpoints.listening()
        after = min((endpoint.told_seq for endpoint in endpoints), default=None)
        if after is None or (news := tx.notifications.news(after, EVENTS_AT_ONCE)).upto <= after:
            return None
        for endpoint in endpoints:
            mine = list(_told(tenant_id, endpoint, news, now, ids))
            if endpoint.digest is Digest.NONE:
                jobs += [sending_job(one, max_attempts) for one in mine]
            elif mine and tx.notifications.collecting(endpoint.id) is None:
                digest = _digest(tx, endpoint, now, ids)
                assert digest.next_at is not None  # noqa: S101 - just made so
                jobs.append(sending_job(digest, max_attempts, (digest.next_at - now).total_seconds()))
                made.append(digest)
            made += mine
        tx.notifications.add(made)
        tx.jobs.add(jobs)
        tx.endpoints.told([one.id for one in endpoints if one.told_seq < news.upto], news.upto)
        tx.commit()
    return len(made)


def _told(tenant_id: UUID, endpoint: Endpoint, news: News, now: datetime, ids: Ids) -> Iterator[Notification]:
    at_once = endpoint.digest is Digest.NONE
    for event in news.events:
        told = told_of(event) if event.seq > endpoint.told_seq else None
        if told is None or told[0] not in endpoint.topics:
            continue
        yield Notification(
            id=ids.new(),
            tenant_id=tenant_id,
            endpoint_id=endpoint.id,
            seq=event.seq,
            type=message_type(event.type),
            data=told[1],
            occurred_at=event.occurred_at,
            status=NotificationStatus.PENDING if at_once else NotificationStatus.WAITING,
            job_id=ids.new() if at_once else None,
            next_at=now if at_once else None,
            created_at=now,
        )


def _digest(tx: Transaction, endpoint: Endpoint, now: datetime, ids: Ids) -> Notification:
    return Notification(
        id=ids.new(),
        tenant_id=endpoint.tenant_id,
        endpoint_id=endpoint.id,
        seq=None,
        type=DIGEST,
        data={},
        occurred_at=now,
        status=NotificationStatus.COLLECTING,
        job_id=ids.new(),
        next_at=digest_due(endpoint.digest, endpoint.digest_hour, tx.tenants.get().zone, now),
        created_at=now,
    )


def watch_queues(*, notifications: NotificationSystem, uow: UnitOfWork, clock: Clock) -> int:
    """Tells tenants whose queue has grown beyond their limit, once until it was well below it; returns how many."""
    return sum(_watch(tenant_id, uow, clock) for tenant_id in notifications.queues_to_tell(LOW_SHARE))


def _watch(tenant_id: UUID, uow: UnitOfWork, clock: Clock) -> bool:
    with uow.begin(worker_actor(tenant_id)) as tx:
        try:
            limit = tx.tenants.get().settings.queue_limit
        except NotFound:  # it was erased meanwhile
            return False
        waiting = tx.approvals.count_open()
        over = limit is not None and waiting > limit
        if over:
            over = tx.tenants.note_queue(clock.now())
        elif limit is None or waiting < limit * LOW_SHARE:
            tx.tenants.note_queue(None)
        if over:
            payload = {"open": waiting, "limit": limit}
            tx.events.append([NewEvent(type=EventType.QUEUE_OVER_LIMIT, payload=payload)])
        tx.commit()
    return over


def sweep_notifications(*, job_days: float, notifications: NotificationSystem) -> int:
    """Drops those that ended as long ago as jobs are kept; returns how many."""
    return notifications.sweep(job_days * DAY)
