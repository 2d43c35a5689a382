"""What endpoints were told: listed, tried out, and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from core.domain.notifications import TEST, Notification, NotificationStatus
from core.domain.tenants import Actor
from core.errors import Conflict
from core.usecases.shared.notifying import sending_job
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork

REDELIVERED_AT_ONCE = 10_000


def list_notifications(
    actor: Actor, endpoint_id: UUID, *, before: UUID | None, limit: int, uow: UnitOfWork
) -> Sequence[Notification]:
    """Newest first; `before` is the last id of the page before. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        tx.endpoints.get(endpoint_id)
        return tx.notifications.list(endpoint_id, before=before, limit=limit)


def test_endpoint(
    actor: Actor, endpoint_id: UUID, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids
) -> Notification:
    """A message that tells of nothing, sent once, also to an endpoint that is disabled: what became of it stands in its
    log. Raises `NotFound`."""
    now = clock.now()
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id)
        test = Notification(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            endpoint_id=endpoint.id,
            seq=None,
            type=TEST,
            data={"tenant_id": str(actor.tenant_id), "endpoint_id": str(endpoint.id)},
            occurred_at=now,
            status=NotificationStatus.PENDING,
            job_id=ids.new(),
            next_at=now,
            created_at=now,
        )
        tx.notifications.add([test])
        tx.jobs.add([sending_job(test, max_attempts)])
        tx.commit()
    return test


def redeliver(
    actor: Actor,
    endpoint_id: UUID,
    notification_id: UUID,
    *,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Notification:
    """Sends it now, whatever became of it, and by the whole schedule, under the id by which receivers know it. Raises
    `NotFound`, or `Conflict` for what is of a digest."""
    with uow.begin(actor) as tx:
        tx.endpoints.get(endpoint_id, lock=True)
        notification = tx.notifications.get(notification_id, lock=True)
        if notification.endpoint_id != endpoint_id:
            tx.notifications.get(endpoint_id)  # there is no such thing at this endpoint
        if notification.digest_id is not None:
            raise Conflict(f"this went by a digest: redeliver {notification.digest_id}")
        if notification.status in (NotificationStatus.WAITING, NotificationStatus.COLLECTING):
            raise Conflict("this waits for its digest")
        again = _anew(notification, clock.now(), ids)
        tx.notifications.update(again)
        tx.jobs.add([sending_job(again, max_attempts)])
        tx.commit()
    return again


def redeliver_failed(
    actor: Actor, endpoint_id: UUID, since: datetime, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids
) -> int:
    """The same of all that were made since then and failed, the oldest `REDELIVERED_AT_ONCE` at most; how many. Raises
    `NotFound`, or `Conflict` for an endpoint that is disabled: it would be told nothing."""
    now = clock.now()
    with uow.begin(actor) as tx:
        if tx.endpoints.get(endpoint_id, lock=True).disabled_at is not None:
            raise Conflict("this endpoint is disabled: enable it first")
        failed = tx.notifications.failed_since(endpoint_id, since, REDELIVERED_AT_ONCE)
        again = [_anew(notification, now, ids) for notification in failed]
        for notification in again:
            tx.notifications.update(notification)
        tx.jobs.add([sending_job(notification, max_attempts) for notification in again])
        tx.commit()
    return len(again)


def _anew(notification: Notification, now: datetime, ids: Ids) -> Notification:
    """With a job of its own: the one that may still be there finds that it is no longer wanted."""
    return replace(
        notification,
        status=NotificationStatus.PENDING,
        job_id=ids.new(),
        tries=0,
        next_at=now,
        finished_at=None,
    )
