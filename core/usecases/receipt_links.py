"""Which receipts are of which records: suggested by a machine, said by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.permissions import Permission
from core.domain.receipts import Match, MatchState, Receipt, RecordReceipt
from core.domain.records import Record
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, NotFound
from core.usecases.shared.receipts import match
from ports.clock import Clock
from ports.receipt_storage import ReceiptFilter
from ports.storage import Transaction, UnitOfWork

MAX_LINKS = 200
"""Records of one receipt: a card's statement may pay many."""
SUGGESTED = 5
"""Suggestions that are shown of a record."""
LISTED = 2
"""Records that are shown of a receipt in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedRecord:
    record: Record
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedRecord:
    match: Match
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedReceipt:
    """A receipt with the records that it is linked to, or else those that it may be of, the likeliest first; none for
    who may not see records."""

    receipt: Receipt
    records: Sequence[MatchedRecord]


def list_matched_receipts(
    actor: Actor, where: ReceiptFilter, *, uow: UnitOfWork, before: UUID | None, limit: int
) -> Sequence[MatchedReceipt]:
    """Newest first, each with the first of its records."""
    with uow.begin(actor) as tx:
        found = tx.receipts.list(where, before=before, limit=limit)
        return _matched(tx, actor, found, tx.receipts.matches_of([one.id for one in found], LISTED))


def get_matched_receipt(actor: Actor, receipt_id: UUID, *, uow: UnitOfWork) -> MatchedReceipt:
    """With all of its records. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        receipt = tx.receipts.get(receipt_id)
        matches = tx.receipts.matches(receipt_id, [MatchState.LINKED if receipt.links else MatchState.SUGGESTED])
        return _matched(tx, actor, [receipt], {receipt_id: matches})[0]


def _matched(
    tx: Transaction, actor: Actor, receipts: Sequence[Receipt], matches: Mapping[UUID, Sequence[Match]]
) -> Sequence[MatchedReceipt]:
    """A record that goes meanwhile is left out."""
    seen = Permission.RECORDS_READ in actor.permissions
    asked = {match.record_id for mine in matches.values() for match in mine} if seen else set()
    there = {record.id: record for record in tx.records.present(asked)}
    return [
        MatchedReceipt(
            receipt=receipt,
            records=[
                MatchedRecord(match=match, record=there[match.record_id])
                for match in matches.get(receipt.id, ())
                if match.record_id in there
            ],
        )
        for receipt in receipts
    ]


def list_suggestions(actor: Actor, receipt_id: UUID, *, uow: UnitOfWork) -> Sequence[SuggestedRecord]:
    """The records that a receipt may be of, the likeliest first. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        tx.receipts.get(receipt_id)
        found = tx.receipts.matches(receipt_id, [MatchState.SUGGESTED])
        records = tx.records.get_many([one.record_id for one in found])
    return [SuggestedRecord(record=record, score=one.score) for one, record in zip(found, records, strict=True)]


def list_record_receipts(actor: Actor, record_id: UUID, *, uow: UnitOfWork) -> Sequence[RecordReceipt]:
    """The receipts of a record, then those that are suggested for it, the likeliest first. Raises `NotFound`."""
    with uow.begin(actor) as tx:
        tx.records.get(record_id)
        return tx.receipts.of_records([record_id], SUGGESTED).get(record_id, ())


def link_receipt(
    actor: Actor, receipt_id: UUID, record_id: UUID, *, uow: UnitOfWork, clock: Clock, suggested: bool = False
) -> tuple[Receipt, Sequence[Match]]:
    """A person says that the receipt is of the record; once more changes nothing. It is suggested for no other one from
    then on: who was shown this one as `suggested` saw a receipt without links. Raises `NotFound`, `Invalid` for an
    unknown record or too many of them, and `Conflict` for a suggestion once the receipt is linked to others."""
    with uow.begin(actor) as tx:
        receipt = tx.receipts.hold(receipt_id, record_id)
        before = tx.receipts.decide(receipt_id, record_id, MatchState.LINKED, by=actor.name, at=clock.now())
        if before is None or before.state is not MatchState.LINKED:
            if suggested and receipt.links:
                raise Conflict("somebody linked this receipt to another record meanwhile")
            if receipt.links >= MAX_LINKS:
                raise Invalid(f"a receipt is linked to at most {MAX_LINKS} records")
            told = {"record_id": str(record_id), "suggested": _score(before)}
            tx.events.append([NewEvent(type=EventType.RECEIPT_LINKED, subject_id=receipt_id, payload=told)])
        now = tx.receipts.get(receipt_id), tx.receipts.matches(receipt_id, [MatchState.LINKED])
        tx.commit()
    return now


def unlink_receipt(actor: Actor, receipt_id: UUID, record_id: UUID, *, uow: UnitOfWork, clock: Clock) -> None:
    """A person says that the receipt is not of the record that it is linked to. Raises `NotFound`."""
    _reject(actor, receipt_id, record_id, MatchState.LINKED, "this receipt is not linked to this record", uow, clock)


def reject_suggestion(actor: Actor, receipt_id: UUID, record_id: UUID, *, uow: UnitOfWork, clock: Clock) -> None:
    """A person says that the receipt is not of the record that was suggested. Raises `NotFound`."""
    _reject(actor, receipt_id, record_id, MatchState.SUGGESTED, "this record is not suggested for it", uow, clock)


def _reject(
    actor: Actor, receipt_id: UUID, record_id: UUID, was: MatchState, not_so: str, uow: UnitOfWork, clock: Clock
) -> None:
    """The pair is suggested no more; the receipt's other candidates are so much the likelier."""
    with uow.begin(actor) as tx:
        tx.receipts.hold(receipt_id, record_id)
        before = next((m for m in tx.receipts.matches(receipt_id, [was]) if m.record_id == record_id), None)
        if before is None:
            raise NotFound(not_so)
        tx.receipts.decide(receipt_id, record_id, MatchState.REJECTED, by=actor.name, at=clock.now())
        told = {"record_id": str(record_id), "was": was.value, "suggested": _score(before)}
        tx.events.append([NewEvent(type=EventType.RECEIPT_UNLINKED, subject_id=receipt_id, payload=told)])
        match(tx, [tx.receipts.get(receipt_id)], tx.tenants.get().zone)
        tx.commit()


def _score(before: Match | None) -> float | None:
    return None if before is None or before.score is None else round(before.score, 4)
