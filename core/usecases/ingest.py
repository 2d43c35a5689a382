"""records:ingest: a received payload becomes records, batch by batch, each batch stored with the job's progress."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict, replace
from functools import partial
from typing import BinaryIO, cast
from uuid import UUID

from core.domain.billing import Terms
from core.domain.connections import ImportStatus
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job
from core.domain.records import identify
from core.domain.tenants import worker_actor
from core.usecases.shared.receipt_deliveries import store_receipts
from core.usecases.shared.secrets import whole_config
from core.usecases.shared.storing import BATCH, Delivery, Progress, checked_drafts, import_so_far, store_batch
from core.usecases.shared.teaching import queue_learning
from ports.clock import Clock, Ids
from ports.connectors import Context, PluginHost, ReadRequest
from ports.files import FileStore
from ports.receipts import Sniffer
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork

SPOOL_BYTES = 8 << 20
"""What of a payload is kept in memory while it is read; the rest goes to a temporary file."""
IMPORTED = "imported"
"""How a file that was read ended, among the outcomes of syncs."""


def ingest_records(
    job: Job,
    *,
    learn_delay: float | None = None,
    terms: Terms,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    max_receipt_bytes: int,
    files: FileStore,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> None:
    """Reads the import that the job names into records and queues what is to be sorted. What was approved elsewhere is
    learned from: rules are proposed `learn_delay` seconds later (None: not at all).

    Raises `UnreadableFile` for a payload that no retry can read, `Transient` and `PluginUnavailable` for what a retry
    may cure, `LeaseLost` when another worker took over.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    progress = Progress(**job.progress) if job.progress else Progress()
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
        with uow.begin(actor) as tx:
            imported = tx.imports.get(UUID(job.payload["import_id"]))
            connection = tx.connections.get(imported.connection_id)
            tenant = tx.tenants.get()
            if imported.status is ImportStatus.UNDONE:
                tx.jobs.finish(job)
                tx.commit()
                return
            shutil.copyfileobj(tx.imports.open(imported.id), file)
        file.seek(0)
        delivery = Delivery(job=job, actor=actor, tenant=tenant, imported=imported, connection=connection, terms=terms)
        context = Context(config=whole_config(connection, secrets), default_currency=tenant.settings.default_currency)
        request = ReadRequest(file=cast(BinaryIO, file), filename=imported.filename, batch_size=BATCH)
        occurrences: dict[tuple[str, str], int] = {}
        stored_before = progress.batches

        receive = partial(
            store_receipts,
            delivery,
            max_receipt_bytes=max_receipt_bytes,
            uow=uow,
            files=files,
            sniffer=sniffer,
            clock=clock,
            ids=ids,
        )

        def keep(tx: Transaction, progress: Progress, whole: bool) -> None:
            if whole:
                tx.jobs.hold(job, asdict(progress))
                tx.imports.update(import_so_far(imported, progress))

        for number, batch in enumerate(host.connector(connection.connector).read(context, request), start=1):
            if number > stored_before:
                batch = receive(batch)
            drafts, refusals = checked_drafts(batch.drafts, batch.refusals, progress.items)
            named = list(identify(drafts, occurrences))
            if number <= stored_before:
                continue
            progress = progress.with_batch(batch, refusals)
            progress = store_batch(delivery, named, progress, keep, uow=uow, clock=clock, ids=ids)
    _finish(delivery, progress, learn_delay, uow=uow, clock=clock, ids=ids)


def _finish(
    delivery: Delivery,
    progress: Progress,
    learn_delay: float | None,
    *,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> None:
    counts = {name: getattr(progress, name) for name in ("inserted", "known", "refused", "held")}
    with uow.begin(delivery.actor) as tx:
        tx.imports.update(
            replace(import_so_far(delivery.imported, progress), status=ImportStatus.DONE, finished_at=clock.now())
        )
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE, subject_id=delivery.imported.id, payload=counts)])
        tx.syncs.count(delivery.connection.connector, IMPORTED, progress.inserted)
        if delivery.imported.approved:
            queue_learning(tx, delivery.actor, learn_delay, ids, embed=True, queued_by=delivery.job)
        tx.jobs.finish(delivery.job)
        tx.commit()
