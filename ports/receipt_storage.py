"""The repository of receipts and of what they are matched with; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.receipt_matching import Window
from core.domain.receipts import Candidate, Match, MatchState, Receipt, RecordReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFilter:
    """What receipts to list; everything given must hold. `matched`: whether they are linked to a record; `text` is a
    case-insensitive part of the merchant or the file's name."""

    matched: bool | None = None
    since: date | None = None
    until: date | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    currency: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Records that came together: those of an import in a range of ids."""

    import_id: UUID
    first: UUID
    last: UUID


class Receipts(Protocol):
    def add(self, receipt: Receipt, *, found_in: UUID | None = None) -> Receipt:
        """The receipt, or the one with the same content that is there, which stays until the transaction ends. Waits
        while another adds or deletes that. It is of who acts, or else of who uploaded the one that it was
        `found_in`."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Receipt: ...

    def hold(self, id: UUID, record_id: UUID) -> Receipt:
        """The receipt, locked, to say something of it and this record, which stays, if it is there, until the
        transaction ends. Records are held before receipts, as who deletes one comes to its receipts by its links."""
        ...

    def get_many(self, ids: Sequence[UUID]) -> Sequence[Receipt]:
        """Those of them that are there, by id."""
        ...

    def list(self, where: ReceiptFilter, *, before: UUID | None, limit: int) -> Sequence[Receipt]:
        """Newest first; `before` is the last id of the page before."""
        ...

    def update(self, receipt: Receipt) -> None:
        """Writes what it says, by whom, state and failure, if the stored version is `receipt.version`, which then rises
        by one; raises `VersionMismatch` or `NotFound`."""
        ...

    def delete(self, id: UUID, version: int | None) -> Receipt:
        """Removes it with its matches; what it was. Raises `NotFound`, `VersionMismatch`."""
        ...

    def expire(self, before: datetime, limit: int) -> Sequence[Receipt]:
        """Removes, as `delete` does, up to `limit` that were uploaded before then and are linked to no record."""
        ...

    def any_open(self) -> bool:
        """Whether a receipt that says its amount is linked to no record."""
        ...

    def unlinked(self) -> bool:
        """Whether this transaction ended a link, also with its record."""
        ...

    def open(self, *, after: UUID | None, limit: int) -> Sequence[Receipt]:
        """Such receipts by rising id, locked: what they say and whether they are linked stays until the transaction
        ends; `after` is the last id of the page before."""
        ...

    def candidates(
        self, windows: Mapping[UUID, Window], limit: int, arrived: Arrived | None = None
    ) -> Sequence[Candidate]:
        """For each receipt the `limit` records in its window that are nearest by amount, then by day; pairs that a
        person linked or rejected are left out. With `arrived` only for receipts in whose windows one of these is."""
        ...

    def suggest(self, suggestions: Mapping[UUID, Mapping[UUID, float]]) -> None:
        """What is suggested for these receipts now, by record with the probability, in place of what was; nothing for
        those that are linked meanwhile. Pairs that a person decided stay, and so do records that are gone."""
        ...

    def matches(self, receipt_id: UUID, states: Sequence[MatchState]) -> Sequence[Match]:
        """The likeliest first, those without a score last."""
        ...

    def matches_of(self, receipt_ids: Sequence[UUID], most: int) -> Mapping[UUID, Sequence[Match]]:
        """Of each receipt that has any the `most` first of what it is linked to, or else of what is suggested for it,
        in the order of `matches`."""
        ...

    def of_records(self, record_ids: Sequence[UUID], suggested: int) -> Mapping[UUID, Sequence[RecordReceipt]]:
        """The receipts that are linked to each record that has any, and the `suggested` likeliest of those that are
        suggested for it; linked ones first."""
        ...

    def decide(self, receipt_id: UUID, record_id: UUID, state: MatchState, *, by: str, at: datetime) -> Match | None:
        """Notes what a person said of a pair, unless that was said before, and gives back what was noted of it until
        then. A receipt that is linked is suggested for no other record. Raises `Invalid` for a record that does not
        exist; the receipt does, and both are held."""
        ...
