"""Receipts that connectors bring, beside records or alone."""

from __future__ import annotations

import io
from dataclasses import replace

from core.domain.plugins import Batch
from core.domain.receipts import Receipt, ReceiptDraft
from core.domain.records import Refusal
from core.errors import Invalid, TooLarge
from core.usecases.shared.receipts import (
    Content,
    add_receipt,
    content_of,
    name_of,
    new_receipt,
    reading_job,
)
from core.usecases.shared.storing import Delivery
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.receipts import Sniffer
from ports.storage import UnitOfWork


def store_receipts(
    delivery: Delivery,
    batch: Batch,
    *,
    max_receipt_bytes: int,
    uow: UnitOfWork,
    files: FileStore,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> Batch:
    """Keeps a batch's receipts, in a transaction of their own before its records: read again after a kill they are
    known by their content. Gives the batch back without them, and with a refusal for each that can't be one. Raises
    `LeaseLost`."""
    if not batch.receipts:
        return batch
    refused: list[Refusal] = []
    found: list[tuple[Content, Receipt]] = []
    for position, draft in enumerate(batch.receipts, start=1):
        try:
            content = content_of(io.BytesIO(draft.content), max_receipt_bytes, sniffer)
        except (Invalid, TooLarge) as error:
            refused.append(Refusal(position=position, reason=f"a receipt is refused: {error}"))
            continue
        found.append((content, _receipt(delivery, draft, content, clock, ids)))
    with uow.begin(delivery.actor) as tx:
        tx.jobs.hold(delivery.job)
        for content, receipt in sorted(found, key=lambda one: one[1].sha256):  # as all do, so that none meet crosswise
            job = reading_job(receipt, delivery.actor, delivery.job.max_attempts, delivery.job.trace_parent, ids=ids)
            add_receipt(tx, receipt, content, job, delivery.tenant.zone, files)
        tx.commit()
    return replace(batch, receipts=(), refusals=(*batch.refusals, *refused))


def _receipt(delivery: Delivery, draft: ReceiptDraft, content: Content, clock: Clock, ids: Ids) -> Receipt:
    connection_id = delivery.connection.id
    return new_receipt(content, name_of(draft), delivery.actor, connection_id=connection_id, clock=clock, ids=ids)
