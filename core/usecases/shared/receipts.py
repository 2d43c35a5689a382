"""Receipts that come in, by whatever way, and what they are matched with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from io import SEEK_SET
from typing import BinaryIO
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.receipt_matching import CANDIDATES, LEAST, Window, scores, window_of
from core.domain.receipts import (
    EXTENSIONS,
    MAX_FILENAME,
    READABLE,
    Candidate,
    Receipt,
    ReceiptDraft,
    ReceiptSource,
    ReceiptState,
    Said,
)
from core.domain.tenants import Actor, one_line
from core.errors import Invalid, TooLarge, UnknownFormat
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.receipt_storage import Arrived
from ports.receipts import Sniffer
from ports.record_storage import Stored
from ports.storage import Transaction

HEAD_BYTES = 8_192
"""Of a file, by which it is known what it is."""
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file whose content may be a receipt: open at its start and seekable."""

    file: BinaryIO
    mime_type: str
    size: int
    sha256: str

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(0, SEEK_SET)
        while piece := self.file.read(_PIECE):
            yield piece


def content_of(file: BinaryIO, max_bytes: int, sniffer: Sniffer) -> Content:
    """Raises `Invalid` for an empty file, `TooLarge`, and `UnknownFormat` for what is no receipt by its content."""
    file.seek(0, SEEK_SET)
    head, size, digest = file.read(HEAD_BYTES), 0, hashlib.sha256()
    file.seek(0, SEEK_SET)
    while piece := file.read(_PIECE):
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(f"a receipt has at most {max_bytes} bytes")
        digest.update(piece)
    if not size:
        raise Invalid("the file is empty", fields={"file": ["The file is empty."]})
    kind = sniffer.kind_of(head)
    if kind is None:
        endings = ", ".join(sorted({endings[0] for endings in EXTENSIONS.values()}))
        raise UnknownFormat(f"by its content this is no receipt: one of {endings}")
    return Content(file=file, mime_type=kind, size=size, sha256=digest.hexdigest())


def name_of(draft: ReceiptDraft) -> str:
    """What it was called, as it can be kept."""
    return one_line(draft.filename, MAX_FILENAME) or "receipt"


def new_receipt(
    content: Content,
    filename: str,
    actor: Actor,
    *,
    connection_id: UUID | None = None,
    said: Said | None = None,
    by_person: Sequence[str] = (),
    clock: Clock,
    ids: Ids,
) -> Receipt:
    """Of a file that the actor brings."""
    readable = content.mime_type in READABLE
    return Receipt(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        filename=filename,
        mime_type=content.mime_type,
        bytes=content.size,
        sha256=content.sha256,
        source=ReceiptSource.UPLOAD if connection_id is None else ReceiptSource.CONNECTION,
        connection_id=connection_id,
        uploaded_by=actor.name,
        uploaded_at=clock.now(),
        state=ReceiptState.READING if readable else ReceiptState.PICTURE,
        failure=None,
        said=said or Said(),
        by_person=tuple(by_person),
        links=0,
        version=1,
    )


def add_receipt(
    tx: Transaction,
    receipt: Receipt,
    content: Content,
    job: NewJob,
    zone: ZoneInfo,
    files: FileStore,
    *,
    found_in: Receipt | None = None,
) -> Receipt:
    """The receipt, or the one with this content that was there. `job` reads it, if there is anything to read.
    One that was `found_in` another is of who uploaded that.

    Its file is written before the transaction ends, and once the row is held: so that no row is without its file, and
    no file comes back of a receipt that somebody deletes, or by a request that was carried out already."""
    if found_in is not None:
        receipt = replace(receipt, uploaded_by=found_in.uploaded_by)
    kept = tx.receipts.add(receipt, found_in=None if found_in is None else found_in.id)
    if not files.holds(receipt.path):
        files.write(receipt.path, content.pieces())
    if kept.id != receipt.id:
        return kept
    told = {"mime_type": kept.mime_type, "bytes": kept.bytes, "source": kept.source.value}
    if kept.connection_id is not None:
        told["connection_id"] = str(kept.connection_id)
    tx.events.append([NewEvent(type=EventType.RECEIPT_ADDED, subject_id=kept.id, payload=told)])
    if kept.state is ReceiptState.READING:
        tx.jobs.add([job])
    match(tx, [kept], zone)
    return kept


