"""Which records are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """What records to list; everything given must hold. `text` is a case-insensitive part of text or counterparty."""

    statuses: tuple[str, ...] = ()
    category_id: UUID | None = None
    stage: str | None = None
    account: str | None = None
    kind: str | None = None
    connection_id: UUID | None = None
    import_id: UUID | None = None
    since: date | None = None
    until: date | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    currency: str | None = None
    text: str | None = None
