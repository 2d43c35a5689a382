"""receipts:read and receipts:match: what receipts say is read out of them, and they are matched with what came."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, cast
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.health import first_line
from core.domain.jobs import Job, NewJob
from core.domain.receipt_text import what_it_says
from core.domain.receipts import MAIL, SAID, Receipt, ReceiptDraft, ReceiptState, Said, said_by_itself
from core.domain.tenants import Actor, worker_actor
from core.errors import Invalid, NotFound, TooLarge, UnknownFormat
from core.usecases.shared.receipts import (
    Content,
    add_receipt,
    content_of,
    match,
    name_of,
    new_receipt,
    reading_job,
)
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.receipt_storage import Arrived
from ports.receipts import ReceiptReader, ReceiptText, Sniffer
from ports.storage import UnitOfWork

SPOOL_BYTES = 4 << 20
PAGE = 500
"""Receipts that are matched in a transaction."""
_NO_TEXT = "there is no text in it: it says what people say it does"


def read_receipt(
    job: Job,
    *,
    max_receipt_bytes: int,
    uow: UnitOfWork,
    files: FileStore,
    reader: ReceiptReader,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> None:
    """Reads what the receipt that the job names says, but for what people said, and suggests records for it; pictures
    and PDFs that are attached to an e-mail become receipts. What can't be read is noted so, and not tried again.

    Raises `Transient` for what a retry may cure, `LeaseLost` when another worker took over.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    receipt_id = UUID(job.payload["receipt_id"])
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        found = tx.receipts.get_many([receipt_id])
        if not found or found[0].state is not ReceiptState.READING:
            tx.jobs.finish(job)
            tx.commit()
            return
    receipt = found[0]
    read = _read(receipt, files, reader)
    said = what_it_says(read.text, tenant.settings.default_currency)
    attached = _attached(read.attached if receipt.mime_type == MAIL else (), max_receipt_bytes, sniffer)
    more = [(content, _new(receipt, content, draft, actor, clock, ids)) for content, draft in attached]
    with uow.begin(actor) as tx:
        try:
            current = tx.receipts.get(receipt_id, lock=True)
        except NotFound:  # somebody deleted it meanwhile
            tx.jobs.finish(job)
            tx.commit()
            return
        tx.receipts.update(_after(current, said, read))
        now = tx.receipts.get(receipt_id)
        named = [name for name in SAID if getattr(now.said, name) is not None and name not in now.by_person]
        told = {"change": "read", "state": now.state.value, "fields": named}
        tx.events.append([NewEvent(type=EventType.RECEIPT_CHANGED, subject_id=receipt_id, payload=told)])
        for content, one in sorted(more, key=lambda one: one[1].sha256):  # as all do, so that none meet crosswise
            add_receipt(tx, one, content, _job(one, actor, job, ids), tenant.zone, files, found_in=now)
        match(tx, [now], tenant.zone)
        tx.jobs.finish(job)
        tx.commit()


def match_receipts(job: Job, *, uow: UnitOfWork) -> None:
    """Matches the tenant's receipts that wait for a record: with the records that the job names, or with all. Raises
    `LeaseLost`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    arrived = Arrived(**{name: UUID(id) for name, id in job.payload.items()}) if job.payload else None
    after: UUID | None = None
    while True:
        with uow.begin(actor) as tx:
            page = tx.receipts.open(after=after, limit=PAGE)
            match(tx, page, tx.tenants.get().zone, arrived)
            if len(page) < PAGE:
                tx.jobs.finish(job)
                tx.commit()
                return
            tx.jobs.hold(job)
            tx.commit()
        after = page[-1].id


def _read(receipt: Receipt, files: FileStore, reader: ReceiptReader) -> ReceiptText:
    try:
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
            for piece in files.read(receipt.path):
                file.write(piece)
            return reader.read(cast(BinaryIO, file), receipt.mime_type)
    except NotFound as error:  # the file
        return ReceiptText(text="", failure=str(error))


def _after(receipt: Receipt, said: Said, read: ReceiptText) -> Receipt:
    if read.failure is not None:
        return replace(receipt, state=ReceiptState.UNREADABLE, failure=first_line(read.failure))
    if not read.text.strip():
        return replace(receipt, state=ReceiptState.PICTURE, failure=_NO_TEXT)
    return said_by_itself(receipt, said)


def _attached(drafts: Sequence[ReceiptDraft], max_bytes: int, sniffer: Sniffer) -> list[tuple[Content, ReceiptDraft]]:
    """Those that are pictures or PDFs; an e-mail in an e-mail was looked through with it."""
    found: list[tuple[Content, ReceiptDraft]] = []
    for draft in drafts:
        try:
            content = content_of(io.BytesIO(draft.content), max_bytes, sniffer)
        except (Invalid, TooLarge, UnknownFormat):
            continue
        if content.mime_type != MAIL:
            found.append((content, draft))
    return found


def _new(of: Receipt, content: Content, draft: ReceiptDraft, actor: Actor, clock: Clock, ids: Ids) -> Receipt:
    return new_receipt(content, name_of(draft), actor, connection_id=of.connection_id, clock=clock, ids=ids)


def _job(receipt: Receipt, actor: Actor, job: Job, ids: Ids) -> NewJob:
    return reading_job(receipt, actor, job.max_attempts, job.trace_parent, ids=ids)
