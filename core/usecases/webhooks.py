"""Webhooks: a delivery is verified and kept with its job at once; the job turns it into records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from core.domain.connections import MAX_REFUSALS, Connection
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.plugins import ConnectorManifest, WebhookMessage
from core.domain.records import Draft, Refusal, check_draft, identify, occurred_on
from core.domain.tenants import Actor, Tenant, worker_actor
from core.domain.webhooks import DeliveryStatus, Outcome, WebhookDelivery, kept_headers, verify
from core.errors import Invalid, LeaseLost, NotFound, PluginUnavailable, Transient, WebhookRefused
from core.usecases.shared.secrets import whole_config
from ports.clock import Clock, Ids
from ports.connectors import Context, HttpClients, PluginHost
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage

CHUNK = 2_500
"""Records that one job sorts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    job: Job
    actor: Actor
    tenant: Tenant
    delivery: WebhookDelivery


def receive_webhook(
    connection_id: UUID,
    headers: Mapping[str, str],
    body: bytes,
    *,
    max_attempts: int,
    request_id: str | None = None,
    trace_parent: str | None = None,
    system: SystemStorage,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> tuple[WebhookDelivery, Outcome]:
    """Keeps a verified delivery with the job that reads it; an event that was delivered before is only acknowledged.
    Names of `headers` are in lower case.

    Raises `WebhookRefused`, the same whatever is not right, so that nobody learns which connections exist; `Transient`
    when the connector is missing for now.
    """
    tenant_id = system.tenant_of_connection(connection_id)
    if tenant_id is None:
        raise WebhookRefused(outcome=Outcome.UNKNOWN)
    actor = replace(worker_actor(tenant_id, request_id=request_id), name="webhook")
    now = clock.now()
    with uow.begin(actor) as tx:
        connection, manifest = _receiver(tx, connection_id, host)
        assert manifest.webhook is not None  # noqa: S101 - narrows the type
        event_id = verify(manifest.webhook, whole_config(connection, secrets), headers, body, now)
        message = WebhookMessage(id=event_id, body=body, headers=kept_headers(headers), received_at=now)
        new = WebhookDelivery(
            id=ids.new(),
            tenant_id=tenant_id,
            connection_id=connection_id,
            event_id=event_id,
            job_id=ids.new(),
            bytes=len(body),
            status=DeliveryStatus.RECEIVED,
            inserted=0,
            known=0,
            refused=0,
            refusals=(),
            failure=None,
            received_at=now,
            finished_at=None,
        )
        kept = tx.deliveries.add(new, message)
        if kept.id != new.id:
            return kept, Outcome.DUPLICATE
        job = NewJob(
            id=new.job_id,
            stream=Stream.WEBHOOK,
            payload={"delivery_id": str(new.id)},
            request_id=request_id,
            max_attempts=max_attempts,
            trace_parent=trace_parent,
        )
        tx.jobs.add([job])
        told = {"connection_id": str(connection_id), "bytes": len(body)}
        tx.events.append([NewEvent(type=EventType.WEBHOOK_RECEIVED, subject_id=new.id, payload=told)])
        tx.commit()
    return kept, Outcome.ACCEPTED


def read_webhook(
    job: Job,
    *,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    clock: Clock,
    ids: Ids,
) -> None:
    """Turns the delivery that the job names into records, and queues what is to be sorted.

    Raises what connectors raise, `NotFound` when the payload was dropped, and `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        delivery = tx.deliveries.get(UUID(job.payload["delivery_id"]))
        message = tx.deliveries.message(delivery.id)
        connection, tenant = tx.connections.get(delivery.connection_id), tx.tenants.get()
    manifest = host.connectors().get(connection.connector)
    if manifest is None:
        raise PluginUnavailable(f"no loaded plugin offers the connector {connection.connector!r}")
    config = whole_config(connection, secrets)
    context = Context(
        config=config,
        default_currency=tenant.settings.default_currency,
        http=clients.of(actor, connection, manifest, config),
    )
    batch = host.connector(connection.connector).parse_webhook(context, message)
    drafts, refusals = _checked(batch.drafts, batch.refusals)
    work = _Work(job=job, actor=actor, tenant=tenant, delivery=_refusing(_fresh(delivery), refusals))
    stored = _store(work, list(identify(drafts)), work.delivery, uow=uow, ids=ids)
    done = replace(stored, status=DeliveryStatus.DONE, finished_at=clock.now())
    counts = {"inserted": done.inserted, "known": done.known, "refused": done.refused}
    with uow.begin(actor) as tx:
        tx.deliveries.update(done)
        tx.events.append([NewEvent(type=EventType.WEBHOOK_DONE, subject_id=done.id, payload=counts)])
        tx.jobs.finish(job)
        tx.commit()


def list_deliveries(
    actor: Actor, connection_id: UUID, *, uow: UnitOfWork, before: UUID | None, limit: int
) -> Sequence[WebhookDelivery]:
    """Newest first. Raises `NotFound` for an unknown connection."""
    with uow.begin(actor) as tx:
        tx.connections.get(connection_id)
        return tx.deliveries.list(connection_id, before=before, limit=limit)


def _receiver(tx: Transaction, connection_id: UUID, host: PluginHost) -> tuple[Connection, ConnectorManifest]:
    try:
        connection = tx.connections.get(connection_id)
    except NotFound:
        raise WebhookRefused(outcome=Outcome.UNKNOWN) from None
    manifest = host.connectors().get(connection.connector)
    if manifest is None:
        raise Transient("deliveries cannot be taken at the moment")
    if manifest.webhook is None:
        raise WebhookRefused(outcome=Outcome.UNKNOWN)
    return connection, manifest


def _checked(drafts: Sequence[Draft], refusals: Sequence[Refusal]) -> tuple[list[Draft], list[Refusal]]:
    good: list[Draft] = []
    refused = list(refusals)
    for position, draft in enumerate(drafts, start=1):
        try:
            good.append(check_draft(draft))
        except Invalid as error:
            refused.append(Refusal(position=position, reason=str(error)))
    return good, refused


def _fresh(delivery: WebhookDelivery) -> WebhookDelivery:
    """As it came: what an attempt before counted is counted anew, as known."""
    return replace(delivery, inserted=0, known=0, refused=0, refusals=(), failure=None)


def _refusing(delivery: WebhookDelivery, refusals: Sequence[Refusal]) -> WebhookDelivery:
    told: tuple[Mapping[str, Any], ...] = (*delivery.refusals, *map(asdict, refusals))[:MAX_REFUSALS]
    return replace(delivery, refused=delivery.refused + len(refusals), refusals=told)


def _store(
    work: _Work, drafts: Sequence[Draft], so_far: WebhookDelivery, *, uow: UnitOfWork, ids: Ids
) -> WebhookDelivery:
    """The delivery with what was stored of it, which its jobs sort. A draft that the storage can't take fails alone:
    the rest is halved around it."""
    if not drafts:
        return so_far
    try:
        with uow.begin(work.actor) as tx:
            tx.jobs.hold(work.job)
            stored = tx.records.store(
                [
                    (id, draft, occurred_on(draft.occurred_at, work.tenant.zone))
                    for id, draft in zip(ids.batch(len(drafts)), drafts, strict=True)
                ],
                connection_id=so_far.connection_id,
                import_id=so_far.id,
            )
            chunks = [stored.inserted[at : at + CHUNK] for at in range(0, len(stored.inserted), CHUNK)]
            tx.jobs.add([_process_job(work, ids.new(), chunk) for chunk in chunks])
            tx.commit()
    except (Transient, LeaseLost):
        raise
    except Exception as error:
        if len(drafts) > 1:
            half = len(drafts) // 2
            so_far = _store(work, drafts[:half], so_far, uow=uow, ids=ids)
            return _store(work, drafts[half:], so_far, uow=uow, ids=ids)
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        return _refusing(so_far, [Refusal(position=1, reason=f"could not be stored: {reason}")])
    return replace(so_far, inserted=so_far.inserted + len(stored.inserted), known=so_far.known + stored.known)


def _process_job(work: _Work, id: UUID, inserted: Sequence[UUID]) -> NewJob:
    return NewJob(
        id=id,
        stream=Stream.PROCESS,
        payload={"import_id": str(work.delivery.id), "first": str(inserted[0]), "last": str(inserted[-1])},
        request_id=work.job.request_id,
        source_agent=work.job.source_agent,
        max_attempts=work.job.max_attempts,
        trace_parent=work.job.trace_parent,
    )
