"""notifications:send: each notification is tried by the schedule until it arrives, or is given up on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from core.domain.billing import Terms
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job
from core.domain.notification_retries import OK, after_try, given_up
from core.domain.notifications import (
    MOST_LISTED,
    TEST,
    Attempt,
    Endpoint,
    EndpointKind,
    Notification,
    NotificationStatus,
    body_of,
    digest_data,
)
from core.domain.tenants import worker_actor
from core.errors import Invalid, NotFound, SecretUnreadable, Transient
from core.usecases.shared.billing_notices import write_owners
from core.usecases.shared.endpoint_secrets import signing_secrets
from core.usecases.shared.notification_words import DISABLED, notification_mail
from ports.clock import Clock, Ids
from ports.mail import Mail, Mailer
from ports.notifications import Answer, OutgoingWebhook, WebhookSender
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork

_SENDABLE = (NotificationStatus.PENDING, NotificationStatus.COLLECTING, NotificationStatus.FAILED)
"""Also one that failed: its job runs again where somebody replayed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """What is to be sent, and where; `mail` of an endpoint that is a member's address."""

    notification: Notification
    endpoint: Endpoint
    mail: Mail | None


def send_notification(
    job: Job,
    *,
    public_url: str,
    max_attempts: int,
    terms: Terms,
    sender: WebhookSender,
    mailer: Mailer | None,
    uow: UnitOfWork,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> None:
    """Tries once, notes what came of it, and gives the job back until the next try. What the worker dies over is tried
    again, under the same id. Raises `LeaseLost`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        parcel = _taken_up(tx, job, public_url, clock.now())
        if parcel is None:
            tx.jobs.finish(job)
        else:
            tx.jobs.hold(job)
        tx.commit()
    if parcel is None:
        return
    begun = clock.now()
    answer, for_good = _sent(parcel, begun, sender, mailer, secrets)
    seconds = round((clock.now() - begun).total_seconds(), 3)
    attempt = Attempt(at=begun, status=answer.status, code=answer.code, seconds=seconds)
    with uow.begin(actor) as tx:
        _note(tx, job, attempt, answer, terms, max_attempts, for_good=for_good, ids=ids)
        tx.commit()


def _taken_up(tx: Transaction, job: Job, public_url: str, now: datetime) -> _Parcel | None:
    """None where there is nothing to send any more. A digest takes along what waits for it."""
    try:
        notification, endpoint = _held(tx, job)
        if notification.job_id != job.id or notification.status not in _SENDABLE:
            return None
        if notification.status is NotificationStatus.COLLECTING:
            count, listed = tx.notifications.collect(notification, MOST_LISTED)
            data = digest_data(notification.tenant_id, count, list(listed))
            notification = replace(notification, data=data, occurred_at=now)
        if endpoint.disabled_at is not None and notification.type != TEST:
            tx.notifications.update(given_up(notification, "endpoint_disabled", now))
            return None
        if notification.status is NotificationStatus.FAILED:
            notification = replace(notification, tries=0, finished_at=None)
        notification = replace(notification, status=NotificationStatus.PENDING)
        tx.notifications.update(notification)
        mail = None
        if endpoint.user_id is not None:
            (user, _), tenant = tx.members.get(endpoint.user_id), tx.tenants.get()
            mail = notification_mail(notification, user.email, tenant.name, public_url)
    except NotFound:  # the endpoint is gone, or the member
        return None
    return _Parcel(notification=notification, endpoint=endpoint, mail=mail)


def _held(tx: Transaction, job: Job) -> tuple[Notification, Endpoint]:
    """The job's notification and its endpoint, which is held first: as by all that hold both. Raises `NotFound`."""
    id = UUID(job.payload["notification_id"])
    endpoint = tx.endpoints.get(tx.notifications.get(id).endpoint_id, lock=True)
    return tx.notifications.get(id, lock=True), endpoint


def _sent(
    parcel: _Parcel, now: datetime, sender: WebhookSender, mailer: Mailer | None, secrets: SecretBox
) -> tuple[Answer, bool]:
    """What came of it, and whether another try would come to the same."""
    if parcel.endpoint.kind is EndpointKind.MAIL:
        return _mailed(parcel.mail, mailer)
    try:
        signing = signing_secrets(parcel.endpoint, secrets, now)
    except SecretUnreadable as error:  # the operator may still set the former key
        return Answer(status=None, code=error.code), False
    # With its keys in order, so that each try sends the same bytes, wherever the data was in between.
    body = json.dumps(body_of(parcel.notification), separators=(",", ":"), sort_keys=True).encode()
    webhook = OutgoingWebhook(
        url=parcel.endpoint.url or "", id=str(parcel.notification.id), at=now, body=body, secrets=signing
    )
    return sender.send(webhook), False


def _mailed(mail: Mail | None, mailer: Mailer | None) -> tuple[Answer, bool]:
    if mail is None or mailer is None:
        return Answer(status=None, code="no_mail_server"), False
    try:
        mailer.send(mail)
    except Transient:
        return Answer(status=None, code="unreachable"), False
    except Invalid:
        return Answer(status=None, code="refused"), True
    return Answer(status=None, code=OK), False


def _note(
    tx: Transaction,
    job: Job,
    attempt: Attempt,
    answer: Answer,
    terms: Terms,
    max_attempts: int,
    *,
    for_good: bool,
    ids: Ids,
) -> None:
    """What came of it, if it is still there, and still this job's."""
    try:
        notification, endpoint = _held(tx, job)
    except NotFound:
        tx.jobs.finish(job)
        return
    if notification.job_id != job.id:  # somebody had it sent again meanwhile
        tx.jobs.finish(job)
        return
    tried = after_try(
        notification,
        endpoint,
        attempt,
        retry_after=answer.retry_after,
        jitter=ids.uniform(),
        for_good=for_good,
    )
    tx.notifications.update(tried.notification)
    if tried.endpoint != endpoint:
        tx.endpoints.note(tried.endpoint)
    if tried.endpoint.disabled_reason is not None and endpoint.disabled_at is None:
        told = {"reason": tried.endpoint.disabled_reason.value}
        tx.events.append([NewEvent(type=EventType.ENDPOINT_DISABLED, subject_id=endpoint.id, payload=told)])
        notice = {"mail": DISABLED, "endpoint_id": str(endpoint.id), **told}
        write_owners(tx, notice, terms, max_attempts, ids=ids)
    if tried.notification.next_at is None:
        tx.jobs.finish(job)
    else:
        tx.jobs.put_off(job, f"the receiver did not take it: {attempt.code}", due_at=tried.notification.next_at)
