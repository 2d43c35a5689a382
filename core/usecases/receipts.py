"""Receipts: brought in, listed, changed, handed out and deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.receipts import Match, MatchState, Receipt, Said, check_said, said_by_person
from core.domain.tenants import Actor
from core.errors import VersionMismatch
from core.usecases.shared.receipts import add_receipt, content_of, match, new_receipt, reading_job
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.receipt_storage import ReceiptFilter
from ports.receipts import Sniffer
from ports.storage import UnitOfWork


def upload_receipt(
    actor: Actor,
    file: BinaryIO,
    *,
    filename: str,
    said: Said,
    max_receipt_bytes: int,
    max_attempts: int,
    trace_parent: str | None = None,
    uow: UnitOfWork,
    files: FileStore,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> tuple[Receipt, bool]:
    """Keeps a file as a receipt, with what a person says that it says, and suggests records for it; what it says itself
    is read in the background. The same content is one receipt: then the one that is there, as it is, and False.

    Raises `Invalid`, `TooLarge` and `UnknownFormat`.
    """
    said = check_said(said)
    content = content_of(file, max_receipt_bytes, sniffer)
    by_person = [name for name in Said.__slots__ if getattr(said, name) is not None]
    receipt = new_receipt(content, filename, actor, said=said, by_person=by_person, clock=clock, ids=ids)
    job = reading_job(receipt, actor, max_attempts, trace_parent, ids=ids)
    with uow.begin(actor) as tx:
        kept = add_receipt(tx, receipt, content, job, tx.tenants.get().zone, files)
        tx.commit()
    return kept, kept.id == receipt.id


def list_receipts(
    actor: Actor, where: ReceiptFilter, *, uow: UnitOfWork, before: UUID | None, limit: int
) -> Sequence[Receipt]:
    """Newest first."""
    with uow.begin(actor) as tx:
        return tx.receipts.list(where, before=before, limit=limit)


def get_receipt(actor: Actor, receipt_id: UUID, *, uow: UnitOfWork) -> tuple[Receipt, Sequence[Match]]:
    """The receipt, and what links it to records."""
    with uow.begin(actor) as tx:
        return tx.receipts.get(receipt_id), tx.receipts.matches(receipt_id, [MatchState.LINKED])


def change_receipt(
    actor: Actor,
    receipt_id: UUID,
    *,
    version: int | None,
    said: Said,
    named: Sequence[str],
    uow: UnitOfWork,
) -> tuple[Receipt, Sequence[Match]]:
    """A person's word for what the fields in `named` are, as `said` has them: nothing that is read replaces it. Other
    records may be suggested then. Raises `NotFound`, `VersionMismatch` and `Invalid`."""
    with uow.begin(actor) as tx:
        receipt = tx.receipts.get(receipt_id, lock=True)
        if version is not None and receipt.version != version:
            raise VersionMismatch
        tx.receipts.update(said_by_person(receipt, said, named))
        told = {"change": "edited", "fields": sorted(named)}
        tx.events.append([NewEvent(type=EventType.RECEIPT_CHANGED, subject_id=receipt_id, payload=told)])
        changed = tx.receipts.get(receipt_id)
        match(tx, [changed], tx.tenants.get().zone)
        links = tx.receipts.matches(receipt_id, [MatchState.LINKED])
        tx.commit()
    return changed, links


def open_receipt(
    actor: Actor, receipt_id: UUID, *, uow: UnitOfWork, files: FileStore
) -> tuple[Receipt, Iterator[bytes]]:
    """The receipt, and its file piece by piece. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        receipt = tx.receipts.get(receipt_id)
    return receipt, files.read(receipt.path)


def delete_receipt(actor: Actor, receipt_id: UUID, *, version: int | None, uow: UnitOfWork, files: FileStore) -> None:
    """Its file goes before the transaction ends: who uploads the same content meanwhile waits, and finds that it is
    gone. Where the end fails, the receipt is there without its file until it is deleted, or uploaded, again. Raises
    `NotFound`, `VersionMismatch`."""
    with uow.begin(actor) as tx:
        receipt = tx.receipts.delete(receipt_id, version)
        tx.events.append([NewEvent(type=EventType.RECEIPT_DELETED, subject_id=receipt_id)])
        files.delete([receipt.path])
        tx.commit()
