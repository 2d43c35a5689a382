"""Webhooks: a delivery is verified and kept with its job at once; the job turns it into records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from core.domain.billing import Terms
from core.domain.connections import Connection, Import, ImportStatus, check_enabled
from core.domain.events import EventType, NewEvent
from core.domain.health import Health, LogLine, blacken
from core.domain.jobs import Job, NewJob, Stream
from core.domain.plugins import Batch, ConnectorManifest, WebhookMessage
from core.domain.records import identify
from core.domain.tenants import Actor, worker_actor
from core.domain.webhooks import (
    REASONS,
    DeliveryStatus,
    Outcome,
    RefusedDeliveries,
    WebhookDelivery,
    kept_headers,
    verify,
)
from core.errors import (
    ConfigInvalid,
    Conflict,
    NotFound,
    PermissionDenied,
    PluginBug,
    PluginUnavailable,
    RateLimited,
    ReauthRequired,
    SchemaChanged,
    SecretUnreadable,
    SortationError,
    Transient,
    WebhookRefused,
)
from core.usecases.shared.connection_health import note_failed_delivery, note_good_delivery
from core.usecases.shared.receipt_deliveries import store_receipts
from core.usecases.shared.secrets import verifying_config
from core.usecases.shared.source import Source, SourceTrouble, open_source
from core.usecases.shared.storing import TOLD_REFUSALS, Delivery, Progress, checked_drafts, store_batch
from ports.clock import Clock, Ids
from ports.connectors import HttpClients, PluginHost
from ports.files import FileStore
from ports.receipts import Sniffer
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage

REFUSALS_LOGGED = timedelta(hours=1)
"""How often a connection's log tells of deliveries that were refused."""
_ERRORS: Mapping[str, type[SortationError]] = {
    error.code: error
    for error in (
        ConfigInvalid,
        PermissionDenied,
        PluginUnavailable,
        RateLimited,
        ReauthRequired,
        SchemaChanged,
        SecretUnreadable,
        Transient,
    )
}
"""What a job that reads a delivery fails with; whatever else went wrong is the plugin's bug."""


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
        try:
            config = verifying_config(connection, secrets, now)
        except SecretUnreadable:
            raise Transient("deliveries cannot be taken at the moment") from None
        event_id = verify(manifest.webhook, config, headers, body, now)
        message = WebhookMessage(
            id=event_id, body=body, headers=kept_headers(manifest.webhook, headers), received_at=now
        )
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
    terms: Terms,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    max_receipt_bytes: int,
    files: FileStore,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> None:
    """Turns the delivery that the job names into records, and queues what is to be sorted.

    Raises the errors of connectors without their secrets, `NotFound` when the payload was dropped, and `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        delivery = tx.deliveries.get(UUID(job.payload["delivery_id"]))
        message = tx.deliveries.message(delivery.id)
        connection, tenant = tx.connections.get(delivery.connection_id), tx.tenants.get()
    source: Source | None = None
    try:
        currency = tenant.settings.default_currency
        source = open_source(actor, connection, currency, host=host, secrets=secrets, clients=clients)
        with source.asked():
            batch = source.connector.parse_webhook(source.context, message)
            if not isinstance(batch, Batch):
                raise TypeError(f"it gave {type(batch).__name__}, not a Batch")
    except SourceTrouble as trouble:
        if source is not None:
            source.log.logger.error("webhook %s: %s: %s", delivery.event_id, trouble.code, trouble.message)
            with uow.begin(actor) as tx:
                source.log.written(tx, connection.id, ids)
                tx.commit()
        raise _ERRORS.get(trouble.code, PluginBug)(trouble.message, retry_after=trouble.retry_after) from None
    imported = _as_import(delivery)
    work = Delivery(job=job, actor=actor, tenant=tenant, imported=imported, connection=connection, terms=terms)
    batch = store_receipts(
        work,
        batch,
        max_receipt_bytes=max_receipt_bytes,
        uow=uow,
        files=files,
        sniffer=sniffer,
        clock=clock,
        ids=ids,
    )
    drafts, refusals = checked_drafts(batch.drafts, batch.refusals, 0)
    refusals = [replace(one, reason=blacken(one.reason, source.words)) for one in refusals]
    log = source.log
    for refusal in refusals[:TOLD_REFUSALS]:
        told = (delivery.event_id, refusal.position, refusal.reason)
        log.logger.warning("webhook %s: item %d is refused: %s", *told)

    def keep(tx: Transaction, progress: Progress, whole: bool) -> None:
        """The delivery and its job end with the last of what it brought."""
        if not whole:
            return
        counts = {"inserted": progress.inserted, "known": progress.known, "refused": progress.refused}
        done = replace(
            delivery,
            status=DeliveryStatus.DONE,
            inserted=progress.inserted,
            known=progress.known,
            refused=progress.refused,
            refusals=progress.refusals,
            failure=None,
            finished_at=clock.now(),
        )
        tx.deliveries.update(done)
        tx.events.append([NewEvent(type=EventType.WEBHOOK_DONE, subject_id=done.id, payload=counts)])
        log.written(tx, connection.id, ids)
        if progress.refused and not progress.inserted and not progress.known:
            message = f"all {progress.refused} records were refused: {progress.refusals[0]['reason']}"
            receiver = tx.connections.get(connection.id, lock=True)
            note_failed_delivery(tx, receiver, "refused", message, clock=clock, ids=ids)
        elif connection.health is not Health.HEALTHY:
            note_good_delivery(tx, connection.id, clock=clock, ids=ids)
        tx.jobs.finish(job)

    progress = Progress().with_batch(batch, refusals)
    store_batch(work, list(identify(drafts)), progress, keep, uow=uow, clock=clock, ids=ids)


def note_refused(
    connection_id: UUID,
    outcome: Outcome,
    count: int,
    *,
    system: SystemStorage,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> None:
    """Tells the owner of a connection that `count` more of its deliveries were refused, the last one for this reason:
    in its health, and in its log not more than once in an hour, so that strangers push nothing else out of it."""
    tenant_id = system.tenant_of_connection(connection_id)
    if tenant_id is None:
        return
    now = clock.now()
    with uow.begin(replace(worker_actor(tenant_id), name="webhook")) as tx:
        try:
            tx.connections.get(connection_id, lock=True)
        except NotFound:
            return
        before = tx.deliveries.refused(connection_id)
        total = count + (before.count if before is not None else 0)
        logged_at = now if before is None or now - before.logged_at >= REFUSALS_LOGGED else before.logged_at
        noted = RefusedDeliveries(count=total, outcome=outcome, at=now, logged_at=logged_at)
        tx.deliveries.put_refused(connection_id, noted)
        if logged_at == now:
            text = f"deliveries are refused ({total} so far), the last one: {REASONS[outcome]}"
            tx.syncs.log(connection_id, [LogLine(id=ids.new(), at=now, level="warning", text=text)])
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
        check_enabled(connection)
    except (NotFound, Conflict):
        raise WebhookRefused(outcome=Outcome.UNKNOWN) from None
    manifest = host.connectors().get(connection.connector)
    if manifest is None:
        raise Transient("deliveries cannot be taken at the moment")
    if manifest.webhook is None:
        raise WebhookRefused(outcome=Outcome.UNKNOWN)
    return connection, manifest


def _as_import(delivery: WebhookDelivery) -> Import:
    """What records are stored by: the delivery is their import, though not one that is listed."""
    return Import(
        id=delivery.id,
        tenant_id=delivery.tenant_id,
        connection_id=delivery.connection_id,
        job_id=delivery.job_id,
        filename="",
        bytes=delivery.bytes,
        sha256="",
        approved=False,
        status=ImportStatus.READING,
        inserted=0,
        known=0,
        refused=0,
        refusals=(),
        failure=None,
        created_at=delivery.received_at,
        finished_at=None,
    )