def reading_job(
    receipt: Receipt, actor: Actor, max_attempts: int, trace_parent: str | None = None, *, ids: Ids
) -> NewJob:
    return NewJob(
        id=ids.new(),
        stream=Stream.READ_RECEIPT,
        payload={"receipt_id": str(receipt.id)},
        request_id=actor.request_id,
        source_agent=actor.source_agent,
        max_attempts=max_attempts,
        trace_parent=trace_parent,
    )


def match(tx: Transaction, receipts: Sequence[Receipt], zone: ZoneInfo, arrived: Arrived | None = None) -> None:
    """Suggests anew what these receipts may be of, but for those that are linked: they are suggested for nothing. With
    `arrived`, for those alone that one of these records may be of."""
    receipts = [receipt for receipt in receipts if not receipt.links]
    windows: dict[UUID, Window] = {}
    for receipt in receipts:
        window = window_of(receipt.said, _uploaded_on(receipt, zone))
        if window is not None:
            windows[receipt.id] = window
    found: dict[UUID, list[Candidate]] = {}
    for candidate in tx.receipts.candidates(windows, CANDIDATES, arrived):
        found.setdefault(candidate.receipt_id, []).append(candidate)
    looked_at = [receipt for receipt in receipts if arrived is None or receipt.id in found]
    if looked_at:
        tx.receipts.suggest({receipt.id: _suggested(receipt, found.get(receipt.id, []), zone) for receipt in looked_at})


def queue_matching(tx: Transaction, stored: Stored, import_id: UUID, job: Job, ids: Ids) -> None:
    """Queues a job that matches receipts with what was stored, if the tenant has any that wait for a record. Records
    that were pending may have another amount by now: then all receipts are looked at again."""
    if not (stored.inserted or stored.updated) or not tx.receipts.any_open():
        return
    new = NewJob(
        id=ids.new(),
        stream=Stream.MATCH_RECEIPTS,
        payload={},
        request_id=job.request_id,
        source_agent=job.source_agent,
        max_attempts=job.max_attempts,
        trace_parent=job.trace_parent,
    )
    if stored.updated:
        if not tx.jobs.waiting(Stream.MATCH_RECEIPTS, {}):
            tx.jobs.add([new])
        return
    first, last = str(stored.inserted[0]), str(stored.inserted[-1])
    payload = {"import_id": str(import_id), "first": first, "last": last}
    tx.jobs.add([replace(new, payload=payload)])


def queue_matching_anew(tx: Transaction, actor: Actor, ids: Ids) -> None:
    """To be called where records go: queues a job that matches the receipts that wait for one, if a link went along."""
    if tx.receipts.unlinked() and tx.receipts.any_open() and not tx.jobs.waiting(Stream.MATCH_RECEIPTS, {}):
        new = NewJob(
            id=ids.new(),
            stream=Stream.MATCH_RECEIPTS,
            payload={},
            request_id=actor.request_id,
            source_agent=actor.source_agent,
        )
        tx.jobs.add([new])


def _suggested(receipt: Receipt, candidates: Sequence[Candidate], zone: ZoneInfo) -> dict[UUID, float]:
    ranked = scores(receipt.said, _uploaded_on(receipt, zone), candidates)
    return {candidate.record_id: score for candidate, score in ranked if score >= LEAST}


def _uploaded_on(receipt: Receipt, zone: ZoneInfo) -> date:
    return receipt.uploaded_at.astimezone(zone).date()
