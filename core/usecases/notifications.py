"""What endpoints were told: listed, tried out, and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from core.domain.notifications import TEST, Notification, NotificationStatus
from core.domain.tenants import Actor
from core.errors import Conflict, NotFound
from core.usecases.shared.notifying import job_sending, sending_job
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork

REDELIVERED_AT_ONCE = 10_000
_DISABLED = "this endpoint is disabled: enable it first"


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
    `NotFound`, or `Conflict` for what is of a digest, and for an endpoint that is disabled, but for a test."""
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id, lock=True)
        notification = tx.notifications.get(notification_id, lock=True)
        if notification.endpoint_id != endpoint_id:
            raise NotFound("this endpoint has no such delivery")
        if endpoint.disabled_at is not None and notification.type != TEST:
            raise Conflict(_DISABLED)
        if notification.digest_id is not None:
            raise Conflict(f"this went by a digest: redeliver {notification.digest_id}")
        if notification.status in (NotificationStatus.WAITING, NotificationStatus.COLLECTING):
            raise Conflict("this waits for its digest")
        # With a job of its own: the one that may still be there finds that it is no longer wanted.
        job_id = ids.new()
        tx.notifications.renew({notification_id: job_id}, clock.now())
        tx.jobs.add([job_sending(notification_id, job_id, max_attempts)])
        again = tx.notifications.get(notification_id)
        tx.commit()
    return again


def redeliver_failed(
    actor: Actor, endpoint_id: UUID, since: datetime, *, max_attempts: int, uow: UnitOfWork, clock: Clock, ids: Ids
) -> int:
    """The same of all that failed since then, the first `REDELIVERED_AT_ONCE` at most; how many. Raises
    `NotFound`, or `Conflict` for an endpoint that is disabled: it would be told nothing."""
    now = clock.now()
    with uow.begin(actor) as tx:
        if tx.endpoints.get(endpoint_id, lock=True).disabled_at is not None:
            raise Conflict(_DISABLED)
        failed = sorted(tx.notifications.failed_since(endpoint_id, since, REDELIVERED_AT_ONCE))
        again = dict(zip(failed, ids.batch(len(failed)), strict=True))
        tx.notifications.renew(again, now)
        tx.jobs.add([job_sending(id, job_id, max_attempts) for id, job_id in again.items()])
        tx.commit()
    return len(again)
