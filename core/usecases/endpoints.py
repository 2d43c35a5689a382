"""Endpoints: where a tenant is told of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core.domain.endpoint_checks import (
    MOST_ENDPOINTS,
    SECRET_BYTES,
    check_endpoint_name,
    check_topics,
    check_url,
    new_secret,
)
from core.domain.events import EventType, NewEvent
from core.domain.notifications import Digest, DisabledReason, Endpoint, EndpointKind, Topic
from core.domain.tenants import Actor
from core.domain.webhooks import superseded
from core.errors import Conflict, Invalid, VersionMismatch
from core.usecases.shared.endpoint_secrets import open_endpoint_secrets, seal_endpoint_secrets
from ports.clock import Clock, Ids
from ports.mail import Mailer
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


def list_endpoints(actor: Actor, *, uow: UnitOfWork) -> Sequence[Endpoint]:
    """By rising id."""
    with uow.begin(actor) as tx:
        return tx.endpoints.list()


def get_endpoint(actor: Actor, endpoint_id: UUID, *, uow: UnitOfWork) -> Endpoint:
    """Raises `NotFound`."""
    with uow.begin(actor) as tx:
        return tx.endpoints.get(endpoint_id)


def create_endpoint(
    actor: Actor,
    *,
    kind: EndpointKind,
    name: str,
    url: str | None = None,
    user_id: UUID | None = None,
    topics: Sequence[Topic],
    digest: Digest = Digest.NONE,
    digest_hour: int = 8,
    mailer: Mailer | None,
    uow: UnitOfWork,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> tuple[Endpoint, str | None]:
    """An endpoint that is told of what happens from now on, and the secret that signs a webhook's messages, which is
    shown nowhere else. Raises `Invalid`, or `Conflict` where there are `MOST_ENDPOINTS`, and for mail where there is no
    mail server."""
    webhook = kind is EndpointKind.WEBHOOK
    if (url is None) == webhook or (user_id is None) != webhook:
        raise Invalid("a webhook has a url and nothing else, mail has the user_id of a member and nothing else")
    if kind is EndpointKind.MAIL and mailer is None:
        raise Conflict("this installation has no mail server")
    id, secret = ids.new(), new_secret(ids.entropy(SECRET_BYTES)) if webhook else None
    endpoint = Endpoint(
        id=id,
        tenant_id=actor.tenant_id,
        kind=kind,
        name=check_endpoint_name(name),
        url=None if url is None else check_url(url),
        user_id=user_id,
        topics=check_topics(topics),
        digest=digest,
        digest_hour=_check_hour(digest_hour),
        sealed=None if secret is None else seal_endpoint_secrets(secret, actor.tenant_id, id, secrets),
        told_seq=0,
        created_at=clock.now(),
        version=1,
    )
    with uow.begin(actor) as tx:
        if len(tx.endpoints.list()) >= MOST_ENDPOINTS:
            raise Conflict(f"a tenant has at most {MOST_ENDPOINTS} endpoints")
        endpoint = replace(endpoint, told_seq=tx.notifications.last_seq())
        tx.endpoints.add(endpoint)
        payload = {"kind": kind.value, "topics": [topic.value for topic in endpoint.topics]}
        tx.events.append([NewEvent(type=EventType.ENDPOINT_CREATED, subject_id=id, payload=payload)])
        tx.commit()
    return endpoint, secret


def change_endpoint(
    actor: Actor, endpoint_id: UUID, changes: Mapping[str, Any], *, version: int | None, uow: UnitOfWork
) -> Endpoint:
    """`changes` may hold name, url (of a webhook), topics, digest and digest_hour. A new address has a fresh chance.
    Raises `NotFound`, `VersionMismatch` or `Invalid`."""
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id, lock=True)
        if version is not None and endpoint.version != version:
            raise VersionMismatch
        changed = endpoint
        if "name" in changes:
            changed = replace(changed, name=check_endpoint_name(changes["name"]))
        if "url" in changes:
            if endpoint.kind is not EndpointKind.WEBHOOK:
                raise Invalid("only a webhook has a url", fields={"url": ["Not of this endpoint."]})
            changed = replace(changed, url=check_url(changes["url"]), failing_since=None)
        if "topics" in changes:
            changed = replace(changed, topics=check_topics(changes["topics"]))
        changed = replace(
            changed,
            digest=changes.get("digest", changed.digest),
            digest_hour=_check_hour(changes.get("digest_hour", changed.digest_hour)),
        )
        tx.endpoints.update(changed)
        tx.endpoints.note(changed)
        payload = {"changed": sorted(changes)}
        tx.events.append([NewEvent(type=EventType.ENDPOINT_CHANGED, subject_id=endpoint_id, payload=payload)])
        tx.commit()
    return replace(changed, version=endpoint.version + 1)


def delete_endpoint(actor: Actor, endpoint_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """With its log, and what was still to be sent. Raises `NotFound` or `VersionMismatch`."""
    with uow.begin(actor) as tx:
        tx.endpoints.delete(endpoint_id, version)
        tx.events.append([NewEvent(type=EventType.ENDPOINT_DELETED, subject_id=endpoint_id)])
        tx.commit()


def rotate_endpoint_secret(
    actor: Actor,
    endpoint_id: UUID,
    *,
    overlap: timedelta,
    uow: UnitOfWork,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> tuple[Endpoint, str, datetime | None]:
    """Another secret, and until when former ones sign beside it (None: none does), so that the receiver can change it
    in its own time. Raises `NotFound`, `Invalid`, `SecretUnreadable`, or `Conflict` for one that signs nothing."""
    now, secret = clock.now(), new_secret(ids.entropy(SECRET_BYTES))
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id, lock=True)
        if endpoint.kind is not EndpointKind.WEBHOOK:
            raise Conflict("only a webhook has a secret")
        present, before = open_endpoint_secrets(endpoint, secrets)
        former = superseded([present], before, secret, overlap, now)
        sealed = seal_endpoint_secrets(secret, endpoint.tenant_id, endpoint.id, secrets, former)
        tx.endpoints.update(replace(endpoint, sealed=sealed))
        payload = {"changed": ["secret"], "overlap_seconds": overlap.total_seconds()}
        tx.events.append([NewEvent(type=EventType.ENDPOINT_CHANGED, subject_id=endpoint_id, payload=payload)])
        tx.commit()
    changed = replace(endpoint, sealed=sealed, version=endpoint.version + 1)
    return changed, secret, max((one.until for one in former), default=None)


def enable_endpoint(actor: Actor, endpoint_id: UUID, *, uow: UnitOfWork) -> Endpoint:
    """Tells it again of what happens from now on. What happened meanwhile is in the log of events; what was still to be
    sent goes on. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id, lock=True)
        if endpoint.disabled_at is None:
            return endpoint
        enabled = replace(
            endpoint, disabled_at=None, disabled_reason=None, failing_since=None, told_seq=tx.notifications.last_seq()
        )
        tx.endpoints.note(enabled)
        tx.events.append([NewEvent(type=EventType.ENDPOINT_ENABLED, subject_id=endpoint_id)])
        tx.commit()
    return enabled


def disable_endpoint(actor: Actor, endpoint_id: UUID, *, uow: UnitOfWork, clock: Clock) -> Endpoint:
    """Tells it nothing until it is enabled again. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        endpoint = tx.endpoints.get(endpoint_id, lock=True)
        if endpoint.disabled_at is not None:
            return endpoint
        disabled = replace(endpoint, disabled_at=clock.now(), disabled_reason=DisabledReason.ASKED)
        tx.endpoints.note(disabled)
        payload = {"reason": DisabledReason.ASKED.value}
        tx.events.append([NewEvent(type=EventType.ENDPOINT_DISABLED, subject_id=endpoint_id, payload=payload)])
        tx.commit()
    return disabled


def _check_hour(hour: int) -> int:
    if not 0 <= hour <= 23:
        raise Invalid("digest_hour lies between 0 and 23")
    return hour
